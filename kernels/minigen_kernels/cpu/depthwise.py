"""Convolutions with one input channel for each group: the matrices of `convolution` would be one row high.

Every output channel reads one input channel. Where a group has several outputs (a channel multiplier), x is repeated to
meet them, and its gradient is summed over them. Channels are neighbours in memory: where they fill the processor's vectors,
`depthwise_vectors` computes them; elsewhere, and for float64, the loops below, which run over channels innermost.
"""

from __future__ import annotations

import math

import numpy as np

from ..geometry import ConvGeometry, Pair
from . import depthwise_vectors
from .compiled import compiled
from .layout import TASK_FLOPS, pieces, read_only
from .threads import parallel_for


def applies(geometry: ConvGeometry) -> bool:
    """Whether each group has one input channel, and there are several groups."""
    return geometry.groups > 1 and geometry.groups == geometry.in_channels


def convolve(x: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """y (N, OH, OW, O) from x (N, H, W, C), w (O, 1, KH, KW) and a bias (O,)."""
    x = _repeated(x, geometry)
    if depthwise_vectors.applies(geometry.out_channels, x.dtype):
        return depthwise_vectors.convolve(x, w, _one_to_one(geometry), bias)
    x, weights = read_only(x), _taps_first(w)
    y = np.empty((geometry.batch, *geometry.out_size, geometry.out_channels), x.dtype)
    parts = _lines(geometry, geometry.out_size)
    where = (geometry.stride, geometry.padding, geometry.dilation)
    parallel_for(lambda i: _convolve_lines(x, weights, y, parts[i].start, parts[i].stop, *where), len(parts))
    return y if bias is None else np.add(y, bias, out=y)


def transposed(y: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """x (N, H, W, C) from y (N, OH, OW, O), w (O, 1, KH, KW) and a bias (C,)."""
    multiplier = geometry.out_channels // geometry.in_channels
    if depthwise_vectors.applies(geometry.out_channels, y.dtype):
        if multiplier == 1:
            return depthwise_vectors.transposed(y, w, geometry, bias)
        x = depthwise_vectors.transposed(y, w, _one_to_one(geometry))
    else:
        y, weights = read_only(y), _taps_first(w)
        x = np.empty((geometry.batch, *geometry.in_size, geometry.out_channels), y.dtype)
        parts = _lines(geometry, geometry.in_size)
        where = (geometry.stride, geometry.padding, geometry.dilation)
        parallel_for(lambda i: _transposed_lines(y, weights, x, parts[i].start, parts[i].stop, *where), len(parts))
    if multiplier > 1:
        x = x.reshape(*x.shape[:3], geometry.in_channels, multiplier).sum(axis=-1)
    return x if bias is None else np.add(x, bias, out=x)


def weight_grad(x: np.ndarray, y: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """w (O, 1, KH, KW) from x (N, H, W, C) and y (N, OH, OW, O)."""
    x = _repeated(x, geometry)
    if depthwise_vectors.applies(geometry.out_channels, x.dtype):
        return depthwise_vectors.weight_grad(x, y, _one_to_one(geometry))
    x, y = read_only(x), read_only(y)
    parts = _lines(geometry, geometry.out_size)
    sums = np.zeros((len(parts), *geometry.kernel_size, geometry.out_channels), x.dtype)
    where = (geometry.stride, geometry.padding, geometry.dilation)
    parallel_for(lambda i: _weight_grad_lines(x, y, sums[i], parts[i].start, parts[i].stop, *where), len(parts))
    return np.sum(sums, axis=0).transpose(2, 0, 1)[:, None]


def _lines(geometry: ConvGeometry, size: Pair) -> list[slice]:
    """The lines (n, row) of images of this size, cut for tasks. Such loops run at an eighth of BLAS's speed."""
    lines = geometry.batch * size[0]
    flops = 2 * math.prod(geometry.kernel_size) * size[1] * geometry.out_channels
    return pieces(lines, least=TASK_FLOPS // 8 // flops, count=16)


def _repeated(x: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    multiplier = geometry.out_channels // geometry.in_channels
    return x if multiplier == 1 else np.repeat(x, multiplier, axis=3)


def _one_to_one(geometry: ConvGeometry) -> ConvGeometry:
    """The geometry of the repeated x, each channel of which meets one output."""
    return geometry._replace(in_channels=geometry.out_channels, groups=geometry.out_channels)


def _taps_first(w: np.ndarray) -> np.ndarray:
    """w (O, 1, KH, KW) as (KH, KW, O)."""
    return np.ascontiguousarray(w[:, 0].transpose(1, 2, 0))


@compiled()
def _convolve_lines(x, w, y, begin, end, stride, padding, dilation):
    """Lines begin, ..., end - 1 of y (N, OH, OW, C) from x (N, H, W, C) and w (KH, KW, C)."""
    _, height, width, _ = x.shape
    kh, kw, _ = w.shape
    for line in range(begin, end):
        n, i = line // y.shape[1], line % y.shape[1]
        for j in range(y.shape[2]):
            total = y[n, i, j]
            total[:] = 0
            for p in range(kh):
                h = i * stride[0] - padding[0] + dilation[0] * p
                if h < 0 or h >= height:
                    continue
                for q in range(kw):
                    v = j * stride[1] - padding[1] + dilation[1] * q
                    if v >= 0 and v < width:
                        _add_product(x[n, h, v], w[p, q], total)


@compiled()
def _transposed_lines(y, w, x, begin, end, stride, padding, dilation):
    """Lines begin, ..., end - 1 of x (N, H, W, C) from y (N, OH, OW, C) and w (KH, KW, C)."""
    _, out_height, out_width, _ = y.shape
    kh, kw, _ = w.shape
    for line in range(begin, end):
        n, h = line // x.shape[1], line % x.shape[1]
        x[n, h] = 0
        for p in range(kh):
            i = (h + padding[0] - dilation[0] * p) // stride[0]
            if i < 0 or i >= out_height or i * stride[0] - padding[0] + dilation[0] * p != h:
                continue
            for j in range(out_width):
                for q in range(kw):
                    v = j * stride[1] - padding[1] + dilation[1] * q
                    if v >= 0 and v < x.shape[2]:
                        _add_product(y[n, i, j], w[p, q], x[n, h, v])


@compiled()
def _weight_grad_lines(x, y, w, begin, end, stride, padding, dilation):
    """Adds to w (KH, KW, C) what lines begin, ..., end - 1 of y (N, OH, OW, C) and x (N, H, W, C) give."""
    _, height, width, _ = x.shape
    kh, kw, _ = w.shape
    for line in range(begin, end):
        n, i = line // y.shape[1], line % y.shape[1]
        for p in range(kh):
            h = i * stride[0] - padding[0] + dilation[0] * p
            if h < 0 or h >= height:
                continue
            for j in range(y.shape[2]):
                for q in range(kw):
                    v = j * stride[1] - padding[1] + dilation[1] * q
                    if v >= 0 and v < width:
                        _add_product(x[n, h, v], y[n, i, j], w[p, q])


@compiled()
def _add_product(a, b, total):
    for c in range(total.size):
        total[c] += a[c] * b[c]
