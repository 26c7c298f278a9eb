"""The kernels of the weight gradient: products of matrices with a long sum, cut into parts that are added in their order.

For each group, w = a b: a row of a for each tap and channel, with what the tap finds in x at every output pixel; b is y as
it lies in memory, a row for each pixel and a column for each output channel. The sum runs over all pixels of the batch,
while w has few tiles, so each block computes a tile's sum over a share of the pixels. The shares depend on shapes alone,
and a second kernel adds them in their order, so that results are the same every time, to the last bit.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import cuda, int32

from ..geometry import ConvGeometry
from .intrinsics import narrow, quotient, remainder
from .kernel import Kernel, blocks_for
from .quads import number_of, quads
from .tiles import ENOUGH_BLOCKS, PAD, Tile, choose, multiplier

LEAST_PIXELS = 256  # of a share; a shorter sum costs less than adding it up
THREADS = 256
OUTSIDE = -(1 << 30)  # a row of x from which no pixel leads into an image


def shares(pixels: int, blocks: int) -> tuple[int, int]:
    """Into how many shares the sum over so many pixels is cut, and how many pixels each has, for so many tiles of w."""
    count = max(1, min(blocks_for(2 * ENOUGH_BLOCKS, blocks), pixels // LEAST_PIXELS))
    each = blocks_for(pixels, count)
    return blocks_for(pixels, each), each


def share_kernel(geometry: ConvGeometry, dtype: str) -> tuple[Kernel, int, int]:
    """The kernel of the sums over shares of the pixels, how many shares there are, and how many pixels each has.

    Its arguments are x (N, H, W, C), y (N, OH, OW, O), sums (shares, G, KH KW C/G, O/G), the number of all pixels and the
    pixels of a share.
    """
    groups = geometry.groups
    depth, outs = geometry.in_channels // groups, geometry.out_channels // groups
    rows = geometry.kernel_size[0] * geometry.kernel_size[1] * depth
    pixels = geometry.batch * geometry.out_size[0] * geometry.out_size[1]
    tile = choose(rows, outs, groups * max(1, pixels // LEAST_PIXELS))
    blocks = blocks_for(rows, tile.rows) * groups
    columns = blocks_for(outs, tile.columns)
    count, each = shares(pixels, blocks * columns)
    kernel = Kernel(
        _function(geometry._replace(batch=0), tile, dtype),
        (f"{dtype}*",) * 3 + ("int32",) * 2,
        (blocks * count, columns, 1),
        (tile.threads, 1, 1),
        blocks_per_sm=tile.blocks_per_sm(dtype),
    )
    return kernel, count, each


@lru_cache(512)
def _function(geometry: ConvGeometry, tile: Tile, dtype: str) -> Any:
    _, C, O, GROUPS, (H, W), (OH, OW), (KH, KW), (STEP_H, STEP_W), (TOP, LEFT), (MOVE_H, MOVE_W) = geometry  # noqa: E741
    DEPTH, OUTS = C // GROUPS, O // GROUPS
    ALL_ROWS = KH * KW * DEPTH

    ROWS, COLUMNS, STEP, THREAD_ROWS, THREAD_COLUMNS = tile
    THREADS, ACROSS = tile.threads, COLUMNS // THREAD_COLUMNS
    PITCH = ROWS + PAD
    A, B = STEP * PITCH, STEP * COLUMNS  # numbers of a half of the shared memory
    BOTH_A, BOTH_B = 2 * A, 2 * B
    A_FOURS, B_FOURS = ROWS * STEP // 4 // THREADS, blocks_for(STEP * COLUMNS // 4, THREADS)
    A_WIDE, A_APART = (
        ROWS // 4,
        THREADS * 4 // ROWS,
    )  # fours of a pixel in a step; pixels from a thread's four to its next
    ROW_TILES = blocks_for(ALL_ROWS, ROWS)
    FOURS = DEPTH % 4 == 0
    OUT_FOURS = OUTS % 4 == 0
    LOOKED_UP = 1 if FOURS else 4  # rows of a thread's four that are looked up

    number = number_of(dtype)
    load, store = quads(dtype)
    multiply = multiplier(tile, dtype)

    @cuda.jit(device=True, inline="always")
    def fetch_a(x, a, four, pixel, end, down, right, channel):
        """Four numbers of a column of a: what the thread's four rows find from a pixel of y."""
        for u in range(4):
            a[four, u] = number(0)
        if pixel < end:
            image = quotient(pixel, OH * OW)
            i = remainder(quotient(pixel, OW), OH)
            j = remainder(pixel, OW)
            for u in range(LOOKED_UP):
                h = narrow(STEP_H * i + down[u])
                w = narrow(STEP_W * j + right[u])
                if 0 <= h < H and 0 <= w < W:
                    index = narrow(((image * H + h) * W + w) * C + channel[u])
                    if FOURS:
                        a[four, 0], a[four, 1], a[four, 2], a[four, 3] = load(x, index)
                    else:
                        a[four, u] = x[index]

    @cuda.jit(device=True, inline="always")
    def fetch_b(y, b, four, pixel, end, o, group):
        """Four numbers of a row of b: a pixel of y, output channels o to o + 3."""
        for u in range(4):
            b[four, u] = number(0)
        if pixel < end:  # beyond, a is zero, and so must b be, lest zero times NaN is added
            index = narrow(pixel * O + group * OUTS + o)
            if OUT_FOURS:
                if o < OUTS:
                    b[four, 0], b[four, 1], b[four, 2], b[four, 3] = load(y, index)
            else:
                for u in range(4):
                    if o + u < OUTS:
                        b[four, u] = y[index + u]

    def add_share(x, y, share_sums, pixels, each):
        a_tile = cuda.shared.array(BOTH_A, number, alignment=16)
        b_tile = cuda.shared.array(BOTH_B, number, alignment=16)
        a = cuda.local.array((A_FOURS, 4), number)
        b = cuda.local.array((B_FOURS, 4), number)
        down = cuda.local.array(LOOKED_UP, int32)  # where the thread's rows look from pixel (0, 0) of y
        right = cuda.local.array(LOOKED_UP, int32)
        channel = cuda.local.array(LOOKED_UP, int32)
        sums = cuda.local.array((THREAD_ROWS, THREAD_COLUMNS), number)
        thread = cuda.threadIdx.x
        first_row = narrow(remainder(cuda.blockIdx.x, ROW_TILES) * ROWS)
        group = remainder(quotient(cuda.blockIdx.x, ROW_TILES), GROUPS)
        share = quotient(cuda.blockIdx.x, ROW_TILES * GROUPS)
        first_out = narrow(cuda.blockIdx.y * COLUMNS)
        begin = narrow(share * each)
        end = narrow(min(begin + each, pixels))

        a_row = narrow(remainder(thread, A_WIDE) * 4)
        a_pixel = quotient(thread, A_WIDE)
        for u in range(LOOKED_UP):
            row = narrow(first_row + a_row + u)
            channel[u] = group * DEPTH + remainder(row, DEPTH)
            down[u] = quotient(row, DEPTH * KW) * MOVE_H - TOP
            right[u] = remainder(quotient(row, DEPTH), KW) * MOVE_W - LEFT
            if row >= ALL_ROWS:  # it is not stored, so nothing need be read for it
                down[u] = OUTSIDE
        for i in range(THREAD_ROWS):
            for j in range(THREAD_COLUMNS):
                sums[i, j] = number(0)

        across = remainder(thread, ACROSS)
        below = quotient(thread, ACROSS)
        steps = quotient(end - begin + STEP - 1, STEP)
        for step in range(narrow(-1), steps):
            # what the next step multiplies starts from global memory
            if step + 1 < steps:
                first = narrow(begin + (step + 1) * STEP)
                for l in range(A_FOURS):  # noqa: E741
                    fetch_a(x, a, l, narrow(first + a_pixel + l * A_APART), end, down, right, channel)
                for l in range(B_FOURS):  # noqa: E741
                    four = narrow(thread + l * THREADS)
                    if four < STEP * COLUMNS // 4:
                        pixel = narrow(first + quotient(four, COLUMNS // 4))
                        fetch_b(y, b, l, pixel, end, narrow(first_out + remainder(four, COLUMNS // 4) * 4), group)
            if step >= 0:
                a_at = narrow((step & 1) * A + below * THREAD_ROWS)
                b_at = narrow((step & 1) * B + across * 4)
                for k in range(0, STEP, 4):
                    multiply(a_tile, a_at + k * PITCH, b_tile, b_at + k * COLUMNS, sums)
                    multiply(a_tile, a_at + (k + 1) * PITCH, b_tile, b_at + (k + 1) * COLUMNS, sums)
                    multiply(a_tile, a_at + (k + 2) * PITCH, b_tile, b_at + (k + 2) * COLUMNS, sums)
                    multiply(a_tile, a_at + (k + 3) * PITCH, b_tile, b_at + (k + 3) * COLUMNS, sums)
            if step + 1 < steps:
                half = narrow(step + 1 & 1)
                for l in range(A_FOURS):  # noqa: E741
                    to = half * A + (a_pixel + l * A_APART) * PITCH + a_row
                    store(a_tile, to, a[l, 0], a[l, 1], a[l, 2], a[l, 3])
                for l in range(B_FOURS):  # noqa: E741
                    four = thread + l * THREADS
                    if four < STEP * COLUMNS // 4:
                        store(b_tile, half * B + four * 4, b[l, 0], b[l, 1], b[l, 2], b[l, 3])
            cuda.syncthreads()

        for i in range(THREAD_ROWS):
            row = narrow(first_row + below * THREAD_ROWS + i)
            if row < ALL_ROWS:
                for j in range(0, THREAD_COLUMNS, 4):
                    o = narrow(first_out + j // 4 * (ACROSS * 4) + across * 4)
                    to = narrow(((share * GROUPS + group) * ALL_ROWS + row) * OUTS + o)
                    if OUT_FOURS:
                        if o < OUTS:
                            store(share_sums, to, sums[i, j], sums[i, j + 1], sums[i, j + 2], sums[i, j + 3])
                    else:
                        for u in range(4):
                            if o + u < OUTS:
                                share_sums[to + u] = sums[i, j + u]

    return add_share


def total_kernel(geometry: ConvGeometry, dtype: str) -> Kernel:
    """The kernel that adds the shares up, in their order; its arguments are sums, w (O, C/G, KH, KW) and how many there are."""
    groups, (height, width) = geometry.groups, geometry.kernel_size
    depth, outs = geometry.in_channels // groups, geometry.out_channels // groups
    blocks = blocks_for(groups * height * width * depth * outs, THREADS)
    function = _total(groups, height * width, depth, outs)
    return Kernel(function, (f"{dtype}*",) * 2 + ("int32",), (blocks, 1, 1), (THREADS, 1, 1))


@lru_cache(512)
def _total(groups: int, TAPS: int, DEPTH: int, OUTS: int) -> Any:
    SIZE = groups * TAPS * DEPTH * OUTS

    def add_up(sums, w, count):
        place = narrow(cuda.grid(1))
        if place < SIZE:
            total = sums[place]
            for share in range(1, count):
                total += sums[narrow(share * SIZE + place)]
            out = narrow(quotient(place, TAPS * DEPTH * OUTS) * OUTS + remainder(place, OUTS))
            channel = remainder(quotient(place, OUTS), DEPTH)
            tap = remainder(quotient(place, OUTS * DEPTH), TAPS)
            w[narrow((out * DEPTH + channel) * TAPS + tap)] = total

    return add_up
