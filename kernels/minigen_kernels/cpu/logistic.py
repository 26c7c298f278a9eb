"""The logistic function, softplus, whose derivative it is, and x times it, in one pass over memory each; their gradients
in another.

NumPy goes through memory four times for 1/(1 + e^-x), and three times for its gradient. Numba would call the C library's
exponential function for each number; this one is additions and multiplications alone, which the compiler makes vectors
of: 0.5 ns a number on one core of a Zen 4, where NumPy takes 0.9.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import silence
from ..geometry import DTYPES
from .compiled import compiled
from .layout import PIECE, in_pieces, read_only
from .share import ALL, hand_out

LEAST = 4096  # numbers: with fewer, NumPy is done before a kernel has begun
FLOAT = np.dtype(np.float32)
ONES = {dtype: np.ones((), dtype) for dtype in DTYPES}  # NumPy would make such an array of a number, for .4 µs

LOG2_E = np.float32(1.4426950408889634)
# ln 2 as a number of few digits, so that its products are exact, and the rest.
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
# e^r = 1 + r + r² (c0 + c1 r + ...) for |r| up to ½ ln 2: the coefficients of Cephes (Moshier 1989), highest power first.
COEFFICIENTS = tuple(
    map(
        np.float32,
        (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
    )
)
# The terms of ln(1 + e) = 2(s + s³/3 + s⁵/5 + ...), s = e/(2 + e); for e up to 1, each is less than a ninth of the one before.
TERMS = tuple(np.float32(2 / n) for n in range(15, 0, -2))
LARGEST, SMALLEST = np.float32(89), np.float32(-88)  # beyond, e^x is infinite, and 0 or nearly so
FUSED = {"contract"}  # a product and a sum may be one instruction: two thirds of the time, where there are many


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1/(1 + e^-x), for any shape and order of the elements, which the result shares. Where e^-x is infinite, it is 0."""
    if x.size < LEAST or x.dtype != FLOAT:
        return silence.quietly(_by_numpy, x)
    return _of_each(_sigmoid, x)


def _by_numpy(x: np.ndarray) -> np.ndarray:
    y = np.negative(x)
    if y.ndim == 0:  # then it is a bare number
        y = np.asarray(y)
    np.exp(y, y)
    np.add(y, ONES.get(y.dtype, 1), y)
    return np.reciprocal(y, y)


def sigmoid_grad(g: np.ndarray, y: np.ndarray) -> np.ndarray:
    """g·y·(1 - y), for g and y of one shape."""
    if y.size < LEAST or g.dtype != FLOAT or y.dtype != FLOAT or g.strides != y.strides or 0 in y.strides:
        slope = np.asarray(np.subtract(ONES.get(y.dtype, 1), y))
        return np.multiply(g, np.multiply(slope, y, slope), slope)
    return _of_each_pair(_sigmoid_grad, g, y)


def silu(x: np.ndarray) -> np.ndarray:
    """x/(1 + e^-x), for any shape and order of the elements, which the result shares."""
    if x.dtype != FLOAT:
        return np.asarray(silence.quietly(np.multiply, x, sigmoid(x)))  # -infinity times 0 is NaN
    return _of_each(_silu, x)


def silu_grad(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """g·s·(1 + x·(1 - s)) with s = σ(x), for g and x of one shape."""
    if g.dtype != FLOAT or x.dtype != FLOAT:
        return np.asarray(silence.quietly(_silu_slope_times, g, x, sigmoid(x)))
    return _of_each_pair(_silu_grad, g, x)


def _silu_slope_times(g: np.ndarray, x: np.ndarray, s: np.ndarray) -> np.ndarray:
    return g * (s * (x * (1 - s) + 1))


def softplus(x: np.ndarray, threshold: float) -> np.ndarray:
    """ln(1 + e^x), and x itself where x > threshold, for any shape and order of the elements, which the result shares."""
    if x.dtype != FLOAT:
        with np.errstate(invalid="ignore"):  # as NumPy says of NaN
            return np.where(x > threshold, x, np.logaddexp(x, x.dtype.type(0)))
    return _of_each(_softplus, x, np.float32(threshold))


def softplus_grad(g: np.ndarray, x: np.ndarray, threshold: float) -> np.ndarray:
    """g·σ(x), and g itself where x > threshold, for g and x of one shape."""
    if g.dtype != FLOAT or x.dtype != FLOAT:
        with np.errstate(invalid="ignore"):  # infinity times 0 is NaN
            return np.asarray(g * np.where(x > threshold, x.dtype.type(1), sigmoid(x)))
    return _of_each_pair(_softplus_grad, g, x, np.float32(threshold))


def _of_each(kernel: Callable[..., None], x: np.ndarray, *numbers: np.float32) -> np.ndarray:
    """What a kernel makes of every element of x, in an array whose elements lie as those of x do."""
    if 0 in x.strides:  # then NumPy orders a copy's axes otherwise than its elements
        x = np.ascontiguousarray(x)
    y = np.empty_like(x)
    in_pieces(kernel, x.size, read_only(x.ravel("K")), *numbers, y.ravel("K"))
    return y


def _of_each_pair(kernel: Callable[..., None], g: np.ndarray, x: np.ndarray, *numbers: np.float32) -> np.ndarray:
    """The same of the elements of g and x, of one shape, that are in the same place."""
    if g.strides != x.strides or 0 in x.strides:
        g, x = np.ascontiguousarray(g), np.ascontiguousarray(x)
    out = np.empty_like(x)
    in_pieces(kernel, x.size, read_only(g.ravel("K")), read_only(x.ravel("K")), *numbers, out.ravel("K"))
    return out


@compiled(inline="always")
def exponential(x):
    """e^x of a float32, from -87.3 to 88.3 to within 2e-7 of itself: e^r 2^n, where n is the whole number next to x / ln 2."""
    x = LARGEST if x > LARGEST else SMALLEST if x < SMALLEST else x  # NaN stays
    n = min(np.floor(x * LOG2_E + np.float32(0.5)), np.float32(127))  # 2^128 is infinite before e^x is
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    a, b, c, d, e, f = COEFFICIENTS
    power = (((((a * r + b) * r + c) * r + d) * r + e) * r + f) * (r * r) + r + np.float32(1)
    bits = np.int32((np.int32(n) + np.int32(127)) << np.int32(23))  # of 2^n: its exponent, and no other digits
    return power * bits.view(np.float32)


@compiled(inline="always")
def _logistic(x):
    """1/(1 + e^-x) of a float32."""
    return np.float32(1) / (np.float32(1) + exponential(-x))


@compiled(inline="always")
def log_of_one_plus(e):
    """ln(1 + e) of a float32 from 0 to 1, to within 3e-7 of itself, however small."""
    t, s = TERMS, e / (np.float32(2) + e)
    q = s * s
    return s * (((((((t[0] * q + t[1]) * q + t[2]) * q + t[3]) * q + t[4]) * q + t[5]) * q + t[6]) * q + t[7])


@compiled(fastmath=FUSED)
def _softplus(board, n, piece, worker, x, threshold, y):
    """max(x, 0) + ln(1 + e^-|x|): nothing overflows, and nothing cancels."""
    if piece == ALL:
        hand_out(board, n, (x, threshold, y))
        return
    part = slice(piece * PIECE, min((piece + 1) * PIECE, x.size))
    xs, ys = x[part], y[part]
    for i in range(xs.size):
        v = xs[i]
        above = v if v > 0 else np.float32(0)
        curve = above + log_of_one_plus(exponential(-abs(v)))
        ys[i] = v if v > threshold else curve


@compiled(fastmath=FUSED)
def _softplus_grad(board, n, piece, worker, g, x, threshold, out):
    if piece == ALL:
        hand_out(board, n, (g, x, threshold, out))
        return
    part = slice(piece * PIECE, min((piece + 1) * PIECE, g.size))
    gs, xs, outs = g[part], x[part], out[part]
    for i in range(gs.size):
        outs[i] = gs[i] if xs[i] > threshold else gs[i] * _logistic(xs[i])


@compiled(fastmath=FUSED)
def _sigmoid(board, n, piece, worker, x, y):
    if piece == ALL:
        hand_out(board, n, (x, y))
        return
    part = slice(piece * PIECE, min((piece + 1) * PIECE, x.size))
    xs, ys = x[part], y[part]
    for i in range(xs.size):
        ys[i] = _logistic(xs[i])


@compiled(fastmath=FUSED)
def _silu(board, n, piece, worker, x, y):
    if piece == ALL:
        hand_out(board, n, (x, y))
        return
    part = slice(piece * PIECE, min((piece + 1) * PIECE, x.size))
    xs, ys = x[part], y[part]
    for i in range(xs.size):
        ys[i] = xs[i] * _logistic(xs[i])


@compiled(fastmath=FUSED)
def _silu_grad(board, n, piece, worker, g, x, out):
    if piece == ALL:
        hand_out(board, n, (g, x, out))
        return
    part = slice(piece * PIECE, min((piece + 1) * PIECE, g.size))
    gs, xs, outs = g[part], x[part], out[part]
    for i in range(gs.size):
        s = _logistic(xs[i])
        outs[i] = gs[i] * (s * (xs[i] * (np.float32(1) - s) + np.float32(1)))


@compiled()
def _sigmoid_grad(board, n, piece, worker, g, y, out):
    if piece == ALL:
        hand_out(board, n, (g, y, out))
        return
    part = slice(piece * PIECE, min((piece + 1) * PIECE, g.size))
    gs, ys, outs = g[part], y[part], out[part]
    for i in range(gs.size):
        outs[i] = gs[i] * (ys[i] * (np.float32(1) - ys[i]))
