"""The three convolutions on CUDA: arrays brought into the kernels' order, and the kernels run.

Signatures, formulas and errors are those of `minigen_kernels.reference`; arrays are CuPy's, or NumPy's for the simulator.
Images lie channels last, as on the CPU: results are (N, C, H, W) views of (N, H, W, C) buffers, and inputs that are such
views are read where they lie. Dtypes are float32 and float64. Sums have one order, so results are the same every time.
"""

from __future__ import annotations

from typing import Any

from ..geometry import ConvGeometry, Pair, Sides, check_convolution
from . import depthwise, implicit_gemm, weight_gradient
from .correlation import Correlation, convolution, transposed
from .memory import channels_first, channels_last, empty, packed
from .running import run


def conv2d(x: Any, w: Any, stride: Pair, padding: Sides, dilation: Pair, groups: int, bias: Any = None) -> Any:
    """The convolution y = C(x, w) + bias; formula, shapes and errors as in `minigen_kernels.reference.conv2d`."""
    geometry = check_convolution("conv2d", {"x": x, "w": w}, stride, padding, dilation, groups, bias=bias)
    by_tap = packed(w.transpose(2, 3, 1, 0))  # (KH, KW, C/G, O)
    return _correlate(geometry, convolution(geometry._replace(batch=0)), x, by_tap, bias)


def conv_transpose2d(
    y: Any, w: Any, stride: Pair, padding: Sides, dilation: Pair, groups: int, size: Pair, bias: Any = None
) -> Any:
    """The transposed convolution x = T(y, w) + bias; as in `minigen_kernels.reference.conv_transpose2d`."""
    arrays = {"y": y, "w": w}
    geometry = check_convolution("conv_transpose2d", arrays, stride, padding, dilation, groups, size=size, bias=bias)
    (outs, depth, *taps), channels = w.shape, geometry.in_channels
    by_group = w.reshape(groups, outs // groups, depth, *taps)
    by_tap = packed(by_group.transpose(3, 4, 1, 0, 2)).reshape(*taps, outs // groups, channels)
    return _correlate(geometry, transposed(geometry._replace(batch=0)), y, by_tap, bias)


def conv2d_weight_grad(
    x: Any, y: Any, stride: Pair, padding: Sides, dilation: Pair, groups: int, kernel_size: Pair
) -> Any:
    """The weight gradient w = W(x, y), C-contiguous; as in `minigen_kernels.reference.conv2d_weight_grad`."""
    geometry = check_convolution(
        "conv2d_weight_grad", {"x": x, "y": y}, stride, padding, dilation, groups, kernel_size=kernel_size
    )
    w = empty(x, (geometry.out_channels, geometry.in_channels // groups, *geometry.kernel_size))
    if geometry.batch == 0:
        w[...] = 0
        return w
    dtype = str(x.dtype)
    kernels = depthwise if depthwise.applies(geometry) else weight_gradient
    kernel, count, each = kernels.share_kernel(geometry, dtype)
    sums = empty(x, (count, w.size))
    pixels = geometry.batch * geometry.out_size[0] * geometry.out_size[1]
    run(kernel, (channels_last(x), channels_last(y), sums, pixels, each))
    run(weight_gradient.total_kernel(geometry, dtype), (sums, w, count))
    return w


def _correlate(geometry: ConvGeometry, correlation: Correlation, x: Any, w: Any, bias: Any) -> Any:
    """The images (N, groups outs, H', W') of a correlation of x with w (KH, KW, depth, groups outs), plus a bias."""
    height, width = correlation.rows.result, correlation.columns.result
    y = empty(x, (geometry.batch, height, width, correlation.groups * correlation.outs))
    if y.size:
        kernels = depthwise if depthwise.applies(geometry) else implicit_gemm
        kernel = kernels.correlation_kernel(correlation, geometry.batch, str(x.dtype), bias is not None)
        run(kernel, (channels_last(x), w, w if bias is None else packed(bias), y, geometry.batch))
    return channels_first(y)
