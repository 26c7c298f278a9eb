"""What a simulated kernel finds under the name `cuda`: the part of `numba.cuda` that our kernels use, in Python.

The methods that are generators are those at which a thread waits for others. To teach the simulator another function of
`numba.cuda`, add a method of its name.
"""

from __future__ import annotations

import linecache
import re
import sys
from typing import Any

import numpy as np

from .memory import KernelFault, Memory, SharedMemory, poisoned
from .threads import FULL_MASK, WARP, Block, Dim3, Wait, Waiting, exchange, running


def scalar_type(dtype: Any) -> type[np.generic]:
    """NumPy's type for a scalar type of NumPy's or of Numba's (whose name is the same)."""
    return np.dtype(dtype if isinstance(dtype, type) else str(dtype)).type


class SharedArrays:
    """`cuda.shared`: one array for each place in the source that asks for one, and fresh ones for each block."""

    def array(self, shape: Any, dtype: Any, alignment: int | None = None) -> SharedMemory:
        frame = sys._getframe(1)
        block, scalar = running.thread.block, scalar_type(dtype)
        place = "dynamic" if shape == 0 else (frame.f_code, frame.f_lasti)
        if place not in block.arrays:
            shape = (block.shared_bytes // np.dtype(scalar).itemsize,) if shape == 0 else _as_shape(shape)
            align = alignment or np.dtype(scalar).itemsize
            block.arrays[place] = block.memory(_assigned_name(frame), poisoned(shape, scalar), scalar, shape, align)
        array = block.arrays[place]
        if array.scalar is not scalar:
            raise KernelFault(f"dynamic shared memory holds {array.scalar.__name__}, not also {scalar.__name__}")
        return array


class LocalArrays:
    """`cuda.local`: registers, or memory that a thread has for itself."""

    def array(self, shape: Any, dtype: Any, alignment: int | None = None) -> Memory:
        shape, scalar = _as_shape(shape), scalar_type(dtype)
        align = alignment or np.dtype(scalar).itemsize
        return Memory(_assigned_name(sys._getframe(1)), poisoned(shape, scalar), scalar, shape, align)


class Cuda:
    """The stand-in. The scheduler sets the four indices before a thread goes on."""

    threadIdx: Dim3
    blockIdx: Dim3
    blockDim: Dim3
    gridDim: Dim3
    warpsize = WARP
    shared = SharedArrays()
    local = LocalArrays()

    @property
    def laneid(self) -> int:
        return running.thread.lane

    def enter(self, thread: Any, grid: Dim3) -> None:
        running.thread, running.stamp = thread, thread.stamp
        block: Block = thread.block
        self.threadIdx, self.blockIdx, self.blockDim, self.gridDim = thread.place, block.index, block.dim, grid

    def grid(self, axes: int) -> Any:
        """The thread's index in the whole grid along the first axis, or the first two or three."""
        each = [b * n + t for b, n, t in zip(self.blockIdx, self.blockDim, self.threadIdx)]
        return each[0] if axes == 1 else tuple(each[:axes])

    def gridsize(self, axes: int) -> Any:
        each = [g * n for g, n in zip(self.gridDim, self.blockDim)]
        return each[0] if axes == 1 else tuple(each[:axes])

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """a b + c, rounded once."""
        return type(a)(np.float64(a) * np.float64(b) + np.float64(c))

    def syncthreads(self) -> Waiting:
        yield Wait(None)

    def syncthreads_count(self, value: Any) -> Waiting:
        return (yield Wait(None, bool(value), lambda votes: sum(votes.values())))

    def syncthreads_and(self, value: Any) -> Waiting:
        return (yield Wait(None, bool(value), lambda votes: int(all(votes.values()))))

    def syncthreads_or(self, value: Any) -> Waiting:
        return (yield Wait(None, bool(value), lambda votes: int(any(votes.values()))))

    def syncwarp(self, mask: int = FULL_MASK) -> Waiting:
        yield Wait(mask & FULL_MASK)

    def shfl_sync(self, mask: int, value: Any, lane: int) -> Waiting:
        return _pick((yield from exchange(value, mask & FULL_MASK)), lane % WARP)

    def shfl_xor_sync(self, mask: int, value: Any, flipped: int) -> Waiting:
        return _pick((yield from exchange(value, mask & FULL_MASK)), self.laneid ^ flipped)

    def shfl_up_sync(self, mask: int, value: Any, delta: int) -> Waiting:
        values = yield from exchange(value, mask & FULL_MASK)
        return _pick(values, self.laneid - delta) if self.laneid >= delta else value

    def shfl_down_sync(self, mask: int, value: Any, delta: int) -> Waiting:
        values = yield from exchange(value, mask & FULL_MASK)
        return _pick(values, self.laneid + delta) if self.laneid + delta < WARP else value

    def ballot_sync(self, mask: int, value: Any) -> Waiting:
        votes = yield from exchange(bool(value), mask & FULL_MASK)
        return sum(1 << lane for lane, vote in votes.items() if vote)

    def all_sync(self, mask: int, value: Any) -> Waiting:
        return all((yield from exchange(bool(value), mask & FULL_MASK)).values())

    def any_sync(self, mask: int, value: Any) -> Waiting:
        return any((yield from exchange(bool(value), mask & FULL_MASK)).values())


cuda = Cuda()


def _pick(values: dict[int, Any], lane: int) -> Any:
    if lane not in values:
        raise KernelFault(f"a shuffle asks lane {lane} for its value, but that lane takes no part")
    return values[lane]


def _as_shape(shape: Any) -> tuple[int, ...]:
    return tuple(shape) if isinstance(shape, tuple) else (shape,)


def _assigned_name(frame: Any) -> str:
    """The name to which a line of a kernel assigns the array that it asks for."""
    line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
    match = re.match(r"\s*(\w+)\s*=[^=]", line)
    return match[1] if match else f"array of line {frame.f_lineno}"
