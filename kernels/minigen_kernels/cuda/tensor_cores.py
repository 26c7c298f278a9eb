"""Tensor cores: how large a tile of a product of matrices a block computes in TF32, and how its warps share it.

`mma_m16n8k8` says which numbers of the small matrices each lane holds, but not which rows, columns and numbers of the sum
those are in the large ones: any order will do, if a and b agree on the sum's. Here a lane's numbers lie side by side in
memory, so that it loads them in fours. With lane = 4 g + t, in a step of 16 numbers of the sum a lane multiplies four of
them, i = 0, 1, 2, 3, two for each of two mma, and

- the four columns 4 g to 4 g + 3 of b, out of 32, are column g of four small matrices; so the lane's eight results of a
  row, columns 8 t to 8 t + 7, lie side by side as well;
- a either lies row after row, 16 numbers of the sum each, and the lane has numbers 4 t to 4 t + 3 of the rows g and g + 8
  out of 16; or number after number, as b does, and the lane has rows 4 g to 4 g + 3 out of 32, two small matrices.

A matrix that lies number after number has a line for each, of a whole tile's width. The lane reads line 4 i + t, and within
a line, places are exchanged by an exclusive or with 8 t: of eight lanes that are served at once, g = 0 or 1 and t = 0 to 3,
each finds its four in other banks. Rows of 16 numbers need no such care.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
from numba import cuda, types, uint32
from numba.cuda.extending import intrinsic

from .intrinsics import F32, I32, load4, mma_m16n8k8
from .simulator.twins import twin_of
from .tiles import largest

STEP = 16  # numbers of the sum that are multiplied between two barriers
STAGES = 3  # steps in shared memory: one is multiplied while two are on their way
LEAST = 16  # see `fits`


class WarpTile(NamedTuple):
    """A tile of c = a b, and the part of it that a warp computes.

    All sizes are multiples of 32, and rows and columns are at most as many as threads, so that what a thread copies lies in
    lines a multiple of four apart, where places are exchanged alike.
    """

    rows: int
    columns: int
    warp_rows: int
    warp_columns: int

    @property
    def threads(self) -> int:
        return self.rows // self.warp_rows * (self.columns // self.warp_columns) * 32

    @property
    def blocks_per_sm(self) -> int:
        """How many blocks share a multiprocessor, so that threads with 128, 64 or 32 sums get 255, 170 or 128 registers."""
        return {4096: 256, 2048: 384, 1024: 512}[self.warp_rows * self.warp_columns] // self.threads


TILES = (
    WarpTile(128, 128, 64, 64),
    WarpTile(128, 64, 64, 32),
    WarpTile(64, 64, 32, 32),
    WarpTile(64, 32, 32, 32),
    WarpTile(32, 32, 32, 32),
)


def fits(*sides: int) -> bool:
    """Whether tensor cores are worth their while for a product of so many rows, columns and numbers of the sum.

    This is the rule by which float32 is computed in spite of TF32. The smallest tile has 32 rows and 32 columns, and a step
    16 numbers of the sum: of a side below 16, more than half of the work would be on padding. That leaves out images
    with few output channels, of whose numbers each is used so few times that memory sets the pace, and groups of one
    channel above all. Few input channels fit, as the sum runs over the taps, too.
    """
    return min(sides) >= LEAST


def choose(rows: int, columns: int, copies: int = 1) -> WarpTile:
    """The tile for a product, as `tiles.choose`.

    >>> choose(32 * 28 * 28, 128)
    WarpTile(rows=128, columns=128, warp_rows=64, warp_columns=64)
    >>> choose(64 * 7 * 7, 256)
    WarpTile(rows=64, columns=64, warp_rows=32, warp_columns=32)
    """
    return largest(TILES, rows, columns, copies)


@intrinsic
def nearest_tf32(typing_context, value):
    """The bits (uint32) of a float32 rounded to TF32, halves to even: t = 8191 x, rounded to float32, and 8192 x - t.

    t is rounded to a multiple of 2^13 units in x's last place, and 8192 x is one, so the difference is what x is rounded
    to, and exact. (Just above a power of two, t is rounded to half of that, and the difference is that power. With t = 8193
    x, which is Veltkamp's, t would be rounded to twice that just below one.) These are two instructions with a target of
    their own; those that `tf32` becomes (on sm_80 a comparison, and an addition where it holds) wait for one another. But
    an infinity becomes a NaN, what is beyond 2^114 may become an infinity, and what is below 2^-126 may be cut, not rounded.
    """

    def code(context, builder, signature, arguments):
        (x,) = arguments
        minus_t = builder.fma(x, F32(-8192.0), x)
        return builder.bitcast(builder.fma(x, F32(8192.0), minus_t), I32)

    return types.uint32(types.float32), code


@twin_of(nearest_tf32)
def _nearest_tf32(value):
    t = np.float32(8191.0 * float(value))
    (bits,) = struct.unpack("<I", np.float32(8192.0 * float(value) - float(t)).tobytes())
    return bits


@cuda.jit(device=True, inline="always")
def line_place(line, place, width):
    """Where `place` of a line of `width` numbers lies in shared memory."""
    return line * width + (place ^ line % 4 * 8)


@cuda.jit(device=True, inline="always")
def nearest4(source, index):
    """Four numbers from an index that divides by four, rounded to TF32."""
    a, b, c, d = load4(source, index)
    return nearest_tf32(a), nearest_tf32(b), nearest_tf32(c), nearest_tf32(d)


@cuda.jit(device=True, inline="always")
def add_product(sums, m, j, a0, a1, a2, a3, b0, b1):
    """Adds a product of small matrices to those sums of a lane that belong to it."""
    sums[m, j, 0], sums[m, j, 1], sums[m, j, 2], sums[m, j, 3] = mma_m16n8k8(
        a0, a1, a2, a3, b0, b1, sums[m, j, 0], sums[m, j, 1], sums[m, j, 2], sums[m, j, 3]
    )


def multiplier(tile: WarpTile, by_rows: bool) -> Any:
    """The device function that adds a step's product to a lane's sums, from where the lane's fours of a and b begin.

    sums[m, j, 2 v + s] belongs to column 8 t + 4 s + j % 4 of the 32 from j // 4 * 32, and, if a lies `by_rows`, to row
    g + 8 v of the 16 from 16 m, else to row 4 g + 2 (m % 2) + v of the 32 from m // 2 * 32.
    """
    ROWS, COLUMNS = tile.rows, tile.columns
    M, N = tile.warp_rows // 16, tile.warp_columns // 8

    @cuda.jit(device=True, inline="always")
    def multiply_rows(a, a_at, b, b_at, sums):
        fb = cuda.local.array((4, N), uint32)
        for i in range(4):
            for j in range(0, N, 4):
                fb[i, j], fb[i, j + 1], fb[i, j + 2], fb[i, j + 3] = nearest4(b, b_at + i * 4 * COLUMNS + 8 * j)
        for m in range(M):
            p0, p1, p2, p3 = nearest4(a, a_at + 16 * m * STEP)
            q0, q1, q2, q3 = nearest4(a, a_at + (16 * m + 8) * STEP)
            for j in range(N):
                add_product(sums, m, j, p0, q0, p1, q1, fb[0, j], fb[1, j])
            for j in range(N):
                add_product(sums, m, j, p2, q2, p3, q3, fb[2, j], fb[3, j])

    @cuda.jit(device=True, inline="always")
    def multiply_lines(a, a_at, b, b_at, sums):
        fb = cuda.local.array((2, N), uint32)
        for i in range(0, 4, 2):
            for k in range(2):
                for j in range(0, N, 4):
                    fb[k, j], fb[k, j + 1], fb[k, j + 2], fb[k, j + 3] = nearest4(
                        b, b_at + (i + k) * 4 * COLUMNS + 8 * j
                    )
            for m in range(0, M, 2):
                p0, p1, p2, p3 = nearest4(a, a_at + i * 4 * ROWS + 16 * m)
                q0, q1, q2, q3 = nearest4(a, a_at + (i + 1) * 4 * ROWS + 16 * m)
                for j in range(N):
                    add_product(sums, m, j, p0, p1, q0, q1, fb[0, j], fb[1, j])
                for j in range(N):
                    add_product(sums, m + 1, j, p2, p3, q2, q3, fb[0, j], fb[1, j])

    return multiply_rows if by_rows else multiply_lines
