"""Rung 9, double buffer: while the block multiplies one step, the numbers of the next are on their way.

What changes against rung 8: there are two of each tile in shared memory. The loop does three things in turn: it begins
to load step `step` into registers, `from_x` and `from_w`; it multiplies the step before, from one buffer; then it puts
the registers into the other. It runs once more than there are steps, for the first has nothing to multiply and the last
nothing to load.

Why: a load of global memory takes some hundred cycles. In rung 8 nobody in the block multiplies until the last load has
arrived; here no instruction needs what was loaded until the multiply-adds are through, 512 for each thread. And of the
two barriers of a step one is left: nobody writes to the buffer that others may still read.

What it should gain: as long as 512 multiply-adds take longer than a load, loads cost no waiting, even with one block on
a multiprocessor; 8 KB of each block are on their way meanwhile. It costs twice the shared memory, eight registers for
what is under way, and instructions: 152 for each step outside of the loop over k instead of 90 (sm_80).

Resources: 123 registers a thread on sm_80 and 125 on sm_90, 16640 bytes of shared memory a block, no spills.
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
    A_SIZE, B_SIZE = BK * LDA, BK * BN  # of one of the two buffers
    A_BOTH, B_BOTH = 2 * A_SIZE, 2 * B_SIZE
    check_shared(tile, A_BOTH + B_BOTH)
    C, O, G = geometry.in_channels, geometry.out_channels, geometry.groups  # noqa: E741
    (H, W), (OH, OW), (KH, KW) = geometry.in_size, geometry.out_size, geometry.kernel_size
    (sh, sw), (top, left), (dh, dw) = geometry.stride, geometry.padding, geometry.dilation
    channels, outs = C // G, O // G
    STEPS = KH * KW * blocks_for(channels, BK)
    X_ALIGNED, W_ALIGNED = channels % 4 == 0, outs % 4 == 0

    @cuda.jit(device=True, inline="always")
    def multiply(a, b, total, buffer, k, tm, tn):
        ra = cuda.local.array(TM, float32)
        rb = cuda.local.array(TN, float32)
        for i in range(0, TM, 4):
            ra[i], ra[i + 1], ra[i + 2], ra[i + 3] = load4(a, A_SIZE * buffer + LDA * k + tm + 4 * i)
        for j in range(0, TN, 4):
            rb[j], rb[j + 1], rb[j + 2], rb[j + 3] = load4(b, B_SIZE * buffer + BN * k + tn + 8 * j)
        for i in range(TM):
            for j in range(TN):
                total[i, j] += ra[i] * rb[j]

    def conv2d_double_buffer(x, w, y, N):
        a = cuda.shared.array(A_BOTH, float32, alignment=16)  # buffers, steps of K, pixels
        b = cuda.shared.array(B_BOTH, float32, alignment=16)  # buffers, steps of K, output channels
        from_x = cuda.local.array((A_LOADS, 4), float32)
        from_w = cuda.local.array((B_LOADS, 4), float32)
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
        for step in range(STEPS + 1):
            if step < STEPS:
                for load in range(A_LOADS):
                    row = top_row[load] + dh * p
                    column = left_column[load] + dw * q
                    there = 0
                    if 0 <= row < H and 0 <= column < W:
                        there = channels - (start + ka)
                    source = x_start[load] + (dh * p * W + dw * q) * C + start
                    v0, v1, v2, v3 = load_up_to_4(x, source, there, X_ALIGNED)
                    from_x[load, 0], from_x[load, 1], from_x[load, 2], from_x[load, 3] = v0, v1, v2, v3
                for load in range(B_LOADS):
                    there = 0
                    if start + kb + B_ROWS * load < channels:
                        there = outs - (first + nb)
                    source = w_start + ((p * KW + q) * channels + start + B_ROWS * load) * O
                    v0, v1, v2, v3 = load_up_to_4(w, source, there, W_ALIGNED)
                    from_w[load, 0], from_w[load, 1], from_w[load, 2], from_w[load, 3] = v0, v1, v2, v3
                start += BK
                if start >= channels:  # on to the next tap
                    start = 0
                    q += 1
                    if q == KW:
                        q = 0
                        p += 1
            if step > 0:
                for k in range(0, BK, 2):
                    multiply(a, b, total, (step - 1) % 2, k, tm, tn)
                    multiply(a, b, total, (step - 1) % 2, k + 1, tm, tn)
            if step < STEPS:
                for load in range(A_LOADS):
                    target = A_SIZE * (step % 2) + LDA * ka + ma + A_ROWS * load
                    a[target] = from_x[load, 0]
                    a[target + LDA] = from_x[load, 1]
                    a[target + 2 * LDA] = from_x[load, 2]
                    a[target + 3 * LDA] = from_x[load, 3]
                for load in range(B_LOADS):
                    target = B_SIZE * (step % 2) + BN * (kb + B_ROWS * load) + nb
                    store4(b, target, from_w[load, 0], from_w[load, 1], from_w[load, 2], from_w[load, 3])
            cuda.syncthreads()
        for i in range(TM):
            pixel = first_pixel + tm + 4 * (i // 4 * 4) + i % 4
            if pixel < N * OH * OW:
                for j in range(0, TN, 4):
                    mine = first + tn + 8 * j
                    target = pixel * O + group * outs + mine
                    v0, v1, v2, v3 = total[i, j], total[i, j + 1], total[i, j + 2], total[i, j + 3]
                    store_up_to_4(y, target, outs - mine, W_ALIGNED, v0, v1, v2, v3)

    grid = (blocks_for(pixels(geometry), BM), blocks_for(outs, BN), G)
    return Kernel(
        conv2d_double_buffer, (*POINTERS, "int32"), grid, (THREADS, 1, 1), blocks_per_sm=max(1, 512 // THREADS)
    )
