"""Products of matrices and tensors.

In the docstrings y is the result, g the gradient that arrives for y, and x̄ the gradient that leaves for x.
"""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from minigen.autograd.function import Function, run
from minigen.errors import ShapeError, UserError
from minigen.functional._operands import floating, tensor, together
from minigen.functional.arithmetic import mul
from minigen.functional.indexing import getitem
from minigen.functional.reduction import Sum, sum
from minigen.functional.shape import expand, permute, reshape, unsqueeze
from minigen.tensor import Tensor


class MatMul(Function):
    """Z = XY for matrices, and for every pair in stacks of them (broadcast);  X̄ = GYᵀ, Ȳ = XᵀG."""

    broadcasts = True
    takes_arrays = True
    keeps_inputs = True

    def forward(self, x: Any, y: Any) -> Any:
        return self.device.kernels.matmul(x, y)

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = self.saved_tensors
        gx = gy = None
        if self.needs_input_grad[0]:
            gx = self.compute(MatMul, g, y.swapaxes(-1, -2))
        if self.needs_input_grad[1]:
            gy = self.compute(MatMul, x.swapaxes(-1, -2), g)
        return gx, gy


class MatVec(Function):
    """z = Xy, of a matrix and a vector;  X̄ = gyᵀ, ȳ = gX."""

    takes_arrays = True
    keeps_inputs = True

    def forward(self, x: Any, y: Any) -> Any:
        return self.device.kernels.matmul(x, y[:, None])[:, 0]

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = self.saved_tensors
        gx = g[:, None] * y if self.needs_input_grad[0] else None
        return gx, self.compute(VecMat, g, x) if self.needs_input_grad[1] else None


class VecMat(Function):
    """z = xY, of a vector and a matrix;  x̄ = Yg, Ȳ = xgᵀ."""

    takes_arrays = True
    keeps_inputs = True

    def forward(self, x: Any, y: Any) -> Any:
        return self.device.kernels.matmul(x[None], y)[0]

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = self.saved_tensors
        gx = self.compute(MatVec, y, g) if self.needs_input_grad[0] else None
        return gx, x[:, None] * g if self.needs_input_grad[1] else None


class Linear(Function):
    """Y = XWᵀ + b for rows X (*, in);  X̄ = GW, W̄ = GᵀX, b̄ = Σₙ Gₙ over all rows."""

    takes_arrays = True

    def forward(self, x: Any, w: Any, b: Any) -> Any:
        self.save_for_backward(x, w)
        y = self.device.kernels.matmul(_rows(x), w.T, b)
        return y if x.ndim == 2 else y.reshape(*x.shape[:-1], w.shape[0])

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, w = self.saved_tensors
        return linear_gradients(self, g, x, w)


def linear_gradients(node: Function, g: Any, x: Any, w: Any, sums: Any = None) -> tuple[Any, Any, Any]:
    """X̄, W̄ and b̄ of `Linear`, those that are wanted. sums: b̄, if it is wanted and known already."""
    wanted, shape = node.needs_input_grad, x.shape
    g, x = _rows(g), _rows(x)
    gx = node.compute(MatMul, g, w) if wanted[0] else None
    if gx is not None and len(shape) != 2:
        gx = gx.reshape(shape)
    gw = node.compute(MatMul, g.T, x) if wanted[1] else None
    if wanted[2] and sums is None:
        sums = node.compute(Sum, g, dims=(0,), keepdim=False)
    return gx, gw, sums


def _rows(x: Any) -> Any:
    """A tensor or array (*, n) as a matrix: all axes but the last as one."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


class Einsum(Function):
    """Σ over the letters that the output lacks of a product, letters naming axes (each once in an operand).

    The gradient of one operand is the same kind of sum: g and the other operands, with that operand's letters as the
    output. A letter that only this operand has was summed alone, so there the gradient is copied along it.
    """

    def forward(self, *xs: Any, letters: list[str], out: str) -> Any:
        self.save_for_backward(*xs)
        self.letters, self.out = letters, out
        return self.device.xp.einsum(f"{','.join(letters)}->{out}", *xs, optimize=len(xs) > 1)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        xs = self.saved_tensors
        grads: list[Tensor | None] = []
        for i, (x, own) in enumerate(zip(xs, self.letters)):
            if not self.needs_input_grad[i]:
                grads.append(None)
                continue
            others = [j for j in range(len(xs)) if j != i]
            letters = [self.out] + [self.letters[j] for j in others]
            reached = "".join(letter for letter in own if any(letter in other for other in letters))
            part = Einsum.apply(g, *[xs[j] for j in others], letters=letters, out=reached)
            shape = [n if letter in reached else 1 for letter, n in zip(own, x.shape)]
            grads.append(expand(reshape(part, shape), x.shape))
        return tuple(grads)


def matmul(input: Any, other: Any) -> Tensor:
    """Matrix product Σⱼ xᵢⱼyⱼₖ; leading axes are stacks and are broadcast; a tensor of one axis is a vector, as in NumPy.

    Args:
        input: (*, n, m), or a vector (m,).
        other: (*, m, p), or a vector (m,).

    Returns:
        (*, n, p), without the axis of a vector.

    Raises:
        ShapeError: the inner sizes differ, the stacks do not broadcast, or a number is multiplied.

    >>> import minigen
    >>> minigen.matmul(minigen.tensor([[1.0, 2.0], [3.0, 4.0]]), minigen.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    x, y = floating(input), floating(other)
    a, b = x._data, y._data
    if a.ndim == 2 == b.ndim and a.shape[1] == b.shape[0] and a.dtype is b.dtype:  # as nearly always
        return run(MatMul, x, y)
    if a.ndim == 2 and b.ndim == 1 and a.shape[1] == b.shape[0] and a.dtype is b.dtype:
        return run(MatVec, x, y)
    if a.ndim == 1 and b.ndim == 2 and a.shape[0] == b.shape[0] and a.dtype is b.dtype:
        return run(VecMat, x, y)
    if x.dtype != y.dtype:
        wide = np.promote_types(x.dtype, y.dtype)
        x, y = x.astype(wide), y.astype(wide)
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError(f"matmul: the shapes {x.shape} and {y.shape} need an axis each; use * to scale.")
    rows, columns = x.shape[-1], y.shape[-2] if y.ndim > 1 else y.shape[0]
    if rows != columns:
        raise ShapeError(
            f"matmul: {x.shape} @ {y.shape} does not fit: the last axis of the first ({rows}) must equal the "
            f"{'second-last' if y.ndim > 1 else 'only'} axis of the second ({columns}); transpose one?"
        )
    try:
        if x.ndim > 2 and y.ndim > 2:
            np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError as error:
        raise ShapeError(
            f"matmul: {x.shape} @ {y.shape} does not fit: the axes before the last two, {x.shape[:-2]} and "
            f"{y.shape[:-2]}, must be equal or 1."
        ) from error
    z = run(MatMul, unsqueeze(x, 0) if x.ndim == 1 else x, unsqueeze(y, 1) if y.ndim == 1 else y)
    if x.ndim == 1 or y.ndim == 1:
        drop = ([-2] if x.ndim == 1 else []) + ([-1] if y.ndim == 1 else [])
        z = reshape(z, [n for i, n in enumerate(z.shape, start=-z.ndim) if i not in drop])
    return z


def dot(input: Any, other: Any) -> Tensor:
    """Σ xᵢyᵢ of two tensors with one axis: `input` x and `other` y, both (n,).

    Raises:
        ShapeError: any other shapes.

    >>> import minigen
    >>> minigen.dot(minigen.tensor([1.0, 2.0]), minigen.tensor([3.0, 4.0])).item()
    11.0
    """
    x, y = tensor(input), tensor(other)
    if x.ndim != 1 or x.shape != y.shape:
        raise ShapeError(f"dot: needs two tensors with one axis of the same size, not {x.shape} and {y.shape}.")
    return sum(mul(x, y))


def outer(input: Any, other: Any) -> Tensor:
    """zᵢⱼ = xᵢyⱼ of two tensors with one axis: `input` x (n,) and `other` y (m,) give (n, m).

    Raises:
        ShapeError: any other shapes.

    >>> import minigen
    >>> minigen.outer(minigen.tensor([1.0, 2.0]), minigen.tensor([10.0, 20.0, 30.0]))
    tensor([[10., 20., 30.],
            [20., 40., 60.]])
    """
    x, y = tensor(input), tensor(other)
    if x.ndim != 1 or y.ndim != 1:
        raise ShapeError(f"outer: needs two tensors with one axis, not {x.shape} and {y.shape}.")
    return mul(unsqueeze(x, 1), unsqueeze(y, 0))


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """y = xWᵀ + b.

    Args:
        input: (*, in_features).
        weight: (out_features, in_features).
        bias: (out_features,), optional.

    Returns:
        (*, out_features).

    Raises:
        ShapeError: sizes that do not fit.

    >>> import minigen
    >>> w = minigen.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> minigen.functional.linear(minigen.tensor([[2.0, 3.0]]), w, minigen.tensor([0.0, 0.0, 10.0]))
    tensor([[ 2.,  3., 15.]])
    """
    x, w = floating(input), floating(weight)
    b = None if bias is None else floating(bias)
    if fit_linear(x._data, w._data, None if b is None else b._data):
        return Linear.apply(x, w, b)
    if w.ndim != 2 or x.ndim == 0 or x.shape[-1] != w.shape[1]:
        raise ShapeError(
            f"linear: input {x.shape} does not fit weight {w.shape}: the last axis of the input must be in_features, the "
            "second axis of the weight (out_features, in_features)."
        )
    if b is not None and b.shape != w.shape[:1]:
        raise ShapeError(f"linear: bias has shape {b.shape}, but the weight {w.shape} has {w.shape[0]} rows.")
    if x.dtype != w.dtype or (b is not None and b.dtype != x.dtype):
        wide = np.result_type(x.dtype, w.dtype, *([] if b is None else [b.dtype]))
        x, w, b = x.astype(wide), w.astype(wide), None if b is None else b.astype(wide)
    return Linear.apply(x, w, b)


def fit_linear(x: Any, w: Any, b: Any) -> bool:
    """Whether arrays are rows, a matrix and a bias as `Linear` takes them, as nearly always."""
    if x.ndim == 0 or w.ndim != 2 or x.shape[-1] != w.shape[1] or w.dtype is not x.dtype:
        return False
    return b is None or (b.dtype is x.dtype and b.shape == w.shape[:1])


def einsum(equation: str, *operands: Any) -> Tensor:
    """Einstein summation: letters name axes, letters missing from the output are summed, `...` stands for the rest.

    Args:
        equation: the letters of every operand, then those of the output, as in ``ij,jk->ik``.
        operands: one tensor for each group of letters.

    Raises:
        UserError: an equation that is not a string.
        ShapeError: an axis for which two operands give two sizes.

    >>> import minigen
    >>> a, b = minigen.ones((2, 3)), minigen.ones((3, 4))
    >>> minigen.functional.einsum("ij,jk->ik", a, b).shape
    (2, 4)
    """
    if not isinstance(equation, str):
        raise UserError("einsum: the equation comes first, as in einsum('ij,jk->ik', a, b).")
    xs = together(operands)
    letters, out, xs = _parse(equation, xs)
    for i, own in enumerate(letters):
        xs[i], letters[i] = _take_diagonals(xs[i], own)
    return Einsum.apply(*xs, letters=letters, out=out)


def _parse(equation: str, xs: list[Tensor]) -> tuple[list[str], str, list[Tensor]]:
    """The letters of every operand and of the output, `...` written out in free letters, its axes broadcast."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(xs):
        raise UserError(f"einsum: {equation!r} names {len(terms)} operands, but {len(xs)} were given.")
    named = [term.replace("...", "") for term in terms]
    for x, term, own in zip(xs, terms, named):
        if not all(c in string.ascii_letters for c in own) or len(own) > x.ndim or (own == term and len(own) != x.ndim):
            raise UserError(f"einsum: {term!r} in {equation!r} does not name the {x.ndim} axes of shape {x.shape}.")
    starts = [term.find("...") for term in terms]
    under = [x.shape[at : at + x.ndim - len(own)] if at >= 0 else () for x, at, own in zip(xs, starts, named)]
    try:
        common = np.broadcast_shapes(*under)
    except ValueError as error:
        raise ShapeError(
            f"einsum: the axes under '...' in {equation!r} have shapes {under}, which do not fit."
        ) from error
    rest = "".join([c for c in string.ascii_letters if c not in equation][: len(common)])
    letters: list[str] = []
    sizes: dict[str, int] = {}
    for i, (x, at, own) in enumerate(zip(xs, starts, named)):
        if at >= 0:
            missing = (1,) * (len(common) - len(under[i]))
            tail = x.shape[at + len(under[i]) :]
            xs[i] = x = expand(reshape(x, x.shape[:at] + missing + x.shape[at:]), x.shape[:at] + common + tail)
            own = own[:at] + rest + own[at:]
        for letter, n in zip(own, x.shape):
            if sizes.setdefault(letter, n) != n:
                raise ShapeError(f"einsum: axis {letter!r} in {equation!r} has sizes {sizes[letter]} and {n}.")
        letters.append(own)
    if arrow:
        out = right.replace("...", rest)
    else:
        together = "".join(named)
        out = rest + "".join(sorted(c for c in set(together) if together.count(c) == 1))
    if len(set(out)) != len(out) or not set(out) <= set(sizes):
        raise UserError(f"einsum: the output of {equation!r} must name axes of the operands, each once.")
    return letters, out, xs


def _take_diagonals(x: Tensor, letters: str) -> tuple[Tensor, str]:
    """Where a letter stands twice, only the diagonal of those axes counts: take it, so that each stands once."""
    for letter in sorted(set(letters)):
        while letters.count(letter) > 1:
            first = letters.index(letter)
            second = letters.index(letter, first + 1)
            order = [first, second] + [i for i in range(x.ndim) if i not in (first, second)]
            along = x.device.xp.arange(x.shape[first])
            x = getitem(permute(x, order), (along, along))
            letters = letter + "".join(letters[i] for i in order[2:])
    return x, letters
