"""Chapter 2: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

import minigen
from minigen import course
from minigen.course import planted


def numeric_gradient(f, x, h, divide=2.0):
    found = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        found[index] = (f(x + step) - f(x - step)) / (divide * h)
    return found


def never_put_back(f, x, h):
    x, found = x.copy(), np.zeros_like(x)
    for index in np.ndindex(x.shape):
        x[index] += h
        above = f(x)
        x[index] -= 2 * h
        found[index] = (above - f(x)) / (2 * h)
    return found


def changes_x(f, x, h):
    for index in np.ndindex(x.shape):
        x[index] += h
    return numeric_gradient(f, x, h)


def forward_gradient(f, x, h):
    return np.reshape([(f(x + h * e.reshape(x.shape)) - f(x)) / h for e in np.eye(x.size)], x.shape)


def into_integers(f, x, h):
    return numeric_gradient(f, x, h).astype(int)


def vjp(f, x, v, h):
    return numeric_gradient(lambda x: (v * f(x)).sum(), x, h)


def jvp(f, x, v, h):
    return (f(x + h * v) - f(x - h * v)) / (2 * h)


def without_sum(f, x, v, h):
    jacobian = [((f(x + h * e) - f(x - h * e)) / (2 * h)) for e in np.eye(x.size)]
    return np.array(jacobian).T * v[:, None]


def together(f, x, v, h):
    return (v * (f(x + h) - f(x - h))).sum() / (2 * h)


TRUE = {letter: planted.KINDS[place] for letter, place in planted.TRUTH.items()}


def checker(cotangent, compare, x_shaped=False):
    def agrees(f, claim, x):
        v = cotangent(np.shape(x if x_shaped else f(x)))
        return bool(compare(claim(x, v), vjp(f, x, v, 1e-5)))

    return agrees


def random(shape):
    return minigen.Generator(0).normal(shape, dtype=np.float64)


def relative(a, b, tolerance=1e-6):
    return np.abs(a - b).max() <= tolerance * max(np.abs(a).max(), np.abs(b).max())


def always(number):
    return lambda shape: np.full(shape, number)


def counting(shape):
    return np.arange(1.0, 1 + np.prod(shape)).reshape(shape)


def first_only(shape):
    return (counting(shape) == 1) * 1.0


def by_sums(a, b):
    return abs(np.sum(a - b)) <= 1e-6 * max(np.abs(a).sum(), np.abs(b).sum())


def by_norms(a, b):
    return abs(np.linalg.norm(a) - np.linalg.norm(b)) <= 1e-6 * np.linalg.norm(b)


WRONG = [
    ("02.1", lambda f, x, h: (f(x + h) - f(x)) / h, "the forward difference"),
    ("02.1", lambda f, x, h: (f(x) - f(x - h)) / h, "the backward difference"),
    ("02.1", lambda f, x, h: (f(x + h) - f(x - h)) / h, "2h apart"),
    ("02.1", lambda f, x, h: (f(x + h) - f(x - h)) / 2 * h, "Mind the brackets"),
    ("02.1", lambda f, x, h: (f(x + h) - 2 * f(x) + f(x - h)) / h**2, "the second difference"),
    ("02.1", lambda f, x, h: (f(x - h) - f(x + h)) / (2 * h), "It has the wrong sign"),
    ("02.1", lambda f, x: f(x), "called with 3 arguments"),
    ("02.2", lambda f, x, h: (f(x + h) - f(x - h)) / (2 * h), "A single number came out"),
    ("02.2", lambda f, x, h: np.full_like(x, (f(x + h) - f(x - h)) / (2 * h)), "All elements were moved at once"),
    ("02.2", never_put_back, "not put back"),
    ("02.2", changes_x, "changes its argument number 2 in place"),
    ("02.2", forward_gradient, "the forward difference of each element"),
    ("02.2", lambda f, x, h: numeric_gradient(f, x, h, 1.0), "divided by h"),
    ("02.2", lambda f, x, h: numeric_gradient(f, x, h).ravel(), "an axis is missing"),
    ("02.2", into_integers, "a fraction was cut off"),
    ("02.3", lambda f, x, v, h: vjp(f, x, np.ones_like(v), h), "v is not used"),
    ("02.3", jvp, "This is J·v"),
    ("02.3", without_sum, "not summed over the outputs"),
    ("02.3", together, "move one at a time"),
    ("02.4", ["A"], "Give check the dictionary"),
    ("02.4", dict.fromkeys(TRUE, ...), "still empty"),
    ("02.4", {**TRUE, "B": ...}, "1 is right so far; B has no answer yet"),
    ("02.4", {**TRUE, "B": "wrong"}, "none of"),
    ("02.4", {**TRUE, "B": np.ones(2)}, "array([1., 1.]), for B, is none of"),
    ("02.4", dict.fromkeys(TRUE, np.ones(2)), "none of"),
    ("02.4", {**TRUE, "A": "sign"}, "A is not guilty"),
    ("02.4", {**TRUE, "D": "factor"}, "D has a bug, but not of the kind"),
    *[("02.4", {**TRUE, letter: "right"}, f"{letter} is not right") for letter in "BCDEG"],
    ("02.5", lambda f, claim, x: True, "its sign is wrong"),
    ("02.5", lambda f, claim, x: False, "It said False, but this one is right"),
    ("02.5", lambda f, claim, x: np.ones(2), "True or False"),
    ("02.5", checker(np.ones, relative), "it does not look at v"),
    ("02.5", checker(always(2.0), relative), "draw v at random"),
    ("02.5", checker(counting, relative), "in equal steps"),
    ("02.5", checker(first_only, relative), "is v zero somewhere"),
    ("02.5", checker(random, by_sums), "compare element by element"),
    ("02.5", checker(random, by_norms), "its sign is wrong"),
    ("02.5", checker(random, relative, x_shaped=True), "line"),
    ("02.5", checker(random, lambda a, b: relative(a, b, 0.2)), "tolerance too wide"),
    ("02.5", checker(random, lambda a, b: np.allclose(a, b, 1e-5, 1e-7)), "an absolute tolerance lets that through"),
    ("02.5", checker(random, lambda a, b: np.abs(a - b).max() < 1e-9), "does not allow for their rounding"),
    ("02.1", lambda f, x, h: 2 * (f(x + h) - f(x - h)) / (2 * h), "2h apart"),
    ("02.1", lambda f, x, h: (f(x + h) - f(x - h)) / h / h, "off by"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(2)}


@pytest.mark.parametrize("letter", sorted(planted.OPERATIONS))
def test_a_planted_bug_is_of_the_kind_that_it_is_called(letter):
    operation, inputs, kind = planted.OPERATIONS[letter], planted.example(letter), TRUE[letter]

    def passes(order):
        return bool(minigen.gradcheck(operation, inputs, order=order, raise_exception=False))

    assert passes(1) == (kind in ("right", "second order"))
    assert passes(2) == (kind == "right")
    value = operation(*inputs).numpy()

    def both(v):
        """Jᵀv by the operation and by differences, for its last input."""
        *rest, x = inputs
        ours = minigen.vjp(operation, inputs, minigen.Tensor(v))[1][-1].numpy()
        return ours, vjp(lambda x: operation(*rest, minigen.Tensor(x)).numpy(), x.numpy(), v, 1e-5)

    for v in (np.ones_like(value), random(value.shape)):
        ours, numeric = both(v)
        if kind == "sign":
            np.testing.assert_allclose(ours, -numeric, rtol=1e-6, atol=1e-9)
        if kind == "factor":
            np.testing.assert_allclose(ours / numeric, (ours / numeric).flat[0], rtol=1e-6)
    if kind == "only for ones":
        np.testing.assert_allclose(*both(np.ones_like(value)), rtol=1e-6, atol=1e-9)
    if kind == "broadcasting":
        x = minigen.Tensor(random((3, 4)), requires_grad=True)
        assert minigen.gradcheck(operation, [x, x * 1.5 + 1])
