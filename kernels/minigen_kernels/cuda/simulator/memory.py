"""The memory of simulated threads: arrays that check every access, and poison where nothing was written yet.

An index outside an array is a fault here, never a wrapped or silent one. Memory that threads share also notices races:
two threads touch one element, at least one of them writes, and no barrier lies between. On a GPU such an element has
the one value or the other; here the first access that may go either way is a fault, whatever the order of the threads.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .threads import Stamp, running

POISON = 1234567891  # what integers hold before they are written; floats hold NaN


class KernelFault(RuntimeError):
    """A simulated kernel did what it must not. The message has the kernel's line and the thread."""


class Memory:
    """An array with bounds: of one thread alone, without a watch for races.

    Args:
        name: what faults call it. values: its elements, kept as a list. scalar: NumPy's type of an element.
        shape: (size,) for memory that has one index. align: bytes that the first element's address divides by.
    """

    def __init__(
        self, name: str, values: list[Any], scalar: type[np.generic], shape: tuple[int, ...], align: int
    ) -> None:
        self.name, self.values, self.scalar, self.shape, self.alignment = name, values, scalar, shape, align
        self.bound = len(values)
        self.places = None if len(shape) == 1 else _places(shape)

    def __getitem__(self, index: Any) -> Any:
        return self.values[self.place(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.values[self.place(index)] = self.scalar(value)

    def place(self, index: Any) -> int:
        """The position in `values` of one index, or of a tuple of indices with one for each axis."""
        if self.places is None:
            if 0 <= index < self.bound:
                return index
            raise self.outside(index)
        try:
            return self.places[index]
        except KeyError:
            raise self.outside(index) from None

    def copied(self, index: int, wanted: bool) -> None:
        """Checks where an asynchronous copy begins that reads from here, if it is wanted; the index must be right anyway."""
        self.place(index)

    def outside(self, index: Any) -> KernelFault:
        axes = len(index) if isinstance(index, tuple) else 1
        if axes != len(self.shape):
            return KernelFault(f"{self.name}[{index}] must have an index for each of the axes, {len(self.shape)}")
        bounds = ", ".join(f"0 to {n - 1}" for n in self.shape)
        return KernelFault(f"{self.name}[{index}] is out of bounds, {bounds}")

    def vector(self, index: int, count: int) -> None:
        """Checks an access of `count` elements at once, which must lie together and be aligned."""
        if len(self.shape) != 1:
            raise KernelFault(f"{self.name} must be flat for an access of {count} elements")
        size = count * np.dtype(self.scalar).itemsize
        if self.alignment % size or index % count:
            raise KernelFault(
                f"{self.name}[{index}] is not aligned to {size} bytes: the index must divide by {count}, and an array "
                f"in shared memory be made with alignment={size}"
            )
        self.place(index)
        self.place(index + count - 1)


class SharedMemory(Memory):
    """Memory of several threads: of a block, or of all. Each element remembers who touched it last, as a `Stamp`.

    `writes[i]` is the last write, and `reads[i]` stands for all the reads since. A stamp that a barrier of the block has
    ordered before all that can still come is dropped.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.writes: dict[int, Stamp] = {}
        self.reads: dict[int, Stamp] = {}

    def __getitem__(self, index: Any) -> Any:
        i = self.place(index)
        now = running.stamp
        write = self.writes.get(i)
        if write is not None and write is not now:
            self.check_order(i, write, now, "written", "reads")
            if write.epoch < now.epoch and write.block is now.block:
                del self.writes[i]
        read = self.reads.get(i)
        if read is not now and read is not now.of_warp and read is not now.of_block:
            self.reads[i] = now if read is None else read.joined_by(now)
        return self.values[i]

    def __setitem__(self, index: Any, value: Any) -> None:
        i = self.place(index)
        now = running.stamp
        write, read = self.writes.get(i), self.reads.pop(i, None)
        if write is not None:
            self.check_order(i, write, now, "written", "writes")
        if read is not None:
            self.check_order(i, read, now, "read", "writes")
        self.writes[i] = now
        self.values[i] = self.scalar(value)

    def check_order(self, i: int, earlier: Stamp, now: Stamp, was: str, does: str) -> None:
        if not earlier.is_before(now):
            index = i if len(self.shape) == 1 else tuple(int(k) for k in np.unravel_index(i, self.shape))
            raise KernelFault(
                f"race on {self.name}[{index}]: it was {was} by {earlier} and now {now} {does} it, with no barrier between"
            )


@lru_cache(maxsize=64)
def _places(shape: tuple[int, ...]) -> dict[tuple[int, ...], int]:
    """The position of each index of an array with several axes, the last one fastest."""
    return {index: place for place, index in enumerate(np.ndindex(shape))}


def poisoned(shape: tuple[int, ...], scalar: type[np.generic]) -> list[Any]:
    """Elements of memory that nobody has written: NaN, or an integer that no kernel means."""
    return [scalar(np.nan if issubclass(scalar, np.floating) else POISON)] * prod(shape)
