"""Products of matrices on CUDA: a convolution of 1x1 images, one for each row, or its weight gradient.

c = a b is the convolution of images with K channels, the rows of a, by 1x1 kernels, the columns of b. It is also the weight
gradient of images with the rows of b, whose columns become input channels, and of a on end. Each reads one layout of a
where it lies, and the second one cuts long sums into shares. The gradient of a dense layer's weight is such a product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import Pair, Sides, check_product
from .convolution import conv2d, conv2d_weight_grad
from .memory import empty

POINT: tuple[Pair, Sides, Pair] = ((1, 1), (0, 0, 0, 0), (1, 1))  # stride, padding, dilation
LONG = 8  # a sum so many times as long as c is high and wide has few tiles to share its work among


def matmul(a: Any, b: Any, bias: Any = None) -> Any:
    """The product of matrices, c[..., i, j] = sum over k of a[..., i, k] b[..., k, j], plus bias[j].

    Args: a (..., M, K), b (..., K, N) and bias (N,), of the same dtype, float32 or float64; leading axes broadcast.
    Returns c (..., M, N). Raises ValueError for shapes that do not fit, TypeError for other dtypes.
    """
    batch = check_product(a, b, bias)
    (m, k), n = a.shape[-2:], b.shape[-1]
    if 0 in (*batch, m, k, n):
        c = empty(a, (*batch, m, n))
        c[...] = 0 if bias is None else bias
        return c
    if b.ndim == 2:
        return _product(a.reshape(-1, k), b, bias).reshape(*batch, m, n)
    c = _stack(
        np.broadcast_to(a, (*batch, m, k)).reshape(-1, m, k), np.broadcast_to(b, (*batch, k, n)).reshape(-1, k, n)
    )
    c = c.reshape(*batch, m, n)
    return c if bias is None else c + bias


def _product(a: Any, b: Any, bias: Any) -> Any:
    """The product of two matrices."""
    (m, k), n = a.shape, b.shape[1]
    stands = a.T.flags.c_contiguous and not a.flags.c_contiguous
    if stands or k >= LONG * max(m, n):
        c = conv2d_weight_grad(b[:, :, None, None], a.T[:, :, None, None], *POINT, 1, (1, 1)).reshape(m, n)
        return c if bias is None else c + bias
    return conv2d(a[:, :, None, None], b.T[:, :, None, None], *POINT, 1, bias)[:, :, 0, 0]


def _stack(a: Any, b: Any) -> Any:
    """The products of a (B, M, K) and b (B, K, N), each a group of one convolution."""
    count, m, k = a.shape
    n = b.shape[2]
    x = a.transpose(1, 0, 2).reshape(m, count * k, 1, 1)
    w = b.transpose(0, 2, 1).reshape(count * n, k, 1, 1)
    return conv2d(x, w, *POINT, count).reshape(m, count, n).transpose(1, 0, 2)
