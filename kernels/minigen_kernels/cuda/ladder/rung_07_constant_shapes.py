"""Rung 7, constant shapes: the compiler knows the sizes of the convolution, and a rule of thumb chooses the tile.

What changes against rung 6: the sizes are variables around the kernel instead of arguments of it; only N is still an
argument, since the last batch of a data set is smaller. So there is a kernel for each layer, built once and kept on
disk. Without `tile`, `tile_for` decides how the work is cut: 128 x 128 or 64 x 64. And the compiler is told that two
blocks of 256 threads, or four of 128, must fit on a multiprocessor, which leaves a thread 128 registers.

Why: fifteen numbers of a convolution take registers and instructions, and what is computed from them as well; a
division by a constant is a multiplication. A large tile reads least, but a layer with small images has too few of them:
64 images of 7 by 7 with 128 channels are 25 tiles of 128 x 128, and an H100 has 132 multiprocessors. In tiles of 64 x
64 they are 98.

What it should gain: registers, 118 where rung 6 needs 140 (sm_80), so that two blocks fit on a multiprocessor, and one
multiplies while the other waits at a barrier. Instructions hardly change: 90 for each step outside of the loop over k
instead of 120, against 576 inside.

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
    BM, BN, BK, TM, TN = fitting(tile)
    TX, TY = BN // TN, BM // TM
    THREADS = TX * TY
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

    def conv2d_constant_shapes(x, w, y, N):
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

    grid = (blocks_for(pixels(geometry), BM), blocks_for(outs, BN), G)
    return Kernel(
        conv2d_constant_shapes, (*POINTERS, "int32"), grid, (THREADS, 1, 1), blocks_per_sm=max(1, 512 // THREADS)
    )
