"""What the rungs share: how arrays lie in memory, and in which order a kernel takes the numbers of a convolution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...geometry import ConvGeometry, Pair
from ..kernel import MOST_THREADS, STATIC_LIMIT, blocks_for

POINTERS = ("float32*",) * 3  # x, w, y
NUMBERS = ("int32",) * 16  # see `numbers`


class Tile(NamedTuple):
    """How the work is cut, from the fourth rung on: the letters that papers and libraries use for it.

    A block computes BM pixels by BN output channels, in steps of BK along K. A thread computes TM by TN of them.
    """

    BM: int
    BN: int
    BK: int
    TM: int
    TN: int


TILE = Tile(BM=128, BN=128, BK=8, TM=8, TN=8)
SMALL_TILE = Tile(BM=64, BN=64, BK=8, TM=8, TN=4)
MULTIPROCESSORS = 132  # of an H100; an A100 has 108


def tile_for(geometry: ConvGeometry) -> Tile:
    """The large tile if it is not mostly beyond the last channel and gives every multiprocessor a block.

    A rule of thumb that nobody has timed.
    """
    outs = geometry.out_channels // geometry.groups
    blocks = blocks_for(pixels(geometry), TILE.BM) * blocks_for(outs, TILE.BN) * geometry.groups
    return TILE if 2 * outs > TILE.BN and blocks >= MULTIPROCESSORS else SMALL_TILE


def fitting(
    tile: Tile, *, warp: Pair = (1, 1), fetched: int = 4, multiple_of_step: int = 4, multiple_of_thread: int = 4
) -> Tile:
    """The tile, if a rung can cut its work so; otherwise a ValueError that says why not.

    Args:
        tile: as somebody wants it.
        warp: how the rung lays the threads of a warp, along the pixels and along the channels; (1, 1) if it does not.
        fetched: how many neighbouring numbers a thread fetches at once.
        multiple_of_step, multiple_of_thread: what BK, and what TM and TN, must be multiples of.
    """
    whole = isinstance(tile, tuple) and all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in tile)
    if not whole or len(tile) != 5 or min(tile) < 1:
        raise ValueError(f"A tile is five whole numbers above 0, Tile(BM, BN, BK, TM, TN), not {tile!r}.")
    BM, BN, BK, TM, TN = tile = Tile(*map(int, tile))
    multiples = warp[0] * TM, warp[1] * TN, multiple_of_step, multiple_of_thread, multiple_of_thread
    for name, size, multiple in zip(Tile._fields, tile, multiples):
        if size % multiple:
            raise ValueError(f"{tile} does not fit this rung: {name} must be a multiple of {multiple}.")
    threads = BM // TM * (BN // TN)
    if threads > MOST_THREADS:
        raise ValueError(
            f"{tile} wants {threads} threads in a block, which has at most {MOST_THREADS}: take larger TM, TN."
        )
    for array, rows, width in (("a", BM, BK // fetched), ("b", BK, BN // fetched)):
        if threads % width or rows % (threads // width):
            raise ValueError(
                f"{tile} does not fit this rung: {threads} threads cannot share the {rows} rows of {array} evenly, with "
                f"{width} to a row."
            )
    return tile


def check_shared(tile: Tile, numbers: int) -> None:
    """Raises ValueError if the tiles of a block, so many float32 numbers, are more than its shared memory holds."""
    if 4 * numbers > STATIC_LIMIT:
        raise ValueError(
            f"{Tile(*tile)} wants {4 * numbers} bytes of shared memory in a block, which has at most {STATIC_LIMIT}: take "
            f"a smaller BM, BN or BK."
        )


def numbers(geometry: ConvGeometry) -> tuple[int, ...]:
    """N, H, W, C, O, OH, OW, KH, KW, sh, sw, top, left, dh, dw and G, after the three pointers."""
    g = geometry
    return (
        *(g.batch, *g.in_size, g.in_channels, g.out_channels, *g.out_size, *g.kernel_size),
        *(*g.stride, *g.padding, *g.dilation, g.groups),
    )


def pixels(geometry: ConvGeometry) -> int:
    """N OH OW, the rows of the product of matrices that a convolution is."""
    return geometry.batch * geometry.out_size[0] * geometry.out_size[1]


def channels_last(x: np.ndarray) -> np.ndarray:
    """(N, C, H, W) as it lies in memory for the kernels, (N, H, W, C)."""
    return x.transpose(0, 2, 3, 1).copy()


def weight_matrix(w: np.ndarray) -> np.ndarray:
    """(O, C/G, KH, KW) as (KH, KW, C/G, O): a matrix with a row for each number of a patch, a column for each channel."""
    return w.transpose(2, 3, 1, 0).copy()
