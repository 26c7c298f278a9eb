"""The geometry of a convolution: output sizes, and the one check that every implementation makes first."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

DTYPES = frozenset((np.dtype(np.float32), np.dtype(np.float64)))

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]
Shape = tuple[int, ...]
Error = Callable[[str], ValueError]

LAYOUTS = {"x": "(N, C, H, W)", "w": "(O, C/groups, KH, KW)", "y": "(N, O, OH, OW)"}


class ConvGeometry(NamedTuple):
    """A checked convolution, seen from its x side (N, C, H, W) and its y side (N, O, OH, OW) alike.

    `padding` is what precedes the first row and column, (top, left). What follows the last ones, bottom and right, has
    done its work once `out_size` is known. Either may be negative in a geometry that `mirrored` made.
    """

    batch: int
    in_channels: int
    out_channels: int
    groups: int
    in_size: Pair
    out_size: Pair
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair

    def mirrored(self) -> ConvGeometry:
        """The same taps with x and y changing places, for stride 1 only.

        With stride 1, h = i - top + dh p is i = h - (dh (KH - 1) - top) + dh p' with p' = KH - 1 - p: again a
        convolution, from y to x, with the kernel turned by half a turn. So C may be computed as a T, and T as a C.
        """
        (kh, kw), (dh, dw), (top, left) = self.kernel_size, self.dilation, self.padding
        return self._replace(
            in_channels=self.out_channels,
            out_channels=self.in_channels,
            in_size=self.out_size,
            out_size=self.in_size,
            padding=(dh * (kh - 1) - top, dw * (kw - 1) - left),
        )


def conv_output_size(size: Pair, kernel_size: Pair, stride: Pair, padding: Sides, dilation: Pair) -> Pair:
    """The output size (OH, OW) of a convolution over `size` = (H, W).

    OH = floor((H + top + bottom - dh (KH - 1) - 1) / sh) + 1, and likewise OW; less than 1 where the kernel, spread by
    its dilation, is larger than the padded input.
    """
    (h, w), (kh, kw), (sh, sw), (dh, dw) = size, kernel_size, stride, dilation
    top, bottom, left, right = padding
    return (h + top + bottom - dh * (kh - 1) - 1) // sh + 1, (w + left + right - dw * (kw - 1) - 1) // sw + 1


def conv_transpose_output_size(
    size: Pair, kernel_size: Pair, stride: Pair, padding: Sides, dilation: Pair, output_padding: Pair = (0, 0)
) -> Pair:
    """The output size (H, W) of a transposed convolution over `size` = (OH, OW).

    H = (OH - 1) sh - top - bottom + dh (KH - 1) + 1 + output_padding: the smallest size which the convolution maps to
    OH, plus `output_padding`, which chooses among the sh sizes that it maps to the same OH.
    """
    (oh, ow), (kh, kw), (sh, sw), (dh, dw) = size, kernel_size, stride, dilation
    top, bottom, left, right = padding
    height = (oh - 1) * sh - top - bottom + dh * (kh - 1) + 1 + output_padding[0]
    return height, (ow - 1) * sw - left - right + dw * (kw - 1) + 1 + output_padding[1]


def check_convolution(
    op: str,
    arrays: dict[str, np.ndarray],
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    *,
    size: Any = None,
    kernel_size: Any = None,
    bias: np.ndarray | None = None,
) -> ConvGeometry:
    """Checks the arguments of one of the three operations and returns its geometry.

    `arrays` holds two of "x" (N, C, H, W), "w" (O, C/G, KH, KW) and "y" (N, O, OH, OW), under those names and in the
    order in which `op` takes them. The size of the third follows: that of y from the others, that of x from `size`
    (H, W), that of w from `kernel_size` (KH, KW). A `bias` has a number for each channel of that third.

    Raises ValueError for shapes and parameters, TypeError for dtypes: one sentence with the operation, all shapes and
    parameters, the formula that failed, and what to try.
    """

    check_dtypes(op, **arrays, **({} if bias is None else {"bias": bias}))
    given = stride, padding, dilation, groups, size, kernel_size
    shapes = tuple([(name, array.shape) for name, array in arrays.items()])
    kinds = {type(v) for part in given if part is not None for v in (part if type(part) is tuple else (part,))}
    checked = _checked if kinds == {int} else _checked.__wrapped__  # to a cache, 1.0 and 1 are one, but only 1 may pass
    return checked(op, shapes, None if bias is None else bias.shape, *given)


@lru_cache(1024)
def _checked(
    op: str,
    shapes: tuple[tuple[str, Shape], ...],
    bias: Shape | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    size: Any,
    kernel_size: Any,
) -> ConvGeometry:
    """What `check_convolution` finds once it knows the types. It depends on shapes, which come again in every step."""

    def error(problem: str) -> ValueError:
        call = [f"{name} {shape}" for name, shape in shapes]
        call += [f"stride={stride}, padding={padding}, dilation={dilation}, groups={groups}"]
        call += [
            f"{name}={value}" for name, value in (("size", size), ("kernel_size", kernel_size)) if value is not None
        ]
        return ValueError(f"{op}({', '.join(call)}): {problem}")

    for name, shape in shapes:
        if len(shape) != 4:
            raise error(
                f"{name} must be {LAYOUTS[name]}, with 4 axes, not {len(shape)}; add or drop axes with reshape."
            )
        if 0 in (shape if name == "w" else shape[1:]):
            raise error(f"{name} has an axis of size 0; only the batch N may be empty.")
    strides = _integers(stride, 2, 1, error, "stride must be (sh, sw)")
    sides = _integers(padding, 4, 0, error, "padding must be (top, bottom, left, right)")
    dilations = _integers(dilation, 2, 1, error, "dilation must be (dh, dw)")
    (count,) = _integers((groups,), 1, 1, error, "groups must be one number")

    there: dict[str, Any] = dict(shapes)
    x, w, y = (there.get(name) for name in "xwy")
    kernel = _integers(kernel_size, 2, 1, error, "kernel_size must be (KH, KW)") if w is None else w[2:]
    in_size = _integers(size, 2, 1, error, "size must be (H, W)") if x is None else x[2:]
    batch, in_channels, out_channels = _check_channels(x, w, y, count, error)
    made = in_channels if x is None else out_channels
    if bias is not None and bias != (made,):
        raise error(f"the bias has shape {bias}, but there are {made} output channels; give one number for each.")
    _check_kernel_fits(in_size, kernel, sides, dilations, error)
    out_size = conv_output_size(in_size, kernel, strides, sides, dilations)
    if y is not None and y[2:] != out_size:
        low = conv_transpose_output_size(y[2:], kernel, strides, sides, dilations)
        raise error(
            f"a convolution maps (H, W) = {in_size} to (OH, OW) = {out_size} by OH = (H + top + bottom - dh * (KH - 1) "
            f"- 1) // sh + 1, and OW likewise, but y has {y[2:]}; to these belong H from {low[0]} to "
            f"{low[0] + strides[0] - 1} and W from {low[1]} to {low[1] + strides[1] - 1}."
        )
    before = (sides[0], sides[2])
    return ConvGeometry(batch, in_channels, out_channels, count, in_size, out_size, kernel, strides, before, dilations)


def check_dtypes(op: str, **arrays: np.ndarray) -> None:
    """Raises TypeError unless all arrays are float32, or all float64."""
    dtypes = {array.dtype for array in arrays.values()}
    if len(dtypes) > 1 or not dtypes.issubset(DTYPES):
        found = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"{op}: all arrays must be float32, or all float64, not {found}; convert with astype.")


def check_product(a: np.ndarray, b: np.ndarray, bias: np.ndarray | None = None) -> tuple[int, ...]:
    """The leading axes of the product of the matrices a (..., M, K) and b (..., K, N), plus a bias (N,).

    Raises ValueError for shapes that do not fit, TypeError for dtypes other than float32 alone or float64 alone.
    """
    dtype = a.dtype
    if dtype not in DTYPES or b.dtype != dtype or (bias is not None and bias.dtype != dtype):
        check_dtypes("matmul", a=a, b=b, **({} if bias is None else {"bias": bias}))
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"matmul(a {a.shape}, b {b.shape}): a must be (..., M, K) and b (..., K, N) with the same K; transpose or "
            f"reshape one of them."
        )
    if bias is not None and bias.shape != b.shape[-1:]:
        raise ValueError(f"matmul(a {a.shape}, b {b.shape}, bias {bias.shape}): the bias must be ({b.shape[-1]},).")
    if a.ndim == b.ndim == 2:
        return ()
    try:
        return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(
            f"matmul(a {a.shape}, b {b.shape}): the leading axes {a.shape[:-2]} and {b.shape[:-2]} do not broadcast; "
            f"each pair of them, from the right, must be equal or contain a 1."
        ) from None


def _check_channels(
    x: Shape | None, w: Shape | None, y: Shape | None, groups: int, error: Error
) -> tuple[int, int, int]:
    """N, C and O, after making sure that the two arrays which are there agree on them."""
    if x is None and y is not None and w is not None:
        batch, in_channels, out_channels = y[0], w[1] * groups, y[1]
    elif y is None and x is not None and w is not None:
        batch, in_channels, out_channels = x[0], x[1], w[0]
    elif x is not None and y is not None:
        batch, in_channels, out_channels = x[0], x[1], y[1]
        if batch != y[0]:
            raise error(f"x and y must have the same batch N, but have {batch} and {y[0]}.")
    if w is not None and in_channels != w[1] * groups:
        raise error(
            f"x must have w.shape[1] * groups = {w[1]} * {groups} = {w[1] * groups} channels, but has "
            f"{in_channels}; give w another number of input channels, or change groups."
        )
    if w is not None and out_channels != w[0]:
        raise error(
            f"y must have w.shape[0] = {w[0]} channels, but has {out_channels}; w is laid out {LAYOUTS['w']} for "
            f"the convolution, which makes it (in, out/groups, KH, KW) for a transposed one."
        )
    for channels, which in ((in_channels, "input"), (out_channels, "output")):
        if channels % groups:
            raise error(
                f"{channels} {which} channels do not divide into {groups} groups ({channels} mod {groups} = "
                f"{channels % groups}); choose a divisor of {channels} as groups."
            )
    return batch, in_channels, out_channels


def _check_kernel_fits(size: Pair, kernel_size: Pair, padding: Sides, dilation: Pair, error: Error) -> None:
    top, bottom, left, right = padding
    for axis, formulas, n, before, after, k, d in (
        ("height", ("dh * (KH - 1) + 1", "H + top + bottom"), size[0], top, bottom, kernel_size[0], dilation[0]),
        ("width", ("dw * (KW - 1) + 1", "W + left + right"), size[1], left, right, kernel_size[1], dilation[1]),
    ):
        if d * (k - 1) + 1 > n + before + after:
            raise error(
                f"the kernel's {axis}, {formulas[0]} = {d} * ({k} - 1) + 1 = {d * (k - 1) + 1}, is larger than the "
                f"padded input's, {formulas[1]} = {n} + {before} + {after} = {n + before + after}; use a smaller kernel "
                f"or dilation, or more padding."
            )


def _integers(value: Any, count: int, least: int, error: Error, what: str) -> tuple[Any, ...]:
    """`value` as `count` plain integers, none smaller than `least`."""
    try:
        integers = tuple(operator.index(v) for v in value)
    except TypeError:
        integers = ()
    if len(integers) != count or min(integers) < least:
        raise error(f"{what}, integers of at least {least}.")
    return integers
