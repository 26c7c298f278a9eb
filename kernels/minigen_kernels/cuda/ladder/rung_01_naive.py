"""Rung 1, naive: one thread for each number of the output, doing what the formula says.

A thread finds out which pixel and which output channel it is for, and walks over the kernel's taps and the input
channels. Neighbouring threads have neighbouring pixels and the same output channel. Everything lies channels-last:
x (N, H, W, C), w (KH, KW, C/G, O), y (N, OH, OW, O).

What it costs: for each multiplication the thread reads two numbers from global memory. At one moment the 32 threads of a
warp all want the same number of w, which is one read; but their numbers of x lie C floats apart, so each comes with a
32-byte sector of its own, of which 4 bytes are wanted. The stores to y are scattered the same way.

Resources: 72 registers a thread on sm_80 and 74 on sm_90, no shared memory, no spills.
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
    return Kernel(conv2d_naive, POINTERS + NUMBERS, (blocks_for(outputs, THREADS), 1, 1), (THREADS, 1, 1))


def conv2d_naive(x, w, y, N, H, W, C, O, OH, OW, KH, KW, sh, sw, top, left, dh, dw, G):  # noqa: E741
    thread = cuda.grid(1)
    if thread < N * OH * OW * O:
        pixel = thread % (N * OH * OW)
        o = thread // (N * OH * OW)
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
