"""Products of float32 matrices by register tiles: c = a b + bias, and an activation of it.

The columns of c are cut into panels as wide as a tile. What a tile needs of b, the panel's columns, is packed first: row
under row, aligned, with zeros where c has fewer columns than the tile. Rows of a are read where they lie, by rows or by
columns: of each number the tile makes a vector anyway. The sum over k is cut into parts of at most DEPTH, for each of which
b is packed anew, so that the packed part stays in the second cache and sums of many numbers err less.

Pieces are panels, and bands of c's rows. A thread takes neighbouring panels, most of which it has packed itself (see
`share`); or where c is taller than wide, neighbouring bands, whose rows of a it has often written itself.

On two cores of a Zen 4 this takes 0.6 to 0.95 of the time of BLAS's product cut up by `products.matrix_product`, and for
500×128 by 128×128, a layer of a small network, a third: there most of the time was spent on handing out the pieces.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .addresses import address, call_at
from .compiled import compiled
from .layout import scratch_address
from .share import ALL, hand_out
from .threads import run_shared
from .tile import (
    AHEAD,
    CACHE_LINE,
    FULL_ROWS,
    ITEM,
    LANES,
    ROWS,
    WIDTHS,
    prefetch,
    prefetch_to_write,
    rows_of,
    tile_address,
)
from .transposition import copy_numbers, transpose

FLOAT = np.dtype(np.float32)
DEPTH = 512 if LANES == 16 else 1024  # of a packed part of b: 128 KB a panel of 64, 96 KB one of 24
# The same where a lies by columns: then each step along the sum is another line of the cache, of which the next tiles use
# the rest. If lines are a multiple of CLASH bytes apart, they fall on few places of the caches and drive each other out. On a
# Zen 3, products by rows are 3 to 7 % faster with 1024 than with 512, those of clashing columns 8 to 20 % with 256.
DEPTH_OF_COLUMNS, CLASHING_DEPTH, CLASH = 512, 256, 512
PACKED_BYTES, LEAST_DEPTH = 16 << 20, 64  # the most memory for them; but not less of the sum at a time
PIECE_FLOPS = 1_000_000  # ten microseconds of one core
MOST_BANDS = 32
LEAST_ROWS, LEAST_COLUMNS = 2 * max(ROWS.values()), LANES // 2  # with fewer, most of a tile would be idle
LEAST_FLOPS = 1_000_000  # below, BLAS is about as fast as a kernel can be called
TILE, LEAST_TILES = WIDTHS[0] * ROWS[WIDTHS[0]], 8  # numbers of c; with fewer, the pieces are too few
LEAST_NUMBERS = 32_768  # of c: the same
PACK, MULTIPLY = range(2)  # steps
_WIDE, _MIDDLE, _NARROW = WIDTHS
_MOST_ROWS = max(ROWS.values())
# A processor reads a line before it writes to it: lines of c are asked for so many tiles early. On a Zen 3 it makes the
# steps of small dense networks 2 to 9 % faster (and products by themselves, whose c is in the cache, 3 % slower).
_TILES_EARLY = 1 if LANES == 16 else AHEAD
_ASK_FOR_A = LANES == 16  # a's rows too: saves up to a tenth on a Zen 4


class Plan(NamedTuple):
    """What follows from the types, shapes and strides of two matrices.

    It is made once for matrices alike: to find all of it again would take as long as the call of a small product.
    """

    applies: bool  # whether their product is one for `multiply`
    pieces: int
    packed: int  # bytes of the packed panels
    numbers: tuple[int, ...]  # M, N, K, and whatever else of `_multiply`'s arguments follows from them and the strides


NONE = Plan(False, 0, 0, ())


def plan(a: np.ndarray, b: np.ndarray) -> Plan:
    """How the product of a (M, K) and b (K, N) is computed here; `NONE` for what is no product of float32 matrices."""
    if a.dtype != FLOAT or b.dtype != FLOAT:
        return NONE
    return _plan(a.shape, b.shape, a.strides, b.strides, DEPTH, PIECE_FLOPS)


def multiply(
    a: np.ndarray,
    b: np.ndarray,
    out: np.ndarray,
    bias: np.ndarray | None = None,
    slope: float = 1.0,
    planned: Plan | None = None,
) -> None:
    """Writes the product of the matrices a (M, K) and b (K, N), plus a bias (N,), to out (M, N).

    What is not positive is multiplied by `slope`, while it is still in a register. a and b lie by rows or by columns,
    out by rows. Results do not depend on the number of threads: each of them is added up by one, in the order of k.
    planned: the `plan` for a and b, from who has made it already.
    """
    planned = planned or plan(a, b)
    packed = scratch_address("inputs", planned.packed)
    if bias is not None and bias.strides != (ITEM,):
        bias = np.ascontiguousarray(bias)
    start = 0 if bias is None else address(bias)
    there = address(a), address(b), address(out), out.strides[0], packed, start
    run_shared(_multiply, planned.pieces, PACK, 0, *planned.numbers, *there, float(slope), tile_address())


@lru_cache(1024)
def _plan(
    a_shape: tuple[int, ...],
    b_shape: tuple[int, ...],
    a_strides: tuple[int, ...],
    b_strides: tuple[int, ...],
    most_depth: int,
    piece_flops: int,
) -> Plan:
    if not (len(a_shape) == len(b_shape) == 2 and a_shape[1] == b_shape[0]):
        return NONE
    (m, k), n = a_shape, b_shape[1]
    if a_strides[1] != ITEM:
        most_depth = min(most_depth, DEPTH_OF_COLUMNS if a_strides[1] % CLASH else CLASHING_DEPTH)
    panels, bands, band, depth, room = _cut(m, n, k, most_depth, piece_flops)
    numbers = m, n, k, depth, panels, bands, band, room, *a_strides, *b_strides
    return Plan(_pays(m, n, k, a_strides, b_strides), panels * bands, panels * room, numbers)


def _pays(m: int, n: int, k: int, a_strides: tuple[int, ...], b_strides: tuple[int, ...]) -> bool:
    """Whether there is enough to do in every direction, and a and b lie by rows or by columns.

    Where c is small and the sum long, as in a weight gradient of few channels, it is rather cut than c.
    """
    return (
        m >= LEAST_ROWS
        and n >= LEAST_COLUMNS
        and (2 * m * k * n >= LEAST_FLOPS or m * n >= LEAST_NUMBERS)
        and (m * n >= LEAST_TILES * TILE or k <= 4 * max(m, n))
        and ITEM in a_strides
        and ITEM in b_strides
        and k > 0
    )


def _cut(m: int, n: int, k: int, most_depth: int, piece_flops: int) -> tuple[int, int, int, int, int]:
    """Panels, bands, rows of a band, how much of the sum over k is taken at a time, and bytes of a packed panel.

    Those are what its sums begin with, and the rows.
    """
    if m * n * k == 0:
        return 0, 0, 0, 0, 0
    panels = -(-n // _WIDE)
    most_depth = min(most_depth, max(LEAST_DEPTH, PACKED_BYTES // (panels * _WIDE * ITEM)))
    bands = max(1, min(MOST_BANDS, 2 * m * k * n // (piece_flops * panels), m // FULL_ROWS))
    band = -(-m // (bands * FULL_ROWS)) * FULL_ROWS
    depth = -(-k // -(-k // most_depth))
    return panels, -(-m // band), band, depth, (1 + depth) * _WIDE * ITEM


@compiled()
def _multiply(
    board,
    n,
    piece,
    worker,
    step,
    first,
    rows,
    columns,
    k,
    depth,
    panels,
    bands,
    band,
    room,
    a_row,
    a_column,
    b_row,
    b_column,
    a,
    b,
    c,
    c_row,
    packed,
    bias,
    slope,
    tile,
):
    """Packs rows `first` and on of b, and then multiplies by them: step by step of both, until k."""
    if piece == ALL:
        for now in range(0, k, depth):
            sizes = now, rows, columns, k, depth, panels, bands, band, room
            there = a_row, a_column, b_row, b_column, a, b, c, c_row, packed, bias, slope, tile
            hand_out(board, panels, (PACK, *sizes, *there))
            hand_out(board, panels * bands, (MULTIPLY, *sizes, *there))
        return
    count = min(depth, k - first)
    by_bands = rows > columns
    panel = piece if step == PACK else piece % panels if by_bands else piece // bands
    here = packed + panel * room
    of_panel = _columns(panel, panels, columns)
    if step == PACK:
        _pack(of_panel, b + first * b_row, b_row, b_column, count, here, bias)
        return
    top = (piece // panels if by_bands else piece % bands) * band
    of_band = top, min(top + band, rows)
    end = np.float32(slope if first + count == k else 1)
    _multiply_band(
        of_panel, of_band, count, first == 0, end, a + first * a_column, a_row, a_column, c, c_row, here, tile
    )


@compiled(inline="always")
def _columns(panel, panels, n):
    """The first column of a panel, how many it has, and the width of its tiles.

    Where the last one would be narrow, it and the one before are both of middle width: the narrow tile spreads a number
    for each multiply-add, and reaches two thirds of the others' speed.
    """
    first = panel * _WIDE
    left = n - (panels - 1) * _WIDE
    if _WIDE + _NARROW == 2 * _MIDDLE and left <= _NARROW and panels > 1 and panel >= panels - 2:
        if panel == panels - 2:
            return first, _MIDDLE, _MIDDLE
        return first - _NARROW, left + _NARROW, _MIDDLE
    count = min(_WIDE, n - first)
    return first, count, _WIDE if count > _MIDDLE else _MIDDLE if count > _NARROW else _NARROW


@compiled(inline="always")
def _pack(of_panel, b, b_row, b_column, count, packed, bias):
    """What sums begin with, and rows of b: (1 + count, width) one under the other, with zeros where c has no column."""
    first, columns, width = of_panel
    source, target = b + first * b_column, packed + width * ITEM
    zeros = np.zeros(width, np.float32)
    copy_numbers(zeros.ctypes.data, packed, width)
    if bias != 0:
        copy_numbers(bias + first * ITEM, packed, columns)
    if b_column == ITEM:
        for row in range(count):
            copy_numbers(source + row * b_row, target + row * width * ITEM, columns)
    else:
        transpose(source, b_column, columns, count, target, width * ITEM)
    for row in range(count if columns < width else 0):
        copy_numbers(zeros.ctypes.data, target + (row * width + columns) * ITEM, width - columns)


@compiled(inline="always")
def _multiply_band(of_panel, of_band, count, begin, slope, a, a_row, a_column, c, c_row, packed, tile):
    """The tiles of one panel and one band. Rows that there are not, and panels wider than c, go to `spare`."""
    first_column, columns, width = of_panel
    top, bottom = of_band
    rows = rows_of(width)
    spare = np.zeros((_MOST_ROWS, _WIDE), np.float32)
    a_rows, c_rows = np.empty(_MOST_ROWS, np.int64), np.empty(_MOST_ROWS, np.int64)
    bent, bits = int(slope != 1), np.int64(slope.view(np.int32))
    axes = np.array([1, 1, count, 0, 0, a_column, 1, 1, width * ITEM, 0, bent, bits])
    starting = packed if begin else 0
    for r in range(rows):
        a_rows[r], c_rows[r] = r * a_row, r * c_row
    for first in range(top, bottom, rows):
        there = min(rows, bottom - first)
        of_a, to_c = a + first * a_row, c + first * c_row + first_column * ITEM
        if there < rows or columns < width:
            for r in range(rows):
                a_rows[r] = min(r, there - 1) * a_row
                c_rows[r] = r * c_row if r < there and columns == width else spare[r].ctypes.data - to_c
        early = min(first + (_TILES_EARLY + 1) * rows, bottom) - first
        for r in range(_TILES_EARLY * rows, early):
            prefetch_to_write(to_c + r * c_row, -(-width * ITEM // CACHE_LINE))
            if _ASK_FOR_A and a_column == ITEM:
                prefetch(of_a + r * a_row, count * ITEM // CACHE_LINE)
        if columns < width and not begin:
            for r in range(there):
                copy_numbers(to_c + r * c_row, spare[r].ctypes.data, columns)
        tables = a_rows.ctypes.data, c_rows.ctypes.data, axes.ctypes.data
        call_at(tile, (width, of_a, tables[0], packed + width * ITEM, starting, to_c, tables[1], tables[2]))
        if columns < width:
            for r in range(there):
                copy_numbers(spare[r].ctypes.data, to_c + r * c_row, columns)
