"""The three convolutions as products of matrices with the matrix of patches (see `patches`), a chunk of it at a time."""

from __future__ import annotations

import math

import numpy as np

from ..geometry import ConvGeometry, Pair, Sides, check_convolution
from . import depthwise
from .layout import (
    SCRATCH_BYTES,
    TASK_FLOPS,
    channels_first,
    channels_last,
    mirror_weight,
    pack_weight,
    pieces,
    pixels,
    read_only,
    scratch,
    steps,
)
from .matmul import matrix_product
from .patches import gather_patches, scatter_patches
from .threads import parallel_for


def conv2d(x: np.ndarray, w: np.ndarray, stride: Pair, padding: Sides, dilation: Pair, groups: int) -> np.ndarray:
    """The convolution y = C(x, w); formula, shapes and errors as in `minigen_kernels.reference.conv2d`."""
    geometry = check_convolution("conv2d", {"x": x, "w": w}, stride, padding, dilation, groups)
    x = channels_last(x)
    if depthwise.applies(geometry):
        y = depthwise.convolve(x, w, geometry)
    elif _mirror_pays(geometry):
        y = _transposed(x, mirror_weight(w, groups), geometry.mirrored())
    else:
        y = _convolution(x, w, geometry)
    return channels_first(y)


def conv_transpose2d(
    y: np.ndarray, w: np.ndarray, stride: Pair, padding: Sides, dilation: Pair, groups: int, size: Pair
) -> np.ndarray:
    """The transposed convolution x = T(y, w); as in `minigen_kernels.reference.conv_transpose2d`."""
    geometry = check_convolution("conv_transpose2d", {"y": y, "w": w}, stride, padding, dilation, groups, size=size)
    y = channels_last(y)
    if depthwise.applies(geometry):
        x = depthwise.transposed(y, w, geometry)
    elif _mirror_pays(geometry):
        x = _convolution(y, mirror_weight(w, groups), geometry.mirrored())
    else:
        x = _transposed(y, w, geometry)
    return channels_first(x)


def conv2d_weight_grad(
    x: np.ndarray, y: np.ndarray, stride: Pair, padding: Sides, dilation: Pair, groups: int, kernel_size: Pair
) -> np.ndarray:
    """The weight gradient w = W(x, y), C-contiguous; as in `minigen_kernels.reference.conv2d_weight_grad`."""
    geometry = check_convolution(
        "conv2d_weight_grad", {"x": x, "y": y}, stride, padding, dilation, groups, kernel_size=kernel_size
    )
    x, y = channels_last(x), channels_last(y)
    if depthwise.applies(geometry):
        w = depthwise.weight_grad(x, y, geometry)
    elif _mirror_pays(geometry):
        w = mirror_weight(_weight_grad(y, x, geometry.mirrored()), groups)
    else:
        w = _weight_grad(x, y, geometry)
    return np.ascontiguousarray(w)


def _mirror_pays(geometry: ConvGeometry) -> bool:
    """Whether patches of y, with its few channels, are so much smaller than those of x that x and y should swap roles."""
    return geometry.stride == (1, 1) and 2 * geometry.out_channels <= geometry.in_channels


def _patches_are_x(geometry: ConvGeometry) -> bool:
    """Whether x, as it lies in memory, is its own matrix of patches: a 1x1 kernel, or one patch that is the image."""
    if geometry.groups > 1 or geometry.padding != (0, 0):
        return False
    pointwise = geometry.kernel_size == (1, 1) and geometry.in_size == geometry.out_size
    return pointwise or (geometry.kernel_size == geometry.in_size and geometry.out_size == (1, 1))


def _convolution(x: np.ndarray, w: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """y = patches(x) w^T: (N*OH*OW, KH*KW*C) times (KH*KW*C, O), group by group, in chunks of pixels."""
    groups, rows = geometry.groups, pixels(geometry)
    weights = pack_weight(w, groups)
    _, outs, width = weights.shape
    y = np.empty((geometry.batch, *geometry.out_size, geometry.out_channels), x.dtype)
    matrix = y.reshape(rows, -1)
    if _patches_are_x(geometry):
        matrix_product(x.reshape(rows, width), weights[0].T, matrix)
        return y

    x = read_only(x)
    most = max(1, SCRATCH_BYTES // (width * x.itemsize))
    parts = pieces(rows, most, TASK_FLOPS // (2 * width * outs))

    def task(i: int) -> None:
        g, (begin, end) = i // len(parts), parts[i % len(parts)]
        patches = scratch("patches", (end - begin, width), x.dtype)
        _gather(x, patches, begin, g, (0, geometry.kernel_size[0]), geometry)
        np.matmul(patches, weights[g].T, out=matrix[begin:end, g * outs : (g + 1) * outs])

    parallel_for(task, groups * len(parts))
    return y


def _transposed(y: np.ndarray, w: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """x = patches^T(y w): (N*OH*OW, O) times (O, KH*KW*C), in chunks of pixels, each added to x while in the cache."""
    groups, rows = geometry.groups, pixels(geometry)
    weights = pack_weight(w, groups)
    _, outs, width = weights.shape
    shape = (geometry.batch, *geometry.in_size, geometry.in_channels)
    matrix = y.reshape(rows, -1)
    if _patches_are_x(geometry):
        x = np.empty(shape, y.dtype)
        matrix_product(matrix, weights[0], x.reshape(rows, width))
        return x

    x = np.zeros(shape, y.dtype)
    most = max(1, SCRATCH_BYTES // (width * y.itemsize))
    even, odd = _bands(geometry, most, TASK_FLOPS // (2 * width * outs))
    for bands in (even, odd):

        def task(i: int, bands: list[tuple[int, int]] = bands) -> None:
            g, band = i // len(bands), bands[i % len(bands)]
            for begin, end in steps(*band, most):
                patches = scratch("patches", (end - begin, width), y.dtype)
                np.matmul(matrix[begin:end, g * outs : (g + 1) * outs], weights[g], out=patches)
                channel = g * geometry.in_channels // groups
                scatter_patches(read_only(patches), x, begin, channel, *_taps(geometry))

        parallel_for(task, groups * len(bands))
    return x


def _bands(geometry: ConvGeometry, most: int, least: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Bands of output pixels for `_transposed`, in two turns, so that none adds to the same x as another of its turn.

    Usually a band is some whole images, and one turn does. When the images are few and large, it is some rows of one,
    at least so many that the patches of every other band have no row of x in common.
    """
    oh, ow = geometry.out_size
    image = oh * ow
    if geometry.batch >= 8 or image <= max(most, least):
        images = pieces(geometry.batch, max(1, most // image), -(-least // image))
        return [(begin * image, end * image) for begin, end in images], []
    reach = geometry.dilation[0] * (geometry.kernel_size[0] - 1) // geometry.stride[0] + 1
    cuts = pieces(oh, oh, max(reach, least // ow), 16)
    bands = [[(n * image + b * ow, n * image + e * ow) for n in range(geometry.batch) for b, e in cuts[k::2]] for k in (0, 1)]
    return bands[0], bands[1]


def _weight_grad(x: np.ndarray, y: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """w = y^T patches(x): (O, N*OH*OW) times (N*OH*OW, KH*KW*C), as an (O, C/G, KH, KW) view.

    Cut by groups, by rows of the kernel (so that a product fits into the cache) and by pixels. Each share of the pixels
    is summed up apart, and the shares are added in their order.
    """
    groups, rows = geometry.groups, pixels(geometry)
    kh, kw = geometry.kernel_size
    ins, outs = geometry.in_channels // groups, geometry.out_channels // groups
    matrix = y.reshape(rows, -1)
    if _patches_are_x(geometry):
        w = np.empty((outs, kh * kw * ins), x.dtype)
        matrix_product(matrix.T, x.reshape(rows, -1), w)
        return channels_first(w.reshape(outs, kh, kw, ins))

    x = read_only(x)
    kernel_rows = pieces(kh, max(1, 1024 // (kw * ins)), 1, 1)
    shares = pieces(rows, max(1, rows), TASK_FLOPS // (2 * kh * kw * ins * outs), -(-16 // (len(kernel_rows) * groups)))
    sums = np.zeros((len(shares), groups, outs, kh, kw * ins), x.dtype)

    def task(i: int) -> None:
        share, g, k = np.unravel_index(i, (len(shares), groups, len(kernel_rows)))
        p0, p1 = kernel_rows[k]
        width = (p1 - p0) * kw * ins
        total = scratch("total", (outs, width), x.dtype)
        product = scratch("product", (outs, width), x.dtype)
        total[...] = 0
        for begin, end in steps(*shares[share], max(1, SCRATCH_BYTES // (width * x.itemsize))):
            patches = scratch("patches", (end - begin, width), x.dtype)
            _gather(x, patches, begin, g, (p0, p1), geometry)
            np.matmul(matrix[begin:end, g * outs : (g + 1) * outs].T, patches, out=product)
            np.add(total, product, out=total)
        sums[share, g, :, p0:p1] = total.reshape(outs, p1 - p0, -1)

    parallel_for(task, len(shares) * groups * len(kernel_rows))
    return channels_first(np.sum(sums, axis=0).reshape(geometry.out_channels, kh, kw, ins))


def _gather(
    x: np.ndarray, patches: np.ndarray, first: int, group: int, kernel_rows: Pair, geometry: ConvGeometry
) -> None:
    channel = int(group) * geometry.in_channels // geometry.groups
    gather_patches(x, patches, first, channel, kernel_rows, *_taps(geometry))


def _taps(geometry: ConvGeometry) -> tuple[Pair, Pair, Pair, Pair, Pair]:
    return geometry.kernel_size, geometry.out_size, geometry.stride, geometry.padding, geometry.dilation
