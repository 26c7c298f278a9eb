"""Products with the Jacobian and the Hessian of a function of tensors, and the matrices themselves.

`func` takes tensors and returns one tensor. `inputs` is one tensor or several; results come in the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigen.autograd import modes
from minigen.autograd.engine import grad, listed
from minigen.errors import AutogradError, ShapeError
from minigen.tensor import Tensor

Inputs = Tensor | Sequence[Tensor]


def vjp(func: Callable[..., Tensor], inputs: Inputs, v: Tensor | None = None, create_graph: bool = False) -> Any:
    """(output, Jᵀv): the vector-Jacobian product, one backward pass.

    Args:
        func: takes the inputs and returns a tensor.
        inputs: a tensor, or several.
        v: of the output's shape; 1 for a scalar.
        create_graph: let the product be differentiated, with respect to the inputs and v.

    >>> import minigen
    >>> x = minigen.tensor([1.0, 2.0])
    >>> minigen.vjp(lambda x: x * x, x, minigen.tensor([1.0, 10.0]))[1].tolist()
    [2.0, 40.0]
    """
    xs = _leaves(inputs, create_graph)
    with modes.enable_grad():
        y = _call(func, xs, "vjp")
    product = _gradients(y, xs, v, create_graph)
    return (y if create_graph else y.detach()), _like(inputs, product)


def jvp(func: Callable[..., Tensor], inputs: Inputs, v: Inputs, create_graph: bool = False) -> Any:
    """(output, Jv): the Jacobian-vector product, by differentiating u ↦ Jᵀu, which is linear, and whose transpose is J.

    Args:
        func, inputs, create_graph: as for `vjp`.
        v: one tensor for each input, of its shape.

    >>> import minigen
    >>> x = minigen.tensor([1.0, 2.0])
    >>> minigen.jvp(lambda x: (x * x).sum(), x, minigen.tensor([1.0, 1.0]))[1].item()
    6.0
    """
    xs, vs = _leaves(inputs, create_graph), listed("v", v)
    _check_directions("jvp", xs, vs)
    with modes.enable_grad():
        y = _call(func, xs, "jvp")
        u = Tensor(y.device.xp.zeros_like(y.data), requires_grad=True, device=y.device)
        if not y.requires_grad:
            return y, u.detach()
        pulled = grad(y, xs, u, create_graph=True, allow_unused=True)
    pairs = [(p, d) for p, d in zip(pulled, vs) if p is not None and p.requires_grad]
    if not pairs:
        return (y if create_graph else y.detach()), u.detach()
    (product,) = grad([p for p, _ in pairs], u, [d for _, d in pairs], create_graph=create_graph, allow_unused=True)
    return (y if create_graph else y.detach()), u.detach() if product is None else product


def hvp(func: Callable[..., Tensor], inputs: Inputs, v: Inputs, create_graph: bool = False) -> Any:
    """(output, Hv) of a scalar function: the gradient of ⟨∇f, v⟩, without ever forming H (Pearlmutter 1994).

    Args:
        func, inputs, create_graph: as for `vjp`; the output is a scalar.
        v: one tensor for each input, of its shape.

    >>> import minigen
    >>> x = minigen.tensor([1.0, 2.0])
    >>> minigen.hvp(lambda x: (x**3).sum(), x, minigen.tensor([1.0, 1.0]))[1]  # H = diag 6x
    tensor([ 6., 12.])
    """
    xs, vs = _leaves(inputs, create_graph), listed("v", v)
    _check_directions("hvp", xs, vs)
    with modes.enable_grad():
        y = _call(func, xs, "hvp")
        _check_scalar("hvp", y)
        first = _gradients(y, xs, None, True)
        pairs = [(g, d) for g, d in zip(first, vs) if g.requires_grad]
    if not pairs:
        product = [_zeros(x) for x in xs]
    else:
        second = grad([g for g, _ in pairs], xs, [d for _, d in pairs], create_graph=create_graph, allow_unused=True)
        product = [_zeros(x) if h is None else h for x, h in zip(xs, second)]
    return (y if create_graph else y.detach()), _like(inputs, product)


def jacobian(func: Callable[..., Tensor], inputs: Inputs, create_graph: bool = False) -> Any:
    """The whole Jacobian, of shape (*output.shape, *input.shape) for each input: one backward pass an output element.

    Args:
        func, inputs, create_graph: as for `vjp`.

    >>> import minigen
    >>> minigen.jacobian(lambda x: x**2, minigen.tensor([1.0, 2.0])).tolist()
    [[2.0, 0.0], [0.0, 4.0]]
    """
    xs = _leaves(inputs, create_graph)
    with modes.enable_grad():
        y = _call(func, xs, "jacobian")
    rows: list[list[Tensor]] = [[] for _ in xs]
    for i in range(y.numel()):
        one = y.device.xp.zeros(y.numel(), y.dtype)
        one[i] = 1
        v = Tensor(one.reshape(y.shape), device=y.device)
        for row, g in zip(rows, _gradients(y, xs, v, create_graph, retain_graph=True)):
            row.append(g)
    with modes.enable_grad() if create_graph else modes.no_grad():
        matrices = [
            F.reshape(F.stack(row), y.shape + x.shape) if row else F.reshape(_zeros(x)[None][:0], y.shape + x.shape)
            for row, x in zip(rows, xs)
        ]
    return _like(inputs, matrices)


def hessian(func: Callable[..., Tensor], inputs: Inputs, create_graph: bool = False) -> Any:
    """The matrix of second derivatives of a scalar function: the Jacobian of its gradient.

    Args:
        func, inputs, create_graph: as for `vjp`; the output is a scalar.

    Returns:
        For one input, (*input.shape, *input.shape); for several, the block for inputs i and j at [i][j].

    >>> import minigen
    >>> minigen.hessian(lambda x: x[0] ** 2 * x[1], minigen.tensor([1.0, 3.0]))
    tensor([[6., 2.],
            [2., 0.]])
    """
    xs = listed("inputs", inputs)

    def gradient(i: int) -> Callable[..., Tensor]:
        def ith(*points: Tensor) -> Tensor:
            y = _call(func, list(points), "hessian")
            _check_scalar("hessian", y)
            return _gradients(y, list(points), None, True)[i]

        return ith

    blocks = tuple(jacobian(gradient(i), tuple(xs), create_graph) for i in range(len(xs)))
    return blocks[0][0] if isinstance(inputs, Tensor) else blocks


def _gradients(
    y: Tensor, xs: list[Tensor], v: Tensor | None, create_graph: bool, retain_graph: bool | None = None
) -> list[Tensor]:
    """Jᵀv for each x; zero where y does not depend on it."""
    if not y.requires_grad:
        return [_zeros(x) for x in xs]
    found = grad(y, xs, v, create_graph=create_graph, retain_graph=retain_graph, allow_unused=True)
    return [_zeros(x) if g is None else g for x, g in zip(xs, found)]


def _leaves(inputs: Inputs, create_graph: bool) -> list[Tensor]:
    """The inputs as tensors to differentiate by: the user's own when the result is to be differentiated further."""
    xs = listed("inputs", inputs)
    if create_graph:
        return [x if x.requires_grad else x.detach().requires_grad_() for x in xs]
    return [x.detach().requires_grad_() for x in xs]


def _call(func: Callable[..., Tensor], xs: list[Tensor], name: str) -> Tensor:
    y = func(*xs)
    if not isinstance(y, Tensor):
        raise AutogradError(f"{name}: the function must return one tensor, not {type(y).__name__}.")
    return y


def _check_scalar(name: str, y: Tensor) -> None:
    if y.numel() != 1:
        raise ShapeError(
            f"{name}: the function must return a scalar, not shape {y.shape}; reduce it, for example .sum()."
        )


def _check_directions(name: str, xs: list[Tensor], vs: list[Tensor]) -> None:
    if [x.shape for x in xs] != [v.shape for v in vs]:
        raise ShapeError(
            f"{name}: v must hold one tensor for each input, of its shape: {[x.shape for x in xs]}, not {[v.shape for v in vs]}."
        )


def _zeros(x: Tensor) -> Tensor:
    return Tensor(x.device.xp.zeros_like(x.data), device=x.device)


def _like(inputs: Inputs, results: list[Tensor]) -> Any:
    return results[0] if isinstance(inputs, Tensor) else tuple(results)


from minigen import functional as F  # noqa: E402 - at the end: the operations are built on the engine
