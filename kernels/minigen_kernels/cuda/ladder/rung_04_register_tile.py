"""Rung 4, register tile: a thread computes TM x TN numbers of the output instead of one.

What changes against rung 3: a block makes a tile of BM pixels by BN channels with TX x TY threads, and each of them TM
pixels, TY apart, by TN channels, TX apart, in an array of its own, `total`. At each k a thread reads TM numbers of a
and TN of b from shared memory into registers and multiplies each by each. The tiles hold more numbers than the block
has threads, so a thread fetches several of each. The threads are numbered along one axis.

Why: in rung 3 each multiply-add needs two numbers of shared memory, which a multiprocessor reads 32 of in a cycle,
while it could multiply 64 or 128. Only registers feed it at full speed.

What it should gain: with TM = TN = 8, a thread reads 16 numbers for 64 multiply-adds, an eighth as many for each.
Global memory is read 1 / BM + 1 / BN times for each, 1 / 64 instead of 1 / 8. The compiled loop over k (sm_80) has 64
multiply-adds in 111 instructions; outside of it there are some 500 more for 512 multiply-adds, mostly the divisions
that find the tap of a k. The price: registers are so many that a multiprocessor holds one block of 256 threads at a
time.

Resources: 185 registers a thread on sm_80 and 198 on sm_90, 8192 bytes of shared memory a block, no spills.
"""

# mypy: no-check-untyped-defs

from numba import cuda, float32, int32

from ...geometry import ConvGeometry
from ..kernel import Kernel, blocks_for
from .shapes import NUMBERS, POINTERS, TILE, Tile, check_shared, fitting, numbers, pixels

__all__ = ["kernel", "numbers"]


def kernel(geometry: ConvGeometry, tile: Tile = TILE) -> Kernel:
    BM, BN, BK, TM, TN = fitting(tile, fetched=1, multiple_of_step=1, multiple_of_thread=1)
    TX, TY = BN // TN, BM // TM
    THREADS = TX * TY
    A_ROWS, B_ROWS = THREADS // BK, THREADS // BN  # rows of a and of b that the block fetches at once
    A_LOADS, B_LOADS = BM // A_ROWS, BK // B_ROWS
    check_shared(tile, BM * BK + BK * BN)

    def conv2d_register_tile(x, w, y, N, H, W, C, O, OH, OW, KH, KW, sh, sw, top, left, dh, dw, G):  # noqa: E741
        a = cuda.shared.array((BM, BK), float32)  # pixels, steps of K
        b = cuda.shared.array((BK, BN), float32)  # steps of K, output channels
        ra = cuda.local.array(TM, float32)
        rb = cuda.local.array(TN, float32)
        total = cuda.local.array((TM, TN), float32)
        image = cuda.local.array(A_LOADS, int32)
        top_row = cuda.local.array(A_LOADS, int32)
        left_column = cuda.local.array(A_LOADS, int32)
        thread = cuda.threadIdx.x
        tx = thread % TX
        ty = thread // TX
        first_pixel = cuda.blockIdx.x * BM
        first = cuda.blockIdx.y * BN  # output channel within the group
        group = cuda.blockIdx.z
        channels = C // G
        outs = O // G
        K = KH * KW * channels
        ka = thread % BK  # what this thread fetches: these k of a, in rows A_ROWS apart
        ma = thread // BK
        kb = thread // BN  # and of b, in rows B_ROWS apart, this channel
        nb = thread % BN
        for load in range(A_LOADS):
            pixel = first_pixel + ma + A_ROWS * load
            image[load] = pixel // (OW * OH)
            top_row[load] = sh * (pixel // OW % OH) - top
            left_column[load] = sw * (pixel % OW) - left
            if pixel >= N * OH * OW:
                top_row[load] = H  # below the last row, so that nothing is read
        for i in range(TM):
            for j in range(TN):
                total[i, j] = float32(0)
        for start in range(0, K, BK):
            k = start + ka
            c = k % channels
            p = k // channels // KW
            q = k // channels % KW
            for load in range(A_LOADS):
                row = top_row[load] + dh * p
                column = left_column[load] + dw * q
                value = float32(0)
                if k < K and 0 <= row < H and 0 <= column < W:
                    value = x[((image[load] * H + row) * W + column) * C + group * channels + c]
                a[ma + A_ROWS * load, ka] = value
            for load in range(B_LOADS):
                k = start + kb + B_ROWS * load
                value = float32(0)
                if k < K and first + nb < outs:
                    value = w[k * O + group * outs + first + nb]
                b[kb + B_ROWS * load, nb] = value
            cuda.syncthreads()
            for k in range(BK):
                for i in range(TM):
                    ra[i] = a[ty + TY * i, k]
                for j in range(TN):
                    rb[j] = b[k, tx + TX * j]
                for i in range(TM):
                    for j in range(TN):
                        total[i, j] += ra[i] * rb[j]
            cuda.syncthreads()
        for i in range(TM):
            pixel = first_pixel + ty + TY * i
            if pixel < N * OH * OW:
                for j in range(TN):
                    mine = first + tx + TX * j
                    if mine < outs:
                        y[pixel * O + group * outs + mine] = total[i, j]

    grid = (
        blocks_for(pixels(geometry), BM),
        blocks_for(geometry.out_channels // geometry.groups, BN),
        geometry.groups,
    )
    return Kernel(conv2d_register_tile, POINTERS + NUMBERS, grid, (THREADS, 1, 1))
