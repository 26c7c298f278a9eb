"""Rung 6, unrolled: the loop over k takes two steps at a time.

What changes against rung 5: `multiply` is written twice in the loop over k. The loops inside `multiply` the compiler
unrolls by itself, since their bounds are constants; this one it leaves alone.

Why: of the 79 instructions for one k, 11 count, compare, jump and compute addresses. With two k in a row, those serve
both, and the loads of the second can begin while the first is still being multiplied.

What it should gain: 128 multiply-adds in 144 instructions (sm_80), 89 % instead of 81 %, and some of the time that a
warp waits for shared memory. Four at a time would make it 90 %; but then the compiler begins so many loads early that
at the 128 registers of the next rung it has to spill.

Resources: 140 registers a thread on sm_80 and 144 on sm_90, 8320 bytes of shared memory a block, no spills.
"""

# mypy: no-check-untyped-defs

from numba import cuda, float32, int32

from ...geometry import ConvGeometry
from ..intrinsics import load4, store4
from ..kernel import Kernel, blocks_for
from .edges import load_up_to_4, store_up_to_4
from .shapes import NUMBERS, POINTERS, TILE, Tile, check_shared, fitting, numbers, pixels

__all__ = ["kernel", "numbers"]


def kernel(geometry: ConvGeometry, tile: Tile = TILE) -> Kernel:
    BM, BN, BK, TM, TN = fitting(tile)
    TX, TY = BN // TN, BM // TM
    THREADS = TX * TY
    A_ROWS, B_ROWS = THREADS // (BK // 4), THREADS // (BN // 4)  # rows of x and of w that the block fetches at once
    A_LOADS, B_LOADS = BM // A_ROWS, BK // B_ROWS
    LDA = BM + 4  # floats from one k to the next in a
    A_SIZE, B_SIZE = BK * LDA, BK * BN
    check_shared(tile, A_SIZE + B_SIZE)
    X_ALIGNED = geometry.in_channels // geometry.groups % 4 == 0
    W_ALIGNED = geometry.out_channels // geometry.groups % 4 == 0

    @cuda.jit(device=True, inline="always")
    def multiply(a, b, total, k, tx, ty):
        ra = cuda.local.array(TM, float32)
        rb = cuda.local.array(TN, float32)
        for i in range(0, TM, 4):
            ra[i], ra[i + 1], ra[i + 2], ra[i + 3] = load4(a, LDA * k + TY * i + 4 * ty)
        for j in range(0, TN, 4):
            rb[j], rb[j + 1], rb[j + 2], rb[j + 3] = load4(b, BN * k + TX * j + 4 * tx)
        for i in range(TM):
            for j in range(TN):
                total[i, j] += ra[i] * rb[j]

    def conv2d_unrolled(x, w, y, N, H, W, C, O, OH, OW, KH, KW, sh, sw, top, left, dh, dw, G):  # noqa: E741
        a = cuda.shared.array(A_SIZE, float32, alignment=16)  # steps of K, pixels
        b = cuda.shared.array(B_SIZE, float32, alignment=16)  # steps of K, output channels
        total = cuda.local.array((TM, TN), float32)
        top_row = cuda.local.array(A_LOADS, int32)
        left_column = cuda.local.array(A_LOADS, int32)
        x_start = cuda.local.array(A_LOADS, int32)
        thread = cuda.threadIdx.x
        tx = thread % TX
        ty = thread // TX
        first_pixel = cuda.blockIdx.x * BM
        first = cuda.blockIdx.y * BN  # output channel within the group
        group = cuda.blockIdx.z
        channels = C // G
        outs = O // G
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
        steps = KH * KW * ((channels + BK - 1) // BK)
        p = 0
        q = 0
        start = 0
        for _ in range(steps):
            for load in range(A_LOADS):
                row = top_row[load] + dh * p
                column = left_column[load] + dw * q
                there = 0
                if 0 <= row < H and 0 <= column < W:
                    there = channels - (start + ka)
                source = x_start[load] + (dh * p * W + dw * q) * C + start
                v0, v1, v2, v3 = load_up_to_4(x, source, there, X_ALIGNED)
                target = LDA * ka + ma + A_ROWS * load
                a[target] = v0
                a[target + LDA] = v1
                a[target + 2 * LDA] = v2
                a[target + 3 * LDA] = v3
            for load in range(B_LOADS):
                there = 0
                if start + kb + B_ROWS * load < channels:
                    there = outs - (first + nb)
                source = w_start + ((p * KW + q) * channels + start + B_ROWS * load) * O
                v0, v1, v2, v3 = load_up_to_4(w, source, there, W_ALIGNED)
                store4(b, BN * (kb + B_ROWS * load) + nb, v0, v1, v2, v3)
            cuda.syncthreads()
            for k in range(0, BK, 2):
                multiply(a, b, total, k, tx, ty)
                multiply(a, b, total, k + 1, tx, ty)
            cuda.syncthreads()
            start += BK
            if start >= channels:  # on to the next tap
                start = 0
                q += 1
                if q == KW:
                    q = 0
                    p += 1
        for i in range(TM):
            pixel = first_pixel + TY * (i // 4 * 4) + 4 * ty + i % 4
            if pixel < N * OH * OW:
                for j in range(0, TN, 4):
                    mine = first + TX * j + 4 * tx
                    target = pixel * O + group * outs + mine
                    v0, v1, v2, v3 = total[i, j], total[i, j + 1], total[i, j + 2], total[i, j + 3]
                    store_up_to_4(y, target, outs - mine, W_ALIGNED, v0, v1, v2, v3)

    grid = (
        blocks_for(pixels(geometry), BM),
        blocks_for(geometry.out_channels // geometry.groups, BN),
        geometry.groups,
    )
    return Kernel(conv2d_unrolled, POINTERS + NUMBERS, grid, (THREADS, 1, 1))
