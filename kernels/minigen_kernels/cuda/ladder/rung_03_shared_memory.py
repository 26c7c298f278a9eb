"""Rung 3, shared memory: a block of threads fetches each number once and uses it `tile` times.

What changes against rung 2: the convolution is seen as a product of matrices, y = a b. A row of a is the patch of x that
one output pixel looks at, K = KH KW C/G numbers, zeros where it hangs over the edge; b is w as it lies in memory, (K, O/G).
Nobody writes a down: a thread computes where in x a number of it is (an implicit GEMM). A block of tile x tile threads
makes a tile of y. It walks along K in steps of `tile`: every thread fetches one number of a and one of b into shared
memory, all wait, every thread multiplies its row by its column, all wait before the tiles are overwritten.

Why: in rung 2 all threads of a block read the same few numbers again and again from the cache. Shared memory is as near
as the first-level cache, but what is in it is ours to decide.

What it should gain: for each multiplication, rung 2 asks global memory for two numbers. Here a number is fetched once and
used by `tile` threads, so that 2 / tile numbers are fetched for each, with tile = 16 one number in eight multiplications.
Shared memory is still read twice for each, and that is the new limit: see the next rung. To find the place in x takes divisions at every
step, which Numba computes in 64 bits.

Resources: 86 registers a thread on sm_80 and 92 on sm_90, 2048 bytes of shared memory a block, no spills.
"""

# mypy: no-check-untyped-defs

from numba import cuda, float32

from ...geometry import ConvGeometry
from ..kernel import Kernel, blocks_for
from .shapes import NUMBERS, POINTERS, numbers, pixels

__all__ = ["kernel", "numbers"]


def kernel(geometry: ConvGeometry, tile: int = 16) -> Kernel:
    """Args: tile: how many pixels, and how many output channels, a block of tile² threads computes."""
    if not isinstance(tile, int) or isinstance(tile, bool) or not 1 <= tile <= 32:
        raise ValueError(
            f"The tile of this rung is a whole number from 1 to 32 (a block has at most 1024 threads), not {tile!r}."
        )

    def conv2d_shared_memory(x, w, y, N, H, W, C, O, OH, OW, KH, KW, sh, sw, top, left, dh, dw, G):  # noqa: E741
        a = cuda.shared.array((tile, tile), float32)  # pixels, steps of K
        b = cuda.shared.array((tile, tile), float32)  # steps of K, output channels
        tx = cuda.threadIdx.x
        ty = cuda.threadIdx.y
        pixel = cuda.blockIdx.x * tile + ty
        mine = cuda.blockIdx.y * tile + tx  # output channel within the group
        group = cuda.blockIdx.z
        o = group * (O // G) + mine
        j = pixel % OW
        i = pixel // OW % OH
        n = pixel // (OW * OH)
        channels = C // G
        K = KH * KW * channels
        total = float32(0)
        for start in range(0, K, tile):
            k = start + tx
            c = k % channels
            row = sh * i - top + dh * (k // channels // KW)
            column = sw * j - left + dw * (k // channels % KW)
            value = float32(0)
            if pixel < N * OH * OW and k < K and 0 <= row < H and 0 <= column < W:
                value = x[((n * H + row) * W + column) * C + group * channels + c]
            a[ty, tx] = value
            value = float32(0)
            if start + ty < K and mine < O // G:
                value = w[(start + ty) * O + o]
            b[ty, tx] = value
            cuda.syncthreads()
            for k in range(tile):
                total += a[ty, k] * b[k, tx]
            cuda.syncthreads()
        if pixel < N * OH * OW and mine < O // G:
            y[pixel * O + o] = total

    grid = (
        blocks_for(pixels(geometry), tile),
        blocks_for(geometry.out_channels // geometry.groups, tile),
        geometry.groups,
    )
    return Kernel(conv2d_shared_memory, POINTERS + NUMBERS, grid, (tile, tile, 1))
