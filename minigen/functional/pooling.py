"""Pooling and resizing of images (N, C, H, W).

Each is made of operations that are differentiable already: picking elements, a convolution with a constant kernel, a
product with a constant matrix. So they have every derivative.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigen.errors import ShapeError, UserError
from minigen.functional._operands import floating
from minigen.functional.arithmetic import where
from minigen.functional.convolution import Conv2d, Geometry, Pair, _pair
from minigen.functional.indexing import gather
from minigen.functional.linalg import MatMul
from minigen.functional.shape import reshape, swapaxes, unsqueeze
from minigen.tensor import Tensor


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element under each window; the gradient goes to where it stood (the first of equals).

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size, stride (the kernel's unless given), padding, dilation: integers or pairs; the padding never wins,
            and is at most half the kernel.
        ceil_mode: let windows that hang over the edge count too.
        return_indices: return (values, indices) with positions in the flattened H·W of the input.

    Returns:
        (N, C, OH, OW), OH = ⌊(H + 2·padding - dilation·(KH - 1) - 1)/stride⌋ + 1, or rounded up with `ceil_mode`.

    >>> import minigen
    >>> x = minigen.arange(16.0).reshape(1, 1, 4, 4)
    >>> minigen.functional.max_pool2d(x, 2)[0, 0]
    tensor([[ 5.,  7.],
            [13., 15.]])
    """
    x, single = _images("max_pool2d", input)
    kernel, steps, around, gaps = _window("max_pool2d", kernel_size, stride, padding, dilation)
    size = _output_size("max_pool2d", x.shape, kernel, steps, around, gaps, ceil_mode)
    n, channels, h, w = x.shape
    # For each axis, which pixel lies under tap k of window i, and whether there is one.
    rows = np.arange(size[0])[:, None] * steps[0] + np.arange(kernel[0]) * gaps[0] - around[0]  # (OH, KH)
    columns = np.arange(size[1])[:, None] * steps[1] + np.arange(kernel[1]) * gaps[1] - around[1]  # (OW, KW)
    inside = ((rows >= 0) & (rows < h))[:, None, :, None] & ((columns >= 0) & (columns < w))[:, None, :]
    positions = rows.clip(0, h - 1)[:, None, :, None] * w + columns.clip(0, w - 1)[:, None, :]  # (OH, OW, KH, KW)
    inside, positions = (a.reshape(size[0] * size[1], -1) for a in (inside, positions))  # (OH·OW, KH·KW)

    # Which tap is the largest is an index; picking it is differentiable.
    flat, xp = reshape(x, (n, channels, h * w)), x.device.xp
    windows = x.device.constant(np.arange(len(positions)))
    inside, positions = x.device.constant(inside), x.device.constant(positions)
    taps = xp.where(inside, flat.data[:, :, positions], x.dtype.type(-np.inf))  # (N, C, OH·OW, KH·KW)
    best = taps.argmax(axis=3)
    index = Tensor._wrap(positions[windows, best], x.device)
    out = where(inside[windows, best], gather(flat, 2, index), -np.inf)  # a window of nothing but padding is -inf
    out, found = reshape(out, (n, channels, *size)), reshape(index, (n, channels, *size))
    if single:
        out, found = reshape(out, out.shape[1:]), reshape(found, found.shape[1:])
    return (out, found) if return_indices else out


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean under each window: a depthwise convolution with a constant kernel.

    Args:
        input: (N, C, H, W) or (C, H, W).
        kernel_size, stride (the kernel's unless given), padding: integers or pairs.
        ceil_mode: let windows that hang over the edge count too.
        count_include_pad: divide by the number of taps, zeros of the padding included; otherwise of real pixels only.
        divisor_override: divide by this instead.

    Returns:
        (N, C, OH, OW), as for `max_pool2d`.

    Raises:
        UserError: a divisor of 0.

    >>> import minigen
    >>> x = minigen.arange(16.0).reshape(1, 1, 4, 4)
    >>> minigen.functional.avg_pool2d(x, 2)[0, 0]
    tensor([[ 2.5,  4.5],
            [10.5, 12.5]])
    """
    x, single = _images("avg_pool2d", input)
    kernel, steps, around, gaps = _window("avg_pool2d", kernel_size, stride, padding, 1)
    size = _output_size("avg_pool2d", x.shape, kernel, steps, around, gaps, ceil_mode)
    if divisor_override is not None and divisor_override == 0:
        raise UserError("avg_pool2d: divisor_override must not be 0.")
    channels = x.shape[1]
    # Windows may hang over the far edge: as much padding there as the last of them needs.
    sides = []
    for n, p, s, k, o in zip(x.shape[2:], around, steps, kernel, size):
        sides += [p, max((o - 1) * s + k - n - p, 0)]
    geometry = Geometry(steps, (sides[0], sides[1], sides[2], sides[3]), gaps, channels)
    ones = Tensor._wrap(x.device.xp.ones((channels, 1, *kernel), x.dtype), x.device)
    total = Conv2d.apply(x, ones, None, geometry=geometry)[:, :, : size[0], : size[1]]
    if divisor_override is not None:
        out = total / divisor_override
    else:
        margin = around if count_include_pad else (0, 0)
        counts = [_taps(n, m, p, s, k, o) for n, m, p, s, k, o in zip(x.shape[2:], margin, around, steps, kernel, size)]
        out = total / Tensor._wrap(x.device.constant(np.outer(*counts).astype(x.dtype)), x.device)
    return reshape(out, out.shape[1:]) if single else out


def interpolate(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool = False
) -> Tensor:
    """Images at another size.

    Args:
        input: (N, C, H, W).
        size: the new (H, W), or one integer for both.
        scale_factor: or how many times larger, a number or a pair.
        mode: ``'nearest'`` (pixel ⌊i·H/OH⌋) or ``'bilinear'`` (between the four neighbours, pixel centres at ½).
        align_corners: bilinear with the centres of the corner pixels kept in place instead.

    Returns:
        (N, C, OH, OW).

    Raises:
        ShapeError: a size that is not positive, or no image.
        UserError: both or neither of size and scale_factor, or an unknown mode.

    >>> import minigen
    >>> x = minigen.tensor([[[[0.0, 4.0]]]])
    >>> minigen.functional.interpolate(x, (1, 4))[0, 0]
    tensor([[0., 0., 4., 4.]])
    >>> minigen.functional.interpolate(x, (1, 4), mode="bilinear")[0, 0]
    tensor([[0., 1., 3., 4.]])
    """
    x, single = _images("interpolate", input)
    if (size is None) == (scale_factor is None):
        raise UserError("interpolate: give either size or scale_factor.")
    if size is not None:
        target = _pair("interpolate", "size", size, 1)
        ratios = tuple(n / m for n, m in zip(x.shape[2:], target))
    else:
        factors = scale_factor if isinstance(scale_factor, (tuple, list)) else (scale_factor, scale_factor)
        if len(factors) != 2 or not all(isinstance(f, (int, float)) and f > 0 for f in factors):
            raise UserError(f"interpolate: scale_factor must be a positive number or two, not {scale_factor!r}.")
        target = (math.floor(x.shape[2] * factors[0]), math.floor(x.shape[3] * factors[1]))
        ratios = tuple(1 / f if m != n else 1.0 for f, m, n in zip(factors, target, x.shape[2:]))  # same size: a copy
    if min(target) < 1 or 0 in x.shape[2:]:
        raise ShapeError(f"interpolate: an image of {x.shape[2:]} cannot be brought to {target}.")
    if mode == "nearest":
        for axis, (n, m, ratio) in enumerate(zip(x.shape[2:], target, ratios), start=2):
            nearest = np.minimum((np.arange(m) * ratio).astype(np.int64), n - 1)
            x = x[(slice(None),) * axis + (x.device.constant(nearest),)]
    elif mode == "bilinear":
        rows, columns = (
            Tensor._wrap(x.device.constant(_bilinear(n, m, ratio, align_corners).astype(x.dtype)), x.device)
            for n, m, ratio in zip(x.shape[2:], target, ratios)
        )
        x = MatMul.apply(MatMul.apply(rows, x), swapaxes(columns, 0, 1))  # (OH, H)(…, H, W)(W, OW)
    else:
        raise UserError(f"interpolate: mode {mode!r} is not known; the modes are 'nearest' and 'bilinear'.")
    return reshape(x, x.shape[1:]) if single else x


upsample = interpolate


def _images(name: str, input: Any) -> tuple[Tensor, bool]:
    x = floating(input)
    if x.ndim not in (3, 4) or x.shape[-3] == 0:
        raise ShapeError(f"{name}: needs images (N, C, H, W) or (C, H, W) with channels, not shape {x.shape}.")
    return (unsqueeze(x, 0), True) if x.ndim == 3 else (x, False)


def _window(name: str, kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> tuple[Pair, Pair, Pair, Pair]:
    kernel = _pair(name, "kernel_size", kernel_size, 1)
    around = _pair(name, "padding", padding, 0)
    if any(2 * p > k for p, k in zip(around, kernel)):
        raise ShapeError(f"{name}: padding {around} must be at most half the kernel {kernel}.")
    steps = kernel if stride is None else _pair(name, "stride", stride, 1)
    return kernel, steps, around, _pair(name, "dilation", dilation, 1)


def _output_size(
    name: str, shape: Sequence[int], kernel: Pair, steps: Pair, around: Pair, gaps: Pair, ceil_mode: bool
) -> Pair:
    out = []
    for n, k, s, p, d in zip(shape[2:], kernel, steps, around, gaps):
        free = n + 2 * p - d * (k - 1) - 1
        o = (free + (s - 1 if ceil_mode else 0)) // s + 1
        if ceil_mode and (o - 1) * s >= n + p:
            o -= 1  # a window must begin inside the image or the padding before it
        if o < 1:
            raise ShapeError(
                f"{name}: kernel {kernel} with dilation {gaps} is larger than the image {tuple(shape[2:])} with padding {around}."
            )
        out.append(o)
    return out[0], out[1]


def _taps(n: int, margin: int, p: int, s: int, k: int, o: int) -> np.ndarray:
    """How many taps of each window lie within the image and `margin` pixels around it."""
    start = np.arange(o) * s - p
    return np.minimum(start + k, n + margin) - np.maximum(start, -margin)


def _bilinear(n: int, m: int, ratio: float, align_corners: bool) -> np.ndarray:
    """The (m, n) matrix that makes m samples out of n by linear interpolation."""
    if align_corners:
        at = np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0)
    else:
        at = np.maximum((np.arange(m) + 0.5) * ratio - 0.5, 0.0)
    low = np.minimum(np.floor(at).astype(int), n - 1)
    high = np.minimum(low + 1, n - 1)
    matrix = np.zeros((m, n))
    np.add.at(matrix, (np.arange(m), low), 1 - (at - low))
    np.add.at(matrix, (np.arange(m), high), at - low)
    return matrix
