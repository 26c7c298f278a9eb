"""Winograd's convolution: 3x3 kernels of stride 1 with 16 multiplications where the plain way takes 36.

Four pixels in a row see a kernel of three taps at two places. The two results cost six multiplications, or four:

    y0 = d0 g0 + d1 g1 + d2 g2 = m0 + m1 + m2      m0 = (d0 - d2) g0    m1 = (d1 + d2) (g0 + g1 + g2) / 2
    y1 = d1 g0 + d2 g1 + d3 g2 = m1 - m2 - m3      m3 = (d1 - d3) g2    m2 = (d2 - d1) (g0 - g1 + g2) / 2

which with three matrices is y = A^T ((G g) * (B^T d)), * being number by number:

    B^T = 1  0 -1  0      G =  1    0    0       A^T = 1  1  1  0
          0  1  1  0          1/2  1/2  1/2            0  1 -1 -1
          0 -1  1  0          1/2 -1/2  1/2
          0  1  0 -1           0    0    1

Done along the rows and along the columns, a tile of 2x2 outputs comes from 4x4 inputs d and the 3x3 kernel g by
y = A^T ((G g G^T) * (B^T d B)) A. With many channels the products are summed over the inputs' channels before A^T and A
are applied, once for a tile and an output. So each of the 16 numbers of a transformed tile, over all tiles and channels,
is a matrix of its own, here called a plane, and the convolution is 16 products of matrices, one for each plane, between
cheap sums. The bias is added to the plane (1, 1), whose sums A^T and A take to all four outputs as they are.

The other two members need no more. A transposed convolution of stride 1 is a convolution with the kernel turned round
(`geometry.mirrored`). The weight gradient is what the chain rule makes of the formula: with dY (2x2) in the place of y,
w = G^T (sum over tiles of (A dY A^T) * (B^T d B)) G, where a plane's sum over the tiles is a product of matrices too.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016 (arXiv 1509.09308), F(2x2, 3x3).

What it gains: on one core of a Zen 4, with 16x16 pixels or more, `tiled` takes 1.5 to 1.9 times as long for 64 channels and
more, 1.4 to 1.6 times for 32 and 1.2 to 1.3 times for 16. On 7x7 pixels and 64 channels it is 1.1 to 1.3 times: a quarter of
the tiles' outputs lies outside of the image. With 64 channels the products are three quarters of the time, the transforms
the rest.

What it costs: its rounding is another, though no worse. On normal numbers the mean error of y and x is 0.6 to 0.8 times that
of `tiled`, as sums are shorter, and that of the weight gradient 0.9 to 1.3 times. But infinity in the input gives NaN where
the plain way would say infinity, as it is subtracted from itself; and as the taps of a kernel are mixed, one that is not
finite also spoils outputs for which it lies outside of the image.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..geometry import ConvGeometry
from .layout import TASK_FLOPS, aligned, pieces, read_only, scratch
from .plans import share_inside
from .threads import parallel_for
from .tile import LANES, ROWS, WIDTHS
from .tiled import TASKS, cut
from .winograd_loops import PACKED, add_up_tiles, convolve_tiles, pack, unpack

OUT, TAPS, SIDE = 2, 3, 4  # outputs of a tile along each axis, taps of the kernel, inputs that they see
PLANES = SIDE * SIDE
BIASED = SIDE + 1  # the plane (1, 1): its number goes to all four outputs, with the sign +
PIXEL_COST, WEIGHT_COST = 60, 100  # of transforming a tile's channel and a weight, in a product's multiplications
WORTH, WORTH_OF_GRADIENT = 0.9, 1.2  # it pays below that share of the plain way's: `tiled` is slower at gradients
CHUNK_BYTES = 512 << 10  # of transformed tiles, worked on at a time
SUMS_BYTES = 16 << 20  # the most for sums of a weight gradient that are to be added
MOST_INS = 128  # of a weight gradient's task


class Column(NamedTuple):
    """Outputs first, ..., end - 1, computed side by side in rows of `width` >= end - first numbers."""

    first: int
    end: int
    width: int


def applies(geometry: ConvGeometry, dtype: np.dtype) -> bool:
    """Whether this is the fastest way from x to y: for enough channels and tiles, without many tiles half empty."""
    return _pays(geometry, dtype, WORTH)


def applies_to_weight_grad(geometry: ConvGeometry, dtype: np.dtype) -> bool:
    """Whether this is the fastest way to the weight gradient."""
    return _pays(geometry, dtype, WORTH_OF_GRADIENT)


def _pays(geometry: ConvGeometry, dtype: np.dtype, worth: float) -> bool:
    ins, outs = geometry.in_channels, geometry.out_channels
    shape = (geometry.kernel_size, geometry.stride, geometry.dilation, geometry.groups)
    if shape != ((TAPS, TAPS), (1, 1), (1, 1), 1):
        return False
    if dtype != np.float32 or min(ins, outs) < LANES:
        return False
    tiles = geometry.batch * _tiles(geometry)
    cost = tiles * (PLANES * ins * outs + PIXEL_COST * (ins + outs)) + WEIGHT_COST * ins * outs
    pixels = geometry.batch * geometry.out_size[0] * geometry.out_size[1]
    return cost < worth * share_inside(geometry) * pixels * TAPS * TAPS * ins * outs


def convolve(x: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """y (N, OH, OW, O) from x (N, H, W, C), w (O, C, 3, 3) and a bias (O,)."""
    return _convolve(x, w, geometry, bias, mirrored=False)


def transposed(y: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """x (N, H, W, C) from y (N, OH, OW, O), w (O, C, 3, 3) and a bias (C,)."""
    return _convolve(y, w, geometry.mirrored(), bias, mirrored=True)


def _convolve(
    x: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None, mirrored: bool
) -> np.ndarray:
    ins, outs = geometry.in_channels, geometry.out_channels
    y = aligned((geometry.batch, *geometry.out_size, outs), x.dtype)
    if geometry.batch == 0:
        return y
    columns = _columns(outs)
    weights = [aligned((PLANES, ins, column.width), x.dtype) for column in columns]
    starts = [np.zeros((PLANES, column.width), x.dtype) for column in columns]
    flat_w, depths = read_only(np.ascontiguousarray(w)).reshape(-1), pieces(ins, least=MOST_INS)
    apart = (TAPS * TAPS, outs * TAPS * TAPS) if mirrored else (ins * TAPS * TAPS, TAPS * TAPS)

    def prepare(task: int) -> None:
        k, depth = task // len(depths), depths[task % len(depths)]
        (first, end, width), u = columns[k], weights[k]
        if bias is not None:
            starts[k][BIASED, : end - first] = bias[first:end]
        source = flat_w[first * apart[0] + depth.start * apart[1] :]
        offsets = _apart(TAPS * TAPS, PACKED * width), _apart(PLANES, ins * width)
        count = depth.stop - depth.start
        pack(
            source, *apart, mirrored, end - first, count, width, _packed(width), *offsets, u[0, depth.start].ctypes.data
        )

    parallel_for(prepare, len(columns) * len(depths))

    tiles = geometry.batch * _tiles(geometry)
    parts = pieces(tiles, least=-(-TASK_FLOPS // (2 * PLANES * ins * columns[0].width)), count=2 * TASKS)
    of_x, of_y = _pixels(SIDE, geometry.in_size[1], ins), _pixels(OUT, geometry.out_size[1], outs)
    zeros, sizes, flat_x, flat_y = np.zeros(ins, x.dtype), _sizes(geometry), read_only(x).reshape(-1), y.reshape(-1)

    def work(task: int) -> None:
        part, (first, end, width) = parts[task // len(columns)], columns[task % len(columns)]
        u, start = weights[task % len(columns)], starts[task % len(columns)]
        rows = ROWS[width]
        most = -(-_chunk(ins + width, part) // rows) * rows
        v, m = _planes("inputs", most * ins), _planes("products", most * width)
        convolve_tiles(
            flat_x,
            of_x,
            np.empty_like(of_x),
            zeros,
            v,
            _apart(PLANES, v.shape[1]),
            u,
            start,
            m,
            _apart(PLANES, m.shape[1]),
            flat_y,
            of_y,
            np.empty_like(of_y),
            np.empty(width, x.dtype),
            sizes,
            (first, end, most),
            (part.start, part.stop),
        )

    parallel_for(work, len(parts) * len(columns))
    return y


def weight_grad(x: np.ndarray, y: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """w (O, C, 3, 3) from x (N, H, W, C) and y (N, OH, OW, O).

    Cut by inputs, outputs and tiles: each share of the tiles is summed up apart, and the shares are added in their order.
    """
    ins, outs = geometry.in_channels, geometry.out_channels
    w = np.zeros((outs, ins, TAPS, TAPS), x.dtype)
    if geometry.batch == 0:
        return w
    jobs = [(depth, column) for depth in pieces(ins, most=MOST_INS, count=1) for column in _columns(outs)]
    most_shares = max(1, SUMS_BYTES // (PLANES * ins * outs * x.itemsize))
    shares = pieces(
        geometry.batch * _tiles(geometry),
        least=-(-TASK_FLOPS // (2 * PLANES * ins * outs)),
        count=min(-(-TASKS // len(jobs)), most_shares),
    )
    sums = []
    for depth, (_, _, width) in jobs:
        filled = -(-(depth.stop - depth.start) // ROWS[width]) * ROWS[width]
        sums.append(aligned((len(shares), PLANES, filled, width), x.dtype))
    of_x, of_y = _pixels(SIDE, geometry.in_size[1], ins), _pixels(OUT, geometry.out_size[1], outs)
    zeros, sizes = np.zeros(max(MOST_INS, *WIDTHS), x.dtype), _sizes(geometry)
    flat_x, flat_y = read_only(x).reshape(-1), read_only(y).reshape(-1)

    def work(task: int) -> None:
        k, share = divmod(task, len(shares))
        (depth, (first, end, width)), part = jobs[k], shares[share]
        count = depth.stop - depth.start
        most = _chunk(count + width, part)
        v, z = _planes("inputs", most * count), _planes("products", most * width)
        add_up_tiles(
            flat_x,
            of_x,
            np.empty_like(of_x),
            v,
            _apart(PLANES, v.shape[1]),
            flat_y,
            of_y,
            np.empty_like(of_y),
            z,
            _apart(PLANES, z.shape[1]),
            zeros,
            sums[k][share],
            sizes,
            (depth.start, depth.stop),
            (first, end, most),
            (part.start, part.stop),
        )

    def finish(k: int) -> None:
        depth, (first, end, width) = jobs[k]
        count, total = depth.stop - depth.start, sums[k][0]
        for share in sums[k][1:]:
            total[:, :count] += share[:, :count]
        offsets = _apart(PLANES, total[0].size), _apart(TAPS * TAPS, PACKED * width)
        target = w.reshape(-1)[(first * ins + depth.start) * TAPS * TAPS :]
        unpack(total.ctypes.data, *offsets, _packed(width), target, ins * TAPS * TAPS, end - first, count, width)

    parallel_for(work, len(shares) * len(jobs))
    parallel_for(finish, len(jobs))
    return w


def _columns(outs: int) -> list[Column]:
    """Columns of outputs, each of at least a vector: for that, the last may begin before the one before it ends."""
    return [Column(min(first, end - LANES), end, width) for first, end, width in cut(outs)]


def _tiles(geometry: ConvGeometry) -> int:
    """The tiles of an image of y."""
    return -(-geometry.out_size[0] // OUT) * -(-geometry.out_size[1] // OUT)


def _chunk(numbers: int, part: slice) -> int:
    """How many tiles are worked on at a time, of so many numbers on each plane."""
    return max(1, min(CHUNK_BYTES // (4 * PLANES * numbers), part.stop - part.start))


def _planes(name: str, size: int) -> np.ndarray:
    """This thread's planes (16, size or more), not all of which begin in the same set of lines of a cache."""
    return scratch(f"winograd_{name}", (PLANES, -(-size // 16) * 16 + 16), np.dtype(np.float32))


def _packed(width: int) -> np.ndarray:
    return scratch("winograd_weights", (TAPS * TAPS * PACKED * width,), np.dtype(np.float32))


def _sizes(geometry: ConvGeometry) -> tuple[int, ...]:
    channels = (geometry.in_channels, geometry.out_channels)
    return (*geometry.in_size, *geometry.out_size, *channels, *geometry.padding)


@lru_cache(256)
def _apart(count: int, numbers: int) -> np.ndarray:
    """The byte offsets of `count` vectors that are so many numbers apart."""
    return np.arange(count) * (numbers * 4)


@lru_cache(256)
def _pixels(side: int, width: int, channels: int) -> np.ndarray:
    """The byte offsets of side x side pixels in the middle of images of this width."""
    return (np.arange(side)[:, None] * width + np.arange(side)) * (channels * 4)
