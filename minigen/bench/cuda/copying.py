"""A kernel that copies: how many bytes a second the memory reads and writes, which no other kernel can exceed."""

# mypy: no-check-untyped-defs

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigen_kernels.cuda.intrinsics import load4, store4
from minigen_kernels.cuda.kernel import Kernel, blocks_for
from minigen_kernels.cuda.running import run
from numba import cuda

THREADS = 256
EACH = 4  # floats a thread


def copy_kernel(count: int) -> Kernel:
    """y = x for `count` floats, a multiple of 4; its arguments are x, y and the count."""
    blocks = blocks_for(count, THREADS * EACH)
    return Kernel(_copy, ("float32*", "float32*", "int32"), (blocks, 1, 1), (THREADS, 1, 1))


def _copy(x, y, count):
    i = 4 * cuda.grid(1)
    if i < count:
        a, b, c, d = load4(x, i)
        store4(y, i, a, b, c, d)


def copying(count: int, xp: Any) -> Callable[[], None]:
    """Copies so many floats, a multiple of 4, each time it is called."""
    x, y = xp.ones(count, "float32"), xp.zeros(count, "float32")
    kernel = copy_kernel(count)
    return lambda: run(kernel, (x, y, count))
