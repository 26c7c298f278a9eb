"""The three convolutions: the choice between the ways to compute them, and the plain way.

The plain way is a product with the matrix of patches (see `patches`), a chunk of it at a time. It serves float64, where y
has few channels with patches of y, the smaller ones; and float32 where x is its own matrix of patches.
"""

from __future__ import annotations

import math

import numpy as np

from ..geometry import ConvGeometry, Pair, Sides, check_convolution
from . import depthwise, tiled, winograd
from .layout import (
    TASK_FLOPS,
    channels_first,
    channels_last,
    mirror_weight,
    pack_weight,
    pieces,
    read_only,
    scratch,
    steps,
)
from .patches import gather_patches, scatter_patches
from .products import matrix_product, multiply
from .threads import parallel_for
from .tile import LANES

LEAST_CHANNELS = 64  # of a product: with fewer, the tiles of `tiled` are better filled
# A 1x1 kernel with fewer outputs, no more inputs and as many pixels at least: `tiled` is then sooner done with its weight
# gradient than a product, as it goes through the pixels in parts that fit into the first cache. 0.9 to 1.6 times as fast,
# mostly 1.2 (12 shapes, Zen 3). With more channels on either side products are, and with few pixels: down to half the time.
FEW_OUTS, MANY_INS, MANY_PIXELS = 96, 512, 6000
SCRATCH_BYTES = 4 << 20  # of patches that a thread works on at a time: enough rows for BLAS, few enough for the caches
SUMS_BYTES = 64 << 20  # the most memory for partial sums of a weight gradient


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    bias: np.ndarray | None = None,
) -> np.ndarray:
    """The convolution y = C(x, w) + bias; formula, shapes and errors as in `minigen_kernels.reference.conv2d`."""
    geometry = check_convolution("conv2d", {"x": x, "w": w}, stride, padding, dilation, groups, bias=bias)
    x = channels_last(x)
    if winograd.applies(geometry, x.dtype):
        return channels_first(winograd.convolve(x, w, geometry, bias))
    if _is_a_product(geometry, x.dtype):
        return channels_first(_convolution(x, w, geometry, bias))
    filled = x.dtype == np.float32 and geometry.out_channels >= LANES * groups  # vectors, by each group's outputs
    if depthwise.applies(geometry) and not filled:
        return channels_first(depthwise.convolve(x, w, geometry, bias))
    if x.dtype == np.float32:
        return channels_first(tiled.convolve(x, w, geometry, bias))
    if _mirror_pays(geometry):
        y = _transposed(x, mirror_weight(w, groups), geometry.mirrored())
    else:
        return channels_first(_convolution(x, w, geometry, bias))
    return channels_first(y if bias is None else y + bias)


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
    """The transposed convolution x = T(y, w) + bias; as in `minigen_kernels.reference.conv_transpose2d`."""
    arrays = {"y": y, "w": w}
    geometry = check_convolution("conv_transpose2d", arrays, stride, padding, dilation, groups, size=size, bias=bias)
    y = channels_last(y)
    if winograd.applies_transposed(geometry, y.dtype):
        return channels_first(winograd.transposed(y, w, geometry, bias))
    if depthwise.applies(geometry):
        return channels_first(depthwise.transposed(y, w, geometry, bias))
    if y.dtype == np.float32 and not _is_a_product(geometry, y.dtype):
        return channels_first(tiled.transposed(y, w, geometry, bias))
    if _mirror_pays(geometry):
        x = _convolution(y, mirror_weight(w, groups), geometry.mirrored())
    else:
        x = _transposed(y, w, geometry)
    return channels_first(x if bias is None else x + bias)


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
    elif winograd.applies_to_weight_grad(geometry, x.dtype):
        w = winograd.weight_grad(x, y, geometry)
    elif _is_a_product(geometry, x.dtype) and not _has_few_weights(geometry):
        w = _weight_grad(x, y, geometry)
    elif x.dtype == np.float32 and tiled.better_mirrored(geometry):
        w = mirror_weight(tiled.weight_grad(y, x, geometry.mirrored()), groups)
    elif x.dtype == np.float32:
        w = tiled.weight_grad(x, y, geometry)
    elif _mirror_pays(geometry):
        w = mirror_weight(_weight_grad(y, x, geometry.mirrored()), groups)
    else:
        w = _weight_grad(x, y, geometry)
    return np.ascontiguousarray(w)


def _mirror_pays(geometry: ConvGeometry) -> bool:
    """Whether patches of y are so much smaller than those of x, by its few channels, that the two should swap roles."""
    few = 2 * geometry.out_channels <= geometry.in_channels
    return few and geometry.stride == (1, 1) and not _patches_are_x(geometry)


def _patches_are_x(geometry: ConvGeometry) -> bool:
    """Whether x, as it lies in memory, is its own matrix of patches: a 1x1 kernel, or one patch that is the image."""
    if geometry.groups > 1 or geometry.padding != (0, 0):
        return False
    if geometry.kernel_size == (1, 1):
        return geometry.stride == (1, 1) and geometry.in_size == geometry.out_size
    return geometry.kernel_size == geometry.in_size and geometry.out_size == (1, 1) and geometry.dilation == (1, 1)


def _is_a_product(geometry: ConvGeometry, dtype: np.dtype) -> bool:
    """Whether the convolution is a product of matrices that `panels` computes, with enough channels on both sides."""
    ins = geometry.in_channels * geometry.kernel_size[0] * geometry.kernel_size[1]
    return dtype == np.float32 and min(ins, geometry.out_channels) >= LEAST_CHANNELS and _patches_are_x(geometry)


def _has_few_weights(geometry: ConvGeometry) -> bool:
    """Whether it is one for `tiled` to find the weight gradient of, though it is a product."""
    few = geometry.out_channels < FEW_OUTS and geometry.in_channels <= MANY_INS
    many = geometry.batch * math.prod(geometry.out_size) >= MANY_PIXELS
    return geometry.kernel_size == (1, 1) and few and many


def _convolution(x: np.ndarray, w: np.ndarray, geometry: ConvGeometry, bias: np.ndarray | None = None) -> np.ndarray:
    """y = patches(x) w^T: (N*OH*OW, KH*KW*C) times (KH*KW*C, O), group by group, in chunks of pixels."""
    weights = pack_weight(w, geometry.groups)
    _, outs, width = weights.shape
    y = np.empty((geometry.batch, *geometry.out_size, geometry.out_channels), x.dtype)
    matrix = y.reshape(-1, geometry.out_channels)
    if _patches_are_x(geometry):
        matrix_product(x.reshape(-1, width), weights[0].T, matrix, bias)
        return y

    x = read_only(x)
    chunks = pieces(len(matrix), least=TASK_FLOPS // (2 * width * outs), most=_rows(width, x.dtype))

    def convolve(g: int, chunk: slice) -> None:
        patches = scratch("patches", (chunk.stop - chunk.start, width), x.dtype)
        gather_patches(x, patches, chunk.start, (0, geometry.kernel_size[0]), *_taps(g, geometry))
        multiply(patches, weights[g].T, matrix[chunk, g * outs : (g + 1) * outs])

    tasks = [(g, chunk) for g in range(geometry.groups) for chunk in chunks]
    parallel_for(lambda i: convolve(*tasks[i]), len(tasks))
    return y if bias is None else np.add(y, bias, out=y)


def _transposed(y: np.ndarray, w: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """x = patches^T(y w): (N*OH*OW, O) times (O, KH*KW*C), in chunks of pixels, each added to x while in the cache."""
    weights = pack_weight(w, geometry.groups)
    _, outs, width = weights.shape
    shape = (geometry.batch, *geometry.in_size, geometry.in_channels)
    matrix = y.reshape(-1, geometry.out_channels)
    if _patches_are_x(geometry):
        x = np.empty(shape, y.dtype)
        matrix_product(matrix, weights[0], x.reshape(-1, width))
        return x

    x = np.zeros(shape, y.dtype)
    most = _rows(width, y.dtype)

    def add(g: int, band: slice) -> None:
        for chunk in steps(band, most):
            patches = scratch("patches", (chunk.stop - chunk.start, width), y.dtype)
            multiply(matrix[chunk, g * outs : (g + 1) * outs], weights[g], patches)
            scatter_patches(read_only(patches), x, chunk.start, *_taps(g, geometry))

    for bands in _bands(geometry, TASK_FLOPS // (2 * width * outs), most):
        tasks = [(g, band) for g in range(geometry.groups) for band in bands]
        parallel_for(lambda i, tasks=tasks: add(*tasks[i]), len(tasks))  # type: ignore[misc]
    return x


def _bands(geometry: ConvGeometry, least: int, most: int) -> list[list[slice]]:
    """Bands of output pixels for `_transposed`, in turns, so that no two of one turn add to the same element of x.

    Usually a band is some whole images, and one turn does. When images are few and large, it is some rows of one image,
    so many that the patches of every other band have no row of x in common: then it takes two turns.
    """
    oh, ow = geometry.out_size
    image = oh * ow
    if geometry.batch >= 8 or image <= max(least, most):
        images = pieces(geometry.batch, least=-(-least // image), most=max(1, most // image))
        return [[slice(part.start * image, part.stop * image) for part in images]]
    reach = geometry.dilation[0] * (geometry.kernel_size[0] - 1) // geometry.stride[0] + 1  # rows of y seen by one of x
    bands = pieces(oh, least=max(reach, least // ow), count=16)
    starts = range(0, geometry.batch * image, image)
    return [
        [slice(n + b.start * ow, n + b.stop * ow) for n in starts for b in turn] for turn in (bands[::2], bands[1::2])
    ]


def _weight_grad(x: np.ndarray, y: np.ndarray, geometry: ConvGeometry) -> np.ndarray:
    """w = y^T patches(x): (O, N*OH*OW) times (N*OH*OW, KH*KW*C), as an (O, C/G, KH, KW) view.

    Cut by groups, by rows of the kernel (so that a product fits into the cache) and by pixels. Each share of the pixels
    is summed up apart, and the shares are added in their order.
    """
    groups, (kh, kw) = geometry.groups, geometry.kernel_size
    ins, outs = geometry.in_channels // groups, geometry.out_channels // groups
    matrix = y.reshape(-1, geometry.out_channels)
    if _patches_are_x(geometry):
        w = np.empty((outs, kh * kw * ins), x.dtype)
        matrix_product(matrix.T, x.reshape(-1, kh * kw * ins), w)
        return channels_first(w.reshape(outs, kh, kw, ins))

    x = read_only(x)
    kernel_rows = pieces(kh, most=max(1, 1024 // (kw * ins)), count=1)
    size = geometry.out_channels * kh * kw * ins  # of w
    count = min(-(-16 // (len(kernel_rows) * groups)), SUMS_BYTES // (size * x.itemsize))
    shares = pieces(len(matrix), least=TASK_FLOPS * groups // (2 * size), count=count)
    sums = np.empty((len(shares), groups, outs, kh * kw * ins), x.dtype)

    def add_up(s: int, g: int, rows: slice) -> None:
        total = sums[s, g, :, rows.start * kw * ins : rows.stop * kw * ins]
        product = scratch("product", total.shape, x.dtype)
        total[...] = 0
        for chunk in steps(shares[s], _rows(total.shape[1], x.dtype)):
            patches = scratch("patches", (chunk.stop - chunk.start, total.shape[1]), x.dtype)
            gather_patches(x, patches, chunk.start, (rows.start, rows.stop), *_taps(g, geometry))
            multiply(matrix[chunk, g * outs : (g + 1) * outs].T, patches, product)
            np.add(total, product, out=total)

    tasks = [(s, g, rows) for s in range(len(shares)) for g in range(groups) for rows in kernel_rows]
    parallel_for(lambda i: add_up(*tasks[i]), len(tasks))
    return channels_first(np.sum(sums, axis=0).reshape(geometry.out_channels, kh, kw, ins))


def _rows(width: int, dtype: np.dtype) -> int:
    """How many rows of the matrix of patches a thread works on at a time."""
    return max(1, SCRATCH_BYTES // (width * dtype.itemsize))


def _taps(g: int, geometry: ConvGeometry) -> tuple[int, Pair, Pair, Pair, Pair, Pair]:
    """What the kernels of `patches` need to know: the first input channel of group g, and where the taps lie."""
    channel = g * geometry.in_channels // geometry.groups
    return channel, geometry.kernel_size, geometry.out_size, geometry.stride, geometry.padding, geometry.dilation
