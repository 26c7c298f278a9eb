"""A function of tensors seen from outside, as one of arrays: its values, and products with its Jacobian.

`f` takes float64 tensors and returns a list of them. All its outputs, flattened and joined, are one vector of size m.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigen.autograd import modes
from minigen.autograd.engine import grad
from minigen.errors import DtypeError, GradcheckError, UserError
from minigen.tensor import Tensor

Arrays = list[np.ndarray]
Many = Callable[..., list[Tensor]]


def spread(x: np.ndarray) -> np.ndarray:
    """The same values, every second element of a larger array, from its end."""
    if x.ndim == 0:
        return x.copy()
    room = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan)
    view = room[..., ::-2]
    view[...] = x
    return view


LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "in C order": lambda x: x.copy(),
    "in Fortran order": lambda x: np.array(x, order="F"),
    "not contiguous": spread,
}


def outputs_of(result: Any) -> list[Tensor]:
    """The floating-point tensors that a function returned."""
    results = list(result) if isinstance(result, (tuple, list)) else [result]
    tensors = [y for y in results if isinstance(y, Tensor) and y.dtype.kind == "f"]
    if not tensors or any(y.dtype != np.float64 for y in tensors):
        found = [str(y.dtype) if isinstance(y, Tensor) else type(y).__name__ for y in results]
        raise DtypeError(f"gradcheck: the function must return float64 tensors, not {', '.join(found)}.")
    return tensors


def values(f: Many, point: Arrays) -> np.ndarray:
    """f(point), all outputs flattened and joined."""
    leaves = _leaves([x.copy() for x in point])
    with modes.no_grad():
        flat = _join(f(*leaves))
    _refuse_changes(leaves, point)
    return flat


def values_or_nan(f: Many, point: Arrays, size: int) -> np.ndarray:
    """`values`, and NaN where the function refuses its inputs or has other outputs than `size` elements."""
    try:
        flat = values(f, point)
    except (UserError, ValueError, ArithmeticError):
        return np.full(size, np.nan)
    return flat if flat.size == size else np.full(size, np.nan)


def products(f: Many, point: Arrays, layout: str, cotangents: np.ndarray, expected: np.ndarray) -> Iterator[Arrays]:
    """For each cotangent (a vector of size m) the products cotangent·J, one flat array for each input, by backward.

    Raises:
        GradcheckError: the values in this layout are not the `expected` ones, or something was changed in place.
    """
    arrange = LAYOUTS[layout]
    leaves = _leaves([arrange(x) for x in point])
    with modes.enable_grad():
        ys = f(*leaves)
    flat = _join(ys)
    scale = np.abs(expected).max(initial=0.0)
    if flat.shape != expected.shape or not np.allclose(flat, expected, rtol=1e-9, atol=1e-9 * scale):
        raise GradcheckError(f"gradcheck: recorded, with inputs {layout}, the function gives other values than before.")
    ends = np.cumsum([y.numel() for y in ys])[:-1]
    for cotangent in cotangents:
        parts = [part.reshape(y.shape) for part, y in zip(np.split(cotangent, ends), ys)]
        vs = [Tensor(arrange(part)) for part in parts]
        gradients = _gradients(ys, leaves, vs, create_graph=False)
        if not all(np.array_equal(v.numpy(), part) for v, part in zip(vs, parts)):
            raise GradcheckError("gradcheck: the backward pass changed the cotangent that it was given.")
        yield [g.numpy().reshape(-1) for g in gradients]
    _refuse_changes(leaves, point)


def pullback(f: Many, count: int) -> Many:
    """g(x, v) = Jᵀv as a function of the `count` inputs x and the cotangents v. Recorded when the graph is."""

    def g(*tensors: Tensor) -> list[Tensor]:
        record = modes.is_grad_enabled()
        xs, vs = list(tensors[:count]), list(tensors[count:])
        with modes.enable_grad():
            ys = f(*xs)
        return _gradients(ys, xs, vs, create_graph=record)

    return g


def _gradients(ys: list[Tensor], xs: list[Tensor], vs: list[Tensor], create_graph: bool) -> list[Tensor]:
    """Σ Jᵀv for each x; zeros where no output depends on it."""
    pairs = [(y, v) for y, v in zip(ys, vs) if y.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(xs)
    if pairs:
        roots, seeds = [y for y, _ in pairs], [v for _, v in pairs]
        found = grad(roots, xs, seeds, create_graph=create_graph, retain_graph=True, allow_unused=True)
    for x, g in zip(xs, found):
        if g is not None and (g.shape != x.shape or g.dtype != x.dtype):
            raise GradcheckError(
                f"gradcheck: a gradient of shape {g.shape} and {g.dtype} for an input of shape {x.shape} and {x.dtype}."
            )
    return [Tensor(np.zeros(x.shape)) if g is None else g for x, g in zip(xs, found)]


def _leaves(arrays: Arrays) -> list[Tensor]:
    return [Tensor(a, requires_grad=True) for a in arrays]


def _join(ys: list[Tensor]) -> np.ndarray:
    return np.concatenate([y.numpy().reshape(-1) for y in ys])


def _refuse_changes(leaves: list[Tensor], point: Arrays) -> None:
    if not all(np.array_equal(leaf.numpy(), x) for leaf, x in zip(leaves, point)):
        raise GradcheckError("gradcheck: the function changed its inputs.")
