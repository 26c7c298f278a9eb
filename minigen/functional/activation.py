"""Activations. At a kink the derivative is the one PyTorch takes: 0 for relu at 0, and so on.

In the docstrings y is the result, g the gradient that arrives for y, and x̄ the gradient that leaves for x.
"""

from __future__ import annotations

import math
import operator
from typing import Any

from minigen.autograd.function import Function, run
from minigen.device import Device
from minigen.errors import UserError
from minigen.functional import fused
from minigen.functional._operands import axes, floating, tensor
from minigen.functional.arithmetic import (
    Exp,
    Sigmoid,
    Where,
    _logistic,
    _values,
    choose,
    clip,
    erf,
    exp,
    square,
    tanh,
    where,
    zero_of,
)
from minigen.functional.linalg import linear
from minigen.functional.reduction import sum
from minigen.tensor import DEFAULT_DTYPE, Tensor


class Relu(Function):
    """y = max(x, 0);  x̄ = g where x > 0, else 0."""

    takes_arrays = True
    keeps_inputs = True

    def forward(self, x: Any) -> Any:
        return self.device.xp.maximum(x, zero_of(x, self.device))

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        if self.on_arrays:
            zero = zero_of(x, self.device)
            return choose(self.device.xp, x > zero, g, zero)
        return run(Where, g, 0.0, condition=x.data > 0)


class Silu(Function):
    """y = x·σ(x), σ(x) = 1/(1 + e⁻ˣ);  x̄ = g·s·(1 + x·(1 - s)), s = σ(x)."""

    takes_arrays = True
    keeps_inputs = True

    def forward(self, x: Any) -> Any:
        own = getattr(self.device.kernels, "silu", None)
        return x * _logistic(x, self.device) if own is None else own(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        own = getattr(self.device.kernels, "silu_grad", None) if self.on_arrays else None
        if own is not None:
            return own(g, x)
        s = self.compute(Sigmoid, x)
        return g * (s * (x * (1 - s) + 1))


class LeakyRelu(Function):
    """y = x where x > 0, else slope·x;  x̄ = g there, else slope·g."""

    takes_arrays = True
    keeps_inputs = True

    def forward(self, x: Any, slope: float) -> Any:
        self.slope = slope
        larger = self.device.xp.maximum if slope <= 1 else self.device.xp.minimum
        return larger(x, x * slope)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        positive, xp = _values(x) > 0, self.device.xp
        if 0 <= self.slope <= 1:  # max(1, slope) = 1 and max(0, slope) = slope, without a branch
            factor = xp.maximum(positive.astype(x.dtype), self.slope)
        else:
            factor = xp.where(positive, xp.ones((), x.dtype), self.slope)
        return g * (factor if self.on_arrays else Tensor._wrap(xp.asarray(factor), self.device))


class Elu(Function):
    """y = scale·x where x > 0, else scale·α(eˣ - 1);  x̄ = scale·g there, else scale·α·eˣ·g."""

    takes_arrays = True
    keeps_inputs = True

    def forward(self, x: Any, alpha: float, scale: float) -> Any:
        self.alpha, self.scale = alpha, scale
        xp = self.device.xp
        return xp.where(x > 0, x * scale, xp.expm1(xp.minimum(x, 0)) * (alpha * scale))

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        positive = _values(x) > 0
        return g * self.compute(
            Where,
            self.scale,
            self.compute(Exp, self.compute(Where, 0.0, x, condition=positive)) * (self.alpha * self.scale),
            condition=positive,
        )


ENOUGH_IN_A_ROW = 2  # numbers: of rows of one, NumPy makes sums sooner than a kernel begins them
ENOUGH_FOR_GRADIENT = 512  # numbers: of fewer, NumPy's three steps are sooner done than a kernel called


class Softmax(Function):
    """yᵢ = e^(xᵢ)/Σⱼ e^(xⱼ) over the axes;  x̄ = y·(g - Σⱼ gⱼyⱼ)."""

    takes_arrays = True

    def forward(self, x: Any, dims: tuple[int, ...]) -> Any:
        self.dims = dims
        if _has_softmax(self.device, x, dims):
            y = self.device.kernels.softmax(x, *dims)
        else:
            e = self.device.quietly(self.device.xp.exp, _below_largest(self.device, x, dims))
            y = e / e.sum(axis=dims, keepdims=True)
        self.save_for_backward(y)
        return y

    def backward(self, g: Tensor) -> Tensor:
        return self.compute(SoftmaxGradient, g, *self.saved_tensors, dims=self.dims)


class SoftmaxGradient(Function):
    """zᵢ = yᵢ(xᵢ - Σⱼ xⱼyⱼ) over the axes;  x̄ = the same of g, ȳᵢ = gᵢ(xᵢ - Σⱼ xⱼyⱼ) - xᵢ Σⱼ gⱼyⱼ."""

    keeps_inputs = True

    def forward(self, x: Any, y: Any, dims: tuple[int, ...]) -> Any:
        self.dims = dims
        if y.size >= ENOUGH_FOR_GRADIENT and _has_softmax(self.device, y, dims):
            return self.device.kernels.softmax_grad(x, y, *dims)
        return y * (x - (x * y).sum(axis=dims, keepdims=True))

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = self.saved_tensors
        gx = SoftmaxGradient.apply(g, y, dims=self.dims) if self.needs_input_grad[0] else None
        if not self.needs_input_grad[1]:
            return gx, None
        return gx, g * (x - sum(x * y, self.dims, True)) - x * sum(g * y, self.dims, True)


class LogSoftmax(Function):
    """yᵢ = xᵢ - ln Σⱼ e^(xⱼ) over the axes;  x̄ = g - eʸ·Σⱼ gⱼ."""

    takes_arrays = True

    def forward(self, x: Any, dims: tuple[int, ...]) -> Any:
        self.dims = dims
        if _has_softmax(self.device, x, dims):
            y = self.device.kernels.softmax(x, *dims, log=True)
        else:
            xp, below = self.device.xp, _below_largest(self.device, x, dims)
            y = below - self.device.quietly(xp.log, xp.exp(below).sum(axis=dims, keepdims=True))
        self.save_for_backward(y)
        return y

    def backward(self, g: Tensor) -> Tensor:
        return self.compute(LogSoftmaxGradient, g, *self.saved_tensors, dims=self.dims)


class LogSoftmaxGradient(Function):
    """zᵢ = xᵢ - e^(yᵢ)·Σⱼ xⱼ over the axes;  x̄ = g - Σⱼ gⱼe^(yⱼ), ȳᵢ = -gᵢ e^(yᵢ)·Σⱼ xⱼ."""

    keeps_inputs = True

    def forward(self, x: Any, y: Any, dims: tuple[int, ...]) -> Any:
        self.dims = dims
        if y.size >= ENOUGH_FOR_GRADIENT and _has_softmax(self.device, y, dims):
            return self.device.kernels.softmax_grad(x, y, *dims, log=True)
        return x - self.device.xp.exp(y) * x.sum(axis=dims, keepdims=True)

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = self.saved_tensors
        product = g * exp(y)
        gx = g - sum(product, self.dims, True) if self.needs_input_grad[0] else None
        return gx, -product * sum(x, self.dims, True) if self.needs_input_grad[1] else None


def _has_softmax(device: Device, x: Any, dims: tuple[int, ...]) -> bool:
    """Whether softmax over these axes of x is one pass over memory, by a kernel of the device, instead of five.

    That is where the axis lies innermost in memory: the last one, or the channels of images that lie channels last.
    """
    if len(dims) != 1 or x.dtype is not DEFAULT_DTYPE or x.shape[dims[0]] < ENOUGH_IN_A_ROW or x.size == 0:
        return False
    if dims[0] != x.ndim - 1:
        x = x.transpose([i for i in range(x.ndim) if i != dims[0]] + [dims[0]])
    return x.flags.c_contiguous and hasattr(device.kernels, "softmax")


def _below_largest(device: Device, x: Any, dims: tuple[int, ...]) -> Any:
    """x less its largest number, so that nothing overflows but to -∞, whose exponential is 0."""
    return device.quietly(operator.sub, x, x.max(axis=dims, keepdims=True)) if x.size else x


def relu(input: Any) -> Tensor:
    """max(x, 0), for every element of `input`; the gradient at 0 is 0.

    >>> import minigen
    >>> x = minigen.tensor([-1.0, 0.0, 2.0], requires_grad=True)
    >>> y = minigen.relu(x)
    >>> y.tolist(), minigen.grad(y.sum(), x)[0].tolist()
    ([0.0, 0.0, 2.0], [0.0, 0.0, 1.0])
    """
    x = tensor(input)
    if x._data.size >= fused.ENOUGH and fused.pays(x):
        return run(fused.ActivateAndDrop, x, slope=0.0, p=0.0, key=0)
    return run(Relu, x)


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """x where x > 0, else negative_slope·x, for every element of `input` (Maas et al. 2013).

    >>> import minigen
    >>> minigen.functional.leaky_relu(minigen.tensor([-1.0, 2.0]), 0.2)
    tensor([-0.2,  2. ])
    """
    x, slope = floating(input), float(negative_slope)
    if slope >= 0 and x._data.size >= fused.ENOUGH and fused.pays(x):
        return run(fused.ActivateAndDrop, x, slope=slope, p=0.0, key=0)
    return run(LeakyRelu, x, slope=slope)


def linear_then_activate(input: Tensor, weight: Tensor, bias: Tensor | None, negative_slope: float = 0.0) -> Tensor:
    """`linear` and then `leaky_relu`, in one pass over memory where the device has a kernel for it.

    Args:
        input, weight, bias: as for `linear`.
        negative_slope: at least 0.
    """
    if fused.applies_to_linear(input, weight, bias):
        return fused.LinearThenActivate.apply(input, weight, bias, slope=float(negative_slope))
    y = linear(input, weight, bias)
    return relu(y) if negative_slope == 0 else leaky_relu(y, negative_slope)


def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """x where x > 0, else alpha·(eˣ - 1), for every element of `input` (Clevert et al. 2016, arXiv 1511.07289).

    >>> import minigen
    >>> minigen.functional.elu(minigen.tensor([-100.0, -1.0, 2.0]))
    tensor([-1.    , -0.6321,  2.    ])
    """
    return run(Elu, floating(input), alpha=float(alpha), scale=1.0)


def selu(input: Any) -> Tensor:
    """λ·elu(x, α) with the λ and α that keep mean 0 and variance 1 (Klambauer et al. 2017, arXiv 1706.02515).

    >>> import minigen
    >>> y = minigen.functional.selu(minigen.randn(100_000, generator=minigen.Generator(0)))
    >>> round(y.mean().item(), 1) + 0.0, round(y.var().item(), 1)
    (0.0, 1.0)
    """
    return run(Elu, floating(input), alpha=1.6732632423543772848170429916717, scale=1.0507009873554804934193349852946)


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """x·Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016, arXiv 1606.08415).

    Args:
        input: any shape.
        approximate: ``'none'``, or ``'tanh'`` for ½x(1 + tanh(√(2/π)(x + 0.044715x³))).

    Raises:
        UserError: another word.

    >>> import minigen
    >>> minigen.functional.gelu(minigen.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.    ,  0.8413])
    """
    x = floating(input)
    if approximate == "none":
        return x * (erf(x * math.sqrt(0.5)) + 1) * 0.5
    if approximate == "tanh":
        return x * (tanh((x + x * square(x) * 0.044715) * math.sqrt(2 / math.pi)) + 1) * 0.5
    raise UserError(f"gelu: approximate={approximate!r} must be 'none' or 'tanh'.")


def silu(input: Any) -> Tensor:
    """x·σ(x), also called swish (Ramachandran et al. 2017, arXiv 1710.05941).

    >>> import minigen
    >>> minigen.functional.silu(minigen.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.2689,  0.    ,  0.7311])
    """
    return run(Silu, floating(input))


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Every x of `input` kept within [min_val, max_val]; the gradient is 0 at and beyond the ends.

    >>> import minigen
    >>> minigen.functional.hardtanh(minigen.tensor([-3.0, 0.5, 3.0]))
    tensor([-1. ,  0.5,  1. ])
    """
    x = floating(input)
    inside = (x.data > min_val) & (x.data < max_val)
    return where(inside, x, clip(x.detach(), min_val, max_val))


def softmax(input: Any, dim: Any) -> Tensor:
    """e^(xᵢ)/Σⱼ e^(xⱼ) over the axis `dim` of `input`, without overflow.

    >>> import minigen
    >>> minigen.softmax(minigen.tensor([[0.0, 0.0], [1000.0, 0.0]]), dim=1)
    tensor([[0.5, 0.5],
            [1. , 0. ]])
    """
    x = floating(input)
    return run(Softmax, x, dims=axes(dim, x.ndim, "softmax"))


def log_softmax(input: Any, dim: Any) -> Tensor:
    """xᵢ - ln Σⱼ e^(xⱼ) over the axis `dim` of `input`, without overflow.

    >>> import minigen
    >>> minigen.log_softmax(minigen.tensor([[0.0, 0.0], [1000.0, 0.0]]), dim=1)
    tensor([[-6.9315e-01, -6.9315e-01],
            [ 0.0000e+00, -1.0000e+03]])
    """
    x = floating(input)
    return run(LogSoftmax, x, dims=axes(dim, x.ndim, "log_softmax"))
