"""Convolution and transposed convolution of images (N, C, H, W)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen import functional as F
from minigen.device import cpu as CPU
from minigen.errors import ShapeError, UserError
from minigen.nn import init
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.tensor import DEFAULT_DTYPE, Tensor

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Conv(Module):
    """What both layers hold: the geometry of the window, a weight and a bias."""

    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        output_padding: Any,
        dilation: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        transposed: bool,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if min(in_channels, out_channels, groups) < 1 or in_channels % groups or out_channels % groups:
            raise UserError(
                f"{name}: in_channels={in_channels} and out_channels={out_channels} must be positive multiples of "
                f"groups={groups}."
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = _sides(name, "kernel_size", kernel_size, 1)
        self.stride = _sides(name, "stride", stride, 1)
        self.padding: Any = padding if isinstance(padding, str) else _sides(name, "padding", padding, 0)
        self.output_padding = _sides(name, "output_padding", output_padding, 0)
        self.dilation = _sides(name, "dilation", dilation, 1)
        self.padding_mode = padding_mode
        CPU.kernels.expect_convolutions()
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        self.weight = Parameter(np.empty((first, second // groups, *self.kernel_size), DEFAULT_DTYPE))
        self.register_parameter("bias", Parameter(np.empty(out_channels, DEFAULT_DTYPE)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the starting values anew, uniform on ±1/√fan_in as in PyTorch."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # this gain makes the bound 1/√fan_in
        if self.bias is not None:
            bound = 1 / math.sqrt(math.prod(self.weight.shape[1:]))
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        words = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        words += f", padding={self.padding}" if self.padding != (0, 0) else ""
        words += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        words += f", output_padding={self.output_padding}" if self.output_padding != (0, 0) else ""
        words += f", groups={self.groups}" if self.groups != 1 else ""
        words += ", bias=False" if self.bias is None else ""
        return words + (f", padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "")


class Conv2d(_Conv):
    """Convolution with a learned bank of kernels; the arithmetic is `minigen.functional.conv2d`'s.

    Args:
        in_channels, out_channels: C and O, multiples of `groups`.
        kernel_size, stride, dilation: an integer or a pair (vertical, horizontal).
        padding: an integer, a pair, (top, bottom, left, right), ``'same'`` or ``'valid'``.
        groups: how many groups the channels are split into; C of them make a depthwise convolution.
        bias: whether there is one.
        padding_mode: what stands around the image: ``'zeros'``, ``'reflect'``, ``'replicate'`` or ``'circular'``.

    Shapes: input (N, C, H, W) or (C, H, W), weight (O, C/groups, KH, KW), bias (O,), output (N, O, OH, OW), with
    OH = ⌊(H + top + bottom - dilation·(KH - 1) - 1)/stride⌋ + 1.

    Raises:
        UserError: sizes, a padding or a padding_mode that cannot be.

    >>> import minigen
    >>> minigen.nn.Conv2d(3, 8, kernel_size=4, stride=2, padding=1)(minigen.ones(1, 3, 32, 32)).shape
    (1, 8, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
    ) -> None:
        if padding_mode not in PADDING_MODES:
            raise UserError(f"Conv2d: padding_mode must be one of {', '.join(PADDING_MODES)}, not {padding_mode!r}.")
        if isinstance(padding, str) and padding not in ("same", "valid"):
            raise UserError(f"Conv2d: padding {padding!r} is not known; the words are 'same' and 'valid'.")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias, padding_mode, False
        )

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._around(), self.padding_mode), 0
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _around(self) -> tuple[int, ...]:
        """(left, right, top, bottom), as `pad` takes it."""
        if self.padding == "valid":
            return (0, 0, 0, 0)
        if self.padding == "same":
            (top, bottom), (left, right) = (
                (d * (k - 1) // 2, d * (k - 1) - d * (k - 1) // 2) for d, k in zip(self.dilation, self.kernel_size)
            )
        elif len(self.padding) == 4:
            top, bottom, left, right = self.padding
        else:
            top, left = bottom, right = self.padding
        return (left, right, top, bottom)


class ConvTranspose2d(_Conv):
    """Transposed convolution, the usual way to enlarge images; see `minigen.functional.conv_transpose2d`.

    Args:
        in_channels, out_channels: C and O, multiples of `groups`.
        kernel_size, stride, padding, dilation, groups: of the convolution that this transposes.
        output_padding: rows and columns added at the bottom and right.
        bias: whether there is one.

    Shapes: input (N, C, H, W) or (C, H, W), weight (C, O/groups, KH, KW), bias (O,), output (N, O, OH, OW), with
    OH = (H - 1)·stride - 2·padding + dilation·(KH - 1) + output_padding + 1.

    Raises:
        UserError: sizes that cannot be, or another padding_mode than ``'zeros'``.

    >>> import minigen
    >>> up = minigen.nn.ConvTranspose2d(8, 3, kernel_size=3, stride=2, padding=1)
    >>> up(minigen.ones(1, 8, 16, 16)).shape, up(minigen.ones(1, 8, 16, 16), output_size=(32, 32)).shape
    ((1, 3, 31, 31), (1, 3, 32, 32))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
    ) -> None:
        if padding_mode != "zeros":
            raise UserError(f"ConvTranspose2d: the only padding_mode is 'zeros', not {padding_mode!r}.")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
            padding_mode,
            True,
        )

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        """`output_size`: the wanted (OH, OW), in place of `output_padding`: of one input, several sizes can be made."""

        def transpose(extra: Any) -> Tensor:
            return F.conv_transpose2d(
                input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation
            )

        return transpose(self.output_padding if output_size is None else self._extra(input, output_size))

    def _extra(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """The output padding that leads to `output_size`."""
        if isinstance(self.padding, str):
            raise UserError(f"ConvTranspose2d: padding={self.padding!r} fixes the output; leave out output_size.")
        wanted = tuple(output_size)[-2:]
        around = self.padding if len(self.padding) == 4 else tuple(p for p in self.padding for _ in range(2))
        least = tuple(
            (n - 1) * s - around[2 * i] - around[2 * i + 1] + d * (k - 1) + 1
            for i, (n, s, d, k) in enumerate(zip(input.shape[-2:], self.stride, self.dilation, self.kernel_size))
        )
        extra = tuple(w - n for w, n in zip(wanted, least))
        if len(wanted) != 2 or any(not 0 <= e < s for e, s in zip(extra, self.stride)):
            raise ShapeError(
                f"ConvTranspose2d: output_size {tuple(output_size)} cannot be made of an input of shape {input.shape}: "
                f"it must be from {least} to {tuple(n + s - 1 for n, s in zip(least, self.stride))}."
            )
        return extra


def _sides(layer: str, argument: str, value: Any, least: int) -> tuple[int, ...]:
    """An integer as a pair; a pair (or, for padding, four sides) as a tuple."""
    both = (value, value) if isinstance(value, (int, np.integer)) else tuple(value)
    lengths = (2, 4) if argument == "padding" else (2,)
    if len(both) not in lengths or not all(isinstance(v, (int, np.integer)) and v >= least for v in both):
        raise UserError(f"{layer}: {argument} must be an integer ≥ {least} or a pair of them, not {value!r}.")
    return tuple(int(v) for v in both)
