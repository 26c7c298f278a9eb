"""Products of matrices on CUDA, one or stacks of them: convolutions of 1x1 images (see `convolution.product`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..geometry import check_product
from .convolution import POINT, conv2d, product
from .memory import empty


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
        return product(a.reshape(-1, k), b, bias).reshape(*batch, m, n)
    c = _stack(
        np.broadcast_to(a, (*batch, m, k)).reshape(-1, m, k), np.broadcast_to(b, (*batch, k, n)).reshape(-1, k, n)
    )
    c = c.reshape(*batch, m, n)
    return c if bias is None else c + bias


def _stack(a: Any, b: Any) -> Any:
    """The products of a (B, M, K) and b (B, K, N), each a group of one convolution."""
    count, m, k = a.shape
    n = b.shape[2]
    x = a.transpose(1, 0, 2).reshape(m, count * k, 1, 1)
    w = b.transpose(0, 2, 1).reshape(count * n, k, 1, 1)
    return conv2d(x, w, *POINT, count).reshape(m, count, n).transpose(1, 0, 2)
