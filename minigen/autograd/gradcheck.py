"""gradcheck: hold the gradients of a function against finite differences, to first and second order.

The function f maps tensors to one tensor or several. Its backward pass computes, for a cotangent v of the outputs,
g(x, v) = Jᵀv, with J the Jacobian of f at x. First order: vᵀJu is compared with the derivative of vᵀf(x + tu) at t = 0,
for cotangents v and directions u. When J is small these are all its entries, one by one, and a random v, for which the
backward pass must give the sums of those entries; when it is large, several random v and u. Second order: the same for
the function g itself, in x and in v. And so on upwards.

An entry fails when |analytic - numeric| > rtol·(its size) + (error of the difference, as measured). There is no
absolute tolerance: a gradient of size 1e-7 is checked like one of size 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from minigen.autograd.finite_differences import derivative, rounding_noise
from minigen.autograd.pullback import LAYOUTS, Arrays, Many, outputs_of, products, pullback, values, values_or_nan
from minigen.errors import DtypeError, GradcheckError, UserError
from minigen.random import Generator
from minigen.tensor import Tensor

SMALL = 1024  # entries of a Jacobian that is checked one by one
DIRECTIONS = 4  # random cotangents, and random directions for each input, when it is larger
TRIES = 6  # points, when the function is not smooth at the given one
FIRST_STEP = 2.0**-6


@dataclass
class GradcheckReport:
    """What `gradcheck` found; true when everything agrees.

    Attributes:
        errors: errors[order][input] is the worst relative error, |analytic - numeric|/(size of the gradient + size
            below which differences cannot see it). It is at most `rtol` where the check passed.
        failure: the sentence about the worst disagreement, or None.
    """

    errors: dict[int, dict[str, float]] = field(default_factory=dict)
    failure: str | None = None

    def __bool__(self) -> bool:
        return self.failure is None

    def worst(self, order: int) -> float | None:
        """The worst relative error at one order, over all inputs; None when that order was not reached."""
        return max(self.errors[order].values()) if order in self.errors else None


class _Row(NamedTuple):
    """One cotangent of all outputs, flattened and joined, and the layout in which the backward pass is run."""

    cotangent: np.ndarray
    factor: float  # to be divided by, where a single output element is weighted
    layout: str
    output: str


class _Mismatch(NamedTuple):
    error: float
    sentence: str


class _NotSmooth(Exception):
    """The function has no derivative at this point, or none that can be measured."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    order: int = 2,
    rtol: float = 1e-7,
    generator: Generator | None = None,
    raise_exception: bool = True,
) -> GradcheckReport:
    """Check the gradients of `func` at `inputs` against finite differences.

    Args:
        func: takes the inputs; returns a tensor, or several, of which those that are not floating point are ignored.
        inputs: a tensor or several. Those with requires_grad=True, which must be float64, are checked, in C order and
            in two other memory layouts; what else is among them is handed to `func` as it is.
        order: up to which derivative.
        rtol: the relative error that is allowed.
        generator: where cotangents and directions come from; ``Generator(0)`` unless given.
        raise_exception: when False, a failure is only written in the report.

    Returns:
        The worst relative error of every input at every order. At second order the cotangents are inputs too.

    Raises:
        GradcheckError: a gradient is wrong: the worst entry, by input, index, numeric and analytic value; or the
            function changes its inputs, gives other values when called again or with other strides, or has a kink
            wherever it was tried (at the inputs, then beside them).
        DtypeError: a checked input or an output that is not float64.
        UserError: an order below 1, or no input to check.

    >>> import minigen
    >>> x = minigen.tensor([0.5, 2.0], dtype="float64", requires_grad=True)
    >>> bool(gradcheck(lambda x: x * x.sum(), x))
    True
    """
    given = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    checked = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]
    if not checked or order < 1:
        raise UserError("gradcheck: needs an order of at least 1 and an input with requires_grad=True.")
    for i in checked:
        if given[i].dtype != np.float64:
            raise DtypeError(f"gradcheck: input {i} is {given[i].dtype}; differences need float64: .astype('float64').")

    def f(*xs: Tensor) -> list[Tensor]:
        full = list(given)
        for i, x in zip(checked, xs):
            full[i] = x
        return outputs_of(func(*full))

    names, point = [f"input {i}" for i in checked], [np.array(given[i].numpy()) for i in checked]
    report = GradcheckReport()
    try:
        _climb(f, names, point, order, rtol, generator or Generator(0), report)
    except GradcheckError as error:
        if raise_exception:
            raise
        report.failure = str(error)
    return report


def _climb(
    f: Many, names: list[str], point: Arrays, order: int, rtol: float, generator: Generator, report: GradcheckReport
) -> None:
    """Check f at `point`, then its pullback, then the pullback of that, up to `order`."""
    if not np.isfinite(values(f, point)).all():
        raise GradcheckError("gradcheck: the function is not finite at these inputs.")
    for k in range(1, order + 1):
        point, report.errors[k], worst = _check(f, names, point, k, rtol, generator)
        if worst is not None:
            raise GradcheckError(worst.sentence)
        shapes = [y.shape for y in f(*map(Tensor, point))]
        f = pullback(f, len(point))
        names = names + [f"cotangent {i} of order {k}" for i in range(len(shapes))]
        point = point + [generator.normal(shape, dtype=np.float64) for shape in shapes]


def _check(
    f: Many, names: list[str], point: Arrays, order: int, rtol: float, generator: Generator
) -> tuple[Arrays, dict[str, float], _Mismatch | None]:
    """One order, at `point`, or beside it where f is not smooth there.

    Returns where it was, the worst relative error of each input, and the worst mismatch if something failed.
    """
    there, reason = point, ""
    for attempt in range(TRIES):
        try:
            probe = _Probe(f, names, there, rtol, generator)
            found = [probe.compare(i) for i in range(len(names))]
        except _NotSmooth as problem:
            reason = str(problem)
            sizes = [1e-3 * 2**attempt * (np.abs(x).max(initial=0.0) or 1.0) for x in point]
            there = [x + size * generator.normal(x.shape, dtype=np.float64) for x, size in zip(point, sizes)]
            continue
        worst = max((m for _, m in found if m is not None), key=lambda m: m.error, default=None)
        if worst is not None:
            worst = worst._replace(sentence=f"gradcheck, order {order}: {worst.sentence}")
        return there, {name: error for name, (error, _) in zip(names, found)}, worst
    raise GradcheckError(
        f"gradcheck, order {order}: the function is not smooth at the inputs, nor at {TRIES - 1} points beside them: "
        f"{reason}. Choose inputs away from kinks, jumps and the edge of its domain."
    )


class _Probe:
    """f at one point: its gradients for several cotangents by backward, and differences to hold them against."""

    def __init__(self, f: Many, names: list[str], point: Arrays, rtol: float, generator: Generator) -> None:
        self.f, self.names, self.point, self.rtol, self.generator = f, names, point, rtol, generator
        try:
            middle = values(f, point)
        except (UserError, ValueError, ArithmeticError) as problem:
            raise _NotSmooth(f"it refuses them ({problem})") from problem
        if not np.isfinite(middle).all():
            raise _NotSmooth("its value is not finite")
        if not np.array_equal(middle, values(f, point)):
            raise GradcheckError("gradcheck: called twice, the function gave two values; seed its generator inside it.")
        self.small = sum(x.size for x in point) * middle.size <= SMALL
        self.rows = _rows(middle.size, self.small, generator)
        self.weights = np.array([row.cotangent for row in self.rows])
        self.middle = self.weights @ middle
        self.gradients = self._gradients(middle)
        self.noise = rounding_noise(self.observe, point, generator)
        typical = max(np.abs(a).max(initial=0.0) for a in [self.middle, *point])
        if (self.noise > 1e-6 * typical).any():
            raise _NotSmooth("its value jumps when the inputs move in the last digit")

    def _gradients(self, middle: np.ndarray) -> Arrays:
        """For each input the products (cotangent)·J, one row for each cotangent."""
        found: list[Arrays] = []
        for layout in LAYOUTS:
            cotangents = np.array([row.cotangent for row in self.rows if row.layout == layout])
            found += products(self.f, self.point, layout, cotangents, middle)
        return [np.array(parts) for parts in zip(*found)]

    def observe(self, arrays: Arrays) -> np.ndarray:
        """The products (cotangent)·f(arrays)."""
        return self.weights @ values_or_nan(self.f, arrays, self.weights.shape[1])

    def numeric(self, i: int, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The derivatives of the observed values along u in input i, and their errors."""
        x = self.point[i]

        def curve(t: float) -> np.ndarray:
            return self.observe([*self.point[:i], x + t * u.reshape(x.shape), *self.point[i + 1 :]])

        step = FIRST_STEP * max(1.0, float(np.abs(x).max())) / float(np.abs(u).max())
        with np.errstate(all="ignore"):
            found = derivative(curve, self.middle, self.noise, step, self.rtol / 10)
        if not found.smooth.all():
            at = f" at index {_index(int(u.argmax()), x)}" if np.count_nonzero(u) == 1 else ""
            raise _NotSmooth(f"differences with respect to {self.names[i]}{at} do not settle as the step shrinks")
        return found.value, found.error

    def compare(self, i: int) -> tuple[float, _Mismatch | None]:
        """The worst relative error of the gradients with respect to input i, and, if it is too large, the entry."""
        x, gradient, error, worst = self.point[i], self.gradients[i], 0.0, None
        directions = np.eye(x.size) if self.small else self.generator.normal((DIRECTIONS, x.size), dtype=np.float64)
        for u in directions if x.size else ():
            expected, uncertain = self.numeric(i, u)
            with np.errstate(all="ignore"):
                size = np.maximum(np.abs(expected), np.sqrt(gradient**2 @ u**2)) + uncertain / self.rtol
                gap = np.abs(gradient @ u - expected)
                relative = np.where(gap == 0, 0.0, np.where(np.isfinite(gap), gap / size, np.inf))
            k = int(relative.argmax())
            if relative[k] > max(error, self.rtol):
                worst = _Mismatch(float(relative[k]), self._sentence(i, k, u, relative[k]))
            error = max(error, float(relative[k]))
        return error, worst

    def _sentence(self, i: int, k: int, u: np.ndarray, error: float) -> str:
        j, difference = self._locate(i, k, u)
        row = self.rows[k]
        return (
            f"the gradient with respect to {self.names[i]} is wrong at index {_index(j, self.point[i])}: analytic "
            f"{self.gradients[i][k][j] / row.factor:.10g}, numeric {difference / row.factor:.10g}; relative error "
            f"{error:.2g}, allowed {self.rtol:.2g}; for {row.output}, inputs {row.layout}."
        )

    def _locate(self, i: int, k: int, u: np.ndarray) -> tuple[int, float]:
        """The element of input i that makes gradient k wrong along u, by halving u; and its numeric derivative."""
        part = np.flatnonzero(u)
        while len(part) > 1:
            gaps = []
            halves = np.array_split(part, 2)
            for half in halves:
                some = np.zeros_like(u)
                some[half] = u[half]
                gaps.append(abs(self.gradients[i][k] @ some - self.numeric(i, some)[0][k]))
            part = halves[0] if gaps[0] >= gaps[1] else halves[1]
        one = np.zeros_like(u)
        one[part] = 1
        return int(part[0]), float(self.numeric(i, one)[0][k])


def _rows(size: int, small: bool, generator: Generator) -> list[_Row]:
    """The cotangents: each output element with a random factor when there are few, and random ones in every layout."""
    rows: list[_Row] = []
    first, *others = LAYOUTS
    if small:
        factors = generator.uniform((size,), 0.5, 2.0, np.float64) * (2 * generator.integers(0, 2, (size,)) - 1)
        rows = [_Row(row, row[i], first, f"output element {i}") for i, row in enumerate(np.diag(factors))]
    for dense in generator.normal((1 if small else DIRECTIONS, size), dtype=np.float64):
        rows.append(_Row(dense, 1.0, first, "a random combination of the outputs"))
    return rows + [rows[-1]._replace(layout=layout) for layout in others]


def _index(element: int, x: np.ndarray) -> tuple[int, ...]:
    return tuple(int(n) for n in np.unravel_index(element, x.shape))
