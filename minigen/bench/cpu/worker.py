"""The process that measures one side: ``python -m minigen.bench.cpu.worker minigen 2``.

It reads requests and writes answers, a line of JSON each:

    {"do": "seconds", "task": {…}, "at_least": 0.3}  →  {"seconds": 0.0123}   of one call, the mean of those made
    {"do": "memory", "task": {…}, "first": {…}, "calls": 5}
                                                     →  {"bytes": 12345, "process": 67890}   see `memory_of`
    {"do": "forget"}                                 →  {}                    drops what was prepared

and ends when there is nothing more to read.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

from minigen.bench.processes import Request, answer_all
from minigen.errors import MinigenError

SIDES = ("minigen", "PyTorch")


def side_named(name: str) -> ModuleType:
    """`minigen.bench.cpu.ours` for 'minigen', `theirs` for 'PyTorch'."""
    if name == "minigen":
        from minigen.bench.cpu import ours

        return ours
    from minigen.bench.cpu import theirs

    return theirs


def serve(side: ModuleType, requests: Iterable[str], answers: TextIO) -> None:
    """Answer every request."""
    prepared: dict[str, Callable[[], Any]] = {}

    def answer(request: Request) -> dict[str, Any]:
        if request["do"] == "seconds":
            key = json.dumps(request["task"])
            if key not in prepared:
                prepared[key] = side.prepare(request["task"])
                prepared[key]()  # compiles, and makes the state of the optimizers
            return {"seconds": seconds_of(prepared[key], request["at_least"])}
        if request["do"] == "memory":
            side.prepare(request["first"])()
            return {"bytes": memory_of(side.prepare(request["task"]), request["calls"]), "process": peak_memory()}
        prepared.clear()
        return {}

    answer_all(answer, requests, answers)


def seconds_of(run: Callable[[], Any], at_least: float) -> float:
    """The mean time of a call: one that does not count, to wake threads and fill caches, then calls until so many seconds."""
    run()
    calls, start = 0, time.perf_counter()
    while True:
        run()
        calls += 1
        elapsed = time.perf_counter() - start
        if elapsed >= at_least:
            return elapsed / calls


def memory_of(run: Callable[[], Any], calls: int) -> int:
    """By how many bytes these calls raise the most memory that this process ever had in use.

    What was freed before goes back to the system first, so that nobody has the calls' memory lying ready. Code that is
    loaded with the first call of its kind counts here, unless such a call was made before: PyTorch has loaded most of
    its own on import.
    """
    gc.collect()
    give_back_freed_memory()
    with suppress(OSError):  # Linux forgets the peak of what came before
        Path("/proc/self/clear_refs").write_text("5")
    before = peak_memory()
    for _ in range(calls):
        run()
    return peak_memory() - before


def give_back_freed_memory() -> None:
    """Have the GNU C library return what was freed to the system; other libraries are left as they are."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def peak_memory() -> int:
    """The most bytes of memory that this process ever had in use.

    On Linux from /proc: what `getrusage` says there is never less than the parent's peak.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def main(name: str, threads: int) -> None:
    """Serve the parent process, whose pipes are this one's input and output; the last line of errors says what broke it."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whoever prints does not spoil the answers
    try:
        side = side_named(name)
        side.start(threads)
        serve(side, sys.stdin, answers)
    except Exception as error:
        sys.exit(in_one_line(error))


def in_one_line(error: Exception) -> str:
    """What an error says, its kind before it unless it is one of ours, whose sentences need none.

    >>> in_one_line(RuntimeError("Expected\\n  a larger\\n  batch."))
    'RuntimeError: Expected a larger batch'
    """
    kind = "" if isinstance(error, MinigenError) else f"{type(error).__name__}: "
    return kind + " ".join(str(error).split()).removesuffix(".")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
