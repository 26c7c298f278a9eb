"""ReLU, leaky ReLU and dropout in one pass over memory, and their gradient in another.

Forwards, y = k·a(x): a(x) is x or, where x ≤ 0, slope·x; k is 0 where an element is dropped and 1/(1 - p) elsewhere.
The random bits are drawn on the way, a chunk that stays in the first cache, and never stored. What backward needs is
one byte an element, its state: dropped, kept and not positive, or kept and positive. It stands for the input, the
output and the mask, which are four bytes each.

Where numbers have to be drawn, that is most of the time: 0.4 of 0.7 ns an element forwards (one core, AVX-512), against
0.2 backwards. So states are kept, and the bits not drawn again.
"""

from __future__ import annotations

import numpy as np

from ..philox import dropout_threshold
from .compiled import compiled
from .layout import PIECE, aligned, in_pieces, read_only
from .philox import TILE, draw_tiles
from .share import ALL, hand_out
from .threads import run_shared

DROPPED, FALLING, RISING = 0, 1, 2  # states
CHUNK = 16 * TILE


def activate_and_drop(x: np.ndarray, slope: float, p: float, key: int) -> tuple[np.ndarray, np.ndarray]:
    """y = k·a(x) for an array in C order, with a dropout mask that is element i's word of the stream of `key`.

    Args: x any shape, contiguous. slope: at least 0; 1 for no activation. p from 0 to 1: element i is kept where its
    word is at least p·2³².
    Returns y, like x, and the states, uint8 of the same shape.
    """
    y, states = aligned(x.shape, x.dtype), np.empty(x.shape, np.uint8)
    flat, out, state = read_only(x.reshape(-1)), y.reshape(-1), states.reshape(-1)
    numbers = (np.uint64(key), np.uint32(dropout_threshold(p)), x.dtype.type(slope), x.dtype.type(keep_scale(p)))
    in_pieces(_activate_and_drop, x.size, flat, *numbers, out, state)
    return y, states


def scale_by_state(g: np.ndarray, states: np.ndarray, slope: float, p: float) -> np.ndarray:
    """The gradient of `activate_and_drop`: g times 0, slope/(1 - p) or 1/(1 - p), as the states say.

    Args: g and states of one shape, contiguous. Returns an array like g.
    """
    out = aligned(g.shape, g.dtype)
    flat, state, result = read_only(g.reshape(-1)), read_only(states.reshape(-1)), out.reshape(-1)
    slope, scale = g.dtype.type(slope), g.dtype.type(keep_scale(p))
    in_pieces(_scale_by_state, g.size, flat, state, slope, scale, result)
    return out


def scale_by_sign(g: np.ndarray, y: np.ndarray, slope: float) -> np.ndarray:
    """g where y > 0, and slope·g elsewhere: the gradient of y = a(x), whose sign is that of x.

    Args: g and y of one shape, contiguous; slope at least 0. Returns an array like g.
    """
    out = aligned(g.shape, g.dtype)
    flat, sign, result = read_only(g.reshape(-1)), read_only(y.reshape(-1)), out.reshape(-1)
    in_pieces(_scale_by_sign, g.size, flat, sign, g.dtype.type(slope), result)
    return out


def scale_by_sign_and_add(g: np.ndarray, y: np.ndarray, slope: float) -> tuple[np.ndarray, np.ndarray]:
    """`scale_by_sign` of g (M, N), and the sums (N,) of its columns, which are added up while they are in a register.

    A piece adds up its own rows, from the first to the last, in their type: they are few, and a vector holds half as many
    numbers of float64, in which `sums` adds up all rows. The sums of the pieces are added up in float64.
    """
    m, n = g.shape
    height = max(1, PIECE // n)
    out, sums, total = np.empty(g.shape, g.dtype), np.zeros((-(-m // height), n), g.dtype), np.empty(n, g.dtype)
    slope = g.dtype.type(slope)
    run_shared(_scale_by_sign_and_add, len(sums), height, read_only(g), read_only(y), slope, out, sums, total)
    return out, total


def keep_scale(p: float) -> float:
    """1/(1 - p), by which kept elements are multiplied; 0 where none are kept."""
    return 1 / (1 - p) if p < 1 else 0.0


@compiled()
def _activate_and_drop(board, n, piece, worker, x, key, threshold, slope, scale, y, states):
    if piece == ALL:
        hand_out(board, n, (x, key, threshold, slope, scale, y, states))
        return
    zero = scale * 0
    end = min((piece + 1) * PIECE, x.size)
    if threshold == 0 and scale == 1:  # a quarter of the time, where all of it is in the caches
        xs, ys, ss = x[piece * PIECE : end], y[piece * PIECE : end], states[piece * PIECE : end]
        for i in range(xs.size):
            v = xs[i]
            low = v * slope if slope != 0 else zero
            ys[i] = low if v <= 0 else v
            ss[i] = RISING if v > 0 else FALLING
        return
    bits = np.zeros(CHUNK, np.uint32)
    for start in range(piece * PIECE, end, CHUNK):
        size = min(CHUNK, end - start)
        draw_tiles(key, start // TILE, bits[: -(-size // TILE) * TILE])
        xs, ys, ss = x[start : start + size], y[start : start + size], states[start : start + size]
        for i in range(size):
            v = xs[i]
            kept = bits[i] >= threshold
            low = v * slope if slope != 0 else zero
            a = low if v <= 0 else v
            ys[i] = a * scale if kept else zero
            s = RISING if v > 0 else FALLING
            ss[i] = s if kept else DROPPED


@compiled()
def _scale_by_state(board, n, piece, worker, g, states, slope, scale, out):
    if piece == ALL:
        hand_out(board, n, (g, states, slope, scale, out))
        return
    zero = scale * 0
    part = slice(piece * PIECE, min((piece + 1) * PIECE, g.size))
    gs, ss, outs = g[part], states[part], out[part]
    for i in range(gs.size):
        s = ss[i]
        v = gs[i] * scale
        low = v * slope if slope != 0 else zero
        outs[i] = v if s == RISING else low if s == FALLING else zero


@compiled()
def _scale_by_sign(board, n, piece, worker, g, y, slope, out):
    if piece == ALL:
        hand_out(board, n, (g, y, slope, out))
        return
    part = slice(piece * PIECE, min((piece + 1) * PIECE, g.size))
    gs, ys, outs = g[part], y[part], out[part]
    for i in range(gs.size):
        low = gs[i] * slope if slope != 0 else slope
        outs[i] = gs[i] if ys[i] > 0 else low


@compiled()
def _scale_by_sign_and_add(board, n, piece, worker, height, g, y, slope, out, sums, totals):
    if piece == ALL:
        hand_out(board, n, (height, g, y, slope, out, sums, totals))
        exact = np.zeros(totals.size)
        for i in range(n):
            part = sums[i]
            for j in range(exact.size):
                exact[j] += part[j]
        for j in range(exact.size):
            totals[j] = exact[j]
        return
    total = sums[piece]
    for i in range(piece * height, min((piece + 1) * height, g.shape[0])):
        gs, ys, outs = g[i], y[i], out[i]
        for j in range(total.size):
            low = gs[j] * slope if slope != 0 else slope
            v = gs[j] if ys[j] > 0 else low
            outs[j] = v
            total[j] += v
