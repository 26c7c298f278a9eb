"""Simulated threads and blocks, and what a thread hands to the scheduler when it has to wait for others."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple

WARP = 32
FULL_MASK = 0xFFFFFFFF


class Dim3(NamedTuple):
    x: int
    y: int
    z: int


class Wait(NamedTuple):
    """A barrier that a thread waits at: `yield Wait(...)` gives what `combine` made of all their values.

    `lanes` are the lanes of the warp that meet, as bits, or None for all threads of the block. `combine` is called once
    with a dict from lane (or from the thread's number, for a block) to value. `orders_memory`: whether what the threads
    wrote before is there for the others after it.
    """

    lanes: int | None
    value: Any = None
    combine: Callable[[dict[int, Any]], Any] = dict
    orders_memory: bool = True


Waiting = Generator[Wait, Any, Any]


class Stamp:
    """When something happened and by whom: a thread, or several of a warp or of a block, or of all.

    Time is counted in epochs, which a barrier of the block ends, and phases, which a barrier of the warp ends.
    """

    __slots__ = ("block", "epoch", "of_block", "of_warp", "phase", "thread", "warp")

    def __init__(self, block: Block | None, warp: int, thread: Thread | None, epoch: int, phase: int) -> None:
        self.block, self.warp, self.thread, self.epoch, self.phase = block, warp, thread, epoch, phase
        self.of_warp = self.of_block = self  # the stamps that several threads share, at the same time

    def is_before(self, now: Stamp) -> bool:
        """Whether a thread, or a barrier, puts this before anything that the thread of `now` does from now on."""
        if self.thread is not None and self.thread is now.thread:
            return True
        if self.block is None or self.block is not now.block:
            return False
        return self.epoch < now.epoch or (self.warp == now.warp and self.phase < now.phase)

    def joined_by(self, now: Stamp) -> Stamp:
        """A stamp that is before another one only if both are, this and `now`."""
        if self.is_before(now) and (self.thread is now.thread or self.epoch < now.epoch):
            return now
        if self.block is None or self.block is not now.block:
            return EVERYBODY
        if self.warp != now.warp:
            return now.of_block
        return self.block.warp_stamp(self.warp, max(self.phase, now.phase))

    def __str__(self) -> str:
        return "several threads" if self.thread is None else f"thread {tuple(self.thread.place)}"


MANY_WARPS = -1
EVERYBODY = Stamp(None, MANY_WARPS, None, 0, 0)


class Block:
    """A block of threads, and the shared memory that its threads have asked for so far, made by `memory`."""

    def __init__(self, index: Dim3, dim: Dim3, shared_bytes: int, memory: Callable[..., Any]) -> None:
        self.index, self.dim, self.shared_bytes, self.memory = index, dim, shared_bytes, memory
        self.arrays: dict[Any, Any] = {}
        self.epoch = -1
        self.next_epoch()

    def next_epoch(self) -> None:
        self.epoch += 1
        self.stamp = Stamp(self, MANY_WARPS, None, self.epoch, 0)
        self.warp_stamps: dict[tuple[int, int], Stamp] = {}

    def warp_stamp(self, warp: int, phase: int) -> Stamp:
        """The stamp that the lanes of a warp share in a phase."""
        stamp = self.warp_stamps.get((warp, phase))
        if stamp is None:
            stamp = self.warp_stamps[warp, phase] = Stamp(self, warp, None, self.epoch, phase)
            stamp.of_block = self.stamp
        return stamp


class Thread:
    """One thread: a generator that yields a `Wait` at each barrier."""

    def __init__(self, block: Block, place: Dim3) -> None:
        self.block, self.place = block, place
        self.number = place.x + block.dim.x * (place.y + block.dim.y * place.z)
        self.warp, self.lane = divmod(self.number, WARP)
        self.phase = 0
        self.copies: list[list[Any]] = [[]]  # asynchronous copies: groups committed, and last the open one
        self.steps: Waiting
        self.wait: Wait | None = None
        self.answer: Any = None
        self.make_stamp()

    def make_stamp(self) -> None:
        """After every barrier: the stamp of what the thread does from now on."""
        self.stamp = Stamp(self.block, self.warp, self, self.block.epoch, self.phase)
        self.stamp.of_warp = self.block.warp_stamp(self.warp, self.phase)
        self.stamp.of_block = self.block.stamp


class Running:
    """Which thread the simulator runs now, and its stamp. There is one simulation at a time."""

    thread: Thread
    stamp: Stamp


running = Running()


def exchange(value: Any, lanes: int = FULL_MASK, combine: Callable[[dict[int, Any]], Any] = dict) -> Waiting:
    """A warp collective: every lane gives a value, all get what `combine` makes of {lane: value}.

    For the twins of instructions in which a warp works together: `answers = yield from exchange(mine, combine=...)`.
    """
    return (yield Wait(lanes, value, combine, orders_memory=False))
