"""Chapter 2: finite differences, cotangents, and bugs in gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigen
from minigen.course import planted
from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.course.words import right_so_far, show

Function = Callable[..., Any]


@exercise(
    "02.1",
    "The central difference",
    hints=(
        "Take the slope between the points x - h and x + h. How far apart are they?",
        "(f(x + h) - f(x - h)) / (2h)",
    ),
)
def central_difference(trial: Trial) -> str:
    """Write central(f, x, h), the slope of the function f between x - h and x + h, for numbers x and h."""
    central = trial.function("central")

    def cube(x: float) -> float:
        return x**3

    mistakes = {
        "This is the slope between x and x + h, the forward difference, whose error falls only like h.": (
            lambda f, x, h: (f(x + h) - f(x)) / h
        ),
        "This is the slope between x - h and x, the backward difference, whose error falls only like h.": (
            lambda f, x, h: (f(x) - f(x - h)) / h
        ),
        "The two points are 2h apart: this was divided by h.": lambda f, x, h: (f(x + h) - f(x - h)) / h,
        "Mind the brackets: / 2 * h multiplies by h in the end; write / (2 * h).": (
            lambda f, x, h: (f(x + h) - f(x - h)) / 2 * h
        ),
        "This is the second difference, near f″(x).": lambda f, x, h: (f(x + h) - 2 * f(x) + f(x - h)) / h**2,
    }
    for f, x, h in ((cube, 1.5, 0.1), (np.sin, 1.0, 1e-3), (np.exp, -0.5, 0.25)):
        trial.compare(central, lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h), f, x, h, mistakes=mistakes, rtol=1e-9)
    return "Its error is h²·f‴/6 and more of higher order, so that a ten times smaller h gives two more digits."


def _gradient(f: Function, x: np.ndarray, h: float) -> np.ndarray:
    found = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        found[index] = (f(x + step) - f(x - step)) / (2 * h)
    return found


def _gradient_never_put_back(f: Function, x: np.ndarray, h: float) -> np.ndarray:
    x, found = x.copy(), np.zeros_like(x)
    for index in np.ndindex(x.shape):
        x[index] += h
        above = f(x)
        x[index] -= 2 * h
        found[index] = (above - f(x)) / (2 * h)
    return found


@exercise(
    "02.2",
    "A gradient, element by element",
    hints=(
        "np.ndindex(x.shape) runs through the indices of an array of any shape.",
        "Move one element by h, and leave all others as they are: step = np.zeros_like(x); step[index] = h.",
    ),
)
def numeric_gradient(trial: Trial) -> str:
    """Write numeric_gradient(f, x, h): the central difference of f, which takes an array and gives a number, by every
    element of the array x, as an array of x's shape."""
    function = trial.function("numeric_gradient")

    def squares(x: np.ndarray) -> float:
        return float((x**2).sum())

    def product(x: np.ndarray) -> float:
        return float(np.prod(1.5 + x) + np.sin(x).sum())

    mistakes = {
        "All elements were moved at once. That gives the sum of all derivatives; move one at a time.": (
            lambda f, x, h: np.full_like(x, (f(x + h) - f(x - h)) / (2 * h))
        ),
        "An element is not put back before the next is moved, so that later differences are taken at another point.": (
            _gradient_never_put_back
        ),
        "This is the forward difference of each element.": (
            lambda f, x, h: np.reshape([(f(x + h * e.reshape(x.shape)) - f(x)) / h for e in np.eye(x.size)], x.shape)
        ),
        "The points are 2h apart: this was divided by h.": lambda f, x, h: 2 * _gradient(f, x, h),
    }
    cases = (
        (squares, np.array([1.0, -2.0, 3.0]), 0.5),
        (product, trial.generator.normal((2, 3), dtype=np.float64), 0.1),
        (product, trial.generator.normal((2, 1, 2), dtype=np.float64), 0.1),
    )
    for f, x, h in cases:
        trial.compare(function, _gradient, f, x, h, mistakes=mistakes, rtol=1e-8)
    return "It costs two calls of f for every element; a backward pass costs a few calls for all of them together."


def _vjp(f: Function, x: np.ndarray, v: np.ndarray, h: float) -> np.ndarray:
    return _gradient(lambda x: float((v * f(x)).sum()), x, h)


def _jacobian(f: Function, x: np.ndarray, h: float) -> np.ndarray:
    steps = [h * e.reshape(x.shape) for e in np.eye(x.size)]
    return np.array([((f(x + s) - f(x - s)) / (2 * h)).ravel() for s in steps]).T


@exercise(
    "02.3",
    "The product that backward computes",
    hints=(
        "vᵀf(x) is a number: what is its gradient by x?",
        "numeric_gradient(lambda x: (v * f(x)).sum(), x, h)",
    ),
)
def numeric_vjp(trial: Trial) -> str:
    """Write numeric_vjp(f, x, v, h): Jᵀv by central differences, J the Jacobian at x of f, which takes an array and
    gives an array of v's shape."""
    function = trial.function("numeric_vjp")
    matrix = np.array([[1.0, 2.0], [3.0, 5.0]])
    wide = trial.generator.normal((2, 3), dtype=np.float64)

    def linear(x: np.ndarray) -> np.ndarray:
        return matrix @ x

    def layer(x: np.ndarray) -> np.ndarray:
        return np.tanh(wide @ x)

    def whole(x: np.ndarray) -> np.ndarray:
        return x * np.cumsum(x, axis=1)

    mistakes = {
        "v is not used: this is Jᵀ applied to ones.": lambda f, x, v, h: _vjp(f, x, np.ones_like(v), h),
        "This is J·v, a derivative of the outputs along v; asked for is Jᵀ·v, which has the shape of x.": (
            lambda f, x, v, h: (_jacobian(f, x, h) @ v.ravel()).reshape(v.shape) if v.size == x.size else v
        ),
        "All elements of x were moved at once; move one at a time.": (
            lambda f, x, v, h: (v * (f(x + h) - f(x - h))).sum() / (2 * h)
        ),
        "Each output was multiplied by v, but the products were not summed over the outputs.": (
            lambda f, x, v, h: _jacobian(f, x, h) * v.reshape(-1, 1)
        ),
    }
    random = trial.generator.normal
    cases = (
        (linear, np.array([1.0, -1.0]), np.array([1.0, 10.0])),
        (layer, random((3,), dtype=np.float64), random((2,), dtype=np.float64)),
        (whole, random((2, 3), dtype=np.float64), random((2, 3), dtype=np.float64)),
    )
    for f, x, v in cases:
        trial.compare(function, _vjp, f, x, v, 1e-3, mistakes=mistakes, rtol=1e-7)
    return "One number, vᵀf, stands for all outputs: whoever knows Jᵀv for random v knows whether J is right."


@exercise(
    "02.4",
    "Five planted bugs",
    hints=(
        "Start with minigen.gradcheck(operation, inputs, order=1, raise_exception=False).failure for every letter: only "
        "what it says nothing about can be right, or wrong in second order.",
        "For a wrong one compare minigen.vjp with numeric differences: for v of ones and for random v, for each input, "
        "and look at the ratio of the two.",
    ),
)
def planted_bugs(trial: Trial) -> str:
    """Fill in the dictionary answers: for each letter one of "right", "sign", "factor", "only for ones",
    "broadcasting", "second order"."""
    answers = trial.answer
    letters = ", ".join(planted.OPERATIONS)
    kinds = ", ".join(f'"{kind}"' for kind in planted.KINDS)
    if not isinstance(answers, dict):
        trial.fail(f"Give check the dictionary: a letter of {letters} → one of {kinds}.")
    if all(answer is None or answer is ... for answer in answers.values()):
        trial.not_written("answers")
    for found, (letter, place) in enumerate(planted.TRUTH.items()):
        answer, truth = answers.get(letter, ...), planted.KINDS[place]
        if answer is None or answer is ...:
            trial.fail(f"{right_so_far(found)}; {letter} has no answer yet.")
        if not isinstance(answer, str) or answer not in planted.KINDS:
            trial.fail(f"{show(answer)}, for {letter}, is none of {kinds}.")
        if answer != truth:
            trial.fail(f"{right_so_far(found)}. {_evidence(letter, answer, truth)}")
    return "All seven. The bug in second order is the one that no training loop would have told you about."


def _evidence(letter: str, answer: str, truth: str) -> str:
    """What speaks against an answer, without the right one."""
    if truth == "right":
        return f"{letter} is not guilty: its first and second derivatives agree with differences for random cotangents."
    if answer != "right":
        return f'{letter} has a bug, but not of the kind "{answer}": {_DOUBTS[answer]}'
    failure = minigen.gradcheck(planted.OPERATIONS[letter], planted.example(letter), raise_exception=False).failure
    return f"{letter} is not right. {failure}"


_DOUBTS = {
    "sign": "is the gradient really minus the numeric one, in every entry?",
    "factor": "is the ratio to the numeric gradient the same in every entry, for every v?",
    "only for ones": "is it really right when v is all ones, and wrong for random v?",
    "broadcasting": "has it two inputs of different shapes, and is it right where the shapes are equal?",
    "second order": "are its first derivatives really right for random v?",
}


@exercise(
    "02.5",
    "A checker of your own",
    hints=(
        "Draw a random v of the shape of f(x), and compare vjp(x, v) with numeric_vjp(f, x, v, h).",
        "Compare relative to the size of the two: np.abs(a - b).max() <= 1e-5 * max(np.abs(a).max(), np.abs(b).max()).",
    ),
)
def own_checker(trial: Trial) -> str:
    """Write agrees(f, vjp, x): True when vjp(x, v) is Jᵀv for the function f of arrays at x, for every v, else False."""
    agrees = trial.function("agrees")
    matrix = trial.generator.normal((2, 3), dtype=np.float64)
    flawed = matrix.copy()
    flawed[1, 2] *= 1.01
    line = np.stack([np.ones(6), np.arange(6.0)], axis=1)
    straight = line @ np.linalg.pinv(line)  # takes the straight part out of v, and leaves equal steps as they are
    x, square = trial.generator.normal((3,), dtype=np.float64), trial.generator.normal((2, 3), dtype=np.float64)
    six = trial.generator.normal((6,), dtype=np.float64)
    for name, truth, f, vjp, point, remark in (
        ("f = sin, vjp = v·cos(x)", True, np.sin, lambda x, v: v * np.cos(x), x, "this one is right"),
        ("f = sin, vjp = -v·cos(x)", False, np.sin, lambda x, v: -v * np.cos(x), x, "its sign is wrong"),
        (
            "f = sin, vjp = cos(x)",
            False,
            np.sin,
            lambda x, v: np.cos(x),
            x,
            "it does not look at v, which nobody notices where v is all ones: draw v at random",
        ),
        (
            "f = sin, vjp = v·cos(x) in reverse order",
            False,
            np.sin,
            lambda x, v: (v * np.cos(x))[::-1],
            six,
            "the right numbers stand at the wrong places: a sum or a norm does not notice, so compare element by element",
        ),
        (
            "f = sin, vjp right for every v whose numbers follow one another in equal steps",
            False,
            np.sin,
            lambda x, v: straight @ v * np.cos(x),
            six,
            "it is right only where the numbers of v are all equal or follow one another in equal steps, as in ones or "
            "np.arange: draw v at random",
        ),
        (
            "f = A·x, A of shape (2, 3), vjp = Aᵀv",
            True,
            lambda x: matrix @ x,
            lambda x, v: matrix.T @ v,
            x,
            "this one is right: v has the shape of f(x), which is not that of x",
        ),
        (
            "f = A·x, vjp = Bᵀv, where one element of B is 1 % off",
            False,
            lambda x: matrix @ x,
            lambda x, v: flawed.T @ v,
            x,
            "one element is 1 % off: is the tolerance too wide, is v zero somewhere, or are only some elements compared?",
        ),
        (
            "f = 1e-8·sin(x), vjp = 2e-8·v·cos(x)",
            False,
            lambda x: 1e-8 * np.sin(x),
            lambda x, v: 2e-8 * v * np.cos(x),
            x,
            "it is twice too large, but all numbers are tiny: an absolute tolerance lets that through (np.allclose has "
            "one, atol=1e-8). Compare relative to the size of the gradient",
        ),
        (
            "f = 1e8·sin(x), vjp = 1e8·v·cos(x)",
            True,
            lambda x: 1e8 * np.sin(x),
            lambda x, v: 1e8 * v * np.cos(x),
            x,
            "this one is right, but all numbers are large: an absolute tolerance does not allow for their rounding",
        ),
        (
            "f = Σ x², x of shape (2, 3), vjp = 2v·x",
            True,
            lambda x: (x**2).sum(),
            lambda x, v: 2 * v * x,
            square,
            "this one is right: f may give a single number",
        ),
    ):
        tried = f"agrees(f, vjp, x) with {name}"
        got = trial.call(agrees, f, vjp, point, tried=tried)
        trial.require(
            isinstance(got, (bool, np.bool_)), f"It should return True or False, not {type(got).__name__}.", tried
        )
        trial.require(bool(got) == truth, f"It said {bool(got)}, but {remark}.", tried, str(bool(got)), str(truth))
    return "That is the core of minigen.gradcheck, which also chooses h, checks second derivatives, and notices kinks."
