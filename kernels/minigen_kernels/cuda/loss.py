"""Binary cross-entropy from logits in one pass on CUDA, and its gradient in another: `cpu.loss`'s twins.

With e = exp(-|x|), which is never above 1, and l = log1p(e), everything follows without overflow or cancellation:
softplus(x) = max(x, 0) + l, and σ(x) is 1/(1 + e) or e/(1 + e).
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

from numba import cuda

from .intrinsics import narrow
from .kernel import Kernel, blocks_for
from .memory import empty, packed
from .quads import number_of
from .running import run

THREADS = 256


def bce_with_logits(x: Any, y: Any) -> Any:
    """y·softplus(-x) + (1 - y)·softplus(x) for every element of x and y, of one shape and type."""
    out = empty(x, x.shape)
    if x.size:
        run(loss_kernel(str(x.dtype), x.size), (packed(x), packed(y), out, x.size))
    return out


def bce_with_logits_grad(g: Any, x: Any, y: Any) -> Any:
    """The gradient of `bce_with_logits` with respect to x, g·((1 - y)·σ(x) - y·σ(-x))."""
    out = empty(x, x.shape)
    if x.size:
        run(gradient_kernel(str(x.dtype), x.size), (packed(g), packed(x), packed(y), out, x.size))
    return out


def loss_kernel(dtype: str, size: int) -> Kernel:
    """The kernel of the loss; its arguments are x, y, what comes out, and the size."""
    return _over_elements(_loss(dtype), (f"{dtype}*",) * 3 + ("int32",), size)


def gradient_kernel(dtype: str, size: int) -> Kernel:
    """The kernel of the gradient; its arguments are g, x, y, what comes out, and the size."""
    return _over_elements(_gradient(dtype), (f"{dtype}*",) * 4 + ("int32",), size)


def _over_elements(function: Any, parameters: tuple[str, ...], size: int) -> Kernel:
    return Kernel(function, parameters, (blocks_for(size, THREADS), 1, 1), (THREADS, 1, 1))


@lru_cache
def _loss(dtype: str) -> Any:
    number = number_of(dtype)

    def cross_entropy(x, y, out, size):
        i = narrow(cuda.grid(1))
        if i < size:
            v = x[i]
            target = y[i]
            rest = number(math.log1p(math.exp(-abs(v))))
            out[i] = target * (max(-v, number(0)) + rest) + (number(1) - target) * (max(v, number(0)) + rest)

    return cross_entropy


@lru_cache
def _gradient(dtype: str) -> Any:
    number = number_of(dtype)

    def cross_entropy_back(g, x, y, out, size):
        i = narrow(cuda.grid(1))
        if i < size:
            v = x[i]
            e = number(math.exp(-abs(v)))
            large = number(1) / (number(1) + e)
            small = e / (number(1) + e)
            up = large if v >= number(0) else small
            down = small if v >= number(0) else large
            out[i] = g[i] * ((number(1) - y[i]) * up - y[i] * down)

    return cross_entropy_back
