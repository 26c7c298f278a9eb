"""The three convolutions by register tiles (see `tile` and `plans`), for float32 and at least a few outputs.

Images are read and written where they lie. Only weights are packed, and y for the weight gradient: into columns as wide as
the tile, aligned so that no vector straddles two cache lines.
"""

from __future__ import annotations

import numpy as np

from ..geometry import ConvGeometry
from . import plans
from .compiled import compiled
from .layout import TASK_FLOPS, aligned, pieces, read_only, scratch
from .plans import Correlation
from .threads import parallel_for
from .tile import LANES, MOST_ROWS, WIDTHS, run_tiles

LEAST_OUTS = LANES // 2  # with fewer, most of each vector would be idle
TASKS = 8  # so many at least, if they are not too small then
PLAN_PIXELS = 4096  # more need no other plan: they repeat
SUMS_BYTES = 8 << 20  # the most for sums of a weight gradient that are to be added
CHUNK_BYTES = 128 << 10  # of y, used at a time by a weight gradient


def applies(outs: int, dtype: np.dtype) -> bool:
    """Whether there are enough outputs in a group to fill a vector."""
    return dtype == np.float32 and outs >= LEAST_OUTS


def convolve(x: np.ndarray, w: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """y (N, OH, OW, O) from x (N, H, W, C) and w (O, C/G, KH, KW)."""
    y = aligned((geometry.batch, *geometry.out_size, geometry.out_channels), x.dtype)
    weights = w.reshape(geometry.groups, -1, *w.shape[1:])
    _correlate(x, y, [(plans.convolution(geometry), weights)])
    return y


def transposed(y: np.ndarray, w: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """x (N, H, W, C) from y (N, OH, OW, O) and w (O, C/G, KH, KW)."""
    x = aligned((geometry.batch, *geometry.in_size, geometry.in_channels), y.dtype)
    weights = w.reshape(geometry.groups, -1, *w.shape[1:]).swapaxes(1, 2)
    _correlate(y, x, [(phase.correlation, weights[..., *phase.taps]) for phase in plans.phases(geometry)])
    return x


def _correlate(x: np.ndarray, y: np.ndarray, parts: list[tuple[Correlation, np.ndarray]]) -> None:
    """Writes to y (N, H, W, G*outs) what these correlations make of x and weights (G, outs, depth, KH, KW)."""
    batch, channels = len(y), y.shape[-1]
    if batch == 0:
        return
    groups, outs, depth = parts[0][1].shape[:3]
    columns = [(g, *column) for g in range(groups) for column in _columns(outs)]
    packed = [[_packed_weights(w[g, outputs], width) for g, outputs, width in columns] for _, w in parts]

    # Where a column's results go: an array, the first output's number in it, and numbers from pixel to pixel. A column
    # that is wider than its outputs needs an array of its own.
    flat_x, flat_y = read_only(x).reshape(batch, -1), y.reshape(batch, -1)
    targets = []
    for g, outputs, width in columns:
        if outputs.stop - outputs.start == width:
            targets.append((flat_y, g * outs + outputs.start, channels))
        else:
            targets.append((aligned((batch, y.shape[1] * y.shape[2] * width), y.dtype), 0, width))

    image_flops = sum(2 * part.out_size[0] * part.out_size[1] * w[0, 0].size * channels for part, w in parts)
    chunks = _image_chunks(batch, y.shape[1] * y.shape[2], image_flops)
    bands = min(-(-TASKS // len(chunks)), max(1, image_flops * (chunks[0].stop - chunks[0].start) // TASK_FLOPS))

    def work(task: int) -> None:
        images, band = chunks[task // bands], task % bands
        for k, (g, _, width) in enumerate(columns):
            target, first, step = targets[k]
            for part, (correlation, _) in enumerate(parts):
                rows = correlation.out_size[0]
                share = (rows * band // bands, rows * (band + 1) // bands)
                plan = plans.pixel_plan(correlation, images.stop - images.start, share, width, step)
                a, c = flat_x[images].reshape(-1)[g * depth :], target[images].reshape(-1)[first:]
                run_tiles(width, *plan, a, packed[part][k].reshape(-1), c)

    parallel_for(work, len(chunks) * bands)
    for (g, outputs, _), (target, _, step) in zip(columns, targets):
        if target is not flat_y:
            source = target.reshape(batch, -1, step)[..., : outputs.stop - outputs.start]
            np.copyto(y.reshape(batch, -1, channels)[..., g * outs + outputs.start : g * outs + outputs.stop], source)


def weight_grad(x: np.ndarray, y: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """w (O, C/G, KH, KW) from x (N, H, W, C) and y (N, OH, OW, O).

    Cut by outputs and by images: each share of these is summed up apart, and the shares are added in their order. Where
    the sums are large or the images few, cut by taps too.
    """
    depth = geometry.in_channels // geometry.groups
    if geometry.batch == 0:
        return np.zeros((geometry.out_channels, depth, *geometry.kernel_size), x.dtype)
    if depth < MOST_ROWS // 2 and geometry.padding != (0, 0):
        x, geometry = _padded(x, geometry)  # then all taps see the same pixels, and share tiles
    (kh, kw), (oh, ow), groups = geometry.kernel_size, geometry.out_size, geometry.groups
    outs = geometry.out_channels // groups
    columns = [(g, *column) for g in range(groups) for column in _columns(outs)]
    rows = kh * kw * depth
    image_flops = 2 * rows * geometry.out_channels * oh * ow
    count = -(-TASKS // len(columns))
    most = max(1, SUMS_BYTES // (rows * geometry.out_channels * x.itemsize))
    shares = pieces(geometry.batch, least=-(-TASK_FLOPS // image_flops), count=min(count, most))
    taps = pieces(kh * kw, least=-(-2 * MOST_ROWS // depth), count=-(-count // len(shares)))
    sums = [
        [np.zeros((rows + len(taps), width), x.dtype) for _, _, width in columns] for _ in shares
    ]  # and a row for each task where it can put what fills up its tiles
    flat = read_only(x).reshape(len(x), -1)
    y = read_only(y)

    def work(task: int) -> None:
        share, rest = divmod(task, len(columns) * len(taps))
        k, piece = divmod(rest, len(taps))
        g, outputs, width = columns[k]
        first, end = g * outs + outputs.start, g * outs + outputs.stop
        lines = min(oh, max(1, CHUNK_BYTES // (ow * width * x.itemsize)))
        images = max(1, CHUNK_BYTES // (oh * ow * width * x.itemsize))
        for n in range(shares[share].start, shares[share].stop, images):
            count = min(images, shares[share].stop - n)
            for line in range(0, oh, lines):
                band = (line, min(oh, line + lines))
                packed = scratch("columns", (count, band[1] - line, ow, width), x.dtype)
                _pack_columns(y[n : n + count, line : band[1], :, first:end], packed)
                plan = plans.tap_plan(geometry, count, band, (taps[piece].start, taps[piece].stop), width, rows + piece)
                a = flat[n : n + count].reshape(-1)[g * depth :]
                run_tiles(width, *plan, a, packed.reshape(-1), sums[share][k].reshape(-1))

    parallel_for(work, len(shares) * len(columns) * len(taps))
    w = np.empty((geometry.out_channels, depth, kh, kw), x.dtype)
    for k, (g, outputs, _) in enumerate(columns):
        total = sums[0][k]
        for share in sums[1:]:
            total += share[k]
        _unpack_weights(read_only(total), w[g * outs + outputs.start : g * outs + outputs.stop])
    return w


def _columns(outs: int) -> list[tuple[slice, int]]:
    """Cuts a group's outputs into columns for the tiles: the outputs of each, and its width; the last may be wider."""
    found, first = [], 0
    while first < outs:
        vectors = -(-(outs - first) // LANES)
        width = next(width for width in WIDTHS if width <= vectors * LANES)
        found.append((slice(first, min(outs, first + width)), width))
        first += width
    return found


def _image_chunks(batch: int, pixels: int, image_flops: int) -> list[slice]:
    """The images of each task: a multiple of the tile's rows, unless few of them are work enough."""
    enough = max(-(-TASK_FLOPS // max(1, image_flops)), min(MOST_ROWS, PLAN_PIXELS // pixels), 1)
    if enough > MOST_ROWS:
        enough = -(-enough // MOST_ROWS) * MOST_ROWS
    return [slice(first, min(batch, first + enough)) for first in range(0, batch, enough)]


def _packed_weights(w: np.ndarray, width: int) -> np.ndarray:
    """Weights (outs, depth, KH, KW) as (KH, KW, depth, width), with zeros for the outputs that there are not."""
    _, depth, kh, kw = w.shape
    packed = aligned((kh, kw, depth, width), w.dtype)
    _pack_weights(read_only(w), packed)
    return packed


def _padded(x: np.ndarray, geometry: ConvGeometry) -> tuple[np.ndarray, ConvGeometry]:
    """x with zeros around it as far as the kernel reaches, and its geometry."""
    size = tuple(
        stride * (out - 1) + dilation * (kernel - 1) + 1
        for stride, out, dilation, kernel in zip(
            geometry.stride, geometry.out_size, geometry.dilation, geometry.kernel_size
        )
    )
    (top, left), (height, width) = geometry.padding, geometry.in_size
    padded = np.zeros((len(x), *size, x.shape[-1]), x.dtype)
    inside = padded[:, top : top + height, left : left + width]
    np.copyto(inside, x[:, : inside.shape[1], : inside.shape[2]])
    return padded, geometry._replace(in_size=(size[0], size[1]), padding=(0, 0))


@compiled()
def _pack_weights(w, packed):
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
