"""The first kernel of `weight_gradient` on tensor cores, in TF32: the same shares of the same sums.

Pixels of x and of y both lie in shared memory one after the other (see `tensor_cores`), three steps of 16 pixels at once:
one is multiplied while two are on their way. The shares are added up in float32, by `weight_gradient.total_kernel`.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import cuda, float32, int32

from ..geometry import ConvGeometry
from . import weight_gradient
from .intrinsics import cp_async4, cp_async16, cp_async_commit, cp_async_wait, narrow, quotient, remainder
from .kernel import Kernel, blocks_for
from .ladder.edges import copy_up_to_4, store_up_to_4
from .precision import OLDEST
from .tensor_cores import STAGES, STEP, WarpTile, choose, line_place, multiplier

OUTSIDE = -(1 << 30)  # a row of x from which no pixel leads into an image


def share_kernel(geometry: ConvGeometry) -> tuple[Kernel, int, int]:
    """The kernel of the sums over shares of the pixels, as `weight_gradient.share_kernel`, in float32."""
    groups = geometry.groups
    depth, outs = geometry.in_channels // groups, geometry.out_channels // groups
    rows = geometry.kernel_size[0] * geometry.kernel_size[1] * depth
    pixels = geometry.batch * geometry.out_size[0] * geometry.out_size[1]
    tile = choose(rows, outs, groups * max(1, pixels // weight_gradient.LEAST_PIXELS))
    blocks = blocks_for(rows, tile.rows) * groups
    columns = blocks_for(outs, tile.columns)
    count, each = weight_gradient.shares(pixels, blocks * columns)
    kernel = Kernel(
        _function(geometry._replace(batch=0), tile),
        ("float32*",) * 3 + ("int32",) * 2,
        (blocks * count, columns, 1),
        (tile.threads, 1, 1),
        blocks_per_sm=tile.blocks_per_sm,
        oldest=OLDEST,
    )
    return kernel, count, each


@lru_cache(512)
def _function(geometry: ConvGeometry, tile: WarpTile) -> Any:
    _, C, O, GROUPS, (H, W), (OH, OW), (KH, KW), (STEP_H, STEP_W), (TOP, LEFT), (MOVE_H, MOVE_W) = geometry  # noqa: E741
    DEPTH, OUTS = C // GROUPS, O // GROUPS
    ALL_ROWS = KH * KW * DEPTH

    ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS = tile
    WARPS = COLUMNS // WARP_COLUMNS  # side by side
    M, N_TILES = WARP_ROWS // 16, WARP_COLUMNS // 8
    A, B = ROWS * STEP, COLUMNS * STEP  # numbers of a step in shared memory
    ALL_A, ALL_B = STAGES * A, STAGES * B
    AHEAD = STAGES - 1  # steps that a copy begins before it is multiplied
    UNDER_WAY = AHEAD - 1  # steps that may still be under way when one is multiplied
    A_APART, B_APART = tile.threads // (ROWS // 4), tile.threads // (COLUMNS // 4)  # from a thread's pixel to its next
    A_FOURS, B_FOURS = STEP // A_APART, STEP // B_APART
    ROW_TILES = blocks_for(ALL_ROWS, ROWS)
    FOURS, OUT_FOURS = DEPTH % 4 == 0, OUTS % 4 == 0
    LOOKED_UP = 1 if FOURS else 4  # rows of a thread's four that are looked up

    multiply = multiplier(tile, by_rows=False)

    @cuda.jit(device=True, inline="always")
    def copy_a(a, to, x, pixel, end, down, right, channel):
        """Starts copies of four numbers of a column of a: what the thread's four rows find from a pixel of y."""
        image = quotient(min(pixel, narrow(end - 1)), OH * OW)  # an address must be one of x, even if nothing is read
        i = remainder(quotient(pixel, OW), OH)
        j = remainder(pixel, OW)
        for u in range(LOOKED_UP):
            h = narrow(STEP_H * i + down[u])
            w = narrow(STEP_W * j + right[u])
            there = pixel < end and 0 <= h < H and 0 <= w < W
            index = narrow(image * (H * W * C) + ((h * W + w) * C + channel[u] if there else 0))
            if FOURS:
                cp_async16(a, to, x, index, there)
            else:
                cp_async4(a, to + u, x, index, there)

    def add_share_tf32(x, y, share_sums, pixels, each):
        a_tile = cuda.shared.array(ALL_A, float32, alignment=16)
        b_tile = cuda.shared.array(ALL_B, float32, alignment=16)
        down = cuda.local.array(LOOKED_UP, int32)  # where the thread's rows look from pixel (0, 0) of y
        right = cuda.local.array(LOOKED_UP, int32)
        channel = cuda.local.array(LOOKED_UP, int32)
        sums = cuda.local.array((M, N_TILES, 4), float32)
        thread = cuda.threadIdx.x
        first_row = narrow(remainder(cuda.blockIdx.x, ROW_TILES) * ROWS)
        group = remainder(quotient(cuda.blockIdx.x, ROW_TILES), GROUPS)
        share = quotient(cuda.blockIdx.x, ROW_TILES * GROUPS)
        first_out = narrow(cuda.blockIdx.y * COLUMNS)
        begin = narrow(share * each)
        end = narrow(min(begin + each, pixels))

        # what this thread copies: four rows of a and four columns of b, at pixels that lie apart
        a_row = narrow(remainder(thread, ROWS // 4) * 4)
        a_pixel = quotient(thread, ROWS // 4)
        b_column = narrow(remainder(thread, COLUMNS // 4) * 4)
        b_pixel = quotient(thread, COLUMNS // 4)
        a_to = narrow(line_place(a_pixel, a_row, ROWS))
        b_to = narrow(line_place(b_pixel, b_column, COLUMNS))
        o = narrow(first_out + b_column)
        for u in range(LOOKED_UP):
            row = narrow(first_row + a_row + u)
            channel[u] = group * DEPTH + remainder(row, DEPTH)
            down[u] = quotient(row, DEPTH * KW) * MOVE_H - TOP
            right[u] = remainder(quotient(row, DEPTH), KW) * MOVE_W - LEFT
            if row >= ALL_ROWS:
                down[u] = OUTSIDE
        for i in range(M):
            for j in range(N_TILES):
                for v in range(4):
                    sums[i, j, v] = float32(0)

        # what it multiplies
        g = quotient(remainder(thread, 32), 4)
        t = remainder(thread, 4)
        warp_row = narrow(quotient(thread, 32 * WARPS) * WARP_ROWS)
        warp_column = narrow(remainder(quotient(thread, 32), WARPS) * WARP_COLUMNS)
        a_at = narrow(line_place(t, warp_row + 4 * g, ROWS))
        b_at = narrow(line_place(t, warp_column + 4 * g, COLUMNS))

        steps = quotient(end - begin + STEP - 1, STEP)
        filled = narrow(0)  # the stage that is filled next, and the one that is multiplied next
        ready = narrow(0)
        for step in range(narrow(steps + AHEAD)):
            cp_async_wait(UNDER_WAY)
            cuda.syncthreads()
            if step < steps:
                first = narrow(begin + step * STEP)
                to = narrow(filled * A + a_to)
                for l in range(A_FOURS):  # noqa: E741
                    pixel = narrow(first + a_pixel + l * A_APART)
                    copy_a(a_tile, to + l * (A_APART * ROWS), x, pixel, end, down, right, channel)
                to = narrow(filled * B + b_to)
                for l in range(B_FOURS):  # noqa: E741
                    pixel = narrow(first + b_pixel + l * B_APART)
                    there = OUTS - o if pixel < end else 0
                    index = narrow(pixel * O + group * OUTS + o)
                    copy_up_to_4(b_tile, to + l * (B_APART * COLUMNS), y, index, there, OUT_FOURS)
                filled = narrow(filled + 1 if filled < AHEAD else 0)
            cp_async_commit()
            if step >= AHEAD:
                multiply(a_tile, narrow(ready * A + a_at), b_tile, narrow(ready * B + b_at), sums)
                ready = narrow(ready + 1 if ready < AHEAD else 0)

        for i in range(M):
            for v in range(2):
                row = narrow(first_row + warp_row + i // 2 * 32 + 4 * g + i % 2 * 2 + v)
                if row < ALL_ROWS:
                    for j in range(0, N_TILES, 4):
                        for s in range(2):
                            o = narrow(first_out + warp_column + 8 * j + 8 * t + 4 * s)
                            to = narrow(((share * GROUPS + group) * ALL_ROWS + row) * OUTS + o)
                            v0, v1 = sums[i, j, 2 * v + s], sums[i, j + 1, 2 * v + s]
                            v2, v3 = sums[i, j + 2, 2 * v + s], sums[i, j + 3, 2 * v + s]
                            store_up_to_4(share_sums, to, OUTS - o, OUT_FOURS, v0, v1, v2, v3)

    return add_share_tf32
