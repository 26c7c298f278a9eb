"""Rung 2, coalesced: neighbouring threads have neighbouring output channels instead of neighbouring pixels.

What changes against rung 1: two lines, the division of the thread's number into pixel and channel.

Why: memory comes in sectors of 32 bytes, and what the threads of a warp want at one moment is fetched together. Now they
want one and the same number of x, a single sector, and 32 neighbours of w, four full sectors; in rung 1 it was one sector
of w and 32 of x, each used for an eighth. The stores to y are full sectors, too.

What it should gain: 5 sectors for 32 multiplications instead of 33. What keeps it from being 6.6 times as fast is that
rung 1 finds most of its sectors of x again in the cache as it goes along the channels. With fewer than 32 output
channels, a warp spans several pixels, and less is gained.

Resources: 76 registers a thread on sm_80 and 78 on sm_90, no shared memory, no spills.
"""

# mypy: no-check-untyped-defs

from numba import cuda, float32

from ...geometry import ConvGeometry
from ..kernel import Kernel, blocks_for
from .shapes import NUMBERS, POINTERS, numbers, pixels

__all__ = ["kernel", "numbers"]

THREADS = 256


def kernel(geometry: ConvGeometry) -> Kernel:
    outputs = pixels(geometry) * geometry.out_channels
    return Kernel(conv2d_coalesced, POINTERS + NUMBERS, (blocks_for(outputs, THREADS), 1, 1), (THREADS, 1, 1))


def conv2d_coalesced(x, w, y, N, H, W, C, O, OH, OW, KH, KW, sh, sw, top, left, dh, dw, G):  # noqa: E741
    thread = cuda.grid(1)
    if thread < N * OH * OW * O:
        pixel = thread // O
        o = thread % O
        j = pixel % OW
        i = pixel // OW % OH
        n = pixel // (OW * OH)
        first = o // (O // G) * (C // G)  # input channel of o's group
        total = float32(0)
        for p in range(KH):
            row = sh * i - top + dh * p
            for q in range(KW):
                column = sw * j - left + dw * q
                if 0 <= row < H and 0 <= column < W:
                    for c in range(C // G):
                        weight = w[((p * KW + q) * (C // G) + c) * O + o]
                        total += x[((n * H + row) * W + column) * C + first + c] * weight
        y[pixel * O + o] = total
