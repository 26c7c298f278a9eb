"""The geometry of a convolution: output sizes, and the one check that every implementation makes first."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

Pair = tuple[int, int]
Sides = tuple[int, int, int, int]


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
) -> ConvGeometry:
    """Checks the arguments of one of the three operations and returns its geometry.

    `arrays` holds two of "x" (N, C, H, W), "w" (O, C/G, KH, KW) and "y" (N, O, OH, OW), under those names and in the
    order in which `op` takes them. The size of the third follows: that of y from the others, that of x from `size`
    (H, W), that of w from `kernel_size` (KH, KW).

    Raises ValueError for shapes and parameters, TypeError for dtypes: one sentence with the operation, all shapes and
    parameters, the formula that failed, and what to try.
    """
    call = ", ".join(f"{name} {tuple(a.shape)}" for name, a in arrays.items())
    call += f", stride={stride}, padding={padding}, dilation={dilation}, groups={groups}"
    call += "" if size is None else f", size={size}"
    call += "" if kernel_size is None else f", kernel_size={kernel_size}"

    def error(problem: str) -> ValueError:
        return ValueError(f"{op}({call}): {problem}")

    check_dtypes(op, **arrays)
    for name, array in arrays.items():
        if array.ndim != 4:
            layout = {"x": "(N, C, H, W)", "w": "(O, C/groups, KH, KW)", "y": "(N, O, OH, OW)"}[name]
            raise error(f"{name} must have 4 axes, {layout}, not {array.ndim}; add the missing ones with reshape.")
        if 0 in array.shape[name != "w" :]:
            raise error(f"{name} has an axis of size 0; only the batch N may be empty.")

    stride = _integers(stride, 2, 1, error, "stride must be (sh, sw)")
    padding = _integers(padding, 4, 0, error, "padding must be (top, bottom, left, right)")
    dilation = _integers(dilation, 2, 1, error, "dilation must be (dh, dw)")
    (groups,) = _integers((groups,), 1, 1, error, "groups must be one number")
    x, w, y = arrays.get("x"), arrays.get("w"), arrays.get("y")

    if w is not None:
        kernel_size = w.shape[2:]
        out_channels, in_channels = w.shape[0], w.shape[1] * groups
    elif x is not None and y is not None:
        kernel_size = _integers(kernel_size, 2, 1, error, "kernel_size must be (KH, KW)")
        out_channels, in_channels = y.shape[1], x.shape[1]
    if x is not None and w is not None and x.shape[1] != in_channels:
        raise error(
            f"x must have w.shape[1] * groups = {w.shape[1]} * {groups} = {in_channels} channels, but has {x.shape[1]}; "
            f"give w {x.shape[1] / groups:g} input channels, or change groups."
        )
    if y is not None and w is not None and y.shape[1] != out_channels:
        raise error(
            f"y must have w.shape[0] = {out_channels} channels, but has {y.shape[1]}; w is the convolution's weight "
            f"(O, C/groups, KH, KW), which a transposed convolution reads as (in, out/groups, KH, KW)."
        )
    if x is not None and y is not None and x.shape[0] != y.shape[0]:
        raise error(f"x and y must have the same batch, but have {x.shape[0]} and {y.shape[0]}.")
    for name, channels in (("input", in_channels), ("output", out_channels)):
        if channels % groups:
            raise error(
                f"the {channels} {name} channels do not divide into {groups} groups ({channels} mod {groups} = "
                f"{channels % groups}); choose groups among the divisors of {channels}."
            )

    size = _integers(size, 2, 1, error, "size must be (H, W)") if x is None else x.shape[2:]
    out_size = conv_output_size(size, kernel_size, stride, padding, dilation)
    _check_kernel_fits(error, size, kernel_size, padding, dilation)
    if y is not None and y.shape[2:] != out_size:
        smallest = conv_transpose_output_size(y.shape[2:], kernel_size, stride, padding, dilation)
        ranges = " and ".join(
            f"{axis} from {max(low, 1)} to {low + s - 1}" for axis, low, s in zip("HW", smallest, stride)
        )
        raise error(
            f"a convolution maps (H, W) = {size} to (OH, OW) = {out_size} by (H + top + bottom - dh * (KH - 1) - 1) "
            f"// sh + 1 (W likewise), but y has {y.shape[2:]}; to these belong {ranges}."
        )
    batch = (y if x is None else x).shape[0]  # type: ignore[union-attr]
    top, _, left, _ = padding
    return ConvGeometry(
        batch, in_channels, out_channels, groups, size, out_size, kernel_size, stride, (top, left), dilation
    )


def check_dtypes(op: str, **arrays: np.ndarray) -> None:
    """Raises TypeError unless all arrays are float32, or all float64."""
    dtypes = {array.dtype for array in arrays.values()}
    if len(dtypes) > 1 or not dtypes <= {np.dtype(np.float32), np.dtype(np.float64)}:
        found = ", ".join(f"{name} {array.dtype}" for name, array in arrays.items())
        raise TypeError(f"{op}: all arrays must be float32, or all float64, not {found}; convert with astype.")


def _check_kernel_fits(error: Any, size: Pair, kernel_size: Pair, padding: Sides, dilation: Pair) -> None:
    top, bottom, left, right = padding
    axes = (("height", "H + top + bottom", "dh * (KH - 1) + 1"), ("width", "W + left + right", "dw * (KW - 1) + 1"))
    for (axis, padded, spread), n, before, after, k, d in zip(
        axes, size, (top, left), (bottom, right), kernel_size, dilation
    ):
        if d * (k - 1) + 1 > n + before + after:
            raise error(
                f"the kernel's {axis}, {spread} = {d} * ({k} - 1) + 1 = {d * (k - 1) + 1}, is larger than the padded "
                f"input's, {padded} = {n} + {before} + {after} = {n + before + after}; use a smaller kernel or "
                f"dilation, or more padding."
            )


def _integers(value: Any, count: int, least: int, error: Any, what: str) -> tuple[Any, ...]:
    """`value` as `count` plain integers, none smaller than `least`."""
    try:
        integers = tuple(operator.index(v) for v in value)
    except TypeError:
        integers = ()
    if len(integers) != count or min(integers) < least:
        raise error(f"{what}: {count} integer{'s' * (count > 1)}, none less than {least}.")
    return integers
