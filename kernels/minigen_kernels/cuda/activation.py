"""ReLU, leaky ReLU and dropout in one pass over memory on CUDA, and their gradient in another: `cpu.activation`'s twins.

Forwards, y = k·a(x): a(x) is x or, where x ≤ 0, slope·x; k is 0 where an element is dropped and 1/(1 - p) elsewhere.
Random words are drawn in registers by the thread that needs them, four for its four elements (see `philox`), and the
masks are the CPU's to the bit. Backward needs one byte an element, its state.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import cuda, uint8, uint32

from ..philox import LANES, dropout_threshold
from .intrinsics import narrow
from .kernel import Kernel
from .memory import empty, packed
from .philox import draw, first_of, launch_for
from .quads import number_of
from .running import run

DROPPED, FALLING, RISING = 0, 1, 2  # states


def activate_and_drop(x: Any, slope: float, p: float, key: Any) -> tuple[Any, Any]:
    """y = k·a(x), with a dropout mask that is element i's word of the stream of `key`, counted in C order.

    Args: x any shape, float32 or float64. slope: at least 0; 1 for no activation. p from 0 to 1: element i is kept where
    its word is at least p·2³². key: its `words` on the device; without dropout it is not looked at.
    Returns y, like x, and the states, uint8 of the same shape.
    """
    y, states = empty(x, x.shape), empty(x, x.shape, np.uint8)
    if x.size:
        run(forward_kernel(str(x.dtype), x.size, p), (packed(x), y, states, x.size, *chances(slope, p, key)))
    return y, states


def scale_by_state(g: Any, states: Any, slope: float, p: float) -> Any:
    """The gradient of `activate_and_drop`: g times 0, slope/(1 - p) or 1/(1 - p), as the states say.

    Args: g and states of one shape. Returns an array like g.
    """
    out = empty(g, g.shape)
    if g.size:
        kernel = gradient_kernel(str(g.dtype), g.size)
        run(kernel, (packed(g), packed(states), out, g.size, slope, keep_scale(p)))
    return out


def keep_scale(p: float) -> float:
    """1/(1 - p), by which kept elements are multiplied; 0 where none are kept."""
    return 1 / (1 - p) if p < 1 else 0.0


def chances(slope: float, p: float, key: Any) -> tuple[Any, ...]:
    """What a forward kernel takes last: slope and scale, and for dropout the threshold and the key's words."""
    return (slope, keep_scale(p), *((dropout_threshold(p), key) if p > 0 else ()))


def kinds_of_chances(dtype: str, p: float) -> tuple[str, ...]:
    """The types of `chances`."""
    return (dtype, dtype, *(("uint32", "uint32*") if p > 0 else ()))


def forward_kernel(dtype: str, size: int, p: float) -> Kernel:
    """The kernel of so many elements; its arguments are x, y, states, the size and the `chances`."""
    parameters = (f"{dtype}*", f"{dtype}*", "uint8*", "int32", *kinds_of_chances(dtype, p))
    return Kernel(_forward(dtype, p > 0), parameters, *launch_for(size))


def gradient_kernel(dtype: str, size: int) -> Kernel:
    """The gradient's kernel for so many elements; its arguments are g, states, out, the size, slope and scale."""
    parameters = (f"{dtype}*", "uint8*", f"{dtype}*", "int32", dtype, dtype)
    return Kernel(_gradient(dtype), parameters, *launch_for(size))


@lru_cache
def _forward(dtype: str, DRAWS: bool) -> Any:
    number = number_of(dtype)

    @cuda.jit(device=True, inline="always")
    def compute(x, y, states, i, size, word, threshold, slope, scale):
        if i < size:
            value, state = activated(x[i], word, threshold, slope, scale, number(0))
            y[i] = value
            states[i] = state

    def activate_and_drop(x, y, states, size, slope, scale, threshold, key):
        block = narrow(cuda.grid(1))
        i = first_of(block)
        if i < size:
            a, b, c, d = draw(block, key)
            compute(x, y, states, i, size, a, threshold, slope, scale)
            compute(x, y, states, i + LANES, size, b, threshold, slope, scale)
            compute(x, y, states, i + 2 * LANES, size, c, threshold, slope, scale)
            compute(x, y, states, i + 3 * LANES, size, d, threshold, slope, scale)

    def activate(x, y, states, size, slope, scale):
        first = first_of(narrow(cuda.grid(1)))
        for w in range(4):
            compute(x, y, states, narrow(first + w * LANES), size, uint32(0), uint32(0), slope, scale)

    return activate_and_drop if DRAWS else activate


@cuda.jit(device=True, inline="always")
def activated(z, word, threshold, slope, scale, zero):
    """k·a(z) and the state, for an element whose random word this is."""
    value = zero
    state = uint8(DROPPED)
    if word >= threshold:
        low = zero
        if slope != zero:
            low = z * slope
        value = (low if z <= zero else z) * scale
        state = uint8(RISING) if z > zero else uint8(FALLING)
    return value, state


@cuda.jit(device=True, inline="always")
def passed_back(g, state, slope, scale, zero):
    """k·a'·g."""
    scaled = g * scale
    low = zero
    if slope != zero:
        low = scaled * slope
    return scaled if state == RISING else low if state == FALLING else zero


@lru_cache
def _gradient(dtype: str) -> Any:
    number = number_of(dtype)

    def scale_by_state(g, states, out, size, slope, scale):
        first = first_of(narrow(cuda.grid(1)))
        for w in range(4):
            i = narrow(first + w * LANES)
            if i < size:
                out[i] = passed_back(g[i], states[i], slope, scale, number(0))

    return scale_by_state
