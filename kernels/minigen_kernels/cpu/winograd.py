"""Winograd's convolution: tiles of 4 × 4 outputs for a fraction of the multiplications, in return for some additions.

A 3 × 3 kernel costs 9 multiplications an output. Where 4 × 4 outputs are computed together, from the 6 × 6 inputs d that
they see, it costs 36 / 16 = 2.25 (see `winograd_schemes` for why): y = A^T ((G g G^T) * (B^T d B)) A, * being number by
number. With many channels, the products are summed over the inputs' channels before A^T and A are applied, once for a tile
and an output. So each of the 36 numbers of a transformed tile, over all tiles and channels, is a matrix of its own, here
called a plane, and the convolution is 36 products of matrices between cheap sums. The bias is added to the plane of the
point 1, whose powers are all 1: A^T and A take it to all outputs as it is. Larger kernels get smaller tiles.

A stride of s is s² convolutions of stride 1, one for each phase of x (every s-th row and column, from row a and column b
on), with the taps that meet it: a 4 × 4 kernel of stride 2 is four of 2 × 2, and their sum is taken among the planes, as if
the phases were channels. Backwards, phases are outputs: a transposed convolution is s² convolutions of y with kernels
turned round, each of which gives one phase of x. The weight gradient is what the chain rule makes of the formula:
w = G^T (sum over tiles of (A dY A^T) * (B^T d B)) G, where a plane's sum over the tiles is a product of matrices too.

What it gained, `tiled`'s time over this one's, one core of a Zen 3 (vectors of 8):

    batch, C → O, side, kernel                   y       x       w
    64, 64 → 64, 28 × 28, 3 × 3                 2.5     2.4     2.9
    32, 16 → 16, 64 × 64, 3 × 3                 1.4     1.3     1.0
    64, 64 → 128, 32 × 32, 4 × 4, stride 2      1.9     1.4     2.7
    256, 64 → 128, 14 × 14, 5 × 5, stride 2     1.2     1.2     2.2
    256, 128 → 256, 7 × 7, 5 × 5                1.1     1.1     1.7

On a Zen 4 (vectors of 16), y and x gained as much. For 1,200 times y or x of 8 to 512 channels, images of 4 × 4 to 32 × 32
and 16 to 512 million multiplications, drawn at random, this way or `tiled` was chosen so that they took 1.02 times as long
as by the faster way (geometric mean, two cores of a Zen 3; 1.15 always by `tiled`). For 160 times w it was 1.02 too.

With many channels there are more transformed weights than fit into a cache: 36 MiB for 512 → 512, 3 × 3. Where tiles are
few, that is what takes the time. So not every worker goes through all of them with its share of the tiles, as otherwise: each
takes some columns of outputs, for many tiles; or for all tiles, when these are few, and then it transforms a column's weights
when it needs them and puts the next column's in their place, so that they stay in the last cache. 8 images of 7 × 7: 27 ms → 9.

What it costs: digits. On normal numbers and 16 to 256 channels, the root mean square error is 0.6e-6 to 4e-6 of the
results', where that of `tiled` is 0.1e-6 to 1.4e-6: two to five times as much. Small convolutions, where no time is to be
won, are left to `tiled`. And infinity in the input gives NaN, as it is subtracted from itself; as taps and the outputs of a
tile are mixed, NaN and what is not finite spread in the tile.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..geometry import ConvGeometry
from . import winograd_loops
from .addresses import address
from .layout import TASK_FLOPS, aligned, pieces, read_only, scratch, steps
from .plans import share_inside
from .threads import num_threads, run_shared
from .tile import CACHE_LINE, FULL_ROWS, ITEM, LANES, ROWS, WIDTHS
from .tiled import TASKS, cut
from .winograd_loops import PACKED
from .winograd_schemes import ONE, Scheme
from .winograd_vectors import (
    INPUTS,
    OUTPUT_GRADIENTS,
    PRODUCTS,
    WEIGHT_GRADIENTS,
    WEIGHTS,
    multiply_address,
    transform_address,
)

MOST_OUTS, SIDE = 4, 6  # of a tile along each axis: outputs, and inputs; more cost too many digits
MOST_STRIDE = 2
MOST_TAPS = 5  # of a phase's kernel
LEAST = 1 << 24  # multiplications of the plain way, 0.2 to 0.4 ms of one core: below that, there is little time to win
WORTH = 0.8  # it pays below that share of the plain way's cost,
WORTH_OF_WEIGHTS = 0.8 if LANES == 16 else 1.0  # a weight gradient below that: shorter vectors slow the plain way more
CHUNK_BYTES = 256 << 10  # of transformed tiles, worked on at a time by one thread, or
CHUNK_TILES = 48  # so many where these are more: each plane's weights are read again for each chunk
MANY_WEIGHTS = 4 << 20  # bytes of transformed ones: more do not stay in the caches
FEW_TILES = 96  # so few that one worker may transform the inputs of all of them again
TRANSFORMED_BYTES = 4 << 20  # the same of a weight gradient, whose tiles all threads share
PACK_INS, UNPACK_INS = 4 * PACKED, 4 * PACKED  # of the tasks before and after
FLOAT = np.dtype(np.float32)


class Costs(NamedTuple):
    """What is done besides the products, in multiplications; measured on a Zen 3."""

    start: int  # whatever the sizes
    number: int  # transforming one of a tile, or of what becomes one
    weight: int  # transforming one of a plane
    fill: int  # the depth counts as the next multiple of this


COSTS, GRADIENT_COSTS = Costs(6 << 21, 6, 38, 1), Costs(1 << 21, 10, 25, FULL_ROWS)
PACKING_COST, UNPACKING_COST = 300, 150  # of one of the plain way's weights


class Side(NamedTuple):
    """Where tiles lie in x or y. The first tile begins at row `top` and column `left`, which may be outside."""

    height: int
    width: int
    channels: int
    step: int  # pixels from one of a tile to the next
    top: int
    left: int


class Plan(NamedTuple):
    """A convolution by tiles, from x to y; or from y to x, each in the other's place."""

    scheme: Scheme
    x: Side
    y: Side
    phases: tuple[int, ...]  # of y that are computed
    grid: tuple[int, int]  # tiles down and across an image
    tiles: int  # of all images

    @property
    def depth(self) -> int:
        """Numbers of a place of x: its phases' channels."""
        return self.x.step**2 * self.x.channels


class Column(NamedTuple):
    """Outputs first, ..., end - 1 of a phase, computed side by side in rows of `width` >= end - first numbers; `plane`
    numbers from one plane of their weights to the next.
    """

    phase: int
    first: int
    end: int
    width: int
    plane: int


@lru_cache(256)
def applies(geometry: ConvGeometry, dtype: np.dtype) -> bool:
    """Whether this is the fastest way from x to y: for enough channels and tiles, without many tiles half empty."""
    return _fits(geometry, dtype) and _cost(_forwards(geometry)) < WORTH * _packed_cost(geometry)


@lru_cache(256)
def applies_transposed(geometry: ConvGeometry, dtype: np.dtype) -> bool:
    """Whether this is the fastest way from y to x."""
    return _fits(geometry, dtype) and sum(map(_cost, _backwards(geometry))) < WORTH * _packed_cost(geometry)


@lru_cache(256)
def applies_to_weight_grad(geometry: ConvGeometry, dtype: np.dtype) -> bool:
    """Whether this is the fastest way to the weight gradient."""
    if not _fits(geometry, dtype):
        return False
    plain = _packed_cost(geometry, UNPACKING_COST)
    return _cost(_forwards(geometry), GRADIENT_COSTS) < WORTH_OF_WEIGHTS * plain


def _fits(geometry: ConvGeometry, dtype: np.dtype) -> bool:
    """Whether it can be computed here, and is large enough for the question."""
    (kh, kw), (sh, sw) = geometry.kernel_size, geometry.stride
    if dtype != FLOAT or kh != kw or sh != sw or sh > MOST_STRIDE or geometry.dilation != (1, 1) or geometry.groups > 1:
        return False
    enough = min(geometry.in_channels, geometry.out_channels) >= LANES
    return enough and 2 <= -(-kh // sh) <= MOST_TAPS and _plain_cost(geometry) >= LEAST


def _plain_cost(geometry: ConvGeometry) -> float:
    """Multiplications of the plain way."""
    (kh, kw), (oh, ow) = geometry.kernel_size, geometry.out_size
    pairs = geometry.batch * oh * ow * kh * kw * share_inside(geometry)
    return pairs * geometry.in_channels * geometry.out_channels


def _packed_cost(geometry: ConvGeometry, packing: int = PACKING_COST) -> float:
    """The plain way's multiplications, and what packing its weights costs, or unpacking a gradient of them."""
    (kh, kw), channels = geometry.kernel_size, geometry.in_channels * geometry.out_channels
    return _plain_cost(geometry) + packing * channels * kh * kw


def _cost(plan: Plan, costs: Costs = COSTS) -> float:
    """Multiplications of this way, and what the transforms cost, in multiplications."""
    depth, outs = plan.depth, len(plan.phases) * plan.y.channels
    products = -(-depth // costs.fill) * costs.fill * outs
    return costs.start + plan.scheme.planes * (
        plan.tiles * (products + costs.number * (depth + outs)) + costs.weight * depth * outs
    )


@lru_cache(256)
def _forwards(geometry: ConvGeometry) -> Plan:
    """From x to y: y's pixel i is the sum over phases a and taps t of x[s (i + t) + a - top] w[s t + a]."""
    (height, width), (top, left), step = geometry.out_size, geometry.padding, geometry.stride[0]
    x = Side(*geometry.in_size, geometry.in_channels, step, -top, -left)
    y = Side(height, width, geometry.out_channels, 1, 0, 0)
    return _plan(geometry, x, y, (0,), (height, width))


@lru_cache(256)
def _backwards(geometry: ConvGeometry) -> list[Plan]:
    """From y to x: x's pixel s u + a - top is the sum over taps t of y[u - t] w[s t + a].

    All phases at the same places, or each at its own, which may begin and end one earlier: then there may be fewer tiles.
    """
    step, phases = geometry.stride[0], tuple(range(geometry.stride[0] ** 2))
    together = _backwards_at(geometry, (0, step - 1), (0, step - 1), phases)
    apart = [_backwards_at(geometry, (f // step,) * 2, (f % step,) * 2, (f,)) for f in phases]
    return apart if sum(map(_cost, apart)) < _cost(together) else [together]


def _backwards_at(
    geometry: ConvGeometry, rows: tuple[int, int], columns: tuple[int, int], phases: tuple[int, ...]
) -> Plan:
    """For phases a from the first to the last of `rows` down, and of `columns` across."""
    step, taps = geometry.stride[0], -(-geometry.kernel_size[0] // geometry.stride[0])
    first, places = [], []
    for size, before, (low, high) in zip(geometry.in_size, geometry.padding, (rows, columns)):
        first.append(-((high - before) // step))  # where the last phase is not before the image
        places.append((size - 1 + before - low) // step + 1 - first[-1])
    (u, v), (top, left) = first, geometry.padding
    y = Side(*geometry.out_size, geometry.out_channels, 1, u - taps + 1, v - taps + 1)
    x = Side(*geometry.in_size, geometry.in_channels, step, step * u - top, step * v - left)
    return _plan(geometry, y, x, phases, places)


def _plan(geometry: ConvGeometry, x: Side, y: Side, phases: tuple[int, ...], places: Sequence[int]) -> Plan:
    taps = -(-geometry.kernel_size[0] // geometry.stride[0])
    scheme = Scheme(min(MOST_OUTS, SIDE + 1 - taps), taps)
    grid = (max(0, -(-places[0] // scheme.outs)), max(0, -(-places[1] // scheme.outs)))
    return Plan(scheme, x, y, phases, grid, geometry.batch * grid[0] * grid[1])


def convolve(x: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """y (N, OH, OW, O) from x (N, H, W, C), w (O, C, K, K) and a bias (O,)."""
    y = aligned((geometry.batch, *geometry.out_size, geometry.out_channels), x.dtype)
    _convolve(x, w, y, _forwards(geometry), bias)
    return y


def transposed(y: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """x (N, H, W, C) from y (N, OH, OW, O), w (O, C, K, K) and a bias (C,)."""
    x = aligned((geometry.batch, *geometry.in_size, geometry.in_channels), y.dtype)
    for plan in _backwards(geometry):
        _convolve(y, w, x, plan, bias, turned=True)
    return x


def _convolve(
    x: np.ndarray, w: np.ndarray, y: np.ndarray, plan: Plan, bias: np.ndarray | None, turned: bool = False
) -> None:
    """Writes the phases of a plan to y."""
    scheme, side_x, side_y, phases, grid, tiles = plan
    if tiles == 0:
        return
    columns = [
        Column(f, first, end, width, _with_room(plan.depth * width))
        for f in phases
        for first, end, width in _columns(side_y.channels)
    ]
    parts, groups, alone = _tasks(plan, len(columns))
    rooms, widest = num_threads(), max(column.width for column in columns)
    numbers = scheme.planes * max(column.plane for column in columns)
    if alone:
        column_of_worker = scratch("column", (rooms, numbers), x.dtype)
        weights, of_worker = [column_of_worker] * len(columns), column_of_worker.strides[0]
    else:
        weights, of_worker = [aligned((numbers,), x.dtype) for _ in columns], 0
    starts = [np.zeros((scheme.planes, column.width), x.dtype) for column in columns]
    if bias is not None:
        for start, column in zip(starts, columns):
            start[ONE * scheme.side + ONE, : column.end - column.first] = bias[column.first : column.end]
    addresses = np.array([(address(u), address(start)) for u, start in zip(weights, starts)], np.int64)
    ins, step = side_x.channels, max(side_x.step, side_y.step)
    shares = [(f, part.start, part.stop) for f in range(side_x.step**2) for part in pieces(ins, least=PACK_INS)]

    most = max(_chunk(scheme, plan.depth + widest, part.stop - part.start, CHUNK_BYTES) for part in parts)
    most = tiles if alone else most  # alone, a column's weights are there only once
    filled = max(-(-most // rows) * rows for rows in ROWS.values())  # what fills up the last tile is computed too
    v = _planes("inputs", rooms, scheme, filled * plan.depth)
    m = _planes("products", rooms, scheme, filled * widest)
    zeros, nowhere = np.zeros(ins, x.dtype), aligned((rooms, max(WIDTHS)), x.dtype)
    by_weights, by_inputs, by_products = (transform_address(which, *scheme) for which in (WEIGHTS, INPUTS, PRODUCTS))
    packing = read_only(np.ascontiguousarray(w)), turned, step, ins, by_weights
    run_shared(
        winograd_loops.convolve,
        len(parts) * len(groups),
        winograd_loops.PACK,
        tuple(scheme),
        np.array(columns, np.int64),
        addresses,
        (np.array(shares), *packing, _room(rooms, scheme), of_worker),
        (address(x), side_x, _pixels(scheme.side, side_x), address(zeros), v, by_inputs),
        (m, multiply_address(), by_products),
        (address(y), side_y, _pixels(scheme.outs, side_y), (address(nowhere), nowhere.strides[0])),
        grid,
        (_ends(parts), most, _ends(groups)),
        rooms=rooms,
    )


def _tasks(plan: Plan, columns: int) -> tuple[list[slice], list[slice], bool]:
    """Parts of the tiles and groups of the columns, of which each pair is a task; and whether a task transforms its weights
    itself, column by column, rather than find all of them done. The results are the same bits, however the work is cut.
    """
    weights = plan.scheme.planes * plan.depth * columns  # those of one output of each column
    worth = -(-TASK_FLOPS // (2 * weights * LANES))
    if weights * max(WIDTHS) * ITEM <= MANY_WEIGHTS:
        return pieces(plan.tiles, least=worth, count=2 * TASKS), [slice(0, columns)], False
    # All workers then hold the inputs of all tiles, which must not be more than the weights.
    smaller = plan.tiles * num_threads() <= columns * max(WIDTHS)
    alone = plan.tiles <= FEW_TILES and columns >= TASKS and smaller
    least = max(worth, min(CHUNK_TILES, plan.tiles * columns // TASKS))
    parts = [slice(0, plan.tiles)] if alone else pieces(plan.tiles, least=least, count=2 * TASKS)
    return parts, pieces(columns, count=-(-2 * TASKS // len(parts))), alone


def weight_grad(x: np.ndarray, y: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """w (O, C, K, K) from x (N, H, W, C) and y (N, OH, OW, O).

    Some tiles at a time, x and y are transformed once, shared out by tiles; then their products are added up, shared out by
    planes, each of which one thread adds up in the order of the tiles.
    """
    plan = _forwards(geometry)
    scheme, side_x, side_y, _, grid, tiles = plan
    ins, step = side_x.channels, side_x.step
    w = np.zeros((side_y.channels, ins, *geometry.kernel_size), x.dtype)
    if tiles == 0:
        return w
    outs = _columns(side_y.channels)
    *before, widths = itertools.accumulate([width for _, _, width in outs], initial=0)
    columns = [(*column, place) for column, place in zip(outs, before)]
    blocks = [
        (k, phase, block.start, block.stop)
        for k in range(len(columns))
        for phase in range(step**2)
        for block in steps(slice(0, ins), UNPACK_INS)
    ]
    rows = -(-plan.depth // FULL_ROWS) * FULL_ROWS
    most = _chunk(scheme, plan.depth + widths, tiles, TRANSFORMED_BYTES)
    v, _, of_v = _planes("inputs", 1, scheme, most * plan.depth)
    z, _, of_z = _planes("products", 1, scheme, most * widths)
    sums = aligned((scheme.planes * rows * widths,), x.dtype)
    zeros = np.zeros(max(ins, side_y.channels, *WIDTHS), x.dtype)
    by_inputs, by_gradients, by_weight_gradients = (
        transform_address(which, *scheme) for which in (INPUTS, OUTPUT_GRADIENTS, WEIGHT_GRADIENTS)
    )
    rooms = num_threads()
    run_shared(
        winograd_loops.weight_gradient,
        tiles,
        winograd_loops.TRANSFORM,
        0,
        tuple(scheme),
        np.array(columns),
        (address(x), side_x, _pixels(scheme.side, side_x), (v, of_v), by_inputs),
        (address(y), side_y, _pixels(scheme.outs, side_y), (z, of_z), multiply_address(), by_gradients),
        address(zeros),
        (address(sums), rows, widths),
        grid,
        (tiles, most),
        np.array(blocks),
        (w, step, _room(rooms, scheme), by_weight_gradients),
        rooms=rooms,
    )
    return w


def _columns(outs: int) -> list[tuple[int, int, int]]:
    """Columns of outputs, each of at least a vector: for that, the last may begin before the one before it ends."""
    return [(min(first, end - LANES), end, width) for first, end, width in cut(outs)]


def _with_room(numbers: int) -> int:
    """So many numbers of a plane and some room: an odd number of cache lines, so that planes begin in different ones."""
    line = CACHE_LINE // ITEM
    return (-(-numbers // line) | 1) * line


def _chunk(scheme: Scheme, numbers: int, tiles: int, size: int) -> int:
    """How many of the tiles are worked on at a time: of so many numbers on each plane, and about `size` bytes together."""
    return max(1, min(max(CHUNK_TILES, size // (ITEM * scheme.planes * numbers)), tiles))


def _ends(parts: list[slice]) -> np.ndarray:
    """Where parts that lie side by side begin, and where the last one ends."""
    return np.array([parts[0].start, *[part.stop for part in parts]])


def _planes(name: str, rooms: int, scheme: Scheme, size: int) -> tuple[int, int, np.ndarray]:
    """Planes (n², size or more) for each worker: the address of the first, bytes from one worker's to the next one's, and
    the planes' byte offsets. Planes of a power of two do not all begin in the same lines of a cache.

    A weight gradient's last tile reads up to a tile's rows beyond its plane.
    """
    numbers = -(-size // LANES) * LANES + max(LANES, *ROWS.values())
    planes = scratch(name, (rooms, scheme.planes, numbers), FLOAT)
    return address(planes), planes.strides[0], _apart(scheme.planes, numbers)


def _room(rooms: int, scheme: Scheme) -> np.ndarray:
    """Room for weights (r², PACKED, width), for each worker."""
    return scratch("weights", (rooms, scheme.taps**2 * PACKED * max(WIDTHS)), FLOAT)


@lru_cache(256)
def _apart(count: int, numbers: int) -> np.ndarray:
    """The byte offsets of `count` vectors that are so many numbers apart."""
    return np.arange(count) * (numbers * 4)


@lru_cache(256)
def _pixels(count: int, side: Side) -> np.ndarray:
    """The byte offsets of a tile's count × count pixels in the middle of an image."""
    return (np.arange(count)[:, None] * side.width + np.arange(count)) * (side.step * side.channels * 4)
