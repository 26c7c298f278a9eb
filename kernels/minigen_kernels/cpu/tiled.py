"""The three convolutions by register tiles (see `tile` and `plans`), for float32 and at least a few outputs.

Images are read and written where they lie. Only weights are packed, and y for the weight gradient: into columns as wide as
the tile, aligned so that no vector straddles two cache lines. Over the shapes of `minigen bench cpu`, in all three
directions, this is 1.6 times as fast as products with matrices of patches (geometric mean, one core of a Zen 4).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..geometry import ConvGeometry
from . import plans
from .compiled import compiled
from .layout import CACHE_LINE, COPY_BYTES, TASK_FLOPS, aligned, pieces, read_only, scratch, steps
from .plans import Correlation
from .threads import parallel_for
from .tile import LANES, ROWS, WIDTHS, run_tiles

LEAST_OUTS = LANES // 2  # with fewer, most of each vector would be idle
TASKS = 8  # so many at least, if they are not too small then
PLAN_PIXELS = 16384  # of several images that share a plan, or of one image: plans of large images take memory, and are the same for all bands in the middle
SUMS_BYTES = 8 << 20  # the most for sums of a weight gradient that are to be added
MANY_ROWS = 512  # of a weight gradient: so many use each number of y that aligning it pays
PADDING_GAIN = 1.2  # of a weight gradient's speed, that pays for the copy
CHUNK_BYTES = 256 << 10  # of y, used at a time by a weight gradient


class Column(NamedTuple):
    """Outputs first, ..., end - 1, which are computed side by side, in tiles of `width` >= end - first numbers a row.

    They read the input's channels from `channel` on.
    """

    channel: int
    first: int
    end: int
    width: int


def applies(outs: int, dtype: np.dtype) -> bool:
    """Whether so many outputs of a group fill a vector, or at least half of it."""
    return dtype == np.float32 and outs >= LEAST_OUTS


def applies_depthwise(channels: int, dtype: np.dtype) -> bool:
    """Whether so many groups, of one input and one output each, fill whole vectors."""
    return dtype == np.float32 and channels % LANES == 0


def convolve(x: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """y (N, OH, OW, O) from x (N, H, W, C), w (O, C/G, KH, KW) and a bias (O,)."""
    y = aligned((geometry.batch, *geometry.out_size, geometry.out_channels), x.dtype)
    _correlate(x, y, [(plans.convolution(geometry), w)], geometry.groups, bias)
    return y


def transposed(y: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """x (N, H, W, C) from y (N, OH, OW, O), w (O, C/G, KH, KW) and a bias (C,)."""
    x = aligned((geometry.batch, *geometry.in_size, geometry.in_channels), y.dtype)
    outs_first = (
        w.reshape(geometry.groups, -1, *w.shape[1:]).swapaxes(1, 2).reshape(geometry.in_channels, -1, *w.shape[2:])
    )
    parts = [(phase.correlation, outs_first[..., *phase.taps]) for phase in plans.phases(geometry)]
    _correlate(y, x, parts, geometry.groups, bias)
    return x


def _correlate(
    x: np.ndarray, y: np.ndarray, parts: list[tuple[Correlation, np.ndarray]], groups: int, bias: np.ndarray | None
) -> None:
    """Writes to y (N, H, W, outs) what these correlations make of x and of weights (outs, depth, KH, KW)."""
    (batch, height, width, outs), depth = y.shape, parts[0][1].shape[1]
    if batch == 0:
        return
    depthwise = depth == 1 and groups == outs > 1
    columns = _columns(groups, outs // groups, depth, depthwise)
    packed = [[aligned((*w.shape[2:], depth, column.width), y.dtype) for column in columns] for _, w in parts]

    def pack(k: int) -> None:
        for (_, w), to in zip(parts, packed):
            _pack_weights(read_only(w[columns[k].first : columns[k].end]), to[k])

    parallel_for(pack, len(columns))

    # Where a column's results go: an array, the first output's number in it, and numbers from pixel to pixel. A column
    # that is wider than its outputs needs an array of its own.
    flat_x, flat_y = read_only(x).reshape(batch, -1), y.reshape(batch, -1)
    targets = [
        (flat_y, column.first, outs)
        if column.end - column.first == column.width
        else (aligned((batch, height * width * column.width), y.dtype), 0, column.width)
        for column in columns
    ]
    starts = [np.zeros(column.width, y.dtype) for column in columns]
    if bias is not None:
        for start, column in zip(starts, columns):
            start[: column.end - column.first] = bias[column.first : column.end]
    image_flops = sum(2 * part.out_size[0] * part.out_size[1] * w.size for part, w in parts)
    chunks = _image_chunks(batch, height * width, image_flops, ROWS[columns[0].width])
    bands = min(-(-TASKS // len(chunks)), max(1, image_flops * (chunks[0].stop - chunks[0].start) // TASK_FLOPS))
    bands = max(bands, height * width // PLAN_PIXELS)

    def work(task: int) -> None:
        images, band = chunks[task // bands], task % bands
        for k, column in enumerate(columns):
            target, first, step = targets[k]
            a, c = flat_x[images].reshape(-1)[column.channel :], target[images].reshape(-1)[first:]
            for part, (correlation, _) in enumerate(parts):
                lines = -(-correlation.out_size[0] // bands)
                rows = (min(band * lines, correlation.out_size[0]), min((band + 1) * lines, correlation.out_size[0]))
                rows, a_shift, c_shift = plans.like_others(correlation, rows)
                plan = plans.pixel_plan(correlation, images.stop - images.start, rows, column.width, step)
                run_tiles(
                    depthwise,
                    column.width,
                    *plan,
                    a[a_shift:],
                    read_only(packed[part][k].reshape(-1)),
                    starts[k],
                    c[c_shift * step :],
                )

    parallel_for(work, len(chunks) * bands)
    for column, (target, _, step) in zip(columns, targets):
        if target is not flat_y:
            results = target.reshape(batch, height, width, step)[..., : column.end - column.first]
            y[..., column.first : column.end] = results


def weight_grad(x: np.ndarray, y: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """w (O, C/G, KH, KW) from x (N, H, W, C) and y (N, OH, OW, O).

    Cut by outputs and by images: each share of these is summed up apart, and the shares are added in their order. Where
    the sums are large or the images few, cut by taps too.
    """
    outs, depth = geometry.out_channels // geometry.groups, geometry.in_channels // geometry.groups
    w = np.zeros((geometry.out_channels, depth, *geometry.kernel_size), x.dtype)
    if geometry.batch == 0:
        return w
    (kh, kw), (oh, ow) = geometry.kernel_size, geometry.out_size
    depthwise = depth == outs == 1 and geometry.groups > 1
    columns = _columns(geometry.groups, outs, depth, depthwise)
    tile_rows = ROWS[columns[0].width]
    if _padding_pays(geometry, depth, tile_rows):
        x, geometry = _padded(x, geometry)
    rows = kh * kw * depth
    image_flops = 2 * rows * geometry.out_channels * oh * ow
    count = -(-TASKS // len(columns))
    most = max(1, SUMS_BYTES // (rows * geometry.out_channels * x.itemsize))
    shares = _shares(geometry, min(count, most, max(1, image_flops * geometry.batch // TASK_FLOPS)))
    taps = pieces(kh * kw, least=-(-4 * tile_rows // depth), count=-(-count // len(shares)))
    sums = [  # with a row more for each piece of the taps, where it puts what fills up its tiles
        [np.zeros((rows + len(taps), column.width), x.dtype) for column in columns] for _ in shares
    ]
    flat_x, y = read_only(x).reshape(len(x), -1), read_only(y)
    correlation = plans.convolution(geometry)
    nothing = np.empty(0, x.dtype)  # as tiles begin here with what was summed up before

    def work(task: int) -> None:
        share, rest = divmod(task, len(columns) * len(taps))
        k, piece = divmod(rest, len(taps))
        column = columns[k]
        images, band = shares[share]
        line_bytes = ow * column.width * x.itemsize
        lines = max(1, min(band.stop - band.start, CHUNK_BYTES // line_bytes))
        for part in steps(images, max(1, CHUNK_BYTES // (lines * line_bytes))):
            for chunk in steps(band, lines):
                outputs = y[part, chunk, :, column.first : column.end]
                unaligned = outputs.ctypes.data % CACHE_LINE != 0 and rows > MANY_ROWS
                if column.width > outputs.shape[3] or not outputs.flags.c_contiguous or unaligned:
                    packed = scratch("columns", (*outputs.shape[:3], column.width), x.dtype)
                    _pack_columns(outputs, packed)
                    outputs = packed
                which = (taps[piece].start, taps[piece].stop)
                seen, shift, _ = plans.like_others(correlation, (chunk.start, chunk.stop))
                plan = plans.tap_plan(geometry, len(outputs), seen, which, column.width, rows + piece)
                a, c = flat_x[part].reshape(-1)[column.channel + shift :], sums[share][k].reshape(-1)
                run_tiles(depthwise, column.width, *plan, a, read_only(outputs.reshape(-1)), nothing, c)

    def add_up(k: int) -> None:
        for share in sums[1:]:
            sums[0][k] += share[k]
        _unpack_weights(read_only(sums[0][k]), w[columns[k].first : columns[k].end])

    parallel_for(work, len(shares) * len(columns) * len(taps))
    parallel_for(add_up, len(columns))
    return w


def _columns(groups: int, outs: int, depth: int, depthwise: bool) -> list[Column]:
    """The columns of each group's outputs; of all groups together if depthwise. The last may be wider than its outputs."""
    if depthwise:
        return [Column(channel=first, first=first, end=end, width=width) for first, end, width in cut(groups)]
    return [
        Column(channel=g * depth, first=g * outs + first, end=g * outs + end, width=width)
        for g in range(groups)
        for first, end, width in cut(outs)
    ]


def cut(outs: int) -> list[tuple[int, int, int]]:
    """The columns (first, end, width) of so many outputs."""
    found, first = [], 0
    while first < outs:
        vectors = -(-(outs - first) // LANES)
        width = next(width for width in WIDTHS if width <= vectors * LANES)
        found.append((first, min(outs, first + width), width))
        first += width
    return found


def _image_chunks(batch: int, pixels: int, image_flops: int, tile_rows: int) -> list[slice]:
    """The images of each task, enough for it to be worth its while, and for every pixel to fill tiles with its likes."""
    worth = max(1, -(-TASK_FLOPS // max(1, image_flops)))
    enough = max(worth, min(2 * tile_rows, PLAN_PIXELS // pixels, batch // TASKS))
    if enough > tile_rows:
        enough = -(-enough // tile_rows) * tile_rows
    return [slice(first, min(batch, first + enough)) for first in range(0, batch, enough)]


def _shares(geometry: ConvGeometry, count: int) -> list[tuple[slice, slice]]:
    """Images and rows of y, cut into about so many shares: by images or, where these are fewer, each by its rows."""
    if count <= geometry.batch:
        return [(images, slice(0, geometry.out_size[0])) for images in pieces(geometry.batch, count=count)]
    bands = pieces(geometry.out_size[0], count=-(-count // geometry.batch))
    return [(slice(n, n + 1), band) for n in range(geometry.batch) for band in bands]


def _padding_pays(geometry: ConvGeometry, depth: int, tile_rows: int) -> bool:
    """Whether x should have zeros around it for the weight gradient.

    All taps then see the same pixels, and may share a tile, where else `depth` rows of each fill up tiles of their own.
    """
    inside, rows = plans.share_inside(geometry), depth * geometry.kernel_size[0] * geometry.kernel_size[1]
    filled, filled_together = (n / (-(-n // tile_rows) * tile_rows) for n in (depth, rows))
    return inside < 1 and min(geometry.padding) >= 0 and filled_together * inside > PADDING_GAIN * filled


def _padded(x: np.ndarray, geometry: ConvGeometry) -> tuple[np.ndarray, ConvGeometry]:
    """x with zeros around it as far as the kernel reaches, and its geometry."""
    size = tuple(
        stride * (out - 1) + dilation * (kernel - 1) + 1
        for stride, out, dilation, kernel in zip(
            geometry.stride, geometry.out_size, geometry.dilation, geometry.kernel_size
        )
    )
    (top, left), (height, width) = geometry.padding, geometry.in_size
    padded = np.empty((len(x), *size, x.shape[-1]), x.dtype)
    inside = padded[:, top : top + height, left : left + width]
    parts = pieces(len(x), least=-(-COPY_BYTES * len(x) // padded.nbytes))

    def copy(i: int) -> None:
        padded[parts[i]] = 0
        inside[parts[i]] = x[parts[i], : inside.shape[1], : inside.shape[2]]

    parallel_for(copy, len(parts))
    return padded, geometry._replace(in_size=(size[0], size[1]), padding=(0, 0))


@compiled()
def _pack_weights(w, packed):
    """Weights (outs, depth, KH, KW) as (KH, KW, depth, width), with zeros for the outputs that there are not."""
    outs, depth, kh, kw = w.shape
    width = packed.shape[3]
    for c in range(depth):
        for p in range(kh):
            for q in range(kw):
                row = packed[p, q, c]
                for o in range(outs):
                    row[o] = w[o, c, p, q]
                for o in range(outs, width):
                    row[o] = 0


@compiled()
def _unpack_weights(packed, w):
    outs, depth, kh, kw = w.shape
    for c in range(depth):
        for o in range(outs):
            for p in range(kh):
                for q in range(kw):
                    w[o, c, p, q] = packed[(p * kw + q) * depth + c, o]


@compiled()
def _pack_columns(y, packed):
    """Pixels (n, i, j, outs) as (n, i, j, width), with zeros for the outputs that there are not."""
    outs, width = y.shape[3], packed.shape[3]
    for n in range(packed.shape[0]):
        for i in range(packed.shape[1]):
            for j in range(packed.shape[2]):
                source, target = y[n, i, j], packed[n, i, j]
                for o in range(outs):
                    target[o] = source[o]
                for o in range(outs, width):
                    target[o] = 0
