"""The three convolutions on CUDA: arrays brought into the kernels' order, and the kernels run.

Signatures, formulas and errors are those of `minigen_kernels.reference`; arrays are CuPy's, or NumPy's for the simulator.
Images lie channels last, as on the CPU: results are (N, C, H, W) views of (N, H, W, C) buffers, and inputs that are such
views are read where they lie. Dtypes are float32 and float64; `precision` says when float32 is multiplied in TF32. Sums
have one order, so results are the same every time.
"""

from __future__ import annotations

from math import prod
from typing import Any

from ..geometry import ConvGeometry, Pair, Sides, check_convolution
from . import depthwise, implicit_gemm, implicit_gemm_tf32, precision, weight_gradient, weight_gradient_tf32
from .correlation import Correlation, convolution, transposed
from .memory import channels_first, channels_last, empty, packed
from .running import run
from .tensor_cores import fits

POINT: tuple[Pair, Sides, Pair] = ((1, 1), (0, 0, 0, 0), (1, 1))  # stride, padding, dilation
LONG = 8  # a sum so many times as long as a product is high and wide: it has few tiles to share its work among


def conv2d(x: Any, w: Any, stride: Pair, padding: Sides, dilation: Pair, groups: int, bias: Any = None) -> Any:
    """The convolution y = C(x, w) + bias; formula, shapes and errors as in `minigen_kernels.reference.conv2d`."""
    geometry = check_convolution("conv2d", {"x": x, "w": w}, stride, padding, dilation, groups, bias=bias)
    by_tap = packed(w.transpose(2, 3, 1, 0))  # (KH, KW, C/G, O)
    if _looks_once(geometry):
        patches = by_tap.reshape(-1, geometry.out_channels)
        return product(channels_last(x).reshape(geometry.batch, len(patches)), patches, bias)[:, :, None, None]
    return _correlate(geometry, convolution(geometry._replace(batch=0)), x, by_tap, bias)


def conv_transpose2d(
    y: Any, w: Any, stride: Pair, padding: Sides, dilation: Pair, groups: int, size: Pair, bias: Any = None
) -> Any:
    """The transposed convolution x = T(y, w) + bias; as in `minigen_kernels.reference.conv_transpose2d`."""
    arrays = {"y": y, "w": w}
    geometry = check_convolution("conv_transpose2d", arrays, stride, padding, dilation, groups, size=size, bias=bias)
    (outs, depth, *taps), channels = w.shape, geometry.in_channels
    if _looks_once(geometry):
        patches = packed(w.transpose(0, 2, 3, 1)).reshape(outs, -1)
        x = product(y[:, :, 0, 0], patches, None).reshape(geometry.batch, *taps, channels)
        return channels_first(x if bias is None else x + bias)
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
    pixels = geometry.batch * geometry.out_size[0] * geometry.out_size[1]
    if depthwise.applies(geometry):
        kernel, count, each = depthwise.share_kernel(geometry, dtype)
    elif precision.in_tf32(x) and fits(prod(w.shape[1:]), geometry.out_channels // groups, pixels):
        kernel, count, each = weight_gradient_tf32.share_kernel(geometry)
    else:
        kernel, count, each = weight_gradient.share_kernel(geometry, dtype)
    sums = empty(x, (count, w.size))
    run(kernel, (channels_last(x), channels_last(y), sums, pixels, each))
    run(weight_gradient.total_kernel(geometry, dtype), (sums, w, count))
    return w


def product(a: Any, b: Any, bias: Any) -> Any:
    """The product of the matrices a (M, K) and b (K, N), plus a bias (N,), none of them empty but for M = 0.

    It is the convolution of 1x1 images with K channels, the rows of a, by 1x1 kernels, the columns of b. It is also the
    weight gradient of images with the rows of b, whose columns become input channels, and of a on end. Each reads one
    layout of a where it lies, and the second one cuts long sums into shares.
    """
    (m, k), n = a.shape, b.shape[1]
    stands = a.T.flags.c_contiguous and not a.flags.c_contiguous
    if m and (stands or k >= LONG * max(m, n)):
        c = conv2d_weight_grad(b[:, :, None, None], a.T[:, :, None, None], *POINT, 1, (1, 1)).reshape(m, n)
        return c if bias is None else c + bias
    return conv2d(a[:, :, None, None], b.T[:, :, None, None], *POINT, 1, bias)[:, :, 0, 0]


def _looks_once(geometry: ConvGeometry) -> bool:
    """Whether y is one pixel, for which the kernel lies on x, tap on pixel: as a transposed one, most taps would miss y."""
    whole = geometry.kernel_size == geometry.in_size != (1, 1) and geometry.out_size == (1, 1)
    return whole and geometry.padding == (0, 0) and geometry.dilation == (1, 1) and geometry.groups == 1


def _correlate(geometry: ConvGeometry, correlation: Correlation, x: Any, w: Any, bias: Any) -> Any:
    """The images (N, groups outs, H', W') of a correlation of x with w (KH, KW, depth, groups outs), plus a bias."""
    height, width = correlation.rows.result, correlation.columns.result
    y = empty(x, (geometry.batch, height, width, correlation.groups * correlation.outs))
    if y.size:
        batch, biased = geometry.batch, bias is not None
        if depthwise.applies(geometry):
            kernel = depthwise.correlation_kernel(correlation, batch, str(x.dtype), biased)
        elif precision.in_tf32(x) and fits(batch * correlation.pixels, correlation.outs, correlation.longest):
            kernel = implicit_gemm_tf32.correlation_kernel(correlation, batch, biased)
        else:
            kernel = implicit_gemm.correlation_kernel(correlation, batch, str(x.dtype), biased)
        run(kernel, (channels_last(x), w, w if bias is None else packed(bias), y, geometry.batch))
    return channels_first(y)
