"""Tiles: how large a piece of a product of matrices a block of threads computes, and how its threads share it.

A thread holds `thread_rows` times `thread_columns` sums in registers. For each number of the long sum it reads a column of
a and a row of b from shared memory, all by fours: the larger its piece, the more multiplications for each number read. The
larger the block's tile, the fewer times a number travels from global memory. But a GPU has a hundred multiprocessors, and
wants a block or two for each, which a small product only has if its tiles are small.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from numba import cuda

from .kernel import blocks_for
from .quads import number_of, quads

# Numbers after each row of a in shared memory. In steps of 8, what a warp writes to columns of a falls into different banks;
# in steps of 16 by twos into the same, which rows that begin at multiples of four cannot avoid.
PAD = 4


class Sized(Protocol):
    """What a tile of any kind has: how many rows and columns of the product it covers."""

    @property
    def rows(self) -> int: ...
    @property
    def columns(self) -> int: ...


AnyTile = TypeVar("AnyTile", bound=Sized)


class Tile(NamedTuple):
    """A tile of c = a b, computed in steps of `depth` numbers of the sum; all sizes are multiples of 4."""

    rows: int
    columns: int
    depth: int
    thread_rows: int
    thread_columns: int

    @property
    def threads(self) -> int:
        return self.rows // self.thread_rows * (self.columns // self.thread_columns)

    def blocks_per_sm(self, dtype: str) -> int:
        """How many blocks share a multiprocessor: as many as the registers of a thread's sums, and what it takes beside them, allow.

        In float64 each sum takes two registers, so a thread gets 255, the most there are.
        """
        if dtype == "float64":
            return max(1, 256 // self.threads)
        return 384 // self.threads if self.threads < 256 else 2


TILES = (
    Tile(128, 128, 8, 8, 8),
    Tile(128, 64, 8, 8, 8),
    Tile(64, 64, 16, 4, 4),
    Tile(64, 32, 16, 4, 4),
    Tile(32, 32, 16, 4, 4),
)
NARROW_TILES = (Tile(128, 8, 8, 4, 4), Tile(128, 4, 8, 4, 4))  # one output channel, or three
ENOUGH_BLOCKS = 128  # for one round on a large GPU


def choose(rows: int, columns: int, copies: int = 1) -> Tile:
    """The largest tile of which little is computed in vain and there are blocks enough for a GPU; else the smallest.

    Args: rows and columns of c; copies: how many such products one launch computes.

    >>> choose(32 * 28 * 28, 128)
    Tile(rows=128, columns=128, depth=8, thread_rows=8, thread_columns=8)
    >>> choose(64 * 7 * 7, 256)
    Tile(rows=64, columns=64, depth=16, thread_rows=4, thread_columns=4)
    """
    if columns <= NARROW_TILES[0].columns:
        return [tile for tile in NARROW_TILES if tile.columns >= columns][-1]

    return largest(TILES, rows, columns, copies)


def largest(tiles: Sequence[AnyTile], rows: int, columns: int, copies: int) -> AnyTile:
    """The first of these tiles, from large to small, of which little is computed in vain and there are blocks enough.

    If there is none, the last one.
    """

    def blocks(tile: AnyTile) -> int:
        return blocks_for(rows, tile.rows) * blocks_for(columns, tile.columns)

    def covered(tile: AnyTile) -> int:
        return blocks(tile) * tile.rows * tile.columns

    for tile in tiles:
        if covered(tile) <= max(1.5 * rows * columns, covered(tiles[-1])) and blocks(tile) * copies >= ENOUGH_BLOCKS:
            return tile
    return tiles[-1]


def multiplier(tile: Tile, dtype: str) -> Any:
    """The device function that adds a column of a times a row of b to a thread's sums.

    A row of a lies in shared memory on end, `tile.rows + PAD` numbers apart from the next number of the sum. A thread has
    neighbouring rows, so that few addresses are read by a warp, and its columns in fours that lie side by side with the
    fours of its neighbours, so that a warp reads and writes memory in one piece.
    """
    ROWS, COLUMNS, APART = tile.thread_rows, tile.thread_columns, tile.columns // tile.thread_columns * 4
    number = number_of(dtype)
    load, _ = quads(dtype)

    @cuda.jit(device=True, inline="always")
    def multiply(a, a_at, b, b_at, sums):
        column = cuda.local.array(ROWS, number)
        row = cuda.local.array(COLUMNS, number)
        for i in range(0, ROWS, 4):
            column[i], column[i + 1], column[i + 2], column[i + 3] = load(a, a_at + i)
        for j in range(0, COLUMNS, 4):
            row[j], row[j + 1], row[j + 2], row[j + 3] = load(b, b_at + j // 4 * APART)
        for i in range(ROWS):
            for j in range(COLUMNS):
                sums[i, j] += column[i] * row[j]

    return multiply
