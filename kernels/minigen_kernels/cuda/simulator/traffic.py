"""What the threads of a simulated kernel ask of memory, counted as a GPU would see it: `simulate(..., traffic=Traffic())`.

The threads of a warp ask together, one instruction at a time. What they ask of global memory travels in sectors of 32
bytes; shared memory has 32 banks, each of which gives one number of 4 bytes in a pass. Caches are not simulated: a sector
that is asked for twice counts twice.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from .memory import SharedMemory
from .threads import running

INSTRUCTIONS = str(Path(__file__).parents[1] / "intrinsics.py")
SECTOR = 32  # bytes
BANKS, BANK = 32, 4  # how many there are, and how many bytes one gives at a time


@dataclass
class Count:
    """How often an array was loaded from, or stored to.

    Attributes:
        numbers: that threads asked for, each by itself.
        requests: instructions of a warp that asked for them.
        sectors: pieces of 32 bytes that the requests touch. Coalesced requests touch few.
        passes: turns that the 32 banks of shared memory would take, at the least; more than one for a request whose threads
            want different numbers of one bank.
    """

    numbers: int = 0
    requests: int = 0
    sectors: int = 0
    passes: int = 0


class Traffic:
    """Counts what kernels ask of memory; several simulations may share one.

    What the threads of a warp do at one place of the source, each for the n-th time, counts as one request. That is what a
    GPU does as long as they take the same way through the kernel.

    Attributes:
        loads, stores: for each array of the kernel, by its name, a `Count`. An asynchronous copy is a load and a store.

    >>> from numba import cuda
    >>> from minigen_kernels.cuda.kernel import Kernel
    >>> from minigen_kernels.cuda.simulator import Traffic, simulate
    >>> def every_second(x, y):
    ...     y[cuda.grid(1)] = x[2 * cuda.grid(1)]
    >>> traffic, numbers = Traffic(), np.zeros(64, np.float32)
    >>> simulate(
    ...     Kernel(every_second, ("float32*", "float32*"), (1, 1, 1), (32, 1, 1)),
    ...     (numbers, numbers[:32].copy()),
    ...     traffic=traffic,
    ... )
    >>> traffic.loads["x"], traffic.stores["y"].sectors
    (Count(numbers=32, requests=1, sectors=8, passes=2), 4)
    """

    def __init__(self) -> None:
        self._counts: dict[str, dict[str, Count]] = {"loads": {}, "stores": {}}
        self._block: Any = None
        self._times: Counter[Any] = Counter()
        self._requests: defaultdict[Any, set[int]] = defaultdict(set)

    @property
    def loads(self) -> dict[str, Count]:
        self._settle()
        return self._counts["loads"]

    @property
    def stores(self) -> dict[str, Count]:
        self._settle()
        return self._counts["stores"]

    def note(self, kind: str, name: str, byte: int, frame: Any) -> None:
        """A thread asks for the number that begins at this byte of an array, in this frame."""
        thread = running.thread
        if thread.block is not self._block:
            self._settle()
            self._block = thread.block
        places = [_place(frame)]
        while frame.f_code.co_filename == INSTRUCTIONS:  # the four numbers of a vector are asked for by one instruction
            frame = frame.f_back
            places.append(_place(frame))
        here = kind, name, thread, *places
        self._times[here] += 1
        self._requests[kind, name, places[-1], thread.warp, self._times[here]].add(byte)
        self._counts[kind].setdefault(name, Count()).numbers += 1

    def _settle(self) -> None:
        """Count the requests of a block that is through."""
        for (kind, name, *_), touched in self._requests.items():
            count = self._counts[kind][name]
            count.requests += 1
            count.sectors += len({byte // SECTOR for byte in touched})
            count.passes += max(Counter(word % BANKS for word in {byte // BANK for byte in touched}).values())
        self._requests.clear()
        self._times.clear()
        self._block = None


def _place(frame: Any) -> Any:
    """Where in the source a frame is: the position of the instruction itself moves while Python optimizes it."""
    return frame.f_code, _positions(frame.f_code)[frame.f_lasti // 2]


@lru_cache(256)
def _positions(code: Any) -> list[Any]:
    return list(code.co_positions())


class CountedMemory(SharedMemory):
    """Memory whose traffic is counted."""

    def __init__(self, *arguments: Any, traffic: Traffic) -> None:
        super().__init__(*arguments)
        self.traffic, self.size = traffic, np.dtype(self.scalar).itemsize

    def __getitem__(self, index: Any) -> Any:
        value = super().__getitem__(index)
        self._note("loads", index, sys._getframe(1))
        return value

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        self._note("stores", index, sys._getframe(1))

    def copied(self, index: int, wanted: bool) -> None:
        super().copied(index, wanted)
        if wanted:
            self._note("loads", index, sys._getframe(1))

    def _note(self, kind: str, index: Any, frame: Any) -> None:
        if frame.f_code.co_name != "_cp_async_wait":  # where a copy arrives that was counted when it began
            self.traffic.note(kind, self.name, self.place(index) * self.size, frame)
