"""Processes that measure: one line of JSON asks, one answers."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

from minigen.errors import MinigenError

Request = dict[str, Any]


class Process:
    """A process that runs a module of this package and answers requests, to be used in a `with`.

    Args:
        name: whom it measures.
        module: such as 'minigen.bench.cpu.worker', run with `arguments`.
        environment: variables that it has besides ours.
    """

    def __init__(self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        self.name = name
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by __exit__
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **environment},
            start_new_session=True,  # Ctrl-C is for this process, which ends the other
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            MinigenError: the process ended instead.
        """
        pipe_in, pipe_out = self.process.stdin, self.process.stdout
        line = ""
        if pipe_in is not None and pipe_out is not None:
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps(request), file=pipe_in, flush=True)
                line = pipe_out.readline()
        if not line:
            code = self.process.wait()
            self.errors.seek(0)
            last = (self.errors.read().strip().splitlines() or ["it said nothing"])[-1]
            raise MinigenError(
                f"The process that measures {self.name} ended with exit code {code} ({last}); what was measured before "
                "is kept where --json says."
            )
        return json.loads(line)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def answer_all(answer: Callable[[Request], dict[str, Any]], requests: Iterable[str], answers: TextIO) -> None:
    """Answer every line of requests with a line: the loop of such a process."""
    for line in requests:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)
