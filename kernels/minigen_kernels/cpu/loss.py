"""Losses in one pass over memory, and their gradients in another: squared error, and binary cross-entropy from logits.

For the latter, with e = exp(-|x|), which is never above 1, and l = log1p(e), everything follows without overflow or
cancellation: softplus(x) = max(x, 0) + l, and σ(x) is 1/(1 + e) or e/(1 + e).
"""

from __future__ import annotations

import math

import numpy as np

from .compiled import compiled
from .layout import PIECE, aligned, in_pieces, read_only
from .share import ALL, hand_out


def bce_with_logits(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """y·softplus(-x) + (1 - y)·softplus(x) for every element of x and y, of one shape and contiguous."""
    out = np.empty(x.shape, x.dtype)
    xs, ys, flat = read_only(x.reshape(-1)), read_only(y.reshape(-1)), out.reshape(-1)
    in_pieces(_bce, x.size, xs, ys, flat)
    return out


def bce_with_logits_grad(g: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The gradient of `bce_with_logits` with respect to x, g·((1 - y)·σ(x) - y·σ(-x))."""
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


@compiled()
def _bce(board, n, piece, worker, x, y, out):
    if piece == ALL:
        hand_out(board, n, (x, y, out))
        return
    zero = x.dtype.type(0)
    for i in range(piece * PIECE, min((piece + 1) * PIECE, x.size)):
        v, target = x[i], y[i]
        rest = math.log1p(math.exp(-abs(v)))
        out[i] = target * (max(-v, zero) + rest) + (1 - target) * (max(v, zero) + rest)


@compiled()
def _bce_grad(board, n, piece, worker, g, x, y, out):
    if piece == ALL:
        hand_out(board, n, (g, x, y, out))
        return
    for i in range(piece * PIECE, min((piece + 1) * PIECE, x.size)):
        v, target = x[i], y[i]
        e = math.exp(-abs(v))
        large, small = 1 / (1 + e), e / (1 + e)
        up, down = (large, small) if v >= 0 else (small, large)
        out[i] = g[i] * ((1 - target) * up - target * down)
