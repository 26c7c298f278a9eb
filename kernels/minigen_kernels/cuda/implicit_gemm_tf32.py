"""The kernel of `implicit_gemm` on tensor cores, in TF32: the same product of matrices, phases and layouts.

A block computes its tile in steps of 16 numbers of the sum. Each step's numbers go to shared memory by copies that need no
registers and no waiting: while the warps multiply one step, two more are on their way. a lies in shared memory row after
row, b number after number (see `tensor_cores`). The numbers are rounded to TF32 on their way to the tensor cores.

Where `depth` divides by 16, a step never mixes taps, and no tap of another phase is multiplied. Otherwise the sum runs over
taps and channels together, as if all phases had as many taps as the largest; where `depth` divides by four, four numbers
are still channels of one tap and one copy.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import cuda, float32, int32

from .correlation import Correlation
from .intrinsics import cp_async4, cp_async16, cp_async_commit, cp_async_wait, narrow, quotient, remainder
from .kernel import Kernel, blocks_for
from .ladder.edges import copy_up_to_4, store_up_to_4
from .precision import OLDEST
from .tensor_cores import STAGES, STEP, WarpTile, choose, line_place, multiplier

OUTSIDE = -(1 << 30)  # a row of x from which no move leads into an image


def correlation_kernel(correlation: Correlation, batch: int, biased: bool) -> Kernel:
    """The kernel of a correlation, with the arguments of `implicit_gemm.correlation_kernel`, in float32."""
    tile = choose(batch * correlation.pixels, correlation.outs, correlation.parts)
    blocks = blocks_for(batch * correlation.pixels, tile.rows) * correlation.parts
    return Kernel(
        _function(correlation, tile, biased),
        ("float32*",) * 4 + ("int32",),
        (blocks, blocks_for(correlation.outs, tile.columns), 1),
        (tile.threads, 1, 1),
        blocks_per_sm=tile.blocks_per_sm,
        oldest=OLDEST,
    )


@lru_cache(512)
def _function(correlation: Correlation, tile: WarpTile, biased: bool) -> Any:
    GROUPS, DEPTH, OUTS, rows, columns = correlation
    H, W, KW = rows.source, columns.source, columns.kernel
    STEP_H, MOVE_H, EVERY_H, FIRST_H, TAPS_H, ORIGIN_H = rows[3:]
    STEP_W, MOVE_W, EVERY_W, FIRST_W, TAPS_W, ORIGIN_W = columns[3:]
    OUT_H, OUT_W = rows.result, columns.result
    PHASES_H, PHASES_W, LONGEST_H, LONGEST_W = rows.phases, columns.phases, rows.longest, columns.longest
    MOST_H, MOST_W = max(TAPS_H), max(TAPS_W)
    CHANNELS, ALL_OUTS = GROUPS * DEPTH, GROUPS * OUTS

    ROWS, COLUMNS, WARP_ROWS, WARP_COLUMNS = tile
    WARPS = COLUMNS // WARP_COLUMNS  # side by side
    M, N_TILES = WARP_ROWS // 16, WARP_COLUMNS // 8
    A, B = ROWS * STEP, COLUMNS * STEP  # numbers of a step in shared memory
    ALL_A, ALL_B = STAGES * A, STAGES * B
    AHEAD = STAGES - 1  # steps that a copy begins before it is multiplied
    UNDER_WAY = AHEAD - 1  # steps that may still be under way when one is multiplied
    A_APART, B_APART = tile.threads // (STEP // 4), tile.threads // (COLUMNS // 4)  # from a thread's four to its next
    A_FOURS, B_FOURS = ROWS // A_APART, STEP // B_APART
    BY_TAPS = DEPTH % STEP == 0
    FOURS, OUT_FOURS = DEPTH % 4 == 0, OUTS % 4 == 0
    LOOKED_UP = 1 if FOURS else 4  # numbers of a four that are looked up

    multiply = multiplier(tile, by_rows=True)

    @cuda.jit(device=True, inline="always")
    def place(step, p, q, c, k):
        """Number k of a step: its taps in the phase, and its channel."""
        if BY_TAPS:
            return p, q, c + k
        place = narrow(step * STEP + k)
        tap = quotient(place, DEPTH)
        return quotient(tap, MOST_W), remainder(tap, MOST_W), remainder(place, DEPTH)

    @cuda.jit(device=True, inline="always")
    def copy_a(a, to, x, step, p, q, c, k, taps_h, taps_w, row, column, start):
        """Starts copies of four numbers of a row of a: numbers k to k + 3 of the step."""
        for u in range(LOOKED_UP):
            pu, qu, cu = place(step, p, q, c, k + u)
            h = narrow(row + MOVE_H * pu)
            w = narrow(column + MOVE_W * qu)
            there = 0 <= h < H and 0 <= w < W and (BY_TAPS or (pu < taps_h and qu < taps_w))
            index = narrow(start + ((h * W + w) * CHANNELS + cu if there else 0))
            if FOURS:
                cp_async16(a, to, x, index, there)
            else:
                cp_async4(a, to + u, x, index, there)

    @cuda.jit(device=True, inline="always")
    def copy_b(b, to, w, step, p, q, c, k, taps_h, taps_w, first_h, first_w, o, group):
        """Starts copies of four numbers of row k of b in the step: output channels o to o + 3."""
        pk, qk, ck = place(step, p, q, c, k)
        tap = narrow((first_h + EVERY_H * pk) * KW + first_w + EVERY_W * qk)
        there = OUTS - o if BY_TAPS or (pk < taps_h and qk < taps_w) else 0
        copy_up_to_4(b, to, w, narrow((tap * DEPTH + ck) * ALL_OUTS + group * OUTS + o), there, OUT_FOURS)

    def correlate_tf32(x, w, bias, y, N):
        a_tile = cuda.shared.array(ALL_A, float32, alignment=16)
        b_tile = cuda.shared.array(ALL_B, float32, alignment=16)
        starts = cuda.local.array(A_FOURS, int32)  # of the images in x
        top = cuda.local.array(A_FOURS, int32)  # what each row's first taps find
        left = cuda.local.array(A_FOURS, int32)
        sums = cuda.local.array((M, N_TILES, 4), float32)
        thread = cuda.threadIdx.x
        part = remainder(cuda.blockIdx.x, GROUPS * PHASES_H * PHASES_W)
        first_row = narrow(quotient(cuda.blockIdx.x, GROUPS * PHASES_H * PHASES_W) * ROWS)
        first_out = narrow(cuda.blockIdx.y * COLUMNS)
        group = quotient(part, PHASES_H * PHASES_W)
        phase_h = remainder(quotient(part, PHASES_W), PHASES_H)
        phase_w = remainder(part, PHASES_W)
        taps_h = narrow(TAPS_H[phase_h])
        taps_w = narrow(TAPS_W[phase_w])
        first_h = narrow(FIRST_H[phase_h])
        first_w = narrow(FIRST_W[phase_w])

        # what this thread copies: four numbers of rows of a, and four columns of lines of b, which a lane reads four apart
        a_k = narrow(remainder(thread, STEP // 4) * 4)
        a_row = quotient(thread, STEP // 4)
        a_to = narrow(a_row * STEP + a_k)
        b_line = quotient(thread, COLUMNS // 4)
        b_k = narrow(remainder(b_line, 4) * 4 + quotient(b_line, 4))
        b_column = narrow(remainder(thread, COLUMNS // 4) * 4)
        b_to = narrow(line_place(b_line, b_column, COLUMNS))
        o = narrow(first_out + b_column)
        for l in range(A_FOURS):  # noqa: E741
            m = narrow(first_row + a_row + l * A_APART)
            image = quotient(m, LONGEST_H * LONGEST_W)
            starts[l] = image * (H * W * CHANNELS) + group * DEPTH
            top[l] = ORIGIN_H[phase_h] + STEP_H * remainder(quotient(m, LONGEST_W), LONGEST_H)
            left[l] = ORIGIN_W[phase_w] + STEP_W * remainder(m, LONGEST_W)
            if image >= N:
                top[l] = OUTSIDE
                starts[l] = 0
        for i in range(M):
            for j in range(N_TILES):
                for v in range(4):
                    sums[i, j, v] = float32(0)

        # what it multiplies
        g = quotient(remainder(thread, 32), 4)
        t = remainder(thread, 4)
        warp_row = narrow(quotient(thread, 32 * WARPS) * WARP_ROWS)
        warp_column = narrow(remainder(quotient(thread, 32), WARPS) * WARP_COLUMNS)
        a_at = narrow((warp_row + g) * STEP + 4 * t)
        b_at = narrow(line_place(t, warp_column + 4 * g, COLUMNS))

        if BY_TAPS:
            steps = narrow(taps_h * taps_w * (DEPTH // STEP))
        else:
            steps = narrow((MOST_H * MOST_W * DEPTH + STEP - 1) // STEP)
        p = narrow(0)
        q = narrow(0)
        c = narrow(0)
        filled = narrow(0)  # the stage that is filled next, and the one that is multiplied next
        ready = narrow(0)
        for step in range(narrow(steps + AHEAD)):
            cp_async_wait(UNDER_WAY)
            cuda.syncthreads()
            if step < steps:
                to = narrow(filled * A + a_to)
                for l in range(A_FOURS):  # noqa: E741
                    copy_a(
                        a_tile,
                        to + l * (A_APART * STEP),
                        x,
                        step,
                        p,
                        q,
                        c,
                        a_k,
                        taps_h,
                        taps_w,
                        top[l],
                        left[l],
                        starts[l],
                    )
                to = narrow(filled * B + b_to)
                for l in range(B_FOURS):  # noqa: E741
                    k = narrow(b_k + l * (B_APART // 4))
                    copy_b(
                        b_tile,
                        to + l * (B_APART * COLUMNS),
                        w,
                        step,
                        p,
                        q,
                        c,
                        k,
                        taps_h,
                        taps_w,
                        first_h,
                        first_w,
                        o,
                        group,
                    )
                c = narrow(c + STEP)
                if c >= DEPTH:
                    c = narrow(0)
                    q = narrow(q + 1)
                    if q == taps_w:
                        q = narrow(0)
                        p = narrow(p + 1)
                filled = narrow(filled + 1 if filled < AHEAD else 0)
            cp_async_commit()
            if step >= AHEAD:
                multiply(a_tile, narrow(ready * A + a_at), b_tile, narrow(ready * B + b_at), sums)
                ready = narrow(ready + 1 if ready < AHEAD else 0)

        first = narrow(first_out + warp_column + 8 * t)
        shift = cuda.local.array((N_TILES, 2), float32)
        for j in range(N_TILES):
            for s in range(2):
                o = narrow(first + j // 4 * 32 + 4 * s + j % 4)
                shift[j, s] = float32(0)
                if biased and o < OUTS:
                    shift[j, s] = bias[group * OUTS + o]
        for i in range(M):
            for v in range(2):
                m = narrow(first_row + warp_row + 16 * i + g + 8 * v)
                image = quotient(m, LONGEST_H * LONGEST_W)
                h = narrow(remainder(quotient(m, LONGEST_W), LONGEST_H) * PHASES_H + phase_h)
                column = narrow(remainder(m, LONGEST_W) * PHASES_W + phase_w)
                if image < N and h < OUT_H and column < OUT_W:
                    pixel = narrow((image * OUT_H + h) * OUT_W + column)
                    for j in range(0, N_TILES, 4):
                        for s in range(2):
                            o = narrow(first + 8 * j + 4 * s)
                            to = narrow(pixel * ALL_OUTS + group * OUTS + o)
                            v0 = sums[i, j, 2 * v + s] + shift[j, s]
                            v1 = sums[i, j + 1, 2 * v + s] + shift[j + 1, s]
                            v2 = sums[i, j + 2, 2 * v + s] + shift[j + 2, s]
                            v3 = sums[i, j + 3, 2 * v + s] + shift[j + 3, s]
                            store_up_to_4(y, to, OUTS - o, OUT_FOURS, v0, v1, v2, v3)

    return correlate_tf32
