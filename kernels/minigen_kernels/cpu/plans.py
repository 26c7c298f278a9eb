"""Plans: which rows of numbers a convolution's tiles multiply, and where their sums go.

A tile (see `tile`) wants rows that add up over the same taps. For y and x these are pixels: in the middle of an image all
taps of the kernel lie inside it, near an edge some do not. Pixels are sorted by the taps that they see, so that a tile
neither multiplies with zeros nor asks, inside its loop, where the image ends. For the weight gradient they are taps, which
add up over the same pixels. In a 7×7 image, a 5×5 kernel loses 31 % of its taps at the edges; padded with zeros, the same
convolution and its weight gradient take 1.4 times as long (measured).

A plan depends on shapes alone, and is kept: the next step of training wants the same ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np

from ..geometry import ConvGeometry, Pair
from .dots import ROWS_OF_DOTS
from .layout import read_only
from .tile import BLOCK_FIELDS, ITEM, ROWS

TILE_STEPS = (
    48  # what it takes to begin and to end a tile, in steps of its loop: an estimate, for choosing between plans
)
MOST_PAIRS = 1 << 15  # of a tap and a kind of pixel: more of them make large plans
Range = tuple[int, int]
Kind = TypeVar("Kind", bound=Hashable)


class Plan(NamedTuple):
    """What `tile.run_tiles` is told: its blocks, and the byte offsets of the rows of a and c, R of them for each tile."""

    blocks: np.ndarray
    a_rows: np.ndarray
    c_rows: np.ndarray


class Work(NamedTuple):
    """Runs of `tile.run_tiles`, one after the other: task i is runs ends[i], ..., ends[i + 1] - 1 of the table.

    Attributes:
        table: int64 (runs, fields). First PLAN_FIELDS, then what the runs are about.
        ends: int64 (tasks + 1,).
        plans: of all runs, kept as the table holds the addresses of their arrays.
    """

    table: np.ndarray
    ends: np.ndarray
    plans: list[Plan]


PLAN_FIELDS = ("blocks", "count", "a_rows", "c_rows")  # addresses, and how many blocks there are


def work_of(tasks: Sequence[Sequence[tuple[Plan, tuple[int, ...]]]], fields: int) -> Work:
    """The work of these tasks, each of them plans and so many more fields."""
    runs = [run for task in tasks for run in task]
    table = np.array([(*_addresses(plan), *more) for plan, more in runs], np.int64)
    ends = np.cumsum([0, *map(len, tasks)])
    return Work(table.reshape(-1, len(PLAN_FIELDS) + fields), ends, [plan for plan, _ in runs])


def _addresses(plan: Plan) -> tuple[int, ...]:
    return plan.blocks.ctypes.data, len(plan.blocks), plan.a_rows.ctypes.data, plan.c_rows.ctypes.data


class Correlation(NamedTuple):
    """y[n, i, j] = sum over p, q of x[n, sh i - top + dh p, sw j - left + dw q] w[p, q], and where y's pixels lie.

    Attributes:
        in_size, out_size, kernel_size, stride, padding, dilation: of that formula; padding (top, left) may be negative.
        channels: numbers from one pixel of x to the next.
        depth: numbers of each pixel that are multiplied, the channels of one group.
        first, pixel_steps: number of y's pixel (0, 0) in its image, and pixels from one i and one j to the next.
        out_pixels: pixels of an image of y.
    """

    in_size: Pair
    out_size: Pair
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    channels: int
    depth: int
    first: int
    pixel_steps: Pair
    out_pixels: int


def convolution(geometry: ConvGeometry) -> Correlation:
    """The correlation that y = C(x, w) is."""
    return Correlation(
        geometry.in_size,
        geometry.out_size,
        geometry.kernel_size,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        channels=geometry.in_channels,
        depth=geometry.in_channels // geometry.groups,
        first=0,
        pixel_steps=(geometry.out_size[1], 1),
        out_pixels=geometry.out_size[0] * geometry.out_size[1],
    )


class Phase(NamedTuple):
    """The pixels of x = T(y, w) that see the same taps of the kernel, every sh-th row and every sw-th column.

    Attributes:
        correlation: that gives them, with y in the place of x.
        taps: slices of the kernel's rows and columns, which turn it round: the kernel of the correlation.
    """

    correlation: Correlation
    taps: tuple[slice, slice]


@lru_cache(256)
def phases(geometry: ConvGeometry) -> list[Phase]:
    """The transposed convolution as correlations of stride 1, one for each phase of the stride: no zero is multiplied.

    Pixel h of x hears from pixel i of y by tap p where h = s i - top + d p. For h = h0 + s m these are the taps with
    d p = h0 + top (mod s): every (s / gcd(s, d))-th, and from one of them to the next, i falls by d / gcd(s, d).
    """
    found = []
    for rows in _axis_phases(geometry, 0):
        for columns in _axis_phases(geometry, 1):
            (h0, height, kh, top, dh, taps_h), (w0, width, kw, left, dw, taps_w) = rows, columns
            correlation = Correlation(
                geometry.out_size,
                (height, width),
                (kh, kw),
                (1, 1),
                (top, left),
                (dh, dw),
                channels=geometry.out_channels,
                depth=geometry.out_channels // geometry.groups,
                first=h0 * geometry.in_size[1] + w0,
                pixel_steps=(geometry.stride[0] * geometry.in_size[1], geometry.stride[1]),
                out_pixels=geometry.in_size[0] * geometry.in_size[1],
            )
            found.append(Phase(correlation, (taps_h, taps_w)))
    return found


def _axis_phases(geometry: ConvGeometry, axis: int) -> list[tuple[int, int, int, int, int, slice]]:
    """For each phase along an axis: its first pixel, its length, and taps, padding, dilation and slice of the kernel."""
    size, kernel = geometry.in_size[axis], geometry.kernel_size[axis]
    stride, before, dilation = geometry.stride[axis], geometry.padding[axis], geometry.dilation[axis]
    found = []
    for first in range(min(stride, size)):
        taps = [p for p in range(kernel) if (dilation * p - first - before) % stride == 0]
        length = len(range(first, size, stride))
        if not taps:
            found.append((first, length, 0, 0, 1, slice(0, 0)))
            continue
        apart = taps[1] - taps[0] if len(taps) > 1 else 1
        last = (first + before - dilation * taps[-1]) // stride  # the pixel of y that the last tap of pixel h0 meets
        end = taps[0] - 1 if taps[0] > 0 else None
        backwards = slice(taps[-1], end, -apart)
        found.append((first, length, len(taps), -last, dilation * apart // stride if len(taps) > 1 else 1, backwards))
    return found


def like_others(correlation: Correlation, rows: Range) -> tuple[Range, int, int]:
    """For rows of y that all see the whole kernel, the first such rows, whose plan is theirs too.

    Returns the rows that the plan is to be made for, how many numbers of x further on it is used, and pixels of y.
    """
    stride, before, dilation = correlation.stride[0], correlation.padding[0], correlation.dilation[0]
    height, taps = correlation.in_size[0], correlation.kernel_size[0]
    begin = max(0, -(-before // stride))
    if rows[0] <= begin or (rows[1] - 1) * stride - before + dilation * (taps - 1) >= height:
        return rows, 0, 0
    ahead = rows[0] - begin
    in_x = ahead * stride * correlation.in_size[1] * correlation.channels
    return (begin, rows[1] - ahead), in_x, ahead * correlation.pixel_steps[0]


@lru_cache(256)
def pixel_plan(correlation: Correlation, images: int, rows: Range, width: int, step: int, apart: bool = False) -> Plan:
    """The plan for rows i0 <= i < i1 of y in so many images, of `width` outputs.

    a is x (images, H, W, channels), from the group's first channel on; b the weights (KH, KW, depth, width), or if each
    output's lie apart (width, KH, KW, depth), for `dots`; c is y (images, out_pixels, step), from the first of these outputs on.
    """
    tile_rows = ROWS_OF_DOTS[width] if apart else ROWS[width]
    term = 1 if apart else width  # numbers of b from one term to the next
    (height, columns), (kh, kw), (sh, sw) = correlation.in_size, correlation.kernel_size, correlation.stride
    (top, left), (dh, dw) = correlation.padding, correlation.dilation
    channels, depth = correlation.channels, correlation.depth
    by_rows = _sorted_by(lambda i: inside(i * sh - top, dh, kh, height), range(*rows))
    by_columns = _sorted_by(lambda j: inside(j * sw - left, dw, kw, columns), range(correlation.out_size[1]))
    line = columns * channels  # of x
    table = _Table(tile_rows)
    n = np.arange(images)[:, None, None]
    for (p0, p1), lines in by_rows.items():
        for (q0, q1), across in by_columns.items():
            i, j = np.array(lines)[:, None], np.array(across)
            start = ((n * height + i * sh - top + dh * p0) * columns + j * sw - left + dw * q0) * channels
            if p0 == p1 or q0 == q1:
                start = np.zeros(1, np.int64)  # no tap reaches these pixels: an empty sum
            pixel = n * correlation.out_pixels + correlation.first
            pixel = pixel + i * correlation.pixel_steps[0] + j * correlation.pixel_steps[1]
            table.add_block(
                table.add_rows(start, pixel * step),
                b=(p0 * kw + q0) * depth * term,
                accumulate=False,
                axes=(
                    (p1 - p0, dh * line, kw * depth * term),
                    (q1 - q0, dw * channels, depth * term),
                    (depth, 1, term),
                ),
                by_output=kh * kw * depth if apart else 0,
            )
    return table.plan()


@lru_cache(256)
def tap_plan(
    geometry: ConvGeometry, images: int, rows: Range, taps: Range, width: int, spare: int, steps_y: tuple[int, int]
) -> Plan:
    """The plan that adds to the weight gradient of taps t0 <= t < t1, t = p KW + q, what rows i0 <= i < i1 of y give.

    a is x (images, H, W, C), from the group's first channel on; b is y (images, i1 - i0, OW, width), with so many numbers
    from image to image and from pixel to pixel as `steps_y` says; c is the gradient (KH, KW, C/G, width), and row `spare`
    of it, where the rows go that fill up a tile.

    At an edge some taps see less than others: of a 3×3 kernel with padding, those of its first row do not see the last row
    of the image. So a plan has a block for each set of taps that see the same pixels, or one for each set of pixels that
    the same taps see, whichever costs less. The second has more blocks, but the middle of the image is seen by every tap,
    and taps of few channels fill up tiles together.
    """
    (height, columns), (oh, ow), kw = geometry.in_size, geometry.out_size, geometry.kernel_size[1]
    (sh, sw), (top, left), (dh, dw) = geometry.stride, geometry.padding, geometry.dilation
    channels, depth = geometry.in_channels, geometry.in_channels // geometry.groups

    def pixels(tap: int) -> tuple[Range, Range]:
        p, q = divmod(tap, kw)
        begin, end = inside(dh * p - top, sh, oh, height)
        return (max(begin, rows[0]), min(end, rows[1])), inside(dw * q - left, sw, ow, columns)

    by_taps = [(*seen, alike) for seen, alike in _sorted_by(pixels, range(*taps)).items()]
    ways = [by_taps]
    by_rows = _sorted_by(lambda i: inside(i * sh - top, dh, geometry.kernel_size[0], height), range(*rows))
    by_columns = _sorted_by(lambda j: inside(j * sw - left, dw, kw, columns), range(ow))
    if len(by_rows) * len(by_columns) * (taps[1] - taps[0]) <= MOST_PAIRS:
        # Rows that see the same rows of the kernel are neighbours. (Those that see none may not be, and are not looked at.)
        by_pixels = []
        for (ps, lines), (qs, across) in itertools.product(by_rows.items(), by_columns.items()):
            alike = [p * kw + q for p in range(*ps) for q in range(*qs) if taps[0] <= p * kw + q < taps[1]]
            by_pixels.append(((lines[0], lines[-1] + 1), (across[0], across[-1] + 1), alike))
        ways.append(by_pixels)

    def cost(parts: list[tuple[Range, Range, list[int]]]) -> int:
        """Steps of tiles."""
        return sum(
            -(-len(alike) * depth // ROWS[width]) * (images * (i1 - i0) * (j1 - j0) + TILE_STEPS)
            for (i0, i1), (j0, j1), alike in parts
            if i0 < i1 and j0 < j1
        )

    image, pixel = steps_y
    table = _Table(ROWS[width])
    channel = np.arange(depth)
    for (i0, i1), (j0, j1), alike in min(ways, key=cost):
        if i0 >= i1 or j0 >= j1 or not alike:
            continue
        p, q = np.divmod(np.array(alike)[:, None], kw)
        start = ((i0 * sh - top + dh * p) * columns + j0 * sw - left + dw * q) * channels + channel
        tiles = table.add_rows(start, (np.array(alike)[:, None] * depth + channel) * width, spare * width)
        table.add_block(
            tiles,
            b=((i0 - rows[0]) * ow + j0) * pixel,
            accumulate=True,
            axes=(
                (images, height * columns * channels, image),
                (i1 - i0, sh * columns * channels, ow * pixel),
                (j1 - j0, sw * channels, pixel),
            ),
        )
    return table.plan()


def share_inside(geometry: ConvGeometry) -> float:
    """How many of all pairs of a tap and a pixel of y meet inside x."""
    share = 1.0
    for size, out, kernel, stride, before, dilation in zip(*geometry[4:]):
        ranges = [inside(dilation * p - before, stride, out, size) for p in range(kernel)]
        share *= sum(end - begin for begin, end in ranges) / (out * kernel)
    return share


class _Table:
    """A plan in the making."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.blocks: list[tuple[int, ...]] = []
        self.a: list[np.ndarray] = []
        self.c: list[np.ndarray] = []
        self.tiles = 0

    def add_rows(self, a: np.ndarray, c: np.ndarray, filling: int | None = None) -> Range:
        """Adds rows at these numbers of a and c; returns their first tile, and the one after their last.

        The last tile is filled up with its last row: done twice, it is no different, unless it is added to. Then c is
        `filling`, where it does no harm.
        """
        a, c = (np.ravel(numbers) for numbers in np.broadcast_arrays(a, c))
        missing = -len(a) % self.rows
        self.a.append(np.append(a, np.repeat(a[-1:], missing)))
        self.c.append(np.append(c, np.repeat(c[-1:] if filling is None else filling, missing)))
        first, self.tiles = self.tiles, self.tiles + (len(a) + missing) // self.rows
        return first, self.tiles

    def add_block(
        self, tiles: Range, b: int, accumulate: bool, axes: Sequence[tuple[int, int, int]], by_output: int = 0
    ) -> None:
        """Adds a block of these tiles, from this number of b on.

        by_output: numbers of b from one output to the next, if its terms lie side by side: vectors are along the last axis.
        axes: of each its length, and its steps in a and in b, the innermost last. An axis of one step is left out, and one
        whose steps are as long as the next one's, from end to end, becomes one with it: long loops are the faster ones.
        """
        joined: list[tuple[int, int, int]] = []
        for length, step_a, step_b in reversed(axes):
            inner, inner_a, inner_b = joined[0] if joined else (0, 0, 0)
            if joined and (step_a, step_b) == (inner * inner_a, inner * inner_b):
                joined[0] = (length * inner, inner_a, inner_b)
            elif length != 1 or (by_output and not joined):
                joined.insert(0, (length, step_a, step_b))
        joined = [(1, 1, 1)] * (len(axes) - len(joined)) + joined
        lengths, steps_a, steps_b = zip(*joined)
        in_bytes = [ITEM * step for step in (*steps_a, *steps_b, by_output)]
        self.blocks.append((*tiles, b * ITEM, int(accumulate), *lengths, *in_bytes, 0, 0))

    def plan(self) -> Plan:
        rows = (
            np.concatenate([np.empty(0, np.int64), *part]).reshape(-1, self.rows) * ITEM for part in (self.a, self.c)
        )
        return Plan(np.array(self.blocks, np.int64).reshape(-1, len(BLOCK_FIELDS)), *(read_only(part) for part in rows))


def _sorted_by(key: Callable[[int], Kind], numbers: range) -> dict[Kind, list[int]]:
    kinds: dict[Kind, list[int]] = {}
    for number in numbers:
        kinds.setdefault(key(number), []).append(number)
    return kinds


def inside(first: int, apart: int, count: int, size: int) -> Range:
    """The k from 0 to below count with 0 <= first + apart k < size."""
    begin = max(0, -(first // apart))
    end = min(count, (size - 1 - first) // apart + 1)
    return (begin, end) if begin < end else (0, 0)
