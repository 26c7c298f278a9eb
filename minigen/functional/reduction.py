"""Reductions: many numbers become one, over one axis, several, or all (PyTorch's `dim` and `keepdim`).

In the docstrings y is the result, g the gradient that arrives for y, and x̄ the gradient that leaves for x.
"""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

import numpy as np

from minigen.autograd.function import Function, run
from minigen.device import cpu as CPU
from minigen.errors import ShapeError, UserError
from minigen.functional._operands import axes, axis, floating, kept, tensor
from minigen.functional.arithmetic import Exp, abs, pow, sign, sqrt, square, where
from minigen.functional.indexing import gather
from minigen.functional.shape import Expand, Reshape, flip, permute, reshape, unsqueeze
from minigen.tensor import Tensor

MANY = 65536  # numbers, and
TALL = 8  # rows a column: where a kernel for sums of columns is faster than the array module (Zen 4)


class ValuesAndIndices(NamedTuple):
    """What `max` and `min` over an axis return: the values, and where they stood."""

    values: Tensor
    indices: Tensor


class Sum(Function):
    """y = Σ x over the axes;  x̄ = g, copied along them."""

    takes_arrays = True

    def forward(self, x: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
        self.x_shape, self.dims, self.keepdim = x.shape, dims, keepdim
        columns = self.columns(x, dims) if x.size >= MANY else None
        if columns is not None:
            y = self.device.kernels.sums.column_sums(columns)
            return y.reshape(kept(x.shape, dims)) if keepdim else y
        return self.device.sum(x, dims, keepdim)

    def columns(self, x: Any, dims: tuple[int, ...]) -> Any:
        """x as a matrix whose columns are to be added up, where it lies in memory so, and the device's kernel for it pays."""
        if x.dtype.char not in "fd" or not hasattr(self.device.kernels, "sums"):
            return None
        rows = x.transpose(0, 2, 3, 1) if dims == (0, 2, 3) else x if dims == (0,) and x.ndim == 2 else None
        if rows is None or not rows.flags.c_contiguous or x.size < TALL * rows.shape[-1] ** 2:
            return None
        return rows.reshape(-1, rows.shape[-1])

    def backward(self, g: Tensor) -> Tensor:
        if not self.keepdim and g.ndim > 0:
            shape = kept(self.x_shape, self.dims)
            g = g.reshape(shape) if self.on_arrays else run(Reshape, g, shape=shape)
        return self.device.repeated(g, self.x_shape) if self.on_arrays else run(Expand, g, shape=self.x_shape)


class Mean(Sum):
    """y = Σ x/n over the axes;  x̄ = g/n, copied along them."""

    takes_arrays = True

    def forward(self, x: Any, dims: tuple[int, ...], keepdim: bool) -> Any:
        self.n = math.prod([x.shape[d] for d in dims]) or math.nan  # the mean of nothing, without a warning
        return super().forward(x, dims, keepdim) / self.n

    def backward(self, g: Tensor) -> Tensor:
        return super().backward(g / self.n)


class Amax(Function):
    """y = max x over the axes;  x̄ = g, shared equally by all elements that are the maximum."""

    def forward(self, x: Any, dims: tuple[int, ...]) -> Any:
        y = self.pick(x, dims)
        self.save_for_backward(x == y)
        return y

    def pick(self, x: Any, dims: tuple[int, ...]) -> Any:
        return x.max(axis=dims, keepdims=True)

    def backward(self, g: Tensor) -> Tensor:
        (chosen,) = self.saved_tensors
        count = chosen.sum(axis=tuple(i for i, n in enumerate(self.shape) if n == 1), keepdims=True)
        share = Tensor._wrap(count.astype(self.dtype), self.device)
        return where(chosen, g / share, 0.0)


class Amin(Amax):
    """y = min x over the axes;  x̄ = g, shared equally by all elements that are the minimum."""

    def pick(self, x: Any, dims: tuple[int, ...]) -> Any:
        return x.min(axis=dims, keepdims=True)


class ProdLast(Function):
    """y = Π x over the last axis;  x̄ᵢ = g·Π_{j≠i} xⱼ, which is g·y/xᵢ unless something is zero."""

    def forward(self, x: Any) -> Any:
        y = x.prod(axis=-1)
        self.save_for_backward(x, y)
        self.no_zero = self.device is CPU and bool((x != 0).all())  # of a GPU, this would be waited for
        return y

    def backward(self, g: Tensor) -> Tensor:
        x, y = self.saved_tensors
        if self.no_zero:
            return unsqueeze(g * y, -1) / x
        # Row i of the table is x with xᵢ replaced by 1: its product is what is wanted, zeros or not.
        n = x.shape[-1]
        table = where(self.device.xp.eye(n, dtype=bool), 1.0, unsqueeze(x, -2))
        return unsqueeze(g, -1) * ProdLast.apply(table)


class LogSumExp(Function):
    """y = ln Σ eˣ = m + ln Σ e^(x - m) with m = max x;  x̄ = g·e^(x - y), the softmax."""

    takes_arrays = True

    def forward(self, x: Any, dims: tuple[int, ...]) -> Any:
        xp = self.device.xp
        m = x.max(axis=dims, keepdims=True)
        m = xp.where(xp.isfinite(m), m, xp.zeros((), x.dtype))
        with np.errstate(divide="ignore", over="ignore"):
            y = xp.log(xp.exp(x - m).sum(axis=dims, keepdims=True)) + m
        self.save_for_backward(x, y)
        return y

    def backward(self, g: Tensor) -> Tensor:
        x, y = self.saved_tensors
        with np.errstate(over="ignore"):  # to -inf, whose exponential is 0
            return g * self.compute(Exp, x - y)


class Cumsum(Function):
    """yᵢ = Σ_{j≤i} xⱼ along an axis;  x̄ⱼ = Σ_{i≥j} gᵢ, a cumulative sum from the other end."""

    def forward(self, x: Any, dim: int) -> Any:
        self.dim = dim
        return x.cumsum(axis=dim)

    def backward(self, g: Tensor) -> Tensor:
        return flip(Cumsum.apply(flip(g, (self.dim,)), dim=self.dim), (self.dim,))


class Norm2(Function):
    """y = √Σ x² = m·√Σ (x/m)² with m = max |x| over the axes;  x̄ = g·x/y, and 0 where y = 0 (a subgradient; PyTorch's choice too)."""

    def forward(self, x: Any, dims: tuple[int, ...]) -> Any:
        xp = self.device.xp
        # Scaled by the largest element, squares neither overflow nor vanish.
        m = xp.abs(x).max(axis=dims, keepdims=True) if x.size else xp.zeros(kept(x.shape, dims), x.dtype)
        m = xp.where(xp.isfinite(m) & (m > 0), m, xp.ones((), x.dtype))
        y = xp.sqrt(xp.square(x / m).sum(axis=dims, keepdims=True)) * m
        self.save_for_backward(x, y)
        return y

    def backward(self, g: Tensor) -> Tensor:
        x, y = self.saved_tensors
        zero = y.data == 0
        return x / where(zero, 1.0, y) * where(zero, 0.0, g)


def sum(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Σ over the axes `dim` (all of them unless given). Integers and booleans are summed as int64.

    Args:
        input: any shape.
        dim: an axis, several, or None for all.
        keepdim: keep the axes that are reduced, with size 1.

    >>> import minigen
    >>> x = minigen.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    >>> minigen.sum(x).item(), minigen.sum(x, 0).tolist(), minigen.sum(x, 1, keepdim=True).tolist()
    (21.0, [5.0, 7.0, 9.0], [[6.0], [15.0]])
    """
    if not isinstance(input, Tensor):
        input = tensor(input)
    return run(Sum, input, dims=axes(dim, input._data.ndim, "sum"), keepdim=keepdim)


def mean(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Arithmetic mean, Σx/n, over the axes `dim`.

    Args:
        input, dim, keepdim: as for `sum`; integers become float32.

    >>> import minigen
    >>> minigen.mean(minigen.tensor([[1.0, 2.0], [3.0, 6.0]]), 0)
    tensor([2., 4.])
    """
    input = floating(input)
    return run(Mean, input, dims=axes(dim, input.ndim, "mean"), keepdim=keepdim)


def var(
    input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Variance Σ(x - mean)²/(n - correction) over the axes `dim`.

    Args:
        input, dim, keepdim: as for `sum`.
        unbiased: stands for correction 1; False for 0.
        correction: what is taken from n, instead of `unbiased`.

    >>> import minigen
    >>> x = minigen.tensor([1.0, 2.0, 3.0, 4.0])
    >>> minigen.var(x), minigen.var(x, correction=0)
    (tensor(1.6667), tensor(1.25))
    """
    input = floating(input)
    dims = axes(dim, input.ndim, "var")
    n = math.prod(input.shape[d] for d in dims)
    correction = float(unbiased) if correction is None else correction
    deviation = input - mean(input, dims, keepdim=True)
    total = sum(square(deviation), dims, keepdim)
    return total / (n - correction) if n > correction else total * math.nan


def std(
    input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: float | None = None
) -> Tensor:
    """Standard deviation, √var; where it is 0 its gradient is 0.

    Args:
        input, dim, unbiased, keepdim, correction: as for `var`.

    >>> import minigen
    >>> minigen.std(minigen.tensor([[2.0, 4.0, 6.0], [5.0, 5.0, 5.0]]), 1)
    tensor([2., 0.])
    """
    variance = var(input, dim, unbiased, keepdim, correction=correction)
    zero = variance.data == 0
    return where(zero, 0.0, sqrt(where(zero, 1.0, variance)))


def amax(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The maximum over the axes `dim`; equal maxima share the gradient.

    Args:
        input, dim, keepdim: as for `sum`.

    >>> import minigen
    >>> x = minigen.tensor([1.0, 3.0, 3.0], requires_grad=True)
    >>> minigen.grad(minigen.amax(x), x)[0]
    tensor([0. , 0.5, 0.5])
    """
    return _extreme(Amax, input, dim, keepdim, "amax")


def amin(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The minimum over the axes `dim`; equal minima share the gradient.

    Args:
        input, dim, keepdim: as for `sum`.

    >>> import minigen
    >>> minigen.amin(minigen.tensor([[1.0, 5.0], [4.0, 2.0]]), 1)
    tensor([1., 2.])
    """
    return _extreme(Amin, input, dim, keepdim, "amin")


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The maximum of all elements; with `dim`, the pair (values, indices), and the gradient goes to the index.

    With several axes, an index counts through them in row-major order.

    Args:
        input, dim, keepdim: as for `sum`.

    >>> import minigen
    >>> values, indices = minigen.max(minigen.tensor([[1.0, 5.0], [4.0, 2.0]]), 1)
    >>> values.tolist(), indices.tolist()
    ([5.0, 4.0], [1, 0])
    """
    return amax(input) if dim is None else _pick("argmax", input, dim, keepdim, "max")


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The minimum of all elements; with `dim`, the pair (values, indices), and the gradient goes to the index.

    Args:
        input, dim, keepdim: as for `sum`.

    >>> import minigen
    >>> minigen.min(minigen.tensor([[1.0, 5.0], [4.0, 2.0]])).item()
    1.0
    """
    return amin(input) if dim is None else _pick("argmin", input, dim, keepdim, "min")


def prod(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Π over the axes `dim`. The gradient is right with zeros too.

    Args:
        input, dim, keepdim: as for `sum`.

    >>> import minigen
    >>> x = minigen.tensor([2.0, 0.0, 5.0], requires_grad=True)
    >>> minigen.prod(x).item(), minigen.grad(minigen.prod(x), x)[0].tolist()
    (0.0, [0.0, 10.0, 0.0])
    """
    input = tensor(input)
    dims = axes(dim, input.ndim, "prod")
    if input.dtype.kind != "f":
        return Tensor._wrap(input.device.xp.asarray(input.data.prod(axis=dims, keepdims=keepdim)), input.device)
    out = run(ProdLast, _last(input, dims))
    return reshape(out, kept(input.shape, dims)) if keepdim else out


def logsumexp(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """ln Σ eˣ over the axes `dim`, without overflow.

    Args:
        input, dim, keepdim: as for `sum`.

    >>> import minigen
    >>> minigen.logsumexp(minigen.tensor([[1000.0, 1000.0], [0.0, 0.0]]), 1)
    tensor([1.0007e+03, 6.9315e-01])
    """
    input = floating(input)
    dims = axes(dim, input.ndim, "logsumexp")
    return _drop(run(LogSumExp, input, dims=dims), dims, keepdim)


def cumsum(input: Any, dim: int) -> Tensor:
    """Running sum yₖ = x₁ + … + xₖ along the axis `dim` of `input`, of the same shape.

    >>> import minigen
    >>> minigen.cumsum(minigen.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]]), 1)
    tensor([[1., 3., 6.],
            [1., 2., 3.]])
    """
    input = tensor(input)
    dim = axis(dim, input.ndim, "cumsum")
    return run(Cumsum, input, dim=dim) if input.ndim else input


def norm(input: Any, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The p-norm (Σ|x|ᵖ)^(1/p) over the axes `dim`, for p ≥ 1, or infinity (max |x|), -infinity, 0 (count), "fro" (2).

    Where the norm is 0, its gradient is 0.

    Args:
        input, dim, keepdim: as for `sum`.
        p: a number, or ``'fro'``.

    Raises:
        UserError: a p that is neither.

    >>> import minigen
    >>> x = minigen.tensor([3.0, -4.0])
    >>> minigen.norm(x).item(), minigen.norm(x, 1).item(), minigen.norm(x, float("inf")).item()
    (5.0, 7.0, 4.0)
    """
    input = floating(input)
    dims = axes(dim, input.ndim, "norm")
    p = 2 if p == "fro" else p
    if not isinstance(p, (int, float)):
        raise UserError(f"norm: p={p!r} is not a number or 'fro'.")
    if p == 2:
        return _drop(run(Norm2, input, dims=dims), dims, keepdim)
    size = abs(input)
    if p == 1:
        return sum(size, dims, keepdim)
    if math.isinf(p):
        return (amax if p > 0 else amin)(size, dims, keepdim)
    if p == 0:
        return sum(abs(sign(input)), dims, keepdim)
    # Scaled by the largest element, powers neither overflow nor vanish; where all are 0, so is the norm.
    largest = amax(size, dims, keepdim=True).detach()
    zero = largest.data == 0
    scale = where(zero | ~input.device.xp.isfinite(largest.data), 1.0, largest)
    nothing = size.data == 0  # there the power is 0, and so are its derivatives
    powers = where(nothing, 0.0, pow(where(nothing, 1.0, size / scale), p))
    inside = sum(powers, dims, keepdim=True)
    out = where(zero, 0.0, pow(where(zero, 1.0, inside), 1 / p) * scale)
    return _drop(out, dims, keepdim)


def argmax(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the maximum stands along `dim` (in the flattened tensor unless given): int64, the first of equals.

    Args:
        input, dim, keepdim: as for `sum`, with one axis.

    >>> import minigen
    >>> x = minigen.tensor([[1.0, 5.0], [4.0, 2.0]])
    >>> minigen.argmax(x).item(), minigen.argmax(x, 1).tolist()
    (1, [1, 0])
    """
    return _arg("argmax", input, dim, keepdim)


def argmin(input: Any, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """Where the minimum stands along `dim` (in the flattened tensor unless given): int64, the first of equals.

    Args:
        input, dim, keepdim: as for `sum`, with one axis.

    >>> import minigen
    >>> minigen.argmin(minigen.tensor([[1.0, 5.0], [4.0, 2.0]]), 0)
    tensor([0, 1])
    """
    return _arg("argmin", input, dim, keepdim)


def any(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether some element is true (not 0), over the axes `dim`.

    Args:
        input, dim, keepdim: as for `sum`.

    >>> import minigen
    >>> minigen.any(minigen.tensor([[0, 0], [0, 7]]), 1)
    tensor([False,  True])
    """
    input = tensor(input)
    dims = axes(dim, input.ndim, "any")
    return Tensor._wrap(input.device.xp.asarray(input.data.any(axis=dims, keepdims=keepdim)), input.device)


def all(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Whether every element is true (not 0), over the axes `dim`.

    Args:
        input, dim, keepdim: as for `sum`.

    >>> import minigen
    >>> minigen.all(minigen.tensor([[True, False], [True, True]]), 1)
    tensor([False,  True])
    """
    input = tensor(input)
    dims = axes(dim, input.ndim, "all")
    return Tensor._wrap(input.device.xp.asarray(input.data.all(axis=dims, keepdims=keepdim)), input.device)


def _extreme(function: type[Function], input: Any, dim: Any, keepdim: bool, name: str) -> Tensor:
    input = tensor(input)
    dims = axes(dim, input.ndim, name)
    _refuse_empty(input, dims, name)
    return _drop(run(function, input, dims=dims), dims, keepdim)


def _pick(arg: str, input: Any, dim: Any, keepdim: bool, name: str) -> ValuesAndIndices:
    input = tensor(input)
    dims = axes(dim, input.ndim, name)
    _refuse_empty(input, dims, name)
    rows = _last(input, dims)
    where_ = Tensor._wrap(input.device.xp.asarray(getattr(rows.data, arg)(axis=-1)), input.device)
    values = reshape(gather(rows, -1, unsqueeze(where_, -1)), where_.shape)
    if keepdim:
        shape = kept(input.shape, dims)
        return ValuesAndIndices(reshape(values, shape), reshape(where_, shape))
    return ValuesAndIndices(values, where_)


def _arg(name: str, input: Any, dim: int | None, keepdim: bool) -> Tensor:
    input = tensor(input)
    dims = axes(dim if dim is None else axis(dim, input.ndim, name), input.ndim, name)
    _refuse_empty(input, dims, name)
    along = dims[0] if dim is not None and dims else None
    return Tensor._wrap(input.device.xp.asarray(getattr(input.data, name)(axis=along, keepdims=keepdim)), input.device)


def _refuse_empty(input: Tensor, dims: tuple[int, ...], name: str) -> None:
    if builtins.any(input.shape[d] == 0 for d in dims):
        raise ShapeError(f"{name}: the axes {dims} of a tensor of shape {input.shape} hold nothing to choose from.")


def _last(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """`input` with the axes `dims` moved to the end and made one."""
    others = tuple(i for i in range(input.ndim) if i not in dims)
    moved = input if others + dims == tuple(range(input.ndim)) else permute(input, others + dims)
    return reshape(moved, [input.shape[i] for i in others] + [math.prod(input.shape[d] for d in dims)])


def _drop(x: Tensor, dims: tuple[int, ...], keepdim: bool) -> Tensor:
    """`x` without its axes of size 1 at `dims`, unless they are to be kept."""
    return x if keepdim else reshape(x, [n for i, n in enumerate(x.shape) if i not in dims])
