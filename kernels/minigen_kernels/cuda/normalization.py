"""Batch norm, an activation and dropout on CUDA, by two passes over memory forwards and two backwards: `cpu.normalization`'s twins.

The rows of x (R, C) are pixels (or samples), its columns channels, as images lie in memory. Forwards,

    u = (x - μ)/√(σ² + eps),   z = u·w + b,   y = k·a(z)

with a and k of `activation`, whose states backward needs again: h = k·a'(z)·g is the gradient that arrives at z, and

    b̄ = Σᵣ h,   w̄ = Σᵣ h·u,   x̄ = w/√(σ² + eps)·(h - b̄/R - u·w̄/R).

The first pass of each direction adds up columns (see `sums`), the second computes elements. What there is of float64 is in
kernels with one thread or few for each column. The variance is of x - x[0], since the difference of large squares would
lose it.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numba import cuda, float64, uint32

from ..philox import LANES
from .activation import activated, chances, keep_scale, kinds_of_chances, passed_back
from .intrinsics import narrow, remainder
from .kernel import Kernel, blocks_for
from .memory import empty, packed
from .philox import draw, first_of, launch_for
from .quads import number_of
from .running import run
from .sums import THREADS, Cut, adder, cut, share_kernel


def moments(x: Any) -> tuple[Any, Any]:
    """Mean and variance (divided by R) of the columns of x (R, C), both float64 (C,)."""
    rows, columns = x.shape
    dtype, how, x = str(x.dtype), cut(rows, columns), packed(x)
    sums = empty(x, (how.shares, 4, columns))
    run(share_kernel(dtype, how, "powers"), (x, x, x, x, sums, rows, how.each, 0, 0))
    mean, variance = empty(x, (columns,), np.float64), empty(x, (columns,), np.float64)
    run(moments_kernel(dtype, how), (sums, x, mean, variance, how.shares, rows))
    return mean, variance


def normalize(x: Any, factor: Any, centre: Any, bias: Any, slope: float, p: float, key: Any) -> tuple[Any, Any]:
    """y = k·a((x - centre)·factor + bias), element i's mask drawn from word i of the stream of `key`.

    Args: x (R, C); factor, centre float64 (C,); bias (C,) or a number; slope, p, key as for `activate_and_drop`.
    Returns y like x, and the states, uint8 (R, C), or None without activation and dropout (slope 1, p 0).
    """
    dtype, columns = str(x.dtype), x.shape[1]
    y = empty(x, x.shape)
    states = empty(x, x.shape, np.uint8) if slope != 1 or p > 0 else None
    if x.size:
        x, plain = packed(x), isinstance(bias, float)
        by_column = empty(x, (3, columns))
        kernel = columns_kernel(dtype, columns, None if plain else str(bias.dtype))
        run(kernel, (factor, centre, factor if plain else packed(bias), by_column, bias if plain else 0))
        kernel = elements_kernel(dtype, x.size, columns, states is not None, p)
        run(kernel, (x, by_column, y, y if states is None else states, x.size, *chances(slope, p, key)))
    return y, states


def normalize_grad(
    g: Any,
    x: Any,
    states: Any,
    mean: Any,
    inverse: Any,
    weight: Any,
    slope: float,
    p: float,
    wanted: bool,
) -> tuple[Any, Any, Any]:
    """Gradients of `normalize` where centre and factor are the mean and weight·inverse of x itself.

    Args: g, x (R, C); states from `normalize`; mean, inverse = 1/√(σ² + eps), float64 (C,); weight (C,) or a number;
    wanted: whether x̄ is.
    Returns x̄ (R, C) or None, w̄ and b̄, float64 (C,).
    """
    (rows, columns), dtype = x.shape, str(x.dtype)
    how, x, g, marked = cut(rows, columns), packed(x), packed(g), states is not None
    states, scale, plain = packed(states) if marked else x, keep_scale(p), isinstance(weight, float)
    near = mean.astype(x.dtype)
    sums = empty(x, (how.shares, 4, columns))
    kernel = share_kernel(dtype, how, "products by state" if marked else "products")
    run(kernel, (x, g, states, near, sums, rows, how.each, slope * scale, scale))
    gw, gb, by_column = empty(mean, (columns,)), empty(mean, (columns,)), empty(x, (3, columns))
    kernel = gradients_kernel(dtype, how, None if plain else str(weight.dtype))
    arrays = sums, mean, near, inverse, inverse if plain else packed(weight), gw, gb, by_column
    run(kernel, (*arrays, weight if plain else 0, how.shares, rows))
    if not wanted:
        return None, gw, gb
    gx = empty(x, x.shape)
    kernel = elements_gradient_kernel(dtype, x.size, columns, marked)
    run(kernel, (g, x, states, near, by_column, gx, x.size, slope, scale))
    return gx, gw, gb


def moments_kernel(dtype: str, how: Cut) -> Kernel:
    """The kernel that ends `moments`; its arguments are the sums, x, mean and variance, the number of shares and R."""
    parameters = (f"{dtype}*",) * 2 + ("float64*",) * 2 + ("int32",) * 2
    return Kernel(_moments(dtype, _any(how)), parameters, (how.tiles, 1, 1), (THREADS, 1, 1))


def columns_kernel(dtype: str, columns: int, bias: str | None) -> Kernel:
    """The kernel that begins `normalize`, for a bias of that type, or one number for None.

    Its arguments are factor, centre, the bias's array, what the second kernel takes for each column, (3, C), and the number.
    """
    parameters = ("float64*", "float64*", f"{bias or 'float64'}*", f"{dtype}*", "float64")
    grid = (blocks_for(columns, THREADS), 1, 1)
    return Kernel(_columns(dtype, columns, bias is not None), parameters, grid, (THREADS, 1, 1))


def elements_kernel(dtype: str, size: int, columns: int, marks: bool, p: float) -> Kernel:
    """The kernel that ends `normalize`; its arguments are x, what it takes for each column, y, states, the size, `chances`."""
    pointer = f"{dtype}*"
    arrays = (pointer, pointer, pointer, "uint8*" if marks else pointer)
    parameters = (*arrays, "int32", *kinds_of_chances(dtype, p))
    return Kernel(_elements(dtype, columns, marks, p > 0), parameters, *launch_for(size))


def gradients_kernel(dtype: str, how: Cut, weight: str | None) -> Kernel:
    """The kernel of w̄ and b̄, for a weight of that type, or one number for None.

    Its arguments are the sums, mean, mean in x's type, inverse, the weight's array, w̄, b̄, what the last kernel takes for
    each column, (3, C), the number, the number of shares and R.
    """
    pointer = f"{dtype}*"
    arrays = (pointer, "float64*", pointer, "float64*", f"{weight or 'float64'}*", "float64*", "float64*", pointer)
    parameters = (*arrays, "float64", "int32", "int32")
    return Kernel(_gradients(dtype, _any(how), weight is not None), parameters, (how.tiles, 1, 1), (THREADS, 1, 1))


def elements_gradient_kernel(dtype: str, size: int, columns: int, marked: bool) -> Kernel:
    """The kernel of x̄; its arguments are g, x, states, mean, what it takes for each column, x̄, the size, slope and scale."""
    pointer = f"{dtype}*"
    parameters = (pointer, pointer, "uint8*" if marked else pointer, pointer, pointer, pointer, "int32", dtype, dtype)
    return Kernel(_elements_gradient(dtype, columns, marked), parameters, *launch_for(size))


def _any(how: Cut) -> Cut:
    """Without the rows, which decide nothing in a kernel."""
    return how._replace(shares=0, each=0)


@lru_cache(512)
def _moments(dtype: str, how: Cut) -> Any:
    add_shares = adder(dtype, how, 2)

    def end_moments(sums, x, mean, variance, shares, rows):
        column, total, square = add_shares(sums, shares)
        if column >= 0:
            shift = total / float64(rows)
            difference = square / float64(rows) - shift * shift
            mean[column] = float64(x[column]) + shift
            variance[column] = 0.0 if difference < 0.0 else difference

    return end_moments


@lru_cache(512)
def _columns(dtype: str, C: int, BIASED: bool) -> Any:
    number = number_of(dtype)

    def set_columns(factor, centre, bias, by_column, same):
        column = narrow(cuda.grid(1))
        if column < C:
            near = number(centre[column])
            rest = (centre[column] - float64(near)) * factor[column]  # what rounding took from the centre
            by_column[column] = near
            by_column[C + column] = number(factor[column])
            by_column[2 * C + column] = number((float64(bias[column]) if BIASED else same) - rest)

    return set_columns


@lru_cache(512)
def _elements(dtype: str, C: int, MARKS: bool, DRAWS: bool) -> Any:
    number = number_of(dtype)

    @cuda.jit(device=True, inline="always")
    def compute(x, by_column, y, states, i, size, word, threshold, slope, scale):
        if i < size:
            column = remainder(i, C)
            z = (x[i] - by_column[column]) * by_column[C + column] + by_column[2 * C + column]
            if MARKS:
                value, state = activated(z, word, threshold, slope, scale, number(0))
                y[i] = value
                states[i] = state
            else:
                y[i] = z

    def normalize_and_drop(x, by_column, y, states, size, slope, scale, threshold, key):
        block = narrow(cuda.grid(1))
        i = first_of(block)
        if i < size:
            a, b, c, d = draw(block, key)
            compute(x, by_column, y, states, i, size, a, threshold, slope, scale)
            compute(x, by_column, y, states, i + LANES, size, b, threshold, slope, scale)
            compute(x, by_column, y, states, i + 2 * LANES, size, c, threshold, slope, scale)
            compute(x, by_column, y, states, i + 3 * LANES, size, d, threshold, slope, scale)

    def normalize(x, by_column, y, states, size, slope, scale):
        first = first_of(narrow(cuda.grid(1)))
        for w in range(4):
            compute(x, by_column, y, states, narrow(first + w * LANES), size, uint32(0), uint32(0), slope, scale)

    return normalize_and_drop if DRAWS else normalize


@lru_cache(512)
def _gradients(dtype: str, how: Cut, WEIGHTED: bool) -> Any:
    C = how.columns
    number = number_of(dtype)
    add_shares = adder(dtype, how, 2)

    def end_gradients(sums, mean, near, inverse, weight, gw, gb, by_column, same, shares, rows):
        column, products, total = add_shares(sums, shares)
        if column >= 0:
            off = mean[column] - float64(near[column])  # what rounding took from the mean
            by_weight = inverse[column] * (products - off * total)
            factor = (float64(weight[column]) if WEIGHTED else same) * inverse[column]
            by_x = -factor * inverse[column] * by_weight / float64(rows)
            gw[column] = by_weight
            gb[column] = total
            by_column[column] = number(factor)
            by_column[C + column] = number(by_x)
            by_column[2 * C + column] = number(-factor * total / float64(rows) - by_x * off)

    return end_gradients


@lru_cache(512)
def _elements_gradient(dtype: str, C: int, MARKED: bool) -> Any:
    number = number_of(dtype)

    def normalize_back(g, x, states, near, by_column, gx, size, slope, scale):
        first = first_of(narrow(cuda.grid(1)))
        for w in range(4):
            i = narrow(first + w * LANES)
            if i < size:
                column = remainder(i, C)
                h = passed_back(g[i], states[i], slope, scale, number(0)) if MARKED else g[i]
                rest = (x[i] - near[column]) * by_column[C + column] + by_column[2 * C + column]
                gx[i] = h * by_column[column] + rest

    return normalize_back
