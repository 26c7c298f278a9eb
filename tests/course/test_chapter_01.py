"""Chapter 1: a wrong answer is refused, with a sentence that names the mistake."""

import math
import sys

import numpy as np
import pytest

import minigen
from minigen import course
from minigen import functional as F


class Value:
    """The engine of notebook 1."""

    def __init__(self, data, made_from=()):
        self.data, self.made_from, self.grad = float(data), list(made_from), 0.0

    @property
    def parents(self):
        return [parent for parent, _ in self.made_from]

    def backward(self):
        self.grad = 1.0
        for node in by_recursion(self):
            for parent, local in node.made_from:
                parent.grad += node.grad * local

    def __mul__(self, other):
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])


def by_recursion(last):
    done, seen = [], set()

    def visit(node):
        if id(node) not in seen:
            seen.add(id(node))
            for parent in node.parents:
                visit(parent)
            done.append(node)

    visit(last)
    return done[::-1]


def dividing(divide):
    return type("Divides", (Value,), {"__truediv__": divide, "__mul__": _mul, "__init__": Value.__init__})


def _mul(self, other):
    return type(self)(self.data * other.data, [(self, other.data), (other, self.data)])


def quotient(by_a, by_b):
    """Value with a division whose local derivatives are these functions of a and b."""

    def divide(self, other):
        a, b = self.data, other.data
        return type(self)(a / b, [(self, by_a(a, b)), (other, by_b(a, b))])

    return dividing(divide)


class Number(Value):
    """As the notebook's, whose product takes numbers too."""

    def __mul__(self, other):
        return super().__mul__(other if isinstance(other, Value) else Value(other))

    def __truediv__(self, other):
        return Number(self.data / other.data, [(self, 1 / other.data), (other, -self.data / other.data**2)])


def with_a_raised_limit(last):
    sys.setrecursionlimit(20_000)
    return by_recursion(last)


def breadth_first(last):
    found, seen, queue = [], {id(last)}, [last]
    while queue:
        node = queue.pop(0)
        found.append(node)
        for parent in node.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                queue.append(parent)
    return found


def with_repeats(last):
    found, stack = [], [last]
    while stack and len(found) < 1000:
        node = stack.pop()
        found.append(node)
        stack.extend(node.parents)
    return found


def softplus(forward, backward):
    return type("Softplus", (minigen.Function,), {"forward": forward, "backward": backward})


def _keep(self, x):
    self.save_for_backward(x)
    return np.logaddexp(0, x)


def _overflows(self, x):
    self.save_for_backward(x)
    return np.log(1 + np.exp(x))


def _only_local(self, g):
    (x,) = self.saved_tensors
    return F.sigmoid(x)


def _forgets(self, g):
    (x,) = self.saved_tensors
    F.sigmoid(x) * g


def _exponentials(self, g):
    (x,) = self.saved_tensors
    e = F.exp(x)
    return g * e / (1 + e)


def _in_itself(self, x):
    self.x = x
    return np.logaddexp(0, x)


def _of_itself(self, g):
    return g * minigen.Tensor(1 / (1 + np.exp(-self.x)))


def _on_arrays(self, g):
    (x,) = self.saved_tensors
    return g * minigen.Tensor(1 / (1 + np.exp(-x.numpy())))


def _tanh(self, g):
    (x,) = self.saved_tensors
    return g * F.tanh(x)


WRONG = [
    ("01.1", lambda x: np.cos(x**2), "the outer function alone"),
    ("01.1", lambda x: 2 * x * np.cos(x), "belongs at the inner value"),
    ("01.1", lambda x: np.cos(2 * x), "belongs in front as a factor"),
    ("01.1", lambda x: np.sin(x**2), "f itself"),
    ("01.1", lambda x: x * np.cos(x**2), "0.5 times"),
    ("01.1", lambda x: math.cos(x[0] ** 2) * 2 * x[0], "A single number came out"),
    ("01.2", lambda x, y: (2 * (x * y + x) * y, 2 * (x * y + x) * x), "only the path through the product"),
    ("01.2", lambda x, y: (2 * (x * y + x), 2 * (x * y + x) * x), "only the path straight into the sum"),
    ("01.2", lambda x, y: (y + 1, x), "derivative of the square is missing"),
    ("01.2", lambda x, y: (2 * (x * y + x) * x, 2 * (x * y + x) * (y + 1)), "in the other order"),
    ("01.2", lambda x, y: 2 * (x * y + x) * (y + 1), "should return 2 results"),
    ("01.3", Value, "no method __truediv__ yet"),
    ("01.3", dividing(lambda self, other: None), "divide is still empty"),
    ("01.3", dividing(lambda self, other: self.data / other.data), "must be a Value again"),
    ("01.3", quotient(lambda a, b: 1 / b, lambda a, b: a / b**2), "wrong sign"),
    ("01.3", quotient(lambda a, b: 1 / b, lambda a, b: -1 / b**2), "the numerator a is missing"),
    ("01.3", quotient(lambda a, b: -a / b**2, lambda a, b: 1 / b), "exchanged"),
    ("01.3", quotient(lambda a, b: b, lambda a, b: a), "derivatives of the product"),
    ("01.3", Number, "x / 2 fails, where x * 2 works"),
    ("01.3", Value(1.0), "Give check the class that you wrote"),
    ("01.4", with_a_raised_limit, "found by recursion"),
    ("01.4", by_recursion, "calls itself too often"),
    ("01.4", breadth_first, "Going level by level is not enough"),
    ("01.4", with_repeats, "comes more than once"),
    ("01.4", lambda last: by_recursion(last)[::-1], "wrong way round"),
    ("01.4", lambda last: [last], "3 of 4 nodes are missing, c among"),
    ("01.4", lambda last: [last, "b"], "no node of the graph"),
    ("01.4", lambda last: 3, "should return a list"),
    ("01.5", F.softplus, "the class itself"),
    ("01.5", softplus(_overflows, _on_arrays), "overflows at x = 800"),
    ("01.5", softplus(lambda self, x: 1 + np.exp(x), _tanh), "without the logarithm"),
    ("01.5", softplus(_keep, _forgets), "backward returned None"),
    ("01.5", softplus(_keep, _exponentials), "overflows in backward"),
    ("01.5", softplus(_in_itself, _of_itself), "self.x is an array, which no graph knows"),
    ("01.5", softplus(_keep, lambda self, g: None), "Softplus.backward is still empty"),
    ("01.5", softplus(_keep, _only_local), "without what arrives"),
    ("01.5", softplus(_keep, lambda self, g: g), "only hands on what arrives"),
    ("01.5", softplus(_keep, _tanh), "the sigmoid"),
    ("01.5", softplus(_keep, _on_arrays), "second ones are not"),
    ("01.5", softplus(_keep, lambda self, g: g.numpy()), "Softplus.backward returned ndarray, not a Tensor"),
    ("01.2", lambda x, y: (4 * (x * y + x) * (y + 1), 4 * (x * y + x) * x), "Every result is 2 times"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_a_class_made_from_an_earlier_attempt_is_judged_with_what_it_took_over():
    first = softplus(_keep, _only_local)
    second = type("Softplus", (first,), {"backward": lambda self, g: F.sigmoid(self.saved_tensors[0]) * g})
    assert course.check("01.5", second)


def test_the_recursion_limit_is_put_back():
    before = sys.getrecursionlimit()
    course.check("01.4", with_a_raised_limit)
    assert sys.getrecursionlimit() == before


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(1)}
