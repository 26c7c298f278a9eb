"""Batch norm, an activation and dropout: two passes over memory forwards and two backwards.

The rows of x (R, C) are pixels (or samples), its columns channels, as images lie in memory. Forwards,

    u = (x - μ)/√(σ² + eps),   z = u·w + b,   y = k·a(z)

with a and k of `activation`, whose states backward needs again: h = k·a'(z)·g is the gradient that arrives at z, and

    b̄ = Σᵣ h,   w̄ = Σᵣ h·u,   x̄ = w/√(σ² + eps)·(h - b̄/R - u·w̄/R).

The first pass of each direction adds up columns (see `sums`), the second computes elements. The variance is of
x - x[0], since the difference of large squares would lose it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..philox import dropout_threshold
from .activation import CHUNK, DROPPED, FALLING, RISING, keep_scale
from .compiled import compiled
from .layout import PIECE, aligned, in_pieces, read_only
from .philox import TILE, draw_tiles
from .share import ALL, hand_out
from .sums import BLOCK, add_columns

NO_STATES = np.empty((0, 0), np.uint8)  # what stands for None among compiled loops, whose types are fixed
QUIETLY = np.errstate(over="ignore", invalid="ignore")  # infinity and NaN go through, as through compiled loops


@QUIETLY
def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance (divided by R) of the columns of x (R, C), both float64 (C,)."""
    shift = x[0].astype(np.float64)
    sums, squares = add_columns(_add_moments, x.shape, 2, read_only(x), shift) / len(x)
    return shift + sums, np.maximum(squares - sums * sums, 0)


@QUIETLY
def normalize(
    x: np.ndarray, factor: np.ndarray, centre: np.ndarray, bias: np.ndarray | float, slope: float, p: float, key: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """y = k·a((x - centre)·factor + bias), element i's mask drawn from word i of the stream of `key`.

    Args: x (R, C) in C order; factor, centre float64 (C,); bias (C,) or a number; slope, p, key as for
    `activate_and_drop`.
    Returns y like x, and the states, uint8 (R, C), or None without activation and dropout (slope 1, p 0).
    """
    near = centre.astype(x.dtype)
    rest = (bias - (centre - near) * factor).astype(x.dtype)  # what rounding took from the centre
    columns = _repeated(len(x), factor.astype(x.dtype), near, rest)
    numbers = (np.uint64(key), np.uint32(dropout_threshold(p)), x.dtype.type(slope), x.dtype.type(keep_scale(p)))
    y = aligned(x.shape, x.dtype)
    states = np.empty(x.shape, np.uint8) if slope != 1 or p > 0 else NO_STATES
    flat, out, state = read_only(x.reshape(-1)), y.reshape(-1), states.reshape(-1)
    in_pieces(_normalize, x.size, flat, *columns, *numbers, out, state)
    return y, states if states.size else None


@QUIETLY
def normalize_grad(
    g: np.ndarray,
    x: np.ndarray,
    states: np.ndarray | None,
    mean: np.ndarray,
    inverse: np.ndarray,
    weight: np.ndarray | float,
    slope: float,
    p: float,
    wanted: bool,
) -> tuple[np.ndarray | None, np.ndarray, np.ndarray]:
    """Gradients of `normalize` where centre and factor are the mean and weight·inverse of x itself.

    Args: g, x (R, C) in C order; states from `normalize`; mean, inverse = 1/√(σ² + eps), float64 (C,); weight (C,) or
    a number; wanted: whether x̄ is.
    Returns x̄ (R, C) or None, w̄ and b̄, float64 (C,).
    """
    scale = keep_scale(p)
    factors = np.array([0, slope * scale, scale], x.dtype)
    near = mean.astype(x.dtype)
    states = NO_STATES if states is None else states
    products, gb = add_columns(_add_products, x.shape, 2, read_only(g), read_only(x), read_only(states), near, factors)
    gw = inverse * (products - (mean - near) * gb)
    if not wanted:
        return None, gw, gb
    factor = weight * inverse
    by_x = -factor * inverse * gw / len(x)
    rest = -factor * gb / len(x) - by_x * (mean - near)
    columns = _repeated(len(x), near, factor.astype(x.dtype), by_x.astype(x.dtype), rest.astype(x.dtype))
    gx = aligned(x.shape, x.dtype)
    flat = (read_only(g.reshape(-1)), read_only(x.reshape(-1)), read_only(states.reshape(-1)))
    out = gx.reshape(-1)
    in_pieces(_normalize_grad, x.size, *flat, *columns, factors, out)
    return gx, gw, gb


def _repeated(rows: int, *columns: np.ndarray) -> Sequence[np.ndarray]:
    """The columns side by side until they fill a block: to an elementwise pass, many short rows are fewer long ones.

    It takes a third of the time off such a pass over 64 channels.
    """
    times = BLOCK // columns[0].size
    return [np.tile(column, times) for column in columns] if 1 < times < rows // 4 else columns


@compiled()
def _add_moments(board, n, piece, worker, parts, sums, x, shift):
    """Adds Σ (x - shift) and Σ (x - shift)² to sums (several, 2, C); parts as in `sums.add_columns`."""
    if piece == ALL:
        hand_out(board, n, (parts, sums, x, shift))
        return
    which, top, bottom, left, right = parts[piece]
    for first in range(left, right, BLOCK):
        last = min(first + BLOCK, right)
        s, total, square = shift[first:last], sums[which, 0, first:last], sums[which, 1, first:last]
        for r in range(top, bottom - 3, 4):
            a, b, c, d = x[r, first:last], x[r + 1, first:last], x[r + 2, first:last], x[r + 3, first:last]
            for i in range(last - first):
                p, q, u, v = a[i] - s[i], b[i] - s[i], c[i] - s[i], d[i] - s[i]
                total[i] += (p + q) + (u + v)
                square[i] += (p * p + q * q) + (u * u + v * v)
        for r in range(bottom - (bottom - top) % 4, bottom):
            a = x[r, first:last]
            for i in range(last - first):
                p = a[i] - s[i]
                total[i] += p
                square[i] += p * p


@compiled()
def _normalize(board, n, piece, worker, x, factor, centre, bias, key, threshold, slope, scale, y, states):
    """y and states, elements piece PIECE and on: whole chunks, which begin with a tile of `philox`."""
    if piece == ALL:
        hand_out(board, n, (x, factor, centre, bias, key, threshold, slope, scale, y, states))
        return
    start, stop = piece * PIECE, min((piece + 1) * PIECE, x.size)
    columns = factor.size
    bits = np.zeros(CHUNK, np.uint32)
    zero = scale * 0
    for chunk in range(start, stop, CHUNK):
        end = min(chunk + CHUNK, stop)
        if threshold > 0:
            draw_tiles(key, chunk // TILE, bits[: -(-(end - chunk) // TILE) * TILE])
        at = chunk
        while at < end:  # one row, or what of it lies in this chunk
            c = at % columns
            size = min(columns - c, end - at)
            xs, ys, word = x[at : at + size], y[at : at + size], bits[at - chunk : at - chunk + size]
            f, m, b = factor[c : c + size], centre[c : c + size], bias[c : c + size]
            if states.size == 0:
                for i in range(size):
                    ys[i] = (xs[i] - m[i]) * f[i] + b[i]
            elif threshold == 0 and scale == 1:  # no dropout: two thirds of the time
                state = states[at : at + size]
                for i in range(size):
                    z = (xs[i] - m[i]) * f[i] + b[i]
                    low = z * slope if slope != 0 else zero
                    ys[i] = low if z <= 0 else z
                    state[i] = RISING if z > 0 else FALLING
            else:
                state = states[at : at + size]
                for i in range(size):
                    z = (xs[i] - m[i]) * f[i] + b[i]
                    kept = word[i] >= threshold
                    low = z * slope if slope != 0 else zero
                    a = low if z <= 0 else z
                    ys[i] = a * scale if kept else zero
                    s = RISING if z > 0 else FALLING
                    state[i] = s if kept else DROPPED
            at += size


@compiled()
def _add_products(board, n, piece, worker, parts, sums, g, x, states, centre, factors):
    """Adds Σ h·(x - centre) and Σ h, where h = g·factors[state], to sums (several, 2, C); parts as in `sums.add_columns`."""
    if piece == ALL:
        hand_out(board, n, (parts, sums, g, x, states, centre, factors))
        return
    which, top, bottom, left, right = parts[piece]
    zero, low, high = factors[0], factors[1], factors[2]
    for first in range(left, right, BLOCK):
        last = min(first + BLOCK, right)
        m, product, total = centre[first:last], sums[which, 0, first:last], sums[which, 1, first:last]
        for r in range(top, bottom):
            gs, xs = g[r, first:last], x[r, first:last]
            if states.size == 0:
                for i in range(last - first):
                    h = np.float64(gs[i])
                    product[i] += h * (xs[i] - m[i])
                    total[i] += h
            else:
                state = states[r, first:last]
                for i in range(last - first):
                    s = state[i]
                    h = np.float64(gs[i] * high if s == RISING else gs[i] * low if s == FALLING else zero)
                    product[i] += h * (xs[i] - m[i])
                    total[i] += h


@compiled()
def _normalize_grad(board, n, piece, worker, g, x, states, centre, factor, by_x, rest, factors, out):
    """h·factor + (x - centre)·by_x + rest, where h = g·factors[state]."""
    if piece == ALL:
        hand_out(board, n, (g, x, states, centre, factor, by_x, rest, factors, out))
        return
    columns = factor.size
    zero, low, high = factors[0], factors[1], factors[2]
    at, stop = piece * PIECE, min((piece + 1) * PIECE, g.size)
    while at < stop:
        c = at % columns
        size = min(columns - c, stop - at)
        gs, xs, outs = g[at : at + size], x[at : at + size], out[at : at + size]
        m, f, d, e = centre[c : c + size], factor[c : c + size], by_x[c : c + size], rest[c : c + size]
        if states.size == 0:
            for i in range(size):
                outs[i] = gs[i] * f[i] + ((xs[i] - m[i]) * d[i] + e[i])
        else:
            state = states[at : at + size]
            for i in range(size):
                s = state[i]
                h = gs[i] * high if s == RISING else gs[i] * low if s == FALLING else zero
                outs[i] = h * f[i] + ((xs[i] - m[i]) * d[i] + e[i])
        at += size
