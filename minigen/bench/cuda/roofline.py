"""What a GPU could do: the operations its multiprocessors can start, and the bytes its memory can move.

A convolution that reads every number of its arrays once, and writes its result once, does so many operations for each
byte: its arithmetic intensity I. No kernel can be faster than min(peak, I·bandwidth) (Williams et al. 2009, "Roofline").
"""

from __future__ import annotations

from minigen.bench.convolution import Kernel

# FP32 units of a multiprocessor by compute capability, from the table of throughputs in NVIDIA's CUDA C++ Programming Guide
FP32_UNITS = {"7.5": 64, "8.0": 64, "8.6": 128, "8.7": 128, "8.9": 128, "9.0": 128, "10.0": 128, "12.0": 128}


def peak_flops(multiprocessors: int, clock: float, capability: str) -> float | None:
    """FP32 operations a second: multiprocessors × their units × clock × 2, a fused multiply-add being two operations.

    Args:
        multiprocessors: of the GPU.
        clock: the highest, in Hz.
        capability: the compute capability, such as '9.0'.

    Returns:
        None for a GPU whose units are not in `FP32_UNITS`.

    >>> peak_flops(132, 1.98e9, "9.0") / 1e12
    66.90816
    """
    units = FP32_UNITS.get(capability)
    return None if units is None else 2.0 * multiprocessors * units * clock


def least_bytes(kernel: Kernel) -> int:
    """The bytes of x, w and y in float32: each is read or written once at the least, in every direction.

    >>> least_bytes(Kernel(1, 2, 3, 4, 1)) == 4 * (2 * 16 + 3 * 2 + 3 * 16)
    True
    """
    x = kernel.batch * kernel.in_channels * kernel.size**2
    w = kernel.out_channels * kernel.in_channels // kernel.groups * kernel.window**2
    y = kernel.batch * kernel.out_channels * kernel.out_size**2
    return 4 * (x + w + y)


def intensity(kernel: Kernel) -> float:
    """Operations for each byte of `least_bytes`."""
    return kernel.flops / least_bytes(kernel)


def attainable(operations_per_byte: float, peak: float, bandwidth: float) -> float:
    """min(peak, I·bandwidth), operations a second.

    >>> [attainable(i, 60e12, 3e12) / 1e12 for i in (1, 20, 100)]
    [3.0, 60.0, 60.0]
    """
    return min(peak, operations_per_byte * bandwidth)
