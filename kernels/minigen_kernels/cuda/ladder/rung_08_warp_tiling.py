"""Rung 8, warp tiling: the 32 threads of a warp work on a tile of their own that is nearly square.

What changes against rung 7: which thread has which pixels and channels. Before, a warp was two rows of 16 threads of
the block; now it is 4 by 8 threads, with a tile of WM = 4 TM pixels by WN = 8 TN channels, and `tm` and `tn` say where
in the block's tile a thread begins.

Why: where several threads of a warp want the same number of shared memory, it is read once for all of them. A thread wants
some rows of a and some columns of b; of 4 by 8 threads, eight want the same rows and four the same columns. The squarer
the tile of a warp, the fewer different numbers it needs for as many products. It is the same thought as with the tile of
a block and of a thread, at the level between.

What it should gain: at each k a warp reads 4 * 8 numbers of a and 8 * 8 of b, together 96 different ones for its 2048
multiply-adds. In rung 7 they were 2 * 8 and 16 * 8, together 144. The instructions are the same; whether the fewer
numbers also take fewer cycles depends on how the hardware cuts a load of 128 bits, which its makers do not say.

Resources: 118 registers a thread on sm_80 and 118 on sm_90, 8320 bytes of shared memory a block, no spills.
"""

# mypy: no-check-untyped-defs

from numba import cuda, float32, int32

from ...geometry import ConvGeometry
from ..intrinsics import load4, store4
from ..kernel import Kernel, blocks_for
from .edges import load_up_to_4, store_up_to_4
from .shapes import POINTERS, Tile, check_shared, fitting, pixels, tile_for

__all__ = ["kernel", "numbers"]


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
    A_SIZE, B_SIZE = BK * LDA, BK * BN
    check_shared(tile, A_SIZE + B_SIZE)
    C, O, G = geometry.in_channels, geometry.out_channels, geometry.groups  # noqa: E741
    (H, W), (OH, OW), (KH, KW) = geometry.in_size, geometry.out_size, geometry.kernel_size
    (sh, sw), (top, left), (dh, dw) = geometry.stride, geometry.padding, geometry.dilation
    channels, outs = C // G, O // G
    STEPS = KH * KW * blocks_for(channels, BK)
    X_ALIGNED, W_ALIGNED = channels % 4 == 0, outs % 4 == 0

    @cuda.jit(device=True, inline="always")
    def multiply(a, b, total, k, tm, tn):
        ra = cuda.local.array(TM, float32)
        rb = cuda.local.array(TN, float32)
        for i in range(0, TM, 4):
            ra[i], ra[i + 1], ra[i + 2], ra[i + 3] = load4(a, LDA * k + tm + 4 * i)
        for j in range(0, TN, 4):
            rb[j], rb[j + 1], rb[j + 2], rb[j + 3] = load4(b, BN * k + tn + 8 * j)
        for i in range(TM):
            for j in range(TN):
                total[i, j] += ra[i] * rb[j]

    def conv2d_warp_tiling(x, w, y, N):
        a = cuda.shared.array(A_SIZE, float32, alignment=16)  # steps of K, pixels
        b = cuda.shared.array(B_SIZE, float32, alignment=16)  # steps of K, output channels
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
        for _ in range(STEPS):
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
                multiply(a, b, total, k, tm, tn)
                multiply(a, b, total, k + 1, tm, tn)
            cuda.syncthreads()
            start += BK
            if start >= channels:  # on to the next tap
                start = 0
                q += 1
                if q == KW:
                    q = 0
                    p += 1
        for i in range(TM):
            pixel = first_pixel + tm + 4 * (i // 4 * 4) + i % 4
            if pixel < N * OH * OW:
                for j in range(0, TN, 4):
                    mine = first + tn + 8 * j
                    target = pixel * O + group * outs + mine
                    v0, v1, v2, v3 = total[i, j], total[i, j + 1], total[i, j + 2], total[i, j + 3]
                    store_up_to_4(y, target, outs - mine, W_ALIGNED, v0, v1, v2, v3)

    grid = (blocks_for(pixels(geometry), BM), blocks_for(outs, BN), G)
    return Kernel(conv2d_warp_tiling, (*POINTERS, "int32"), grid, (THREADS, 1, 1), blocks_per_sm=max(1, 512 // THREADS))
