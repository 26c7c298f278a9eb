"""Rung 10, cp.async: numbers go from global to shared memory without passing through registers, three steps ahead.

What changes against rung 9: `from_x` and `from_w` are gone. A thread starts copies and goes on. `cp_async_commit` makes
one group of those that it has started since the last time, a group for each step; `cp_async_wait` waits until all
groups of the thread have arrived but the last UNDER_WAY, two: those of the next two steps. (At the end, where nothing
is left to copy, the groups are empty, so that there is still one for each step.) Shared memory has room for each tile
four times, and the steps use these stages in turn, so that a copy begins three steps before it is needed. One barrier a
step does for two things: after it, everybody's copies of the step to be multiplied are there, and nobody reads any more
from the stage that is filled next. A copy that is not wanted reads nothing and writes zeros, which is padding without a
branch. As a lies turned, and a copy does not turn anything, numbers of x are copied one by one.

Why: in rung 9 what is under way takes registers, so that nobody can afford more than one step of it. The multiply-adds
of one step are as long as a load takes while all goes well; a load that has to stand in line for memory takes longer.

What it should gain: three times as many bytes under way, 24 KB of each block, and 5 instructions to fetch a step, 4
copies of x and one of w, where rung 9 has 2 loads and 5 stores; but the addresses take as many instructions more as that
saves. Four neighbouring numbers of x, which rung 9 loads at once, are now four requests to the first-level cache. It costs
twice the shared memory of rung 9.

It needs sm_80: on older GPUs, as a T4 (sm_75), rung 9 is the last.

Resources: 120 registers a thread on sm_80 and 120 on sm_90, 33280 bytes of shared memory a block, no spills.
"""

# mypy: no-check-untyped-defs

from numba import cuda, float32, int32

from ...geometry import ConvGeometry
from ..intrinsics import cp_async4, cp_async_commit, cp_async_wait, load4
from ..kernel import Kernel, blocks_for
from .edges import copy_up_to_4, store_up_to_4
from .shapes import POINTERS, Tile, check_shared, fitting, pixels, tile_for

__all__ = ["kernel", "numbers"]

STAGES = 4


def numbers(geometry: ConvGeometry) -> tuple[int, ...]:
    return (geometry.batch,)


def kernel(geometry: ConvGeometry, tile: Tile | None = None) -> Kernel:
    tile = tile or tile_for(geometry)
    BM, BN, BK, TM, TN = fitting(tile, warp=(4, 8))
    WM, WN = 4 * TM, 8 * TN  # what a warp of 4 by 8 threads computes
    WARPS = BN // WN  # side by side
    THREADS = 32 * (BM // WM) * WARPS
    A_ROWS, B_ROWS = THREADS // (BK // 4), THREADS // (BN // 4)  # rows of x and of w that the block fetches at once
    A_LOADS, B_LOADS = BM // A_ROWS, BK // B_ROWS
    LDA = BM + 4  # floats from one k to the next in a
    A_SIZE, B_SIZE = BK * LDA, BK * BN  # of one stage
    A_ALL, B_ALL = STAGES * A_SIZE, STAGES * B_SIZE
    check_shared(tile, A_ALL + B_ALL)
    AHEAD = STAGES - 1  # how many steps a copy begins before it is needed
    UNDER_WAY = AHEAD - 1  # how many may still be under way when one is needed
    C, O, G = geometry.in_channels, geometry.out_channels, geometry.groups  # noqa: E741
    (H, W), (OH, OW), (KH, KW) = geometry.in_size, geometry.out_size, geometry.kernel_size
    (sh, sw), (top, left), (dh, dw) = geometry.stride, geometry.padding, geometry.dilation
    channels, outs = C // G, O // G
    STEPS = KH * KW * blocks_for(channels, BK)
    W_ALIGNED = outs % 4 == 0

    @cuda.jit(device=True, inline="always")
    def multiply(a, b, total, stage, k, tm, tn):
        ra = cuda.local.array(TM, float32)
        rb = cuda.local.array(TN, float32)
        for i in range(0, TM, 4):
            ra[i], ra[i + 1], ra[i + 2], ra[i + 3] = load4(a, A_SIZE * stage + LDA * k + tm + 4 * i)
        for j in range(0, TN, 4):
            rb[j], rb[j + 1], rb[j + 2], rb[j + 3] = load4(b, B_SIZE * stage + BN * k + tn + 8 * j)
        for i in range(TM):
            for j in range(TN):
                total[i, j] += ra[i] * rb[j]

    def conv2d_cp_async(x, w, y, N):
        a = cuda.shared.array(A_ALL, float32, alignment=16)  # stages, steps of K, pixels
        b = cuda.shared.array(B_ALL, float32, alignment=16)  # stages, steps of K, output channels
        total = cuda.local.array((TM, TN), float32)
        top_row = cuda.local.array(A_LOADS, int32)
        left_column = cuda.local.array(A_LOADS, int32)
        x_start = cuda.local.array(A_LOADS, int32)
        thread = cuda.threadIdx.x
        warp = thread // 32
        lane = thread % 32
        tm = warp // WARPS * WM + lane // 8 * 4  # of the block's tile, the first pixel and channel of this thread
        tn = warp % WARPS * WN + lane % 8 * 4
        first_pixel = cuda.blockIdx.x * BM
        first = cuda.blockIdx.y * BN  # output channel within the group
        group = cuda.blockIdx.z
        ka = thread % (BK // 4) * 4  # what this thread fetches: four k of a from here, in rows A_ROWS apart
        ma = thread // (BK // 4)
        kb = thread // (BN // 4)  # and of b, in rows B_ROWS apart, four channels from here
        nb = thread % (BN // 4) * 4
        w_start = kb * O + group * outs + first + nb
        for load in range(A_LOADS):
            pixel = first_pixel + ma + A_ROWS * load
            top_row[load] = sh * (pixel // OW % OH) - top
            left_column[load] = sw * (pixel % OW) - left
            row = pixel // (OW * OH) * H + top_row[load]
            x_start[load] = (row * W + left_column[load]) * C + group * channels + ka
            if pixel >= N * OH * OW:
                top_row[load] = H  # below the last row, so that nothing is read
        for i in range(TM):
            for j in range(TN):
                total[i, j] = float32(0)
        p = 0
        q = 0
        start = 0
        for step in range(STEPS + AHEAD):
            cp_async_wait(UNDER_WAY)
            cuda.syncthreads()
            if step < STEPS:
                for load in range(A_LOADS):
                    row = top_row[load] + dh * p
                    column = left_column[load] + dw * q
                    there = 0
                    if 0 <= row < H and 0 <= column < W:
                        there = channels - (start + ka)
                    source = x_start[load] + (dh * p * W + dw * q) * C + start
                    target = A_SIZE * (step % STAGES) + LDA * ka + ma + A_ROWS * load
                    for v in range(4):
                        cp_async4(a, target + LDA * v, x, source + v if there > v else 0, there > v)
                for load in range(B_LOADS):
                    there = 0
                    if start + kb + B_ROWS * load < channels:
                        there = outs - (first + nb)
                    source = w_start + ((p * KW + q) * channels + start + B_ROWS * load) * O
                    target = B_SIZE * (step % STAGES) + BN * (kb + B_ROWS * load) + nb
                    copy_up_to_4(b, target, w, source, there, W_ALIGNED)
                start += BK
                if start >= channels:  # on to the next tap
                    start = 0
                    q += 1
                    if q == KW:
                        q = 0
                        p += 1
            cp_async_commit()
            if step >= AHEAD:
                for k in range(0, BK, 2):
                    multiply(a, b, total, (step - AHEAD) % STAGES, k, tm, tn)
                    multiply(a, b, total, (step - AHEAD) % STAGES, k + 1, tm, tn)
        for i in range(TM):
            pixel = first_pixel + tm + 4 * (i // 4 * 4) + i % 4
            if pixel < N * OH * OW:
                for j in range(0, TN, 4):
                    mine = first + tn + 8 * j
                    target = pixel * O + group * outs + mine
                    v0, v1, v2, v3 = total[i, j], total[i, j + 1], total[i, j + 2], total[i, j + 3]
                    store_up_to_4(y, target, outs - mine, W_ALIGNED, v0, v1, v2, v3)

    grid = (blocks_for(pixels(geometry), BM), blocks_for(outs, BN), G)
    parameters = (*POINTERS, "int32")
    return Kernel(
        conv2d_cp_async, parameters, grid, (THREADS, 1, 1), blocks_per_sm=max(1, 512 // THREADS), oldest=(8, 0)
    )
