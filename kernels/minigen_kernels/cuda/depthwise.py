"""The kernels for groups of one channel each: a sum of KH KW numbers, no product of matrices, and bound by memory.

Neighbouring threads have neighbouring channels, so that a warp reads and writes memory in one piece. Names and layouts are
those of `implicit_gemm` and `weight_gradient`.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache
from typing import Any

from numba import cuda

from ..geometry import ConvGeometry
from .correlation import Correlation
from .intrinsics import narrow, quotient, remainder
from .kernel import Kernel, blocks_for
from .quads import number_of

THREADS = 128
ENOUGH_THREADS = 1 << 16
LEAST_PIXELS = 64  # of a share of the weight gradient's sums


def applies(geometry: ConvGeometry) -> bool:
    """Whether every group has one input channel and one output channel, and there are several."""
    return geometry.groups == geometry.in_channels == geometry.out_channels > 1


def correlation_kernel(correlation: Correlation, batch: int, dtype: str, biased: bool) -> Kernel:
    """The kernel of a correlation, with the arguments of `implicit_gemm.correlation_kernel`."""
    numbers = batch * correlation.rows.result * correlation.columns.result * correlation.groups
    function = _function(correlation, dtype, biased)
    parameters = (f"{dtype}*",) * 4 + ("int32",)
    return Kernel(function, parameters, (blocks_for(numbers, THREADS), 1, 1), (THREADS, 1, 1))


@lru_cache(512)
def _function(correlation: Correlation, dtype: str, biased: bool) -> Any:
    CHANNELS, _, _, rows, columns = correlation
    H, W, KW = rows.source, columns.source, columns.kernel
    STEP_H, MOVE_H, EVERY_H, FIRST_H, TAPS_H, ORIGIN_H = rows[3:]
    STEP_W, MOVE_W, EVERY_W, FIRST_W, TAPS_W, ORIGIN_W = columns[3:]
    OUT_H, OUT_W, PHASES_H, PHASES_W = rows.result, columns.result, rows.phases, columns.phases
    number = number_of(dtype)

    def correlate_channels(x, w, bias, y, N):
        thread = narrow(cuda.grid(1))
        if thread < N * OUT_H * OUT_W * CHANNELS:
            channel = remainder(thread, CHANNELS)
            column = remainder(quotient(thread, CHANNELS), OUT_W)
            row = remainder(quotient(thread, CHANNELS * OUT_W), OUT_H)
            image = quotient(thread, CHANNELS * OUT_W * OUT_H)
            phase_h = remainder(row, PHASES_H)
            phase_w = remainder(column, PHASES_W)
            top = narrow(ORIGIN_H[phase_h] + STEP_H * quotient(row, PHASES_H))
            left = narrow(ORIGIN_W[phase_w] + STEP_W * quotient(column, PHASES_W))
            total = number(0)
            for p in range(narrow(TAPS_H[phase_h])):
                h = narrow(top + MOVE_H * p)
                if 0 <= h < H:
                    for q in range(narrow(TAPS_W[phase_w])):
                        v = narrow(left + MOVE_W * q)
                        if 0 <= v < W:
                            tap = narrow((FIRST_H[phase_h] + EVERY_H * p) * KW + FIRST_W[phase_w] + EVERY_W * q)
                            index = narrow(((image * H + h) * W + v) * CHANNELS + channel)
                            total += x[index] * w[narrow(tap * CHANNELS + channel)]
            if biased:
                total += bias[channel]
            y[thread] = total

    return correlate_channels


def share_kernel(geometry: ConvGeometry, dtype: str) -> tuple[Kernel, int, int]:
    """The kernel of the weight gradient's sums, as `weight_gradient.share_kernel`."""
    numbers = geometry.kernel_size[0] * geometry.kernel_size[1] * geometry.groups
    pixels = geometry.batch * geometry.out_size[0] * geometry.out_size[1]
    count = max(1, min(blocks_for(ENOUGH_THREADS, numbers), pixels // LEAST_PIXELS))
    each = blocks_for(pixels, count)
    count = blocks_for(pixels, each)
    function = _share_function(geometry._replace(batch=0), dtype)
    parameters = (f"{dtype}*",) * 3 + ("int32",) * 2
    return Kernel(function, parameters, (blocks_for(numbers * count, THREADS), 1, 1), (THREADS, 1, 1)), count, each


@lru_cache(512)
def _share_function(geometry: ConvGeometry, dtype: str) -> Any:
    _, C, _, _, (H, W), (OH, OW), (KH, KW), (STEP_H, STEP_W), (TOP, LEFT), (MOVE_H, MOVE_W) = geometry
    number = number_of(dtype)

    def add_channels(x, y, share_sums, pixels, each):
        thread = narrow(cuda.grid(1))
        channel = remainder(thread, C)
        tap = remainder(quotient(thread, C), KH * KW)
        share = quotient(thread, C * KH * KW)
        begin = narrow(share * each)
        if begin < pixels:
            top = narrow(MOVE_H * quotient(tap, KW) - TOP)
            left = narrow(MOVE_W * remainder(tap, KW) - LEFT)
            total = number(0)
            for pixel in range(begin, narrow(min(begin + each, pixels))):
                image = quotient(pixel, OH * OW)
                h = narrow(STEP_H * remainder(quotient(pixel, OW), OH) + top)
                v = narrow(STEP_W * remainder(pixel, OW) + left)
                if 0 <= h < H and 0 <= v < W:
                    total += x[narrow(((image * H + h) * W + v) * C + channel)] * y[narrow(pixel * C + channel)]
            share_sums[narrow((share * C + channel) * (KH * KW) + tap)] = total

    return add_channels
