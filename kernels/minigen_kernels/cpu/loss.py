"""Losses in one pass over memory, and their gradients in another: squared error, and binary cross-entropy from logits.

For the latter, with e = exp(-|x|), which is never above 1, and l = log1p(e), everything follows without overflow or
cancellation: softplus(x) = max(x, 0) + l, and σ(x) is 1/(1 + e) or e/(1 + e). In float32 exp and log1p are those of
`logistic`, of which the compiler makes vectors; float64 takes NumPy's, and several passes.
"""

from __future__ import annotations

import numpy as np

from .compiled import compiled
from .layout import PIECE, aligned, in_pieces, read_only
from .logistic import FLOAT, FUSED, exponential, log_of_one_plus, sigmoid
from .share import ALL, hand_out


def bce_with_logits(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """y·softplus(-x) + (1 - y)·softplus(x) for every element of x and y, of one shape and contiguous."""
    if x.dtype != FLOAT:
        with np.errstate(invalid="ignore"):  # 0 times infinity is NaN
            rest = np.log1p(np.exp(-np.abs(x)))
            return np.asarray(y * (np.maximum(-x, 0) + rest) + (1 - y) * (np.maximum(x, 0) + rest))
    out = np.empty(x.shape, x.dtype)
    xs, ys, flat = read_only(x.reshape(-1)), read_only(y.reshape(-1)), out.reshape(-1)
    in_pieces(_bce, x.size, xs, ys, flat)
    return out


def bce_with_logits_grad(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of `bce_with_logits` with respect to x, g·((1 - y)·σ(x) - y·σ(-x))."""
    if x.dtype != FLOAT:
        with np.errstate(invalid="ignore"):
            return np.asarray(g * ((1 - y) * sigmoid(x) - y * sigmoid(-x)))
    out = np.empty(x.shape, x.dtype)
    gs, xs, ys, flat = read_only(g.reshape(-1)), read_only(x.reshape(-1)), read_only(y.reshape(-1)), out.reshape(-1)
    in_pieces(_bce_grad, x.size, gs, xs, ys, flat)
    return out


def squared_error(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The sum of (x - y)² over all elements of x and y, of one shape and contiguous; added up in float64."""
    sums = np.empty(-(-x.size // PIECE))
    in_pieces(_squares, x.size, read_only(x.reshape(-1)), read_only(y.reshape(-1)), sums)
    with np.errstate(over="ignore"):  # to infinity
        return np.asarray(sums.sum(), x.dtype)


def squared_error_grad(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of `squared_error` with respect to x, 2g·(x - y); g is one number."""
    out = aligned(x.shape, x.dtype)
    in_pieces(
        _squares_grad, x.size, x.dtype.type(2 * g), read_only(x.reshape(-1)), read_only(y.reshape(-1)), out.reshape(-1)
    )
    return out


@compiled(fastmath={"reassoc", "contract"})  # so that the sum is made in vectors
def _squares(board, n, piece, worker, x, y, sums):
    if piece == ALL:
        hand_out(board, n, (x, y, sums))
        return
    total = 0.0
    for i in range(piece * PIECE, min((piece + 1) * PIECE, x.size)):
        difference = np.float64(x[i] - y[i])
        total += difference * difference
    sums[piece] = total


@compiled()
def _squares_grad(board, n, piece, worker, factor, x, y, out):
    if piece == ALL:
        hand_out(board, n, (factor, x, y, out))
        return
    for i in range(piece * PIECE, min((piece + 1) * PIECE, x.size)):
        out[i] = (x[i] - y[i]) * factor


@compiled(fastmath=FUSED)
def _bce(board, n, piece, worker, x, y, out):
    if piece == ALL:
        hand_out(board, n, (x, y, out))
        return
    part = slice(piece * PIECE, min((piece + 1) * PIECE, x.size))
    xs, ys, outs = x[part], y[part], out[part]
    zero, one = np.float32(0), np.float32(1)
    for i in range(xs.size):
        v, target = xs[i], ys[i]
        rest = log_of_one_plus(exponential(-abs(v)))
        above, below = (v, zero) if v > 0 else (zero, -v)
        outs[i] = target * (below + rest) + (one - target) * (above + rest)


@compiled(fastmath=FUSED)
def _bce_grad(board, n, piece, worker, g, x, y, out):
    if piece == ALL:
        hand_out(board, n, (g, x, y, out))
        return
    part = slice(piece * PIECE, min((piece + 1) * PIECE, x.size))
    gs, xs, ys, outs = g[part], x[part], y[part], out[part]
    one = np.float32(1)
    for i in range(xs.size):
        v, target = xs[i], ys[i]
        e = exponential(-abs(v))
        large, small = one / (one + e), e / (one + e)
        up, down = (large, small) if v >= 0 else (small, large)
        outs[i] = gs[i] * ((one - target) * up - target * down)
