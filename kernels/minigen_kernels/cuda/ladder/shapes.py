"""What the rungs share: how arrays lie in memory, and in which order a kernel takes the numbers of a convolution."""

from __future__ import annotations

import numpy as np

from ...geometry import ConvGeometry

POINTERS = ("float32*",) * 3  # x, w, y
NUMBERS = ("int32",) * 16  # see `numbers`


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
