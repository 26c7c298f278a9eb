"""Four numbers at a time, in float32 by one access of 128 bits, in float64 one by one."""

# mypy: no-check-untyped-defs

from typing import Any

from numba import cuda, float32, float64

from .intrinsics import load4, store4


@cuda.jit(device=True, inline="always")
def load_each(source, index):
    return source[index], source[index + 1], source[index + 2], source[index + 3]


@cuda.jit(device=True, inline="always")
def store_each(target, index, a, b, c, d):
    target[index] = a
    target[index + 1] = b
    target[index + 2] = c
    target[index + 3] = d


def number_of(dtype: str) -> Any:
    """Numba's type of the numbers: kernels for both differ in nothing else."""
    return {"float32": float32, "float64": float64}[dtype]


def quads(dtype: str) -> tuple[Any, Any]:
    """What loads four numbers from an index which divides by four, and what stores them."""
    return (load4, store4) if dtype == "float32" else (load_each, store_each)
