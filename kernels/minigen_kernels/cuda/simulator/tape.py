"""What the simulated GPU is asked to do besides computing, counted; and what it computes, recorded and done again.

A copy between the host and the GPU, and a wait for the GPU, cost a training step more than most of its kernels, and hide
easily: `bool(x.any())` is one. `transfers` lists them with their lines.

CUDA can capture what a stream of work computes as a graph, and run that again as a whole. `recording` stands for it, with
its rules: everything is computed again into the same memory, numbers given by the host stay what they were, and what needs
the host in between is refused.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RULES = {
    "to_host": "a graph runs without the host, which would see the value of the recording for ever",
    "to_gpu": "a graph would use the values of the recording for ever; copy them into a fixed array before it runs",
    "synchronizations": "a graph runs without the host, which would have to wait for the GPU here",
}


class CaptureError(RuntimeError):
    """Something was asked for during a recording that a graph cannot hold. The message has the reason, and where there is
    one the line. `reason` is the message without the line.
    """

    def __init__(self, reason: str, line: str = "") -> None:
        super().__init__(reason + (f" ({line})" if line else ""))
        self.reason = reason


class Transfers:
    """What passed between the host and the simulated GPU, each with the line that asked for it.

    Attributes:
        to_host: values that the host read.
        to_gpu: values that the host sent.
        synchronizations: where the host had to wait for the GPU's results, to know the size of an array.
        constants: tables sent for kernels, of sizes and addresses. They are kept, and alike from step to step; a graph may
            hold them.
    """

    def __init__(self) -> None:
        self.to_host: list[str] = []
        self.to_gpu: list[str] = []
        self.synchronizations: list[str] = []
        self.constants: list[str] = []

    def __repr__(self) -> str:
        return "\n".join(f"{kind}: {', '.join(found) or 'none'}" for kind, found in vars(self).items())


class Tape:
    """What was computed during a recording, in its order, with the memory it was computed from and into."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], Any]] = []

    def replay(self) -> None:
        """Does everything again, from and into the same memory."""
        for step in self.steps:
            step()

    def __len__(self) -> int:
        return len(self.steps)


class _Now:
    """What watches the simulated GPU at the moment."""

    tape: Tape | None = None
    watching: tuple[Transfers, ...] = ()


_now = _Now()


@contextmanager
def transfers() -> Iterator[Transfers]:
    """Lists what passes between the host and the simulated GPU in a `with` block."""
    found, before = Transfers(), _now.watching
    _now.watching = (*before, found)
    try:
        yield found
    finally:
        _now.watching = before


@contextmanager
def recording() -> Iterator[Tape]:
    """Keeps what is computed in a `with` block, in which it is computed as well; afterwards `tape.replay()` does it again.

    Raises:
        CaptureError: in the block, what a graph cannot hold: a copy from or to the host, a wait for the GPU, another
            recording.
    """
    if _now.tape is not None:
        raise CaptureError("A recording is under way already, and there can be only one at a time.")
    _now.tape = Tape()
    try:
        yield _now.tape
    finally:
        _now.tape = None


def keep(step: Callable[[], Any]) -> None:
    """Put on the tape, if there is one, what has just been computed."""
    if _now.tape is not None:
        _now.tape.steps.append(step)


def note(kind: str, what: str, again: bool = False) -> None:
    """Count a transfer: its kind, an attribute of `Transfers`, and what it is, with the line that asked for it.

    A recording refuses it, unless it is a constant or done `again` before every replay.
    """
    if not _now.watching and _now.tape is None:
        return
    for found in _now.watching:
        getattr(found, kind).append(f"{what} at {_calling_line()}")
    if _now.tape is not None and kind in RULES and not again:
        raise CaptureError(refusal(kind, what), _calling_line())


def refusal(kind: str, what: str) -> str:
    """The sentence that says why a graph cannot hold something."""
    return f"A graph cannot hold {what}: {RULES[kind]}."


def _calling_line() -> str:
    """The innermost line that is neither of this folder nor NumPy's."""
    frame: Any = sys._getframe(2)
    while Path(frame.f_code.co_filename).parent == HERE or "/numpy/" in frame.f_code.co_filename:
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno} ({frame.f_code.co_name})"
