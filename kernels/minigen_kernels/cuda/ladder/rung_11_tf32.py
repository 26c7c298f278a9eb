"""Rung 11, TF32: tensor cores multiply small matrices, a warp at a time, in numbers of 10 bits of fraction.

What changes against rung 10: `multiply` takes eight k at once. The registers of a warp hold a tile of a, 16 pixels by 8 k,
and one of b, 8 k by 8 channels, each of its 32 threads a few numbers of them (`intrinsics.mma_m16n8k8` says which). One
instruction of the whole warp multiplies the two and adds the product to 16 by 8 of the totals. A warp has M_TILES by N_TILES
such products, so WM is 8 TM and WN is 4 TN. `tf32` rounds the numbers on their way from shared memory to registers; the
totals are float32. A thread wants single numbers of both tiles, no fours, so a need not lie turned, and x is copied in
fours like w. LDA and LDB are such that the threads of a warp read from 32 different banks. A step is twice as long, 16
k, and there are two stages: four would not fit into the 48 KB that a block may ask for without dynamic shared memory.

Why: the multiply-adds are what is left. With 64 of them to 4 loads, rung 10 is limited by how many the multiprocessor
has units for, and a tensor core is another kind of unit.

What it should gain: one instruction of a warp makes 1024 multiply-adds instead of 32. By NVIDIA's data sheets, TF32 on
tensor cores has 8 times the peak of float32 on an A100 (156 and 19.5 TFLOP/s) and 7.4 times on an H100 SXM (495 and
67). But the compiled loop over k (sm_80) has 247 instructions for its 16 mma: 24 loads of single numbers, two
instructions to round each of these, and some 160 that for the most part compute addresses, in 64 bits and with Python's
rule for negative indices. An A100's peak is 8 cycles for an mma in each of a multiprocessor's four parts, 128 for 16,
but 247 to issue all leave half of it. The next thing to gain would be cheaper indices, as the production kernels
have them.

What it costs is accuracy: a product is off by up to 2^-10 of itself, 0.1 %, where float32 is by 2^-24.

Resources: 128 registers a thread on sm_80 and 128 on sm_90, 37888 bytes of shared memory a block, no spills.
"""

# mypy: no-check-untyped-defs

from numba import cuda, float32, int32, uint32

from ...geometry import ConvGeometry
from ..intrinsics import cp_async_commit, cp_async_wait, mma_m16n8k8, tf32
from ..kernel import Kernel, blocks_for
from .edges import copy_up_to_4
from .shapes import POINTERS, Tile, check_shared, fitting, pixels, tile_for

__all__ = ["kernel", "numbers"]

STAGES = 2


def numbers(geometry: ConvGeometry) -> tuple[int, ...]:
    return (geometry.batch,)


def kernel(geometry: ConvGeometry, tile: Tile | None = None) -> Kernel:
    tile = tile or tile_for(geometry)._replace(BK=16)
    BM, BN, BK, TM, TN = fitting(tile, warp=(8, 4), multiple_of_step=8, multiple_of_thread=2)
    WM, WN = 8 * TM, 4 * TN  # what a warp of 8 by 4 threads computes
    M_TILES, N_TILES = TM // 2, TN // 2  # of 16 pixels and of 8 channels in it
    WARPS = BN // WN  # side by side
    THREADS = 32 * (BM // WM) * WARPS
    A_ROWS, B_ROWS = THREADS // (BK // 4), THREADS // (BN // 4)  # rows of x and of w that the block fetches at once
    A_LOADS, B_LOADS = BM // A_ROWS, BK // B_ROWS
    LDA, LDB = BK + 4, BN + 8  # floats from one pixel to the next in a, from one k to the next in b
    A_SIZE, B_SIZE = BM * LDA, BK * LDB  # of one stage
    A_ALL, B_ALL = STAGES * A_SIZE, STAGES * B_SIZE
    check_shared(tile, A_ALL + B_ALL)
    AHEAD = STAGES - 1  # how many steps a copy begins before it is needed
    UNDER_WAY = AHEAD - 1  # how many may still be under way when one is needed
    C, O, G = geometry.in_channels, geometry.out_channels, geometry.groups  # noqa: E741
    (H, W), (OH, OW), (KH, KW) = geometry.in_size, geometry.out_size, geometry.kernel_size
    (sh, sw), (top, left), (dh, dw) = geometry.stride, geometry.padding, geometry.dilation
    channels, outs = C // G, O // G
    STEPS = KH * KW * blocks_for(channels, BK)
    X_ALIGNED, W_ALIGNED = channels % 4 == 0, outs % 4 == 0

    @cuda.jit(device=True, inline="always")
    def multiply(a, b, total, stage, k, tm, tb):
        fa = cuda.local.array((M_TILES, 4), uint32)
        fb = cuda.local.array((N_TILES, 2), uint32)
        for i in range(M_TILES):
            place = A_SIZE * stage + LDA * (tm + 16 * i) + k
            fa[i, 0] = tf32(a[place])
            fa[i, 1] = tf32(a[place + 8 * LDA])
            fa[i, 2] = tf32(a[place + 4])
            fa[i, 3] = tf32(a[place + 8 * LDA + 4])
        for j in range(N_TILES):
            place = B_SIZE * stage + LDB * k + tb + 8 * j
            fb[j, 0] = tf32(b[place])
            fb[j, 1] = tf32(b[place + 4 * LDB])
        for i in range(M_TILES):
            for j in range(N_TILES):
                total[i, j, 0], total[i, j, 1], total[i, j, 2], total[i, j, 3] = mma_m16n8k8(
                    fa[i, 0],
                    fa[i, 1],
                    fa[i, 2],
                    fa[i, 3],
                    fb[j, 0],
                    fb[j, 1],
                    total[i, j, 0],
                    total[i, j, 1],
                    total[i, j, 2],
                    total[i, j, 3],
                )

    def conv2d_tf32(x, w, y, N):
        a = cuda.shared.array(A_ALL, float32, alignment=16)  # stages, pixels, steps of K
        b = cuda.shared.array(B_ALL, float32, alignment=16)  # stages, steps of K, output channels
        total = cuda.local.array((M_TILES, N_TILES, 4), float32)
        top_row = cuda.local.array(A_LOADS, int32)
        left_column = cuda.local.array(A_LOADS, int32)
        x_start = cuda.local.array(A_LOADS, int32)
        thread = cuda.threadIdx.x
        warp = thread // 32
        lane = thread % 32
        tm = warp // WARPS * WM + lane // 4  # of the block's tile, the first pixel of this thread in a and in y,
        ta = lane % 4  # its first k in a and in b,
        tb = warp % WARPS * WN + lane // 4  # its first channel in b,
        tn = warp % WARPS * WN + lane % 4 * 2  # and in y
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
        for i in range(M_TILES):
            for j in range(N_TILES):
                for v in range(4):
                    total[i, j, v] = float32(0)
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
                    target = A_SIZE * (step % STAGES) + LDA * (ma + A_ROWS * load) + ka
                    copy_up_to_4(a, target, x, source, there, X_ALIGNED)
                for load in range(B_LOADS):
                    there = 0
                    if start + kb + B_ROWS * load < channels:
                        there = outs - (first + nb)
                    source = w_start + ((p * KW + q) * channels + start + B_ROWS * load) * O
                    target = B_SIZE * (step % STAGES) + LDB * (kb + B_ROWS * load) + nb
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
                for k in range(0, BK, 8):
                    multiply(a, b, total, (step - AHEAD) % STAGES, ta + k, tm, tb)
        for i in range(M_TILES):
            for v in range(0, 4, 2):
                pixel = first_pixel + tm + 16 * i + 4 * v
                if pixel < N * OH * OW:
                    for j in range(N_TILES):
                        mine = first + tn + 8 * j
                        target = pixel * O + group * outs + mine
                        if mine < outs:
                            y[target] = total[i, j, v]
                        if mine + 1 < outs:
                            y[target + 1] = total[i, j, v + 1]

    grid = (blocks_for(pixels(geometry), BM), blocks_for(outs, BN), G)
    parameters = (*POINTERS, "int32")
    side_by_side = (
        512 if X_ALIGNED and W_ALIGNED else 256
    )  # threads of several blocks; copies one by one take registers
    blocks_per_sm = max(1, side_by_side // THREADS)
    return Kernel(conv2d_tf32, parameters, grid, (THREADS, 1, 1), blocks_per_sm=blocks_per_sm, oldest=(8, 0))
