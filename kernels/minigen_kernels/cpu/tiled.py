"""The three convolutions by register tiles (see `tile`, `dots` and `plans`), for float32.

Images are read and written where they lie. Only weights are packed, and y for a weight gradient that has many rows, or fewer
outputs than a tile is wide: into columns as wide as the tile, aligned so that no vector straddles two cache lines. Over the
shapes of `minigen bench cpu`, in all three directions, this is 1.6 times as fast as products with matrices of patches
(geometric mean, one core of a Zen 4).
"""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..geometry import ConvGeometry
from . import dots, plans
from .addresses import address
from .compiled import compiled
from .layout import TASK_FLOPS, aligned, pieces, read_only, scratch, steps
from .plans import Correlation, Work
from .share import ALL, hand_out
from .threads import num_threads, run_shared
from .tile import (
    ITEM,
    LANES,
    NARROW_COST,
    ROWS,
    WIDTHS,
    float_at,
    put_float,
    put_vector,
    rows_of,
    run_tiles,
    tile_address,
)

MIRRORING = 0.9  # to mirror a weight gradient pays below that share of what it costs as it is
TASKS = 8  # so many at least, if they are not too small then
# Pixels of several images that share a plan, or of one image: plans of large images take memory, and are the same for all
# bands in the middle.
PLAN_PIXELS = 16384
SUMS_BYTES = 8 << 20  # the most for sums of a weight gradient that are to be added
MANY_ROWS = 512  # of a weight gradient: so many use each number of y that packing and aligning it pays
SMALL_BYTES = 256 << 10  # of a weight gradient: shares of it cost little, and all columns are worked on together
PACKED = 8  # inputs whose weights are packed at a time: all taps of a column's lie in the first cache meanwhile
# Of y, used at a time by a weight gradient: shorter vectors use more of x.
CHUNK_BYTES = (256 if LANES == 16 else 32) << 10
BESIDE_BYTES = 16 << 10  # of the weights of columns side by side: half of the first cache
UNPACK_INS = 32  # inputs of a task that adds up a weight gradient's shares
PACK, COMPUTE, UNPACK = range(3)  # steps: of `_convolve` the first two, of `_add_up` the last two
# Fields of a run, after those of its plan; a, c and sums in bytes. n0 to end: the part of y.
PIXEL_FIELDS = ("column", "beside", "part", "a", "c")
TAP_FIELDS = ("width", "share", "sums", "a", "packs", "n0", "n1", "i0", "i1", "first", "end")
ALONE = (0, 0, 0)  # the steps to the column beside one that has none


class Column(NamedTuple):
    """Outputs first, ..., end - 1, computed in tiles of so many rows of `width` >= end - first numbers.

    They read the input's channels from `channel` on. apart: whether an output's weights lie side by side (see `dots`).
    """

    channel: int
    first: int
    end: int
    width: int
    rows: int
    apart: bool


def better_mirrored(geometry: ConvGeometry) -> bool:
    """Whether x and y should swap roles for a weight gradient, as x's channels fill vectors better than y's."""
    depth, outs = geometry.in_channels // geometry.groups, geometry.out_channels // geometry.groups
    return geometry.stride == (1, 1) and outs * row_cost(depth) < MIRRORING * depth * row_cost(outs)


def row_cost(outs: int) -> float:
    """What it takes to multiply one number and add it to so many sums, in numbers: those of the narrow tile cost more."""
    return sum(width * (NARROW_COST if width == WIDTHS[-1] else 1) for _, _, width in cut(outs))


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
    if len(x) == 0:
        return
    columns, table, places, room, work = _pixel_work(tuple([part for part, _ in parts]), y.shape, groups)
    packed = aligned((room,), y.dtype)
    weights = [(address(w), *w.strides, *w.shape[1:]) for _, w in parts]
    starts = np.zeros((len(columns), max(WIDTHS)), y.dtype)
    if bias is not None:
        for start, column in zip(starts, columns):
            start[: column.end - column.first] = bias[column.first : column.end]
    run_shared(
        _convolve,
        len(work.ends) - 1,
        PACK,
        np.array(weights),
        table,
        address(packed) + places,
        dots.address_of_dots(columns[0].width) if columns[0].apart else tile_address(),
        work.table,
        work.ends,
        address(x),
        starts,
        address(y),
    )


@lru_cache(64)
def _pixel_work(
    correlations: tuple[Correlation, ...], shape: tuple[int, int, int, int], groups: int
) -> tuple[list[Column], np.ndarray, np.ndarray, int, Work]:
    """The columns of y, and its pixels by tasks; PIXEL_FIELDS are the fields of a run.

    Returns the columns, also as an array; where the packed weights of a correlation and a column lie (see
    `_pack_weights`), one behind the other, in bytes, and how many numbers they are; and the work.
    """
    (batch, height, width, outs), depth = shape, correlations[0].depth
    terms = [math.prod(part.kernel_size) * depth for part in correlations]
    columns = _pixel_columns(groups, outs // groups, correlations[terms.index(max(terms))])
    image_flops = sum(2 * math.prod((*part.out_size, *part.kernel_size)) * depth * outs for part in correlations)
    chunks = _image_chunks(batch, height * width, image_flops, columns[0].rows)
    bands = min(-(-TASKS // len(chunks)), max(1, image_flops * (chunks[0].stop - chunks[0].start) // TASK_FLOPS))
    bands = max(bands, height * width // PLAN_PIXELS)
    image = math.prod(correlations[0].in_size) * correlations[0].channels
    tasks = []
    runs = list(itertools.product(_side_by_side(columns, max(terms)), enumerate(correlations)))
    for images, band in itertools.product(chunks, range(bands)):
        task = []
        for (k, beside), (p, part) in runs:
            column = columns[k]
            lines = -(-part.out_size[0] // bands)
            rows = (min(band * lines, part.out_size[0]), min((band + 1) * lines, part.out_size[0]))
            rows, a_shift, c_shift = plans.like_others(part, rows)
            count = images.stop - images.start
            plan = plans.pixel_plan(part, count, rows, column.width, outs, column.apart)
            a = images.start * image + column.channel + a_shift
            c = (images.start * height * width + c_shift) * outs + column.first
            task.append((plan, (k, beside, p, ITEM * a, ITEM * c)))
        tasks.append(task)
    *firsts, together = itertools.accumulate([column.width for column in columns], initial=0)
    *before, all_terms = itertools.accumulate(terms, initial=0)
    places = [[start * together + count * first for first in firsts] for start, count in zip(before, terms)]
    return (
        columns,
        np.array(columns),
        ITEM * np.array(places),
        all_terms * together,
        plans.work_of(tasks, len(PIXEL_FIELDS)),
    )


def weight_grad(x: np.ndarray, y: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """w (O, C/G, KH, KW) from x (N, H, W, C) and y (N, OH, OW, O).

    Cut by images and, unless the sums are small, by outputs: each share of the images is summed up apart, and the shares
    are added in their order. Where the sums are large or the images few, cut by taps too.
    """
    depth = geometry.in_channels // geometry.groups
    w = np.zeros((geometry.out_channels, depth, *geometry.kernel_size), x.dtype)
    if geometry.batch == 0:
        return w
    columns, shares, size, room, work = _tap_work(geometry)
    rooms = num_threads()
    run_shared(
        _add_up,
        len(work.ends) - 1,
        COMPUTE,
        tile_address(),
        work.table,
        work.ends,
        address(x),
        read_only(y),
        scratch("columns", (rooms, room), x.dtype),
        np.zeros((shares, size), x.dtype),
        columns,
        w,
        rooms=rooms,
    )
    return w


@lru_cache(64)
def _tap_work(geometry: ConvGeometry) -> tuple[np.ndarray, int, int, int, Work]:
    """The weight gradient by tasks; TAP_FIELDS are the fields of a run.

    Returns also the columns (first, end, width, where its sums begin), how many shares of the sums there are and how many
    numbers each has, and the most numbers of y that a run may have to pack.
    """
    outs, depth = geometry.out_channels // geometry.groups, geometry.in_channels // geometry.groups
    (kh, kw), (oh, ow) = geometry.kernel_size, geometry.out_size
    columns = _columns(geometry.groups, outs, depth)
    rows = kh * kw * depth
    image_flops = 2 * rows * geometry.out_channels * oh * ow
    numbered = list(enumerate(columns))
    small = rows * geometry.out_channels * ITEM <= SMALL_BYTES
    together = [numbered] if small else [[column] for column in numbered]
    count = -(-TASKS // len(together))
    most = max(1, SUMS_BYTES // (rows * geometry.out_channels * ITEM))
    shares = _shares(geometry, min(count, most, max(1, image_flops * geometry.batch // TASK_FLOPS)))
    taps = pieces(kh * kw, least=-(-4 * columns[0].rows // depth), count=-(-count // len(shares)))
    # A column's sums have a row more for each piece of the taps, where it puts what fills up its tiles.
    sums = [0, *itertools.accumulate((rows + len(taps)) * column.width for column in columns)]
    correlation, image, room, tasks = plans.convolution(geometry), math.prod(geometry.in_size), 0, []
    for (share, (images, band)), beside, (t, tap) in itertools.product(enumerate(shares), together, enumerate(taps)):
        line_bytes = ow * sum(column.width for _, column in beside) * ITEM
        lines = max(1, min(band.stop - band.start, CHUNK_BYTES // line_bytes))
        task = []
        for part in steps(images, max(1, CHUNK_BYTES // (lines * line_bytes))):
            for chunk, (k, column) in itertools.product(steps(band, lines), beside):
                number, height = part.stop - part.start, chunk.stop - chunk.start
                packs = rows > MANY_ROWS or column.end - column.first < column.width
                lines_y, pixel_y = (height, column.width) if packs else (oh, geometry.out_channels)
                steps_y = (lines_y * ow * pixel_y, pixel_y)
                seen, shift, _ = plans.like_others(correlation, (chunk.start, chunk.stop))
                plan = plans.tap_plan(geometry, number, seen, (tap.start, tap.stop), column.width, rows + t, steps_y)
                a = part.start * image * geometry.in_channels + column.channel + shift
                place = (part.start, part.stop, chunk.start, chunk.stop, column.first, column.end)
                task.append((plan, (column.width, share, ITEM * sums[k], ITEM * a, packs, *place)))
                room = max(room, packs * number * height * ow * column.width)
        tasks.append(task)
    places = [(column.first, column.end, column.width, first) for column, first in zip(columns, sums)]
    return np.array(places), len(shares), sums[-1], room, plans.work_of(tasks, len(TAP_FIELDS))


def _columns(groups: int, outs: int, depth: int) -> list[Column]:
    """The columns of each group's outputs. The last of a group may be wider than its outputs."""
    return [
        Column(
            channel=g * depth, first=g * outs + first, end=g * outs + end, width=width, rows=ROWS[width], apart=False
        )
        for g in range(groups)
        for first, end, width in cut(outs)
    ]


def _pixel_columns(groups: int, outs: int, part: Correlation) -> list[Column]:
    """The same where pixels are computed, of few outputs perhaps one column a group, for `dots`. part: the one of most terms."""
    depth, beside = part.depth, groups == 1 and part.dilation[1] == 1
    if not dots.pay(outs, depth, part.kernel_size, beside):
        return _columns(groups, outs, depth)
    rows = dots.ROWS_OF_DOTS[outs]
    return [Column(g * depth, g * outs, (g + 1) * outs, width=outs, rows=rows, apart=True) for g in range(groups)]


def cut(outs: int) -> list[tuple[int, int, int]]:
    """The columns (first, end, width) of so many outputs.

    Two of middle width are better than a wide one and a narrow one, and may be computed side by side.
    """
    found, first = [], 0
    wide, middle, narrow = WIDTHS
    while first < outs:
        vectors = -(-(outs - first) // LANES)
        width = next(width for width in WIDTHS if width <= vectors * LANES)
        if vectors * LANES == wide + narrow == 2 * middle:
            width = middle
        found.append((first, min(outs, first + width), width))
        first += width
    return found


def _side_by_side(columns: list[Column], terms: int) -> list[tuple[int, int]]:
    """The first of the columns that are computed side by side, and how many they are.

    Where sums have few terms, most of the time goes into reading x and writing y: better once than column by column. Side
    by side are columns of one width which read the same channels, and whose weights stay in the first cache.
    """
    found: list[tuple[int, int]] = []
    for k, column in enumerate(columns):
        first, count = found[-1] if found else (0, 0)
        before = columns[first]
        fits = terms * column.width * (count + 1) * ITEM <= BESIDE_BYTES
        alike = before.width == column.width == column.end - column.first
        if count and fits and alike and before.channel == column.channel:
            found[-1] = first, count + 1
        else:
            found.append((k, 1))
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


@compiled()
def _convolve(board, n, piece, worker, step, weights, columns, packed, tile, table, ends, x, starts, y):
    """Packs the weights, and then runs the plans."""
    if piece == ALL:
        hand_out(board, packed.size, (PACK, weights, columns, packed, tile, table, ends, x, starts, y))
        hand_out(board, n, (COMPUTE, weights, columns, packed, tile, table, ends, x, starts, y))
    elif step == PACK:
        _pack_weights(piece // packed.shape[1], piece % packed.shape[1], weights, columns, packed)
    else:
        _run_task(piece, columns, tile, table, ends, x, packed, starts, y)


@compiled(inline="always")
def _pack_weights(part, k, weights, columns, packed):
    """Packs a correlation's weights (outs, depth, KH, KW) for a column, with zeros where outputs lack.

    They become (KH, KW, depth, width), or those of outputs that lie apart (width, KH, KW, depth).
    """
    _, first, end, width, _, apart = columns[k]
    w, by_out, by_channel, by_row, by_column, depth, kh, kw = weights[part]
    to_out, to_term = (kh * kw * depth * ITEM, ITEM) if apart else (ITEM, width * ITEM)
    for here in range(0, depth, PACKED):
        for p in range(kh):
            for q in range(kw):
                target = packed[part, k] + ((p * kw + q) * depth + here) * to_term
                for c in range(here, min(here + PACKED, depth)):
                    source = w + first * by_out + c * by_channel + p * by_row + q * by_column
                    for o in range(width):
                        value = float_at(source + o * by_out) if o < end - first else np.float32(0)
                        put_float(target + o * to_out, value)
                    target += to_term


@compiled(inline="always")
def _run_task(i, columns, tile, table, ends, x, packed, starts, y):
    for run in range(ends[i], ends[i + 1]):
        blocks, count, a_rows, c_rows, column, beside, part, a, c = table[run]
        _, first, end, width, rows, _ = columns[column]
        b, start = packed[part, column], starts[column].ctypes.data
        of_b = packed[part, column + 1] - b if beside > 1 else 0
        steps = of_b, starts.strides[0], width * ITEM
        run_tiles(tile, rows, width, end - first, blocks, count, a_rows, c_rows, x + a, b, start, y + c, beside, steps)


@compiled()
def _add_up(board, n, piece, worker, step, tile, table, ends, x, y, room, sums, columns, w):
    """Runs the plans, and then adds up the shares and unpacks them."""
    if piece == ALL:
        blocks = len(columns) * -(-w.shape[1] // UNPACK_INS)
        hand_out(board, n, (COMPUTE, tile, table, ends, x, y, room, sums, columns, w))
        hand_out(board, blocks, (UNPACK, tile, table, ends, x, y, room, sums, columns, w))
    elif step == COMPUTE:
        _run_gradient_task(piece, tile, table, ends, x, y, room[worker], sums)
    else:
        _unpack_weights(piece % len(columns), piece // len(columns), sums, columns, w)


@compiled(inline="always")
def _run_gradient_task(i, tile, table, ends, x, y, room, sums):
    for run in range(ends[i], ends[i + 1]):
        blocks, count, a_rows, c_rows, width, share, column, a, packs, n0, n1, i0, i1, first, end = table[run]
        outputs = y[n0:n1, i0:i1, :, first:end]
        b = outputs.ctypes.data
        if packs:
            b = room.ctypes.data
            _pack_columns(outputs, width, room)
        to = sums[share].ctypes.data + column
        run_tiles(tile, rows_of(width), width, width, blocks, count, a_rows, c_rows, x + a, b, 0, to, 1, ALONE)


@compiled(inline="always")
def _unpack_weights(k, block, sums, columns, w):
    """Adds up the shares (KH, KW, depth, width) of a column and some inputs, to w (O, depth, KH, KW)."""
    _, depth, kh, kw = w.shape
    first, end, width, place = columns[k]
    for c in range(block * UNPACK_INS, min((block + 1) * UNPACK_INS, depth)):
        for p in range(kh):
            for q in range(kw):
                row = place + ((p * kw + q) * depth + c) * width
                for o in range(end - first):
                    total = sums[0, row + o]
                    for share in range(1, len(sums)):
                        total += sums[share, row + o]
                    w[first + o, c, p, q] = total


@compiled(inline="always")
def _pack_columns(y, width, packed):
    """Pixels (n, i, j, outs) as (n, i, j, width), with zeros for the outputs that there are not."""
    images, lines, pixels, outs = y.shape
    target = packed.ctypes.data
    for n in range(images):
        for i in range(lines):
            source = y[n, i].ctypes.data
            for _ in range(pixels):
                for o in range(0, width, LANES):
                    put_vector(source + o * ITEM, target, outs - o)
                    target += LANES * ITEM
                source += y.strides[2]
