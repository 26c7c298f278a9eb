"""Seconds from events: what the GPU did between two marks on its stream.

A kernel is timed without the host: first the stream is given something else to do, and while the GPU does that, a mark,
the calls and another mark are queued. If the first mark had not been reached when the last one was queued, the GPU went
from call to call without waiting for Python. A training step is timed with the host, whose launches are part of it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

MOST_CALLS = 50  # between two marks, so that the driver's queue of launches does not fill up
TRIES = 4  # of a longer and longer hold
LEAST_STEPS = 5  # training steps between two marks
WARM_UPS = 3


class Events(Protocol):
    """Marks on the stream that work is queued on."""

    def mark(self) -> Any:
        """An event, reached when all work queued so far is done."""

    def reached(self, event: Any) -> bool:
        """Whether it was."""

    def seconds(self, start: Any, end: Any) -> float:
        """Between two events; waits for the second."""

    def hold(self, seconds: float) -> None:
        """Queue work that keeps the stream busy for about so long, and do not wait for it."""


class Timing(NamedTuple):
    """Seconds of one call, and whether the GPU had to wait for the host in between."""

    seconds: float
    late: bool


def time_kernel(call: Callable[[], Any], events: Events, at_least: float) -> Timing:
    """The mean time of a call on the GPU, over as many as fill so many seconds, at most `MOST_CALLS`."""
    for _ in range(WARM_UPS):
        call()
    began, start = time.perf_counter(), events.mark()
    call()
    queued, end = time.perf_counter() - began, events.mark()
    count = min(MOST_CALLS, max(1, math.ceil(at_least / max(events.seconds(start, end), 1e-9))))
    hold = 2 * count * queued
    for _ in range(TRIES):
        events.hold(hold)
        start = events.mark()
        for _ in range(count):
            call()
        end = events.mark()
        late = events.reached(start)
        seconds = events.seconds(start, end) / count
        if not late:
            break
        hold *= 2
    return Timing(seconds, late)


def time_step(step: Callable[[], Any], events: Events, at_least: float) -> Timing:
    """The mean time of a training step, launches included, over as many as fill so many seconds."""
    for _ in range(WARM_UPS):
        step()
    start = events.mark()
    step()
    once = events.seconds(start, events.mark())
    count = max(LEAST_STEPS, math.ceil(at_least / max(once, 1e-9)))
    start = events.mark()
    for _ in range(count):
        step()
    return Timing(events.seconds(start, events.mark()) / count, False)


class StreamEvents:
    """The part of `Events` that CuPy and PyTorch have in common: a stream is held by filling memory again and again.

    Args:
        fill: fills about a quarter of a GiB on the stream.
    """

    def __init__(self, fill: Callable[[], Any]) -> None:
        self.fill, self.once = fill, 0.0

    def mark(self) -> Any:
        raise NotImplementedError

    def seconds(self, start: Any, end: Any) -> float:
        raise NotImplementedError

    def hold(self, seconds: float) -> None:
        if not self.once:
            self.fill()
            start = self.mark()
            self.fill()
            self.once = max(self.seconds(start, self.mark()), 1e-6)
        for _ in range(math.ceil(seconds / self.once)):
            self.fill()
