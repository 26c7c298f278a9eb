"""Chapter 1: one derivative by hand, a computation graph, an engine."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import minigen
from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.course.words import is_empty


@exercise(
    "01.1",
    "The chain rule by hand",
    hints=(
        "f is a sine of a square: what is the derivative of the outer function, taken at the inner one?",
        "Multiply cos(x²) by the derivative of x².",
    ),
)
def chain_rule(trial: Trial) -> str:
    """Write slope(x), the derivative of f(x) = sin(x²) at every number of the array x."""
    slope = trial.function("slope")
    mistakes = {
        "This is cos(x²), the derivative of the outer function alone: the chain rule multiplies it by that of x².": (
            lambda x: np.cos(x**2)
        ),
        "This is 2x·cos(x): the outer derivative is taken at x, and belongs at the inner value x².": (
            lambda x: 2 * x * np.cos(x)
        ),
        "This is cos(2x): the derivative of the inner function went inside, and belongs in front as a factor.": (
            lambda x: np.cos(2 * x)
        ),
        "This is f itself, not its derivative.": lambda x: np.sin(x**2),
    }
    for x in (np.array([0.5, -1.0, 2.0]), trial.generator.normal((2, 3), dtype=np.float64), np.array(1.5)):
        trial.compare(slope, lambda x: 2 * x * np.cos(x**2), x, mistakes=mistakes)
    return "f′(x) = 2x·cos(x²). Each step of a chain is one local derivative, and the steps are multiplied."


@exercise(
    "01.2",
    "Two paths from one input",
    hints=(
        "Write it in steps, a = x·y, b = a + x, z = b², and go back from z: z̄ = 1, then b̄, then ā.",
        "x is used twice, in a and in b, so two amounts arrive at it: ā·y from the product and b̄ from the sum.",
    ),
)
def two_paths(trial: Trial) -> str:
    """Write gradient(x, y), which returns ∂z/∂x and ∂z/∂y for z = (x·y + x)², going back step by step."""
    gradient = trial.function("gradient")

    def right(x: float, y: float) -> tuple[float, float]:
        b = x * y + x
        return 2 * b * (y + 1), 2 * b * x

    mistakes = {
        "∂z/∂x has only the path through the product: x also goes straight into the sum, and what arrives along both "
        "paths is added.": lambda x, y: (2 * (x * y + x) * y, 2 * (x * y + x) * x),
        "∂z/∂x has only the path straight into the sum: the one through the product x·y is missing, or was overwritten "
        "(`=` where `+=` was meant).": lambda x, y: (2 * (x * y + x), 2 * (x * y + x) * x),
        "The derivative of the square is missing: what starts going back from b is 2b, not 1.": (
            lambda x, y: (y + 1, x)
        ),
    }
    for x, y in ((3.0, 2.0), *trial.generator.normal((4, 2), dtype=np.float64).tolist()):
        trial.compare(gradient, right, x, y, mistakes=mistakes)
    return "What arrives along several paths is added: the one thing about graphs that engines get wrong most often."


@exercise(
    "01.3",
    "One more operation for the engine",
    hints=(
        "With q = a/b the two local derivatives are ∂q/∂a = 1/b and ∂q/∂b = -a/b².",
        "After other = as_value(other): Value(self.data / other.data, [(self, ...), (other, ...)]), where the dots are the local "
        "derivatives.",
    ),
)
def division(trial: Trial) -> str:
    """Teach the class Value to divide: write divide(self, other) and set Value.__truediv__ = divide."""
    value: Any = trial.function("Value", kind="class")
    divide = getattr(value, "__truediv__", None)
    trial.require(
        divide is not None, "Value has no method __truediv__ yet: after writing it, set Value.__truediv__ = divide."
    )

    def run(a: float, b: float) -> tuple[float, float, float]:
        x, y = value(a), value(b)
        q = x / y
        if q is None:
            trial.not_written("divide")
        trial.require(
            isinstance(q, value), f"a / b must be a Value again, so that one can go on from it, not {q!r}.", "a / b"
        )
        (q * value(3.0)).backward()  # so that something other than 1 arrives
        return q.data, x.grad, y.grad

    def right(a: float, b: float) -> tuple[float, float, float]:
        return a / b, 3 / b, -3 * a / b**2

    mistakes = {
        "The gradient of b has the wrong sign: a larger divisor makes the quotient smaller.": (
            lambda a, b: (a / b, 3 / b, 3 * a / b**2)
        ),
        "The gradient of b is -1/b² times what arrives; the numerator a is missing: ∂(a/b)/∂b = -a/b².": (
            lambda a, b: (a / b, 3 / b, -3 / b**2)
        ),
        "The two gradients are exchanged.": lambda a, b: (a / b, -3 * a / b**2, 3 / b),
        "These are the derivatives of the product, b and a.": lambda a, b: (a / b, 3 * b, 3 * a),
        "These are the gradients of a/b alone, but the operation was followed by a factor of 3: what arrives (grad) must "
        "be multiplied in.": lambda a, b: (a / b, 1 / b, -a / b**2),
    }
    for a, b in ((6.0, 2.0), *trial.generator.uniform((3, 2), 0.5, 3.0, np.float64).tolist()):
        tried = f"a, b = Value({a:.4g}), Value({b:.4g}); q = a / b; (q * 3).backward(); q.data, a.grad, b.grad"
        got = trial.run(lambda a=a, b=b: run(a, b), tried)  # type: ignore[misc]
        trial.equal(got, right(a, b), tried, {sentence: wrong(a, b) for sentence, wrong in mistakes.items()})
    if _takes_numbers(value):
        tried = "x = Value(6); q = x / 2; q.backward(); q.data, x.grad"

        def halve() -> tuple[float, float]:
            x = value(6.0)
            q = x / 2.0
            q.backward()
            return q.data, x.grad

        try:
            halve()
        except AttributeError as error:
            trial.fail(
                "x / 2 fails, where x * 2 works: a plain number has no .data. Begin with other = as_value(other), as __mul__ "
                f"does. ({error})",
                tried,
            )
        except Exception:
            pass  # of another kind: told with its line by what follows
        trial.equal(trial.run(halve, tried), (3.0, 0.5), tried)
    return "One line of values and two local derivatives: that is all an operation is."


def _takes_numbers(value: Any) -> bool:
    """Whether this engine's product takes a plain number, as the notebook's does."""
    try:
        return bool((value(3.0) * 2.0).data == 6.0)
    except Exception:
        return False


class Node:
    """A node of a graph for exercise 01.4: a name, and the nodes that it was computed from."""

    def __init__(self, name: str, *parents: Node) -> None:
        self.name, self.parents = name, parents

    def __repr__(self) -> str:
        return self.name


@exercise(
    "01.4",
    "The order of the backward pass",
    hints=(
        "Count for every node how many nodes use it. The last node is used by none.",
        "Take a node that no unfinished node uses any more, append it, and lower the counts of its parents by one; a "
        "parent whose count reaches 0 is ready.",
    ),
)
def order(trial: Trial) -> str:
    """Write order_without_recursion(last): every node that `last` was computed from, and `last` itself, each once and only after all
    nodes that use it, found by node.parents and without recursion."""
    function = trial.function("order_without_recursion")
    a, b = Node("a"), Node("b")
    c = Node("c", a, b)
    small = Node("d", c, b)
    _judge_order(trial, function, small, "a, b; c uses a and b; d uses c and b: order_without_recursion(d)")
    x = Node("x")
    y = Node("y", x, x)
    _judge_order(trial, function, y, "x; y uses x twice (y = x * x): order_without_recursion(y)")
    for seed in range(4):
        nodes = [Node("n0")]
        generator = trial.generator.spawn(seed)
        for i in range(1, 12):
            chosen = {int(k) for k in generator.integers(0, i, (2,))} | ({i - 1} if seed % 2 else set())
            nodes.append(Node(f"n{i}", *(nodes[k] for k in sorted(chosen))))
        edges = ", ".join(f"{n} uses {n.parents}" for n in nodes[1:])
        _judge_order(trial, function, nodes[-1], f"{edges}: order_without_recursion({nodes[-1]})")
    diamonds = Node("s")
    for i in range(40):
        left, right = Node(f"l{i}", diamonds), Node(f"r{i}", diamonds)
        diamonds = Node(f"s{i}", left, right)
    _judge_order(trial, function, diamonds, "a chain of 40 diamonds")
    chain = Node("0")
    for i in range(1, 5000):
        chain = Node(str(i), chain)
    _judge_order(trial, function, chain, "a chain of 5,000 nodes")
    chain = Node("0")
    for i in range(1, 300):
        chain = Node(str(i), chain)
    trial.require(
        _depth(trial, function, chain) < 100,
        "The order is right, but it was found by recursion: a function calls itself, once for each level. Raising the limit "
        "only moves the place where that ends; keep a list of the nodes that are ready instead.",
        "a chain of 300 nodes",
    )
    return "minigen does the same with a heap ordered by depth: minigen/autograd/engine.py, function _run."


def _depth(trial: Trial, function: Any, last: Node) -> int:
    """How many calls deep the student's function goes."""
    depth = deepest = 0

    def watch(frame: Any, event: str, argument: Any) -> None:
        nonlocal depth, deepest
        depth += (event == "call") - (event == "return")
        deepest = max(deepest, depth)

    before = sys.getprofile()

    def action() -> None:
        limit = sys.getrecursionlimit()
        sys.setprofile(watch)
        try:
            function(last)
        finally:
            sys.setprofile(before)
            sys.setrecursionlimit(limit)

    trial.run(action, "a chain of 300 nodes")
    return deepest


def _judge_order(trial: Trial, function: Any, last: Node, tried: str) -> None:
    limit = sys.getrecursionlimit()
    try:
        found = trial.call(function, last, tried=tried)
    finally:
        sys.setrecursionlimit(limit)
    trial.require(
        isinstance(found, (list, tuple)), f"It should return a list of nodes, not {type(found).__name__}.", tried
    )
    nodes, stack = {id(last): last}, [last]
    while stack:
        for parent in stack.pop().parents:
            if id(parent) not in nodes:
                nodes[id(parent)] = parent
                stack.append(parent)
    got = str(list(found)) if len(found) <= 20 else f"{len(found)} nodes"
    strangers = [n for n in found if id(n) not in nodes]
    trial.require(not strangers, "It holds something that is no node of the graph.", tried, got)
    places: dict[int, int] = {}
    for place, node in enumerate(found):
        trial.require(
            id(node) not in places,
            f"Node {node} comes more than once. A node that is used twice is visited twice, and gives its gradient away "
            "before all of it has arrived.",
            tried,
            got,
        )
        places[id(node)] = place
    missing = [n for key, n in nodes.items() if key not in places]
    if missing:
        trial.fail(f"{len(missing)} of {len(nodes)} nodes are missing, {missing[0]} among them.", tried, got)
    if len(found) > 1 and found[-1] is last:
        trial.fail(
            "It is the wrong way round: this is the order of computing, and gradients go back from the last node.",
            tried,
            got,
        )
    for node in found:
        for parent in node.parents:
            trial.require(
                places[id(parent)] > places[id(node)],
                f"Node {parent} comes before {node}, which uses it: its gradient is not complete by then. "
                "Going level by level is not enough when one path is longer than the other.",
                tried,
                got,
            )


@exercise(
    "01.5",
    "An operation for minigen",
    hints=(
        "save_for_backward(x) in forward, (x,) = self.saved_tensors in backward.",
        "The derivative of softplus is the sigmoid, and minigen.functional.sigmoid can itself be differentiated.",
    ),
)
def softplus(trial: Trial) -> str:
    """Write the class Softplus, a minigen.Function with forward(self, x) = ln(1 + eˣ) on arrays and
    backward(self, g) on tensors."""
    operation: Any = trial.function("Softplus", kind="class")
    trial.require(
        isinstance(operation, type) and issubclass(operation, minigen.Function),
        "Give check the class itself, made from minigen.Function: class Softplus(minigen.Function).",
    )
    for method in ("forward", "backward"):
        trial.require(hasattr(operation, method), f"The class has no method {method} yet.")
        if is_empty(getattr(operation, method)):
            trial.not_written(f"Softplus.{method}")
    apply = operation.apply
    for array in (np.array([-1.0, 0.0, 2.0]), trial.generator.normal((3, 2), std=2.0, dtype=np.float64)):
        x = minigen.Tensor(array)
        tried = "Softplus.apply(x).numpy()  with x = " + str(array.round(4).tolist())
        got = trial.run(lambda x=x: apply(x).numpy(), tried)  # type: ignore[misc]
        trial.equal(
            got, np.logaddexp(0, array), tried, {"This is the exponential without the logarithm.": 1 + np.exp(array)}
        )
    large = trial.run(lambda: apply(minigen.Tensor(np.array([800.0, -800.0]))).numpy(), "Softplus.apply([800, -800])")
    trial.require(
        np.isfinite(large).all(),
        "eˣ overflows at x = 800, where softplus is simply 800. np.logaddexp(0, x) computes ln(e⁰ + eˣ) without that.",
        "Softplus.apply([800, -800])",
        str(large.tolist()),
        "[800.0, 0.0]",
    )
    points = minigen.Tensor(np.array([-1.0, 0.3, 2.0]), requires_grad=True)

    class Watched(operation):
        def backward(self, g: minigen.Tensor) -> Any:
            found = super().backward(g)
            trial.require(
                found is not None, "backward returned None: is the line with `return` missing?", "backward", "None"
            )
            return found

    Watched.__name__ = Watched.__qualname__ = operation.__name__

    def product(g: list[float], x: minigen.Tensor = points) -> Any:
        return minigen.grad(Watched.apply(x), x, minigen.Tensor(np.array(g)))[0].numpy()  # type: ignore[union-attr]

    slope = 1 / (1 + np.exp(-points.numpy()))
    for g in ([1.0, 1.0, 1.0], [2.0, -1.0, 0.5]):
        tried = f"backward with g = {g} at x = [-1, 0.3, 2]"
        got = trial.run(lambda g=g: product(g), tried)  # type: ignore[misc]
        arriving = np.array(g)
        trial.equal(
            got,
            arriving * slope,
            tried,
            {
                "This is the local derivative without what arrives: multiply it by g. With g all ones nobody notices.": slope,
                "It only hands on what arrives: the local derivative σ(x) is missing.": arriving,
                "This is g·tanh(x): the derivative of ln(1 + eˣ) is eˣ/(1 + eˣ), the sigmoid.": arriving
                * np.tanh(points.numpy()),
            },
        )
    far = minigen.Tensor(np.array([800.0, -800.0]), requires_grad=True)
    tried = "backward with g = [1, 1] at x = [800, -800]"
    got = trial.run(lambda: product([1.0, 1.0], far), tried)
    trial.require(
        np.isfinite(got).all(),
        "eˣ overflows in backward at x = 800: in eˣ/(1 + eˣ) it is ∞/∞. minigen.functional.sigmoid(x) is the same without "
        "that.",
        tried,
        str(got.tolist()),
        "[1.0, 0.0]",
    )
    trial.equal(got, np.array([1.0, 0.0]), tried)
    node = operation()
    trial.run(lambda: node.forward(np.array([0.5])), "forward")
    kept = [name for name, held in vars(node).items() if not name.startswith("_") and isinstance(held, np.ndarray)]
    report = trial.run(
        lambda: minigen.gradcheck(apply, points, raise_exception=False), "minigen.gradcheck(Softplus.apply, x)"
    )
    trial.require(
        report or not kept,
        f"First derivatives are right, second ones are not: self.{' and self.'.join(kept)} is an array, which no graph knows. "
        "Keep it with self.save_for_backward(x): self.saved_tensors gives it back as a tensor of the graph.",
        "minigen.gradcheck(Softplus.apply, x)",
    )
    trial.require(
        report,
        "First derivatives are right, second ones are not: write backward with tensor operations (minigen.functional), "
        f"not with arrays, so that it can be differentiated too. gradcheck says: {report.failure}",
        "minigen.gradcheck(Softplus.apply, x)",
    )
    return "minigen's own Softplus is this class; every order of derivative comes from these few lines."
