"""Convolution, its transpose and its weight gradient: three bilinear operations, each other's derivatives.

With x an image, w a weight and y an output, there is one trilinear form ⟨C(x, w), y⟩ = ⟨x, T(y, w)⟩ = ⟨w, W(x, y)⟩:

    C(x, w)  convolution            x̄ = T(g, w)   w̄ = W(x, g)
    T(y, w)  transposed             ȳ = C(g, w)   w̄ = W(g, y)
    W(x, y)  gradient of the weight x̄ = T(y, g)   ȳ = C(x, g)

so the family is closed: differentiating it any number of times never leaves these three. Each carries the exact
spatial size of what it makes, which takes care of output padding and of strides that leave a remainder.

Shapes: x (N, C, H, W), w (O, C/groups, KH, KW), y (N, O, OH, OW).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minigen.autograd.function import Function
from minigen.errors import DtypeError, ShapeError, UserError
from minigen.functional._operands import tensor
from minigen.functional.reduction import Sum
from minigen.functional.shape import pad, reshape, unsqueeze
from minigen.tensor import Tensor

Pair = tuple[int, int]


class Geometry(NamedTuple):
    """How a window moves over an image."""

    stride: Pair
    padding: tuple[int, int, int, int]  # top, bottom, left, right
    dilation: Pair
    groups: int


class Conv2d(Function):
    """y = C(x, w) + b;  x̄ = T(g, w), w̄ = W(x, g), b̄ = Σ g over all but the channels. b may be None."""

    takes_arrays = True

    def forward(self, x: Any, w: Any, b: Any, geometry: Geometry) -> Any:
        self.save_for_backward(x, w)
        self.geometry, self.x_size, self.kernel_size = geometry, x.shape[2:], w.shape[2:]
        return self.device.kernels.conv2d(x, w, *geometry, bias=b)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w = self.saved_tensors
        gx = gw = gb = None
        if self.needs_input_grad[0]:
            gx = self.compute(ConvTranspose2d, g, w, None, geometry=self.geometry, size=self.x_size)
        if self.needs_input_grad[1]:
            gw = self.compute(Conv2dWeightGrad, x, g, geometry=self.geometry, kernel_size=self.kernel_size)
        if self.needs_input_grad[2]:
            gb = self.compute(Sum, g, dims=(0, 2, 3), keepdim=False)
        return gx, gw, gb


class ConvTranspose2d(Function):
    """x = T(y, w) + b, of a given size;  ȳ = C(g, w), w̄ = W(g, y), b̄ = Σ g over all but the channels. b may be None."""

    takes_arrays = True

    def forward(self, y: Any, w: Any, b: Any, geometry: Geometry, size: Pair) -> Any:
        self.save_for_backward(y, w)
        self.geometry, self.kernel_size = geometry, w.shape[2:]
        return self.device.kernels.conv_transpose2d(y, w, *geometry, size, bias=b)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        y, w = self.saved_tensors
        gy = gw = gb = None
        if self.needs_input_grad[0]:
            gy = self.compute(Conv2d, g, w, None, geometry=self.geometry)
        if self.needs_input_grad[1]:
            gw = self.compute(Conv2dWeightGrad, g, y, geometry=self.geometry, kernel_size=self.kernel_size)
        if self.needs_input_grad[2]:
            gb = self.compute(Sum, g, dims=(0, 2, 3), keepdim=False)
        return gy, gw, gb


class Conv2dWeightGrad(Function):
    """w = W(x, y), of a given kernel size;  x̄ = T(y, g), ȳ = C(x, g)."""

    takes_arrays = True

    def forward(self, x: Any, y: Any, geometry: Geometry, kernel_size: Pair) -> Any:
        self.save_for_backward(x, y)
        self.geometry, self.x_size = geometry, x.shape[2:]
        return self.device.kernels.conv2d_weight_grad(x, y, *geometry, kernel_size)

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = self.saved_tensors
        gx = gy = None
        if self.needs_input_grad[0]:
            gx = self.compute(ConvTranspose2d, y, g, None, geometry=self.geometry, size=self.x_size)
        if self.needs_input_grad[1]:
            gy = self.compute(Conv2d, x, g, None, geometry=self.geometry)
        return gx, gy


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Convolution (cross-correlation) of images with a bank of kernels.

    y[n, o, i, j] = b[o] + Σ_{c, r, s} w[o, c, r, s] · x[n, c, i·stride + r·dilation - top, j·stride + s·dilation - left]

    Args:
        input: (N, C, H, W), or one image (C, H, W).
        weight: (O, C/groups, KH, KW).
        bias: (O,), optional.
        stride: pixels between two windows: an integer, or (vertical, horizontal).
        padding: zeros around the image: an integer, (vertical, horizontal), (top, bottom, left, right), ``'valid'``
            (none) or ``'same'``, with which the output has ceil(H/stride) rows; where the zeros do not divide evenly,
            the odd one goes to the bottom and right.
        dilation: pixels between two taps of a kernel: an integer or a pair.
        groups: channels are split into this many groups, each convolved with its own O/groups kernels.

    Returns:
        (N, O, OH, OW), with OH = ⌊(H + top + bottom - dilation·(KH - 1) - 1)/stride⌋ + 1.

    Raises:
        ShapeError: shapes that do not fit, with the formula that failed.

    >>> import minigen
    >>> x = minigen.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
    >>> minigen.functional.conv2d(x, minigen.tensor([[[[-1.0, 1.0]]]]))[0, 0]  # where the brightness changes
    tensor([[0., 1., 0.]])
    """
    x, w = _floating_pair("conv2d", input, weight)
    single = x.ndim == 3
    x = unsqueeze(x, 0) if single else x
    _check_images("conv2d", x, w, "weight (out_channels, in_channels/groups, KH, KW)")
    geometry = _geometry("conv2d", x.shape[2:], w.shape[2:], stride, padding, dilation, groups)
    out = Conv2d.apply(x, w, _bias("conv2d", bias, x, w.shape[0]), geometry=geometry)
    return reshape(out, out.shape[1:]) if single else out


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """Transposed convolution: the adjoint of `conv2d` with the same arguments, from its output's side to its input's.

    x[n, c, i·stride + r·dilation - top, j·stride + s·dilation - left] += Σ_o w[o, c, r, s] · y[n, o, i, j]

    Args:
        input: (N, C, H, W), or one image (C, H, W).
        weight: (C, O/groups, KH, KW).
        bias: (O,), optional.
        stride, dilation, groups: of the convolution that this transposes.
        padding: of that convolution; with ``'same'`` the output has H·stride rows.
        output_padding: rows and columns added at the bottom and right, to choose among the sizes which that
            convolution would bring to this input's; smaller than the stride or the dilation.

    Returns:
        (N, O, OH, OW), with OH = (H - 1)·stride - top - bottom + dilation·(KH - 1) + output_padding + 1.

    Raises:
        ShapeError: shapes that do not fit, with the formula that failed.
        UserError: an output_padding beside ``'same'``.

    >>> import minigen
    >>> g = minigen.Generator(0)
    >>> x, w = minigen.randn(1, 2, 9, 9, generator=g), minigen.randn(4, 2, 3, 3, generator=g)
    >>> y = minigen.randn(1, 4, 4, 4, generator=g)
    >>> left = (minigen.functional.conv2d(x, w, stride=2) * y).sum()  # ⟨Ax, y⟩ = ⟨x, Aᵀy⟩
    >>> right = (x * minigen.functional.conv_transpose2d(y, w, stride=2)).sum()
    >>> bool(abs(left - right) < 1e-3)
    True
    """
    name = "conv_transpose2d"
    y, w = _floating_pair(name, input, weight)
    single = y.ndim == 3
    y = unsqueeze(y, 0) if single else y
    _check_images(name, y, w, "weight (in_channels, out_channels/groups, KH, KW)")
    steps, gaps = _pair(name, "stride", stride, 1), _pair(name, "dilation", dilation, 1)
    extra, beyond = _pair(name, "output_padding", output_padding, 0), (0, 0)
    if padding == "same":
        size = (y.shape[2] * steps[0], y.shape[3] * steps[1])
        geometry = _geometry(name, size, w.shape[2:], stride, padding, dilation, groups)
        if extra != (0, 0):
            raise UserError("conv_transpose2d: padding='same' fixes the size of the output; leave output_padding at 0.")
    else:
        geometry = _geometry(name, None, w.shape[2:], stride, padding, dilation, groups)
        if any(more >= max(s, d) for more, s, d in zip(extra, steps, gaps)):
            raise ShapeError(
                f"{name}: output_padding {extra} must be smaller than the stride {steps} or the dilation {gaps}."
            )
        geometry, extra, beyond = _absorb(geometry, extra)
        top, bottom, left, right = geometry.padding
        size = tuple(
            (n - 1) * s - around + d * (k - 1) + more + 1
            for n, s, around, d, k, more in zip(
                y.shape[2:], steps, (top + bottom, left + right), gaps, w.shape[2:], extra
            )
        )
    if min(size) < 1:
        raise ShapeError(
            f"{name}: the output would have size {size}, from (H - 1)·stride - top - bottom + dilation·(KH - 1) + "
            f"output_padding + 1 with input {y.shape}, weight {w.shape}, {_words(geometry)}, output_padding {extra}; use "
            "less padding or a larger input."
        )
    b = _bias(name, bias, y, w.shape[1] * geometry.groups)
    if beyond == (0, 0):
        out = ConvTranspose2d.apply(y, w, b, geometry=geometry, size=size)
    else:
        out = pad(ConvTranspose2d.apply(y, w, None, geometry=geometry, size=size), (0, beyond[1], 0, beyond[0]))
        out = out if b is None else out + reshape(b, (1, -1, 1, 1))
    return reshape(out, out.shape[1:]) if single else out


def conv2d_weight_grad(
    input: Any,
    grad_output: Any,
    kernel_size: Any,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """The gradient of a convolution with respect to its weight: the third of the family, differentiable like the others.

    w[o, c, r, s] = Σ_{n, i, j} y[n, o, i, j] · x[n, c, i·stride + r·dilation - top, j·stride + s·dilation - left]

    Args:
        input: x (N, C, H, W).
        grad_output: y (N, O, OH, OW), of the size that the convolution gives.
        kernel_size: (KH, KW) or an integer.
        stride, padding, dilation, groups: of the convolution.

    Returns:
        (O, C/groups, KH, KW).

    >>> import minigen
    >>> x = minigen.randn(2, 3, 8, 8, generator=minigen.Generator(0))
    >>> w = minigen.zeros(4, 3, 3, 3, requires_grad=True)
    >>> y = minigen.functional.conv2d(x, w, stride=2)
    >>> direct = minigen.functional.conv2d_weight_grad(x, minigen.ones_like(y), kernel_size=3, stride=2)
    >>> bool((direct - minigen.grad(y.sum(), w)[0]).abs().max() < 1e-4)
    True
    """
    name = "conv2d_weight_grad"
    x, y = _floating_pair(name, input, grad_output)
    _check_images(name, x, y, "grad_output (N, out_channels, OH, OW)")
    kernel = _pair(name, "kernel_size", kernel_size, 1)
    geometry = _geometry(name, x.shape[2:], kernel, stride, padding, dilation, groups)
    return Conv2dWeightGrad.apply(x, y, geometry=geometry, kernel_size=kernel)


def _floating_pair(name: str, a: Any, b: Any) -> tuple[Tensor, Tensor]:
    a, b = tensor(a), tensor(b)
    if a.dtype != b.dtype or a.dtype not in (np.float32, np.float64):
        raise DtypeError(
            f"{name}: both operands must be float32, or both float64, not {a.dtype} and {b.dtype}; convert with .astype()."
        )
    return a, b


def _check_images(name: str, images: Tensor, other: Tensor, what: str) -> None:
    if images.ndim != 4 or other.ndim != 4:
        raise ShapeError(
            f"{name}: needs an input (N, C, H, W) or (C, H, W) and a {what}, not shapes {images.shape} and {other.shape}."
        )


def _geometry(
    name: str, size: Sequence[int] | None, kernel: Sequence[int], stride: Any, padding: Any, dilation: Any, groups: Any
) -> Geometry:
    """The arguments in full. `size` is the image's, which only 'same' padding needs."""
    steps, gaps = _pair(name, "stride", stride, 1), _pair(name, "dilation", dilation, 1)
    if not isinstance(groups, (int, np.integer)) or groups < 1:
        raise UserError(f"{name}: groups must be a positive integer, not {groups!r}.")
    sides: tuple[int, ...]
    if padding == "same" and size is not None:
        sides = ()
        for n, k, s, d in zip(size, kernel, steps, gaps):
            total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            sides += (total // 2, total - total // 2)
    elif padding == "valid":
        sides = (0, 0, 0, 0)
    elif isinstance(padding, (tuple, list)) and len(padding) == 4:
        sides = tuple(padding)
    elif isinstance(padding, str):
        raise UserError(f"{name}: padding {padding!r} is not known; the words are 'same' and 'valid'.")
    else:
        vertical, horizontal = _pair(name, "padding", padding, 0)
        sides = (vertical, vertical, horizontal, horizontal)
    if not all(isinstance(p, (int, np.integer)) and p >= 0 for p in sides):
        raise UserError(f"{name}: padding must be made of non-negative integers, not {padding!r}.")
    top, bottom, left, right = sides
    return Geometry(steps, (top, bottom, left, right), gaps, int(groups))


def _absorb(geometry: Geometry, extra: Pair) -> tuple[Geometry, Pair, Pair]:
    """Output padding of a stride or more, which a large dilation allows, as less padding and rows of zeros beyond.

    A convolution maps `stride` sizes to one and the same, and `output_padding` < stride chooses among them. More than
    that reaches a size which it maps to more rows. With stride 1, bottom padding 1 and output_padding 2, the first row
    gained is one that the padding had cut off, so the padding becomes 0; past the second no kernel reaches: zeros.

    Returns:
        The geometry with less padding, the output padding that remains, and the (rows, columns) of zeros to add.
    """
    top, bottom, left, right = geometry.padding
    undo, rest = [0, 0], list(extra)
    for i, (more, s, p) in enumerate(zip(extra, geometry.stride, (bottom, right))):
        if more >= s:
            undo[i], rest[i] = min(more, p), 0
    beyond = (extra[0] - undo[0] - rest[0], extra[1] - undo[1] - rest[1])
    padding = (top, bottom - undo[0], left, right - undo[1])
    return geometry._replace(padding=padding), (rest[0], rest[1]), beyond


def _pair(name: str, argument: str, value: Any, least: int) -> Pair:
    both = (value, value) if isinstance(value, (int, np.integer)) else value
    if (
        not isinstance(both, (tuple, list))
        or len(both) != 2
        or not all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) and v >= least for v in both)
    ):
        raise UserError(f"{name}: {argument} must be an integer ≥ {least} or a pair of them, not {value!r}.")
    return int(both[0]), int(both[1])


def _bias(name: str, bias: Any, x: Tensor, channels: int) -> Tensor | None:
    if bias is None:
        return None
    bias = tensor(bias)
    if bias.shape != (channels,):
        raise ShapeError(f"{name}: bias has shape {bias.shape}, but there are {channels} output channels.")
    if bias.dtype.kind != "f":
        return bias.astype(x.dtype)
    if bias.dtype != x.dtype:
        raise DtypeError(f"{name}: the bias is {bias.dtype}, but the output {x.dtype}; convert it with .astype().")
    return bias


def _words(geometry: Geometry) -> str:
    return ", ".join(f"{name} {value}" for name, value in geometry._asdict().items())
