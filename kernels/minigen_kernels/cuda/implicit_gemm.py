"""The kernel of the convolution and of the transposed one: a correlation as products of matrices that nobody writes down.

For each group and each phase (see `correlation`), y = a b: a row of a for each pixel of the result, with the numbers of x
that its taps find; b is w as it lies in memory, a row for each tap and channel, a column for each output channel.
A block computes one tile of y, in steps of `tile.depth` numbers of the sum. While its threads multiply what lies in one
half of the shared memory, the numbers of the next step are on their way to registers, and then go to the other half.

Images lie channels last, x (N, H, W, groups depth), w (KH, KW, depth, groups outs), y (N, H', W', groups outs); everything
but the batch is known to the compiler. Numbers travel in fours:

- Where `depth` divides by four, each four are channels of one tap, so that they are one load, and whether the tap lies
  inside the image is asked once. A step never mixes taps, and no tap of another phase is multiplied.
- Otherwise (images of one or three channels) the sum runs over taps and channels together, as if all phases had as many
  taps as the largest, and each number of the four is looked up on its own.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import cuda, int32

from .correlation import Correlation
from .intrinsics import narrow, quotient, remainder
from .kernel import Kernel, blocks_for
from .quads import number_of, quads
from .tiles import PAD, Tile, choose, multiplier

OUTSIDE = -(1 << 30)  # a row of x from which no move leads into an image


def correlation_kernel(correlation: Correlation, batch: int, dtype: str, biased: bool) -> Kernel:
    """The kernel of a correlation; its arguments are x, w, a bias (groups outs,), which is not read unless `biased`, y and N."""
    tile = choose(batch * correlation.pixels, correlation.outs, correlation.parts)
    blocks = blocks_for(batch * correlation.pixels, tile.rows) * correlation.parts
    return Kernel(
        _function(correlation, tile, dtype, biased),
        (f"{dtype}*",) * 4 + ("int32",),
        (blocks, blocks_for(correlation.outs, tile.columns), 1),
        (tile.threads, 1, 1),
        blocks_per_sm=tile.blocks_per_sm(dtype),
    )


@lru_cache(512)
def _function(correlation: Correlation, tile: Tile, dtype: str, biased: bool) -> Any:
    GROUPS, DEPTH, OUTS, rows, columns = correlation
    H, W, KW = rows.source, columns.source, columns.kernel
    STEP_H, MOVE_H, EVERY_H, FIRST_H, TAPS_H, ORIGIN_H = rows[3:]
    STEP_W, MOVE_W, EVERY_W, FIRST_W, TAPS_W, ORIGIN_W = columns[3:]
    OUT_H, OUT_W = rows.result, columns.result
    PHASES_H, PHASES_W, LONGEST_H, LONGEST_W = rows.phases, columns.phases, rows.longest, columns.longest
    MOST_H, MOST_W = max(TAPS_H), max(TAPS_W)
    CHANNELS, ALL_OUTS = GROUPS * DEPTH, GROUPS * OUTS

    ROWS, COLUMNS, STEP, THREAD_ROWS, THREAD_COLUMNS = tile
    THREADS, ACROSS = tile.threads, COLUMNS // THREAD_COLUMNS
    PITCH = ROWS + PAD
    A, B = STEP * PITCH, STEP * COLUMNS  # numbers of a half of the shared memory
    BOTH_A, BOTH_B = 2 * A, 2 * B
    A_FOURS, B_FOURS = ROWS * STEP // 4 // THREADS, blocks_for(STEP * COLUMNS // 4, THREADS)
    A_DEEP, A_APART = (
        STEP // 4,
        THREADS * 4 // STEP,
    )  # fours of a row in a step; rows from one four of a thread to its next
    FOURS = DEPTH % 4 == 0
    OUT_FOURS = OUTS % 4 == 0

    number = number_of(dtype)
    load, store = quads(dtype)
    multiply = multiplier(tile, dtype)

    @cuda.jit(device=True, inline="always")
    def place(step, p, q, c, k):
        """Number k of a step: its taps in the phase, and its channel."""
        if FOURS:
            return p, q, c + k
        place = narrow(step * STEP + k)
        tap = quotient(place, DEPTH)
        return quotient(tap, MOST_W), remainder(tap, MOST_W), remainder(place, DEPTH)

    @cuda.jit(device=True, inline="always")
    def fetch_a(x, a, four, step, p, q, c, k, taps_h, taps_w, row, column, start):
        """Four numbers of a row of a: those of numbers k to k + 3 of the step."""
        for u in range(4):
            a[four, u] = number(0)
        if FOURS:
            h = narrow(row + MOVE_H * p)
            w = narrow(column + MOVE_W * q)
            if 0 <= h < H and 0 <= w < W and c + k < DEPTH:
                index = narrow(start + (h * W + w) * CHANNELS + c + k)
                a[four, 0], a[four, 1], a[four, 2], a[four, 3] = load(x, index)
        else:
            for u in range(4):
                pu, qu, cu = place(step, p, q, c, k + u)
                h = narrow(row + MOVE_H * pu)
                w = narrow(column + MOVE_W * qu)
                if 0 <= h < H and 0 <= w < W and pu < taps_h and qu < taps_w:
                    a[four, u] = x[narrow(start + (h * W + w) * CHANNELS + cu)]

    @cuda.jit(device=True, inline="always")
    def fetch_b(w, b, four, step, p, q, c, k, taps_h, taps_w, first_h, first_w, o, group):
        """Four numbers of row k of b in the step: those of output channels o to o + 3."""
        for u in range(4):
            b[four, u] = number(0)
        pk, qk, ck = place(step, p, q, c, k)
        if pk < taps_h and qk < taps_w and ck < DEPTH:
            tap = narrow((first_h + EVERY_H * pk) * KW + first_w + EVERY_W * qk)
            start = narrow((tap * DEPTH + ck) * ALL_OUTS + group * OUTS + o)
            if OUT_FOURS:
                if o < OUTS:
                    b[four, 0], b[four, 1], b[four, 2], b[four, 3] = load(w, start)
            else:
                for u in range(4):
                    if o + u < OUTS:
                        b[four, u] = w[start + u]

    def correlate(x, w, bias, y, N):
        a_tile = cuda.shared.array(BOTH_A, number, alignment=16)
        b_tile = cuda.shared.array(BOTH_B, number, alignment=16)
        a = cuda.local.array((A_FOURS, 4), number)
        b = cuda.local.array((B_FOURS, 4), number)
        starts = cuda.local.array(A_FOURS, int32)  # of the images in x
        top = cuda.local.array(A_FOURS, int32)  # what each row's first taps find
        left = cuda.local.array(A_FOURS, int32)
        sums = cuda.local.array((THREAD_ROWS, THREAD_COLUMNS), number)
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

        a_k = narrow(remainder(thread, A_DEEP) * 4)
        a_row = quotient(thread, A_DEEP)
        for l in range(A_FOURS):  # noqa: E741
            m = narrow(first_row + a_row + l * A_APART)
            image = quotient(m, LONGEST_H * LONGEST_W)
            starts[l] = image * (H * W * CHANNELS) + group * DEPTH
            top[l] = ORIGIN_H[phase_h] + STEP_H * remainder(quotient(m, LONGEST_W), LONGEST_H)
            left[l] = ORIGIN_W[phase_w] + STEP_W * remainder(m, LONGEST_W)
            if image >= N:
                top[l] = OUTSIDE
        for i in range(THREAD_ROWS):
            for j in range(THREAD_COLUMNS):
                sums[i, j] = number(0)

        if FOURS:
            steps = narrow(taps_h * taps_w * ((DEPTH + STEP - 1) // STEP))
        else:
            steps = narrow((MOST_H * MOST_W * DEPTH + STEP - 1) // STEP)
        p = narrow(0)
        q = narrow(0)
        c = narrow(0)
        across = remainder(thread, ACROSS)
        down = quotient(thread, ACROSS)
        for step in range(narrow(-1), steps):
            # what the next step multiplies starts from global memory
            if step + 1 < steps:
                for l in range(A_FOURS):  # noqa: E741
                    fetch_a(x, a, l, step + 1, p, q, c, a_k, taps_h, taps_w, top[l], left[l], starts[l])
                for l in range(B_FOURS):  # noqa: E741
                    four = narrow(thread + l * THREADS)
                    if four < STEP * COLUMNS // 4:
                        k = quotient(four, COLUMNS // 4)
                        o = narrow(first_out + remainder(four, COLUMNS // 4) * 4)
                        fetch_b(w, b, l, step + 1, p, q, c, k, taps_h, taps_w, first_h, first_w, o, group)
                c = narrow(c + STEP)
                if c >= DEPTH:
                    c = narrow(0)
                    q = narrow(q + 1)
                    if q == taps_w:
                        q = narrow(0)
                        p = narrow(p + 1)
            if step >= 0:
                a_at = narrow((step & 1) * A + down * THREAD_ROWS)
                b_at = narrow((step & 1) * B + across * 4)
                for k in range(0, STEP, 4):
                    multiply(a_tile, a_at + k * PITCH, b_tile, b_at + k * COLUMNS, sums)
                    multiply(a_tile, a_at + (k + 1) * PITCH, b_tile, b_at + (k + 1) * COLUMNS, sums)
                    multiply(a_tile, a_at + (k + 2) * PITCH, b_tile, b_at + (k + 2) * COLUMNS, sums)
                    multiply(a_tile, a_at + (k + 3) * PITCH, b_tile, b_at + (k + 3) * COLUMNS, sums)
            if step + 1 < steps:
                half = narrow(step + 1 & 1)
                for l in range(A_FOURS):  # noqa: E741
                    for u in range(4):
                        a_tile[half * A + (a_k + u) * PITCH + a_row + l * A_APART] = a[l, u]
                for l in range(B_FOURS):  # noqa: E741
                    four = thread + l * THREADS
                    if four < STEP * COLUMNS // 4:
                        store(b_tile, half * B + four * 4, b[l, 0], b[l, 1], b[l, 2], b[l, 3])
            cuda.syncthreads()

        for i in range(THREAD_ROWS):
            m = narrow(first_row + down * THREAD_ROWS + i)
            image = quotient(m, LONGEST_H * LONGEST_W)
            h = narrow(remainder(quotient(m, LONGEST_W), LONGEST_H) * PHASES_H + phase_h)
            column = narrow(remainder(m, LONGEST_W) * PHASES_W + phase_w)
            if image < N and h < OUT_H and column < OUT_W:
                pixel = narrow((image * OUT_H + h) * OUT_W + column)
                for j in range(0, THREAD_COLUMNS, 4):
                    o = narrow(first_out + j // 4 * (ACROSS * 4) + across * 4)
                    to = narrow(pixel * ALL_OUTS + group * OUTS + o)
                    if biased:
                        for u in range(4):
                            if o + u < OUTS:
                                sums[i, j + u] += bias[group * OUTS + o + u]
                    if OUT_FOURS:
                        if o < OUTS:
                            store(y, to, sums[i, j], sums[i, j + 1], sums[i, j + 2], sums[i, j + 3])
                    else:
                        for u in range(4):
                            if o + u < OUTS:
                                y[to + u] = sums[i, j + u]

    return correlate
