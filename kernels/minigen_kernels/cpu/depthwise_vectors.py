"""Depthwise convolutions in float32: each channel by itself, and a vector of neighbouring channels at once.

A number of x is used for KH KW numbers of y and no more, so what counts is how x and y come through the caches. Lines are
computed from left to right, some pixels at a time, and all channels of them before the next: in the order of memory, which
the processor then asks for early by itself. Sums stay in registers, a vector of a tap's weights is used for all the pixels.
64 images of 128 channels, 28 × 28, 3 × 3, on two cores of a Zen 3: 2.7 ms, where tiles for columns of 16 channels, which
jump from pixel to pixel, took 6.1.

A transposed convolution is a correlation for each phase of its stride (see `plans`). In the weight gradient, sums of some
taps stay in registers along some lines, for all of which the first cache has room.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..geometry import ConvGeometry
from . import plans
from .addresses import address
from .compiled import compiled
from .layout import TASK_FLOPS, aligned, pieces
from .plans import Correlation
from .share import ALL, hand_out
from .threads import run_shared
from .tile import (
    CACHE_LINE,
    ITEM,
    LANES,
    MANY_REGISTERS,
    VECTOR,
    begin_sums,
    end_sums,
    load,
    multiply_add,
    number,
    prefetch_to_write,
    walk,
)

# Pixels of a tile by its vectors of channels: 12 sums or 8, more than the processor has under way, and with the weights as
# many as 16 registers hold, or 32.
PIXELS = {4: 6, 2: 8, 1: 8} if MANY_REGISTERS else {4: 3, 2: 6, 1: 8}
TAPS = 3  # of a tile of the weight gradient
# Of x and of y, in the channels that a weight gradient adds up at a time: they stay in the first cache for all taps. Line
# by line, images of 14×14 and 7×7 took 1.3 to 1.6 times as long (Zen 3).
BAND_BYTES = 24 << 10
SHARES = 16  # of the lines
LEAST_FLOPS = TASK_FLOPS // 4  # of a share: 20 microseconds or more, as memory keeps most of them waiting


def applies(channels: int, dtype: np.dtype) -> bool:
    """Whether so many channels fill a vector."""
    return dtype == np.float32 and channels >= LANES


def convolve(x: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """y (N, OH, OW, C) from x (N, H, W, C), w (C, 1, KH, KW) and a bias (C,)."""
    y = aligned((geometry.batch, *geometry.out_size, geometry.out_channels), x.dtype)
    _correlate(x, y, [(plans.convolution(geometry), w)], bias)
    return y


def transposed(y: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """x (N, H, W, C) from y (N, OH, OW, C), w (C, 1, KH, KW) and a bias (C,)."""
    x = aligned((geometry.batch, *geometry.in_size, geometry.in_channels), y.dtype)
    parts = [(phase.correlation, w[..., *phase.taps]) for phase in plans.phases(geometry)]
    _correlate(y, x, parts, bias)
    return x


def _correlate(
    x: np.ndarray, y: np.ndarray, parts: list[tuple[Correlation, np.ndarray]], bias: np.ndarray | None
) -> None:
    """Writes to y (N, H, W, C) what these correlations make of x and of weights (C, 1, KH, KW)."""
    channels = y.shape[3]
    weights = [np.ascontiguousarray(w[:, 0].transpose(1, 2, 0)) for _, w in parts]
    table = np.array([_fields(part, w) for (part, _), w in zip(parts, weights)])
    lines = len(y) * max(part.out_size[0] for part, _ in parts)
    flops = 2 * y.size * sum(w.size for w in weights) // (channels * len(weights))
    cuts = _cuts(lines, flops)
    start = np.zeros(channels, y.dtype) if bias is None else np.ascontiguousarray(bias)
    arrays = address(x), address(start), address(y)
    run_shared(_correlate_lines, len(cuts) - 1, cuts, lines // max(1, len(y)), *arrays, table, channels)


def weight_grad(x: np.ndarray, y: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """w (C, 1, KH, KW) from x (N, H, W, C) and y (N, OH, OW, C). Each share of the lines is summed up apart."""
    channels, (kh, kw) = geometry.out_channels, geometry.kernel_size
    lines = geometry.batch * geometry.out_size[0]
    cuts = _cuts(lines, 2 * y.size * kh * kw)
    sums = np.zeros((len(cuts) - 1, kh, kw, -(-channels // LANES) * LANES), x.dtype)
    table = np.array([_fields(plans.convolution(geometry), sums)])
    run_shared(_add_up_lines, len(cuts) - 1, cuts, address(x), address(y), table, sums.strides[0], channels)
    w = np.sum(sums, axis=0)
    whole = channels - channels % LANES
    if whole < channels:  # the last vector begins before the one before it ends
        w = np.concatenate([w[..., :whole], w[..., whole - channels :]], axis=2)
    return w.transpose(2, 0, 1)[:, None]


def _cuts(lines: int, flops: int) -> np.ndarray:
    """Where shares of the lines begin, and where the last one ends."""
    shares = pieces(lines, least=-(-LEAST_FLOPS * lines // max(1, flops)), count=SHARES) if lines else []
    return np.array([0, *[share.stop for share in shares]])


def _fields(part: Correlation, w: np.ndarray) -> tuple[int, ...]:
    """What the loops are told of a correlation, as `_correlate_line` takes it apart; last, the address of w (KH, KW, C)."""
    sizes = *part.in_size, *part.out_size, *part.kernel_size, *part.stride, *part.padding, *part.dilation
    return *sizes, part.first, *part.pixel_steps, part.out_pixels, address(w)


_inside = compiled()(plans.inside)


@compiled()
def _correlate_lines(board, n, piece, worker, cuts, rows, x, start, y, table, channels):
    """Lines cuts[i], ..., of so many rows an image, of y. x, start, y: addresses. table: a row for each correlation."""
    if piece == ALL:
        hand_out(board, n, (cuts, rows, x, start, y, table, channels))
        return
    for line in range(cuts[piece], cuts[piece + 1]):
        for k in range(len(table)):
            _correlate_line(line // rows, line % rows, x, start, y, table[k], channels)


@compiled()
def _correlate_line(image, i, x, start, y, fields, channels):
    """Row i of a correlation's pixels."""
    height, width, rows, columns, kh, kw, sh, sw, top, left, dh, dw, first, by_row, by_column, pixels, w = fields
    if i >= rows:
        return
    pixel = ITEM * channels
    (p, p_end), (middle, end) = _inside(i * sh - top, dh, kh, height), (columns, columns)
    if p < p_end and kw > 0:  # pixels middle, ..., end - 1 see the whole kernel across
        of_first, of_last = _inside(-left, sw, columns, width), _inside(dw * (kw - 1) - left, sw, columns, width)
        if of_first[0] < of_first[1]:
            middle, end = of_first[0], of_last[1]
    x_line = x + (image * height + i * sh - top + dh * p) * width * pixel
    y_line = y + (image * pixels + first + i * by_row) * pixel
    wide = _widest(channels)
    most = _PIXELS_BY_4 if wide == 4 else _PIXELS_BY_2 if wide == 2 else _PIXELS_BY_1
    j = 0
    while j < columns:
        together = 1
        if middle <= j and j < end and middle + most <= end:
            together = most
            j = min(j, end - most)  # the last pixels may be computed twice
        q, q_end = (0, kw) if together > 1 else _inside(j * sw - left, dw, kw, width)
        from_x = x_line + (j * sw - left + dw * q) * pixel
        from_w = w + (p * kw + q) * pixel
        if by_column > 1:  # pixels apart: asked for early, 96 channels of stride 2 take two thirds of the time
            for ahead in range(j + 2 * together, j + 3 * together):
                prefetch_to_write(y_line + ahead * by_column * pixel, -(-pixel // CACHE_LINE))
        steps = dh * width * pixel, dw * pixel, kw * pixel, pixel, sw * pixel, by_column * pixel
        taps = (p_end - p, q_end - q) if q < q_end else (0, 0)
        _compute_pixels(together, wide, channels, from_x, from_w, start, y_line + j * by_column * pixel, taps, steps)
        j += together


@compiled()
def _widest(channels):
    """How many vectors of so many channels are computed at once."""
    return 4 if channels >= 4 * LANES else 2 if channels >= 2 * LANES else 1


@compiled()
def _compute_pixels(together, wide, channels, x, w, start, y, taps, steps):
    """All channels of one pixel or several; the last vector may begin before the one before it ends."""
    c = 0
    while c < channels:
        vectors = wide if c + wide * LANES <= channels else 1
        at = min(c, channels - LANES) * ITEM
        if together == 1 and vectors == 4:
            _pixel_by_4(x + at, w + at, start + at, y + at, taps, steps)
        elif together == 1 and vectors == 2:
            _pixel_by_2(x + at, w + at, start + at, y + at, taps, steps)
        elif together == 1:
            _pixel_by_1(x + at, w + at, start + at, y + at, taps, steps)
        elif vectors == 4:
            _pixels_by_4(x + at, w + at, start + at, y + at, taps, steps)
        elif vectors == 2:
            _pixels_by_2(x + at, w + at, start + at, y + at, taps, steps)
        elif wide == 4:
            _pixels_left_by_4(x + at, w + at, start + at, y + at, taps, steps)
        elif wide == 2:
            _pixels_left_by_2(x + at, w + at, start + at, y + at, taps, steps)
        else:
            _pixels_by_1(x + at, w + at, start + at, y + at, taps, steps)
        c += vectors * LANES


def _add_products(builder: Any, sums: list[list[Any]], places: list[Any], factors: Any) -> None:
    """Adds to each row of sums the vectors at its place, times those at the address of the factors."""
    of_factors = [load(builder, factors, ITEM * LANES * v, VECTOR) for v in range(len(sums[0]))]
    for row, place in zip(sums, places):
        for v, total in enumerate(row):
            vector = load(builder, place, ITEM * LANES * v, VECTOR)
            builder.store(multiply_add(builder, vector, of_factors[v], builder.load(total)), total)


def _make_pixels(pixels: int, vectors: int) -> Any:
    """The intrinsic compute(x, w, start, y, taps, steps): some vectors of channels of some pixels.

    y[i] = start + sum over p and q of x[i, p, q] w[p, q]. x, w, start and y are addresses; taps are how many p and q there
    are; steps bytes: in x from p to p + 1 and from q to q + 1, the same in w, from i to i + 1 in x, and that in y.
    """

    @intrinsic
    def compute(context, x, w, start, y, taps, steps):
        def generate(context, builder, signature, arguments):
            x, w, start, y, taps, steps = arguments
            kh, kw = cgutils.unpack_tuple(builder, taps)
            x_p, x_q, w_p, w_q, x_pixel, y_pixel = cgutils.unpack_tuple(builder, steps)
            in_x = [builder.mul(x_pixel, number(i)) for i in range(pixels)]
            sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(vectors)] for _ in range(pixels)]
            accumulate = begin_sums(builder, sums, start)  # it has an address, so they never do
            with (
                walk(builder, kh, (w, x), (w_p, x_p)) as (w_row, x_row),
                walk(builder, kw, (w_row, x_row), (w_q, x_q)) as (w_here, x_here),
            ):
                _add_products(builder, sums, [builder.add(x_here, step) for step in in_x], w_here)
            end_sums(
                builder, sums, [builder.add(y, builder.mul(y_pixel, number(i))) for i in range(pixels)], accumulate
            )
            return context.get_dummy_value()

        return types.void(x, w, start, y, taps, steps), generate

    return compute


_PIXELS_BY_4, _PIXELS_BY_2, _PIXELS_BY_1 = PIXELS.values()
_pixel_by_4, _pixel_by_2, _pixel_by_1 = (_make_pixels(1, vectors) for vectors in PIXELS)
_pixels_by_4, _pixels_by_2, _pixels_by_1 = (_make_pixels(pixels, vectors) for vectors, pixels in PIXELS.items())
# One vector of as many pixels, where several at once do not go into the channels.
_pixels_left_by_4, _pixels_left_by_2 = (_make_pixels(PIXELS[vectors], 1) for vectors in (4, 2))


@compiled()
def _add_up_lines(board, n, piece, worker, cuts, x, y, table, by_share, channels):
    """Adds lines cuts[i], ... of y, and what they see of x, to share i of the sums. x, y: addresses."""
    if piece == ALL:
        hand_out(board, n, (cuts, x, y, table, by_share, channels))
        return
    height, width, rows, columns, kh, kw, sh, sw, top, left, dh, dw, _, _, _, _, w = table[0]
    down, across = np.empty((kh, 2), np.int64), np.empty((kw, 2), np.int64)
    for p in range(kh):
        down[p] = _inside(dh * p - top, sh, rows, height)
    for q in range(kw):
        across[q] = _inside(dw * q - left, sw, columns, width)
    sizes = height, width, rows, columns, sh, sw, top, left, dh, dw
    most = max(1, BAND_BYTES // (2 * ITEM * LANES * _widest(channels) * columns))
    line, last = cuts[piece], cuts[piece + 1]
    while line < last:
        image, i = line // rows, line % rows
        end = min(i + most, rows, i + last - line)
        _add_up_band(image, (i, end), x, y, sizes, (down, across), w + piece * by_share, channels)
        line += end - i


@compiled()
def _add_up_band(image, band, x, y, sizes, seen, sums, channels):
    """Adds some rows of an image of y, some vectors of its channels at a time, and some taps.

    seen: for each row of the kernel which rows of y see x by it, the first, and the one after the last; and the same for its
    columns.
    """
    height, width, rows, columns, sh, sw, top, left, dh, dw = sizes
    down, across = seen
    kh, kw = len(down), len(across)
    pixel = ITEM * channels
    tap = ITEM * LANES * -(-channels // LANES)  # of the sums
    steps = sh * width * pixel, columns * pixel, sw * pixel, pixel, dw * pixel, tap
    wide, c = _widest(channels), 0
    while c < channels:
        vectors = wide if c + wide * LANES <= channels else 1
        at = min(c, channels - LANES) * ITEM
        for p in range(kh):
            i, i_end = max(band[0], down[p, 0]), min(band[1], down[p, 1])
            if i >= i_end:
                continue
            x_row = x + ((image * height + i * sh - top + dh * p) * width - left) * pixel + at
            y_row = y + (image * rows + i) * columns * pixel + at
            of_row = sums + p * kw * tap + c * ITEM
            for q in range(0, kw, TAPS):
                begin, end = 0, 0  # pixels begin, ..., end - 1 see x by all of these taps; others by some of them
                if q + TAPS <= kw and across[q, 0] < across[q, 1] and across[q + TAPS - 1, 0] < across[q + TAPS - 1, 1]:
                    begin, end = across[q, 0], across[q + TAPS - 1, 1]
                if begin < end:
                    from_x, from_y = x_row + (begin * sw + dw * q) * pixel, y_row + begin * pixel
                    _add_up_taps(TAPS, vectors, from_x, from_y, of_row + q * tap, (i_end - i, end - begin), steps)
                else:
                    begin, end = 0, 0
                for t in range(q, min(q + TAPS, kw)):
                    first, last = across[t, 0], across[t, 1]
                    for j, stop in ((first, min(begin, last)), (max(end, first), last)):
                        if j < stop:
                            from_x, from_y = x_row + (j * sw + dw * t) * pixel, y_row + j * pixel
                            _add_up_taps(1, vectors, from_x, from_y, of_row + t * tap, (i_end - i, stop - j), steps)
        c += vectors * LANES


@compiled()
def _add_up_taps(together, vectors, x, y, w, pixels, steps):
    """Adds to one tap's sums, or to those of TAPS, what so many pixels give."""
    if together == 1 and vectors == 4:
        _tap_by_4(x, y, w, pixels, steps)
    elif together == 1 and vectors == 2:
        _tap_by_2(x, y, w, pixels, steps)
    elif together == 1:
        _tap_by_1(x, y, w, pixels, steps)
    elif vectors == 4:
        _taps_by_4(x, y, w, pixels, steps)
    elif vectors == 2:
        _taps_by_2(x, y, w, pixels, steps)
    else:
        _taps_by_1(x, y, w, pixels, steps)


def _make_taps(taps: int, vectors: int) -> Any:
    """The intrinsic add_up(x, y, w, pixels, steps): w[t] += sum over i and j of x[i, j, t] y[i, j], some channels and some t.

    x, y and w are addresses; pixels are how many i and j there are; steps bytes: from i to i + 1 in x and in y, from j to
    j + 1 in both, from t to t + 1 in x and in w. With few vectors and taps, pixels are added up side by side, or each sum
    would wait for itself.
    """
    beside = max(1, min(4, 12 // (taps * vectors)))

    @intrinsic
    def add_up(context, x, y, w, pixels, steps):
        def generate(context, builder, signature, arguments):
            x, y, w, pixels, steps = arguments
            lines, pixels = cgutils.unpack_tuple(builder, pixels)
            x_line, y_line, x_pixel, y_pixel, x_tap, w_tap = cgutils.unpack_tuple(builder, steps)
            in_x, in_w = ([builder.mul(step, number(t)) for t in range(taps)] for step in (x_tap, w_tap))
            sums = [
                [[cgutils.alloca_once(builder, VECTOR) for _ in range(vectors)] for _ in range(taps)]
                for _ in range(beside)
            ]
            accumulate = begin_sums(builder, [row for part in sums for row in part], number(0))

            def add_pixel(x_here: Any, y_here: Any, part: list[list[Any]]) -> None:
                _add_products(builder, part, [builder.add(x_here, step) for step in in_x], y_here)

            turns, left = builder.udiv(pixels, number(beside)), builder.urem(pixels, number(beside))
            turn_y, turn_x = (builder.mul(step, number(beside)) for step in (y_pixel, x_pixel))
            with walk(builder, lines, (y, x), (y_line, x_line)) as (y_row, x_row):
                with walk(builder, turns, (y_row, x_row), (turn_y, turn_x)) as (y_here, x_here):
                    for i, part in enumerate(sums):
                        in_turn = number(i)
                        from_x = builder.add(x_here, builder.mul(x_pixel, in_turn))
                        add_pixel(from_x, builder.add(y_here, builder.mul(y_pixel, in_turn)), part)
                if beside > 1:
                    y_left, x_left = (
                        builder.add(a, builder.mul(turns, step)) for a, step in ((y_row, turn_y), (x_row, turn_x))
                    )
                    with walk(builder, left, (y_left, x_left), (y_pixel, x_pixel)) as (y_here, x_here):
                        add_pixel(x_here, y_here, sums[0])
            whole, *others = sums
            for part in others:
                for t, v in itertools.product(range(taps), range(vectors)):
                    builder.store(builder.fadd(builder.load(whole[t][v]), builder.load(part[t][v])), whole[t][v])
            end_sums(builder, whole, [builder.add(w, step) for step in in_w], accumulate)
            return context.get_dummy_value()

        return types.void(x, y, w, pixels, steps), generate

    return add_up


_tap_by_4, _tap_by_2, _tap_by_1 = (_make_taps(1, vectors) for vectors in PIXELS)
_taps_by_4, _taps_by_2, _taps_by_1 = (_make_taps(TAPS, vectors) for vectors in PIXELS)
