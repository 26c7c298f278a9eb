"""The memory of simulated threads: arrays that check every access, and poison where nothing was written yet.

An index outside an array is a fault here, never a wrapped or silent one. Memory that threads share also notices races:
two threads touch one element, at least one of them writes, and no barrier lies between. On a GPU such an element has
the one value or the other; here the first access that may go either way is a fault, whatever the order of the threads.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .threads import Thread, running

POISON = 1234567891  # what integers hold before they are written; floats hold NaN


class KernelFault(RuntimeError):
    """A simulated kernel did what it must not. The message has the kernel's line and the thread."""


class Memory:
    """An array with bounds: of one thread alone, without a watch for races.

    Args:
        name: what faults call it. values: its elements, kept as a list. type: NumPy's scalar type of the elements.
        shape: a tuple, or None for flat.
    """

    def __init__(
        self, name: str, values: list[Any], scalar: type[np.generic], shape: tuple[int, ...], align: int
    ) -> None:
        self.name, self.values, self.scalar, self.shape, self.alignment = name, values, scalar, shape, align

    @property
    def size(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return self.values[self.place(index)]

    def __setitem__(self, index: Any, value: Any) -> None:
        self.values[self.place(index)] = self.scalar(value)

    def place(self, index: Any) -> int:
        """The position in `values` of one index, or of a tuple of indices with one for each axis."""
        shape = self.shape
        if len(shape) == 1:
            if not 0 <= index < shape[0]:
                raise self.outside(index)
            return index
        if type(index) is not tuple or len(index) != len(shape):
            raise KernelFault(f"{self.name}[{index}] must have an index for each of the {len(shape)} axes")
        flat = 0
        for i, n in zip(index, shape):
            if not 0 <= i < n:
                raise self.outside(index)
            flat = flat * n + i
        return flat

    def outside(self, index: Any) -> KernelFault:
        bounds = ", ".join(f"0 to {n - 1}" for n in self.shape)
        return KernelFault(f"{self.name}[{index}] is out of bounds, {bounds}")

    def vector(self, index: int, count: int) -> int:
        """Checks an access of `count` elements at once, which must lie together and be aligned; returns `index`."""
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
        return index


class SharedMemory(Memory):
    """Memory of several threads: of a block, or of all. Each element remembers who touched it last.

    `writes[i]` is the last write's (block, warp, thread, epoch, phase), and `reads[i]` the same of the reads since,
    with None for the block, warp or thread where several differ. An epoch ends with a barrier of the block, a phase with
    one of the warp: an access is ordered after another if its epoch is later, or in the same warp its phase.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.writes: dict[int, Any] = {}
        self.reads: dict[int, Any] = {}

    def __getitem__(self, index: Any) -> Any:
        i = self.place(index)
        thread = running.thread
        write = self.writes.get(i)
        if write is not None and write[2] is not thread:
            self.check_order(i, write, thread, "written", "reads")
        read = self.reads.get(i)
        now = (thread.block, thread.warp, thread, thread.block.epoch, thread.phase)
        self.reads[i] = now if read is None or read[2] is thread else tuple(map(_same, read[:3], now[:3])) + now[3:]
        return self.values[i]

    def __setitem__(self, index: Any, value: Any) -> None:
        i = self.place(index)
        self.will_write(i)
        self.values[i] = self.scalar(value)

    def will_write(self, i: int) -> None:
        """Notes that the running thread writes element `i`."""
        thread = running.thread
        write, read = self.writes.get(i), self.reads.get(i)
        if write is not None and write[2] is not thread:
            self.check_order(i, write, thread, "written", "writes")
        if read is not None:
            if read[2] is not thread:
                self.check_order(i, read, thread, "read", "writes")
            del self.reads[i]
        self.writes[i] = (thread.block, thread.warp, thread, thread.block.epoch, thread.phase)

    def check_order(self, i: int, earlier: Any, thread: Thread, was: str, does: str) -> None:
        block, warp, other, epoch, phase = earlier
        if block is thread.block and (epoch < block.epoch or (warp == thread.warp and phase < thread.phase)):
            return
        index = i if len(self.shape) == 1 else tuple(int(k) for k in np.unravel_index(i, self.shape))
        who = "other threads" if other is None else f"thread {tuple(other.place)}"
        raise KernelFault(
            f"race on {self.name}[{index}]: it was {was} by {who} and now thread {tuple(thread.place)} {does} it, with no "
            f"barrier between"
        )


def poisoned(shape: tuple[int, ...], scalar: type[np.generic]) -> list[Any]:
    """Elements of memory that nobody has written: NaN, or an integer that no kernel means."""
    return [scalar(np.nan if issubclass(scalar, np.floating) else POISON)] * prod(shape)


def _same(a: Any, b: Any) -> Any:
    return a if a is b or a == b else None
