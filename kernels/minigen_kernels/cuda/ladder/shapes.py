"""What the rungs share: how arrays lie in memory, and in which order a kernel takes the numbers of a convolution."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...geometry import ConvGeometry
from ..kernel import blocks_for

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
