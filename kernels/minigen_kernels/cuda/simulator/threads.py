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


class Block:
    """A block of threads, and the shared memory that its threads have asked for so far."""

    def __init__(self, index: Dim3, dim: Dim3, shared_bytes: int) -> None:
        self.index, self.dim, self.shared_bytes = index, dim, shared_bytes
        self.epoch = 0  # barriers passed
        self.arrays: dict[Any, Any] = {}


class Thread:
    """One thread: a generator that yields a `Wait` at each barrier."""

    def __init__(self, block: Block, place: Dim3) -> None:
        self.block, self.place = block, place
        self.number = place.x + block.dim.x * (place.y + block.dim.y * place.z)
        self.warp, self.lane = divmod(self.number, WARP)
        self.phase = 0  # barriers of the warp passed
        self.copies: list[list[Any]] = [[]]  # asynchronous copies: groups committed, and last the open one
        self.steps: Waiting
        self.wait: Wait | None = None
        self.answer: Any = None


class Running:
    """Which thread the simulator runs now. There is one simulation at a time."""

    thread: Thread


running = Running()


def exchange(value: Any, lanes: int = FULL_MASK, combine: Callable[[dict[int, Any]], Any] = dict) -> Waiting:
    """A warp collective: every lane gives a value, all get what `combine` makes of {lane: value}.

    For the twins of instructions in which a warp works together: `answers = yield from exchange(mine, combine=...)`.
    """
    return (yield Wait(lanes, value, combine, orders_memory=False))
