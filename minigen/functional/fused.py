"""Several operations in one pass over memory: batch norm, activation, dropout.

Such operations do a multiplication or two for every number that they read and write, so they wait for memory, and a
row of them waits once each. Where the device's kernels can, the row is computed element by element instead: what a
number needs is done while it is in a register. Forwards and backwards are kernels (`minigen_kernels.cpu.activation` and
`.normalization`); what they keep for backward is one byte an element.

The twins are the compositions in `activation`, `noise` and `normalization`. They run on devices without such kernels
and for inputs that do not lie in memory as `in_order` says (for an activation alone: in one piece). When a graph of the
gradient is asked for, the gradient is written with differentiable operations, here, below each kernel's.

In the docstrings y is the result, g the gradient that arrives for y, and x̄ the gradient that leaves for x; a(x) is x
where x > 0 and slope·x elsewhere, and k is 0 where dropout drops and 1/(1 - p) where it keeps. Slope 1 is no activation,
p = 0 no dropout.

What it gained, in milliseconds of one core with AVX-512 (forward + backward), LeakyReLU(0.3) and Dropout(0.3):

    float32                          (256, 128, 14, 14)      (256, 12544)          (256, 128)
    activation                       14.1 → 4.3              5.0 → 1.9             0.06 → 0.05
    activation, dropout              58.2 → 6.6              19.6 → 3.2            0.24 → 0.07
    batch norm                       46.3 → 12.5             19.5 → 7.3            0.48 → 0.21
    batch norm, activation, dropout  119.9 → 16.1            39.9 → 9.3            0.74 → 0.25
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.autograd import modes
from minigen.autograd.function import Function
from minigen.device import Device
from minigen.functional.arithmetic import _values, rsqrt, square
from minigen.functional.linalg import fit_linear, linear_gradients
from minigen.functional.reduction import mean, sum
from minigen.functional.shape import reshape
from minigen.tensor import Tensor

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
ENOUGH = 4096  # numbers; the call of a compiled loop costs some microseconds, twice NumPy's


def applies(x: Tensor) -> bool:
    """Whether a tensor can be worked on in one pass: the device has kernels for it, and it lies as they need it."""
    return _has_kernels(x) and in_order(x.data).flags.c_contiguous


def pays(x: Tensor) -> bool:
    """Whether one pass is worth its call for an activation alone: NumPy does few numbers sooner.

    Without random numbers, the order of the elements is of no account.
    """
    return x._data.size >= ENOUGH and _has_kernels(x) and in_some_order(x.data)[0].flags.c_contiguous


def applies_to_linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether a linear layer and its activation can be one pass, as they come: matrices of one type, and a kernel for it."""
    rows = x._data
    if (
        rows.ndim != 2
        or rows.dtype not in DTYPES
        or not fit_linear(rows, weight._data, None if bias is None else bias._data)
    ):
        return False
    return hasattr(x.device.kernels, "matmul_then_activate") and not modes.thread.state.anomaly


def _has_kernels(x: Tensor) -> bool:
    # Anomaly mode names the operation that made a NaN.
    return x.dtype in DTYPES and hasattr(x.device.kernels, "normalization") and not modes.thread.state.anomaly


def in_order(array: Any) -> Any:
    """A view of an array with its axes in the order in which its elements are counted.

    Images (N, C, H, W) are counted channels last, as convolutions leave them in memory, everything else as in C. Which
    random number an element gets depends on nothing else: neither on how it lies in memory nor on the device.
    """
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array


def contiguous(array: Any, device: Device) -> Any:
    """The array, or a copy of it, with its elements one after another, as in C."""
    own = getattr(device.kernels, "contiguous", None)
    return device.xp.asarray(array, order="C") if own is None else own(array)


def as_shaped(array: Any) -> Any:
    """The view that undoes `in_order`."""
    return array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


def in_some_order(array: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A view of an array `in_order`, or as it is if that lies in memory one after another; and what undoes the view."""
    rows = in_order(array)
    if array.flags.c_contiguous and not rows.flags.c_contiguous:
        return array, lambda view: view
    return rows, as_shaped


def moments(x: Tensor) -> tuple[Any, Any]:
    """Mean and variance (divided by n) of each channel of x (N, C, *), in float64."""
    rows = in_order(x.data)
    return x.device.kernels.normalization.moments(rows.reshape(-1, rows.shape[-1]))


class ActivateAndDrop(Function):
    """y = k·a(x);  x̄ = k·a'(x)·g, a'(0) being the slope."""

    takes_arrays = True

    def forward(self, x: Any, slope: float, p: float, key: Any) -> Any:
        rows, undo = in_some_order(x)
        y, states = self.device.kernels.activation.activate_and_drop(rows, slope, p, key)
        self.slope, self.p = slope, p
        self.save_for_backward(undo(states))
        return undo(y)

    def backward(self, g: Tensor) -> Tensor:
        (states,) = self.saved_tensors
        return self.compute(ScaleByState, g, states, slope=self.slope, p=self.p)


class ScaleByState(Function):
    """y = k·a'·x, both factors constants that an earlier pass left as states;  x̄ = k·a'·g."""

    takes_arrays = True

    def forward(self, x: Any, states: Any, slope: float, p: float) -> Any:
        self.slope, self.p = slope, p
        self.save_for_backward(states)
        state, undo = in_some_order(states)
        rows = contiguous(x if state is states else in_order(x), self.device)
        return undo(self.device.kernels.activation.scale_by_state(rows, state, slope, p))

    def backward(self, g: Tensor) -> tuple[Tensor, None]:
        (states,) = self.saved_tensors
        return self.compute(ScaleByState, g, states, slope=self.slope, p=self.p), None


class LinearThenActivate(Function):
    """Y = a(XWᵀ + b);  H = G·a', X̄ = HW, W̄ = HᵀX, b̄ = Σₙ Hₙ. The sign of Y says what a' is, as that of its argument."""

    takes_arrays = True

    def forward(self, x: Any, w: Any, b: Any, slope: float) -> Any:
        y = self.device.kernels.matmul_then_activate(x, w.T, b, slope)
        self.slope = slope
        self.save_for_backward(x, w, y)
        return y

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, w, y = self.saved_tensors
        if self.on_arrays and self.needs_input_grad[2]:
            h, sums = self.device.kernels.activation.scale_by_sign_and_add(contiguous(g, self.device), y, self.slope)
            return linear_gradients(self, h, x, w, sums)
        sign = _values(y)
        if modes.thread.state.recording:  # the graph of the gradient outlives this call: no change of y may reach it
            sign = sign.copy()
        return linear_gradients(self, self.compute(ScaleBySign, g, sign, slope=self.slope), x, w)


class ScaleBySign(Function):
    """y = a'·x, the factor a constant that the sign of an earlier result says;  x̄ = a'·g."""

    takes_arrays = True

    def forward(self, x: Any, sign: Any, slope: float) -> Any:
        self.sign, self.slope = sign, slope
        return self.device.kernels.activation.scale_by_sign(contiguous(x, self.device), sign, slope)

    def backward(self, g: Tensor) -> tuple[Tensor, None]:
        return self.compute(ScaleBySign, g, self.sign, slope=self.slope), None


class BatchNorm(Function):
    """y = k·a(u·w + b), u = (x - μ)/√(σ² + eps), μ and σ² of each channel of x (N, C, *).

    With h = k·a'·g, which is what arrives at u·w + b, and means over everything but the channels:
    b̄ = Σ h,  w̄ = Σ h·u,  x̄ = w/√(σ² + eps)·(h - mean(h) - u·mean(h·u)).
    """

    takes_arrays = True

    def forward(
        self, x: Any, w: Any, b: Any, mean: Any, variance: Any, eps: float, slope: float, p: float, key: Any
    ) -> Any:
        """`mean` and `variance` are x's own, in float64: running statistics need them too."""
        with np.errstate(divide="ignore"):
            self.mean, self.inverse = mean, 1 / np.sqrt(variance + eps)
        self.eps, self.slope, self.p = eps, slope, p
        factor = self.inverse if w is None else self.inverse * w
        rows = in_order(x)
        y, states = self.device.kernels.normalization.normalize(
            rows.reshape(-1, mean.size), factor, mean, 0.0 if b is None else b, slope, p, key
        )
        self.save_for_backward(x, w, None if states is None else as_shaped(states.reshape(rows.shape)))
        return as_shaped(y.reshape(rows.shape))

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        x, w, states = self.saved_tensors
        if modes.thread.state.recording:
            return (*self._differentiable(g, x, w, states), None, None)
        gradients = self._at_once(_values(g), _values(x), _values(w), states)
        if not self.on_arrays:
            gradients = tuple([None if a is None else Tensor._wrap(a, self.device) for a in gradients])
        return (*gradients, None, None)

    def _at_once(self, g: Any, x: Any, w: Any, states: Any) -> tuple[Any, ...]:
        """Two passes over memory: the sums, then x̄. Of arrays, in arrays."""
        rows = in_order(x)
        gx, gw, gb = self.device.kernels.normalization.normalize_grad(
            contiguous(in_order(g), self.device).reshape(-1, rows.shape[-1]),
            rows.reshape(-1, rows.shape[-1]),
            None if states is None else in_order(states).reshape(-1, rows.shape[-1]),
            self.mean,
            self.inverse,
            1.0 if w is None else w,
            self.slope,
            self.p,
            self.needs_input_grad[0],
        )
        return None if gx is None else as_shaped(gx.reshape(rows.shape)), gw.astype(x.dtype), gb.astype(x.dtype)

    def _differentiable(self, g: Tensor, x: Tensor, w: Any, states: Any) -> tuple[Tensor, Tensor, Tensor]:
        """The same from x itself, so that derivatives of the statistics are in it."""
        dims = (0, *range(2, x.ndim))
        h = g if states is None else ScaleByState.apply(g, states, slope=self.slope, p=self.p)
        centred = x - mean(x, dims, keepdim=True)
        inverse = rsqrt(mean(square(centred), dims, keepdim=True) + self.eps)
        u = centred * inverse
        gx = inverse * (h - mean(h, dims, keepdim=True) - u * mean(h * u, dims, keepdim=True))
        if w is not None:
            gx = gx * reshape(w, (1, -1) + (1,) * (x.ndim - 2))
        return gx, sum(h * u, dims), sum(h, dims)
