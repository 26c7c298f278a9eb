"""The truth: the kernels as plain loops over their formulas, in float64 throughout. Slow, and meant to be read.

The letters of shapes and the indexing that all three share stand in the package's docstring. Each loop below runs over
the kernel's taps (p, q). For one tap, the elements of the padded x that meet y form a regular grid, a strided window
with the shape of y, so that one product of matrices over the channels does the rest of the formula.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .geometry import ConvGeometry, Pair, Sides, check_convolution, check_dtypes

__all__ = ["conv2d", "conv2d_weight_grad", "conv_transpose2d", "matmul"]


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """The convolution C(x, w), and a bias added.

    y[n, o, i, j] = bias[o] + sum over c, p, q of x[n, c, sh i - top + dh p, sw j - left + dw q] w[o, c, p, q], where x is 0
    outside its bounds, and c runs over the C/G channels of the group that o belongs to.

    Args: x (N, C, H, W); w (O, C/G, KH, KW), of the same dtype, float32 or float64; stride (sh, sw);
    padding (top, bottom, left, right); dilation (dh, dw); bias (O,), none unless given.
    Returns y (N, O, OH, OW), OH = (H + top + bottom - dh (KH - 1) - 1) // sh + 1.

    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), (1, 1), (0, 0, 0, 0), (1, 1), 1)[0, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    geometry = check_convolution("conv2d", {"x": x, "w": w}, stride, padding, dilation, groups, bias=bias)
    padded = _zero_padded(geometry, padding)
    _inside(padded, geometry, padding)[...] = x
    y = np.zeros((geometry.batch, geometry.out_channels, *geometry.out_size))
    if bias is not None:
        y += bias[:, None, None]
    for ins, outs in _groups(geometry):
        for p, q, window in _taps(padded[:, ins], geometry):
            y[:, outs] += np.einsum("ncij,oc->noij", window, w[outs, :, p, q])
    return y.astype(x.dtype)


def conv_transpose2d(
    y: np.ndarray,
    w: np.ndarray,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    size: Pair,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """The transposed convolution T(y, w), the adjoint of `conv2d` in x, and a bias added.

    x[n, c, h, k] = bias[c] + sum over o, i, j of y[n, o, i, j] w[o, c, p, q], over those i, j for which a tap (p, q) of the
    kernel exists with h = sh i - top + dh p and k = sw j - left + dw q.

    Args: y (N, O, OH, OW); w (O, C/G, KH, KW), the weight of the convolution whose adjoint this is; the rest as in
    `conv2d`; size (H, W), which must be one that the convolution maps to (OH, OW).
    Returns x (N, C, H, W).

    >>> conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), (1, 1), (0, 0, 0, 0), (1, 1), 1, (3, 3))[0, 0]
    array([[1., 2., 1.],
           [2., 4., 2.],
           [1., 2., 1.]])
    """
    arrays = {"y": y, "w": w}
    geometry = check_convolution("conv_transpose2d", arrays, stride, padding, dilation, groups, size=size, bias=bias)
    padded = _zero_padded(geometry, padding)
    for ins, outs in _groups(geometry):
        for p, q, window in _taps(padded[:, ins], geometry):
            window += np.einsum("noij,oc->ncij", y[:, outs], w[outs, :, p, q])
    x = _inside(padded, geometry, padding)
    return (x if bias is None else x + bias[:, None, None]).astype(y.dtype)


def conv2d_weight_grad(
    x: np.ndarray, y: np.ndarray, stride: Pair, padding: Sides, dilation: Pair, groups: int, kernel_size: Pair
) -> np.ndarray:
    """The weight gradient W(x, y), the adjoint of `conv2d` in w.

    w[o, c, p, q] = sum over n, i, j of x[n, c, sh i - top + dh p, sw j - left + dw q] y[n, o, i, j], where x is 0
    outside its bounds.

    Args: x (N, C, H, W); y (N, O, OH, OW); kernel_size (KH, KW); the rest as in `conv2d`.
    Returns w (O, C/G, KH, KW).

    >>> x = np.arange(4.0).reshape(1, 1, 2, 2)
    >>> conv2d_weight_grad(x, np.ones((1, 1, 1, 1)), (1, 1), (0, 0, 0, 0), (1, 1), 1, (2, 2))[0, 0]
    array([[0., 1.],
           [2., 3.]])
    """
    geometry = check_convolution(
        "conv2d_weight_grad", {"x": x, "y": y}, stride, padding, dilation, groups, kernel_size=kernel_size
    )
    padded = _zero_padded(geometry, padding)
    _inside(padded, geometry, padding)[...] = x
    w = np.zeros((geometry.out_channels, geometry.in_channels // geometry.groups, *geometry.kernel_size))
    for ins, outs in _groups(geometry):
        for p, q, window in _taps(padded[:, ins], geometry):
            w[outs, :, p, q] = np.einsum("ncij,noij->oc", window, y[:, outs].astype(np.float64))
    return w.astype(x.dtype)


def matmul(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """The product of matrices, c[..., i, j] = sum over k of a[..., i, k] b[..., k, j], plus bias[j].

    Args: a (..., M, K), b (..., K, N) and bias (N,), of the same dtype, float32 or float64; leading axes broadcast.
    Returns c (..., M, N).
    """
    check_dtypes("matmul", a=a, b=b, **({} if bias is None else {"bias": bias}))
    c = np.einsum("...ik,...kj->...ij", a.astype(np.float64), b.astype(np.float64))
    return (c if bias is None else c + bias).astype(a.dtype)


def _zero_padded(geometry: ConvGeometry, padding: Sides) -> np.ndarray:
    (h, w), (top, bottom, left, right) = geometry.in_size, padding
    return np.zeros((geometry.batch, geometry.in_channels, top + h + bottom, left + w + right))


def _inside(padded: np.ndarray, geometry: ConvGeometry, padding: Sides) -> np.ndarray:
    """The view of x (N, C, H, W) within its padded copy."""
    (h, w), (top, _, left, _) = geometry.in_size, padding
    return padded[:, :, top : top + h, left : left + w]


def _groups(geometry: ConvGeometry) -> Iterator[tuple[slice, slice]]:
    """For each group, its input channels and its output channels."""
    ins, outs = geometry.in_channels // geometry.groups, geometry.out_channels // geometry.groups
    for g in range(geometry.groups):
        yield slice(g * ins, (g + 1) * ins), slice(g * outs, (g + 1) * outs)


def _taps(padded: np.ndarray, geometry: ConvGeometry) -> Iterator[tuple[int, int, Any]]:
    """For each tap (p, q) of the kernel, the view (N, C, OH, OW) of the padded x which it multiplies."""
    (kh, kw), (oh, ow), (sh, sw), (dh, dw) = geometry.kernel_size, geometry.out_size, geometry.stride, geometry.dilation
    for p in range(kh):
        for q in range(kw):
            rows = slice(dh * p, dh * p + sh * (oh - 1) + 1, sh)
            columns = slice(dw * q, dw * q + sw * (ow - 1) + 1, sw)
            yield p, q, padded[:, :, rows, columns]
