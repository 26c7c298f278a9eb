"""Products of matrices: in float32 mostly our own (see `panels`).

The others, float64, thin and small ones, are NumPy's, hence BLAS's, cut into pieces for the thread pool when they are
large.
"""

from __future__ import annotations

import math

import numpy as np

from ..geometry import DTYPES, check_product
from . import panels
from .compiled import compiled
from .layout import PIECE, pieces, read_only
from .share import ALL, hand_out
from .threads import parallel_for, run_shared

PIECE_FLOPS = 16_000_000  # 160 microseconds of one core: a product as large is cut in two, larger ones into such pieces
PIECE_ROWS = 32  # thinner slices of a matrix make BLAS slow
PIECE_COLUMNS = 64  # a multiple of the width of BLAS's own tiles
PIECES = 8
TINY = 1024  # multiply-adds, 16 for each of 8×8: NumPy's `dot` has done them before `matmul` has begun
FEW_TERMS = 2  # a sum of so few is no work for `panels`


def matmul(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """The product of matrices, c[..., i, j] = sum over k of a[..., i, k] b[..., k, j], plus bias[j].

    Args: a (..., M, K), b (..., K, N) and bias (N,), of the same dtype, float32 or float64; leading axes broadcast.
    Returns c (..., M, N). Raises ValueError for shapes that do not fit, TypeError for other dtypes.
    """
    if _is_tiny(a, b, bias):
        return _plus(np.dot(a, b), bias)
    own = _own_product(a, b, bias)
    if own is not None:
        return own
    batch = check_product(a, b, bias)
    (m, k), n = a.shape[-2:], b.shape[-1]
    flops = 2 * m * k * n
    if flops * math.prod(batch) < PIECE_FLOPS:
        return _plus(np.matmul(a, b) if k != 1 else a * b, bias)  # see `multiply`
    a, b = _for_blas(a), _for_blas(b)
    c = np.empty((*batch, m, n), a.dtype)
    if b.ndim == 2 and a.flags.c_contiguous:  # a batch against one matrix is one tall matrix against it
        matrix_product(a.reshape(-1, k), b, c.reshape(-1, n), bias)
        return c
    a, b = np.broadcast_to(a, (*batch, m, k)), np.broadcast_to(b, (*batch, k, n))
    if flops >= PIECE_FLOPS:
        for index in np.ndindex(batch):
            matrix_product(a[index], b[index], c[index], bias)
        return c
    axis = int(np.argmax(batch))
    a, b, moved = (np.moveaxis(array, axis, 0) for array in (a, b, c))
    count = min(PIECES, flops * math.prod(batch) // PIECE_FLOPS)
    parts = pieces(len(moved), count=count)
    parallel_for(lambda i: np.matmul(a[parts[i]], b[parts[i]], out=moved[parts[i]]), len(parts))
    return _plus(c, bias)


def _is_tiny(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None) -> bool:
    """A product of matrices that fit, so small that to choose how to compute it takes longer than to compute it."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] * b.size > TINY or b.dtype is not a.dtype or a.dtype not in DTYPES:
        return False
    return a.shape[1] == b.shape[0] and (bias is None or (bias.dtype is a.dtype and bias.shape == b.shape[1:]))


def matmul_then_activate(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None, slope: float) -> np.ndarray:
    """The product of the matrices a (M, K) and b (K, N), plus a bias (N,); what of it is not positive times `slope`."""
    own = _own_product(a, b, bias, slope)
    if own is not None:
        return own
    c = matmul(a, b, bias)
    low = c * c.dtype.type(slope) if slope != 0 else c.dtype.type(0)
    return np.maximum(c, low, out=c) if slope <= 1 else np.minimum(c, low, out=c)


def _own_product(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None, slope: float = 1.0) -> np.ndarray | None:
    """A product that `panels` is for: by panels, or where the sums are short, row by row. None for any other."""
    plan = panels.plan(a, b)
    if not plan.applies or not (bias is None or (bias.dtype == a.dtype and bias.shape == plan.numbers[1:2])):
        return None
    m, n, k = plan.numbers[:3]
    c = np.empty((m, n), a.dtype)
    if k > FEW_TERMS:
        panels.multiply(a, b, c, bias, slope, plan)
        return c
    columns, rows = read_only(np.ascontiguousarray(a.T)), read_only(np.ascontiguousarray(b))
    start = read_only(np.zeros(n, c.dtype) if bias is None else np.ascontiguousarray(bias))
    height = max(1, PIECE // n)
    run_shared(_combine, -(-m // height), height, columns, rows, start, c.dtype.type(slope), c)
    return c


@compiled()
def _combine(board, n, piece, worker, height, a, b, start, slope, c):
    """Rows of c = aᵀ b + start, of one term or two: it takes no longer than writing them, and needs no tiles."""
    if piece == ALL:
        hand_out(board, n, (height, a, b, start, slope, c))
        return
    for i in range(piece * height, min((piece + 1) * height, c.shape[0])):
        row = c[i]
        if b.shape[0] == 1:
            factor, first = a[0, i], b[0]
            for j in range(row.size):
                total = start[j] + factor * first[j]
                low = total * slope if slope != 0 else slope
                row[j] = low if total <= 0 else total
        else:
            factor, first, other, second = a[0, i], b[0], a[1, i], b[1]
            for j in range(row.size):
                total = start[j] + factor * first[j] + other * second[j]
                low = total * slope if slope != 0 else slope
                row[j] = low if total <= 0 else total


def matrix_product(a: np.ndarray, b: np.ndarray, out: np.ndarray, bias: np.ndarray | None = None) -> None:
    """Writes the product of the matrices a (M, K) and b (K, N), plus a bias (N,), to out (M, N).

    What `panels` does not take is cut up for BLAS, by columns: BLAS rearranges b before it multiplies, and pieces by rows
    would each do it again (a quarter slower where b is a transposed weight, measured). Tall results, whose a is the
    larger part, are cut by rows.
    Where the result is small and the sum over k long (a weight gradient: few channels, many pixels), the sum is cut, and
    its parts are added up in their order.
    """
    (m, k), n = a.shape, b.shape[1]
    flops = 2 * m * k * n
    count = min(PIECES, max(2, flops // PIECE_FLOPS)) if flops >= PIECE_FLOPS else 1
    small = max(m, n) < 8 * PIECE_ROWS and k > 4 * max(m, n)
    if (plan := panels.plan(a, b)).applies and out.strides[1] == out.itemsize:
        panels.multiply(a, b, out, bias, planned=plan)
    elif small:
        parts = pieces(k, least=PIECE_ROWS, count=count)
        partial = np.empty((len(parts), m, n), a.dtype)
        parallel_for(lambda i: multiply(a[:, parts[i]], b[parts[i]], partial[i]), len(parts))
        _plus(np.sum(partial, axis=0, out=out), bias)
    elif m > 4 * n or n < 2 * PIECE_COLUMNS:
        parts = pieces(m, least=PIECE_ROWS, count=count)
        parallel_for(lambda i: multiply(a[parts[i]], b, out[parts[i]], bias), len(parts))
    else:
        parts = _column_pieces(n, count)
        parallel_for(
            lambda i: multiply(a, b[:, parts[i]], out[:, parts[i]], None if bias is None else bias[parts[i]]),
            len(parts),
        )


def _column_pieces(n: int, count: int) -> list[slice]:
    """Cuts n columns at multiples of PIECE_COLUMNS."""
    parts = pieces(-(-n // PIECE_COLUMNS), count=count)
    return [slice(part.start * PIECE_COLUMNS, min(n, part.stop * PIECE_COLUMNS)) for part in parts]


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray, bias: np.ndarray | None = None) -> None:
    """Writes the product of the matrices a (M, K) and b (K, N), plus a bias (N,), to out (M, N), on this thread.

    NumPy does not call BLAS for K = 1, but plain loops; as an outer product it is four times faster (measured).
    """
    if a.shape[1] == 1:
        np.multiply(a, b, out=out)
    else:
        np.matmul(a, b, out=out)
    _plus(out, bias)


def _plus(c: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    return c if bias is None else np.add(c, bias, out=c)


def _for_blas(a: np.ndarray) -> np.ndarray:
    """`a` itself if BLAS can read its matrices where they lie, by rows or by columns; else a contiguous copy."""
    row, column = a.strides[-2:]
    m, n = a.shape[-2:]
    readable = (column == a.itemsize and row >= n * a.itemsize) or (row == a.itemsize and column >= m * a.itemsize)
    return a if readable and a.flags.aligned else np.array(a, order="C")
