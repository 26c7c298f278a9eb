"""Chapter 3: derivatives of derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

import minigen
from minigen import functional as F
from minigen import nn
from minigen.course.exercise import exercise
from minigen.course.likeness import close
from minigen.course.trial import Trial
from minigen.course.words import show_pair
from minigen.tensor import Tensor

Map = Callable[[Tensor], Tensor]


def cube(x: Tensor) -> Tensor:
    return x**3


def wave(x: Tensor) -> Tensor:
    return F.sin(2 * x) * x


def quadratic(x: Tensor) -> Tensor:
    """x₁² + 3x₁x₂ + 5x₂²."""
    return x[0] ** 2 + 3 * x[0] * x[1] + 5 * x[1] ** 2


def coupled(x: Tensor) -> Tensor:
    return (x**4).sum() + F.exp(0.3 * x.sum())


def _leaf(x: np.ndarray) -> Tensor:
    return Tensor(np.array(x, dtype=np.float64), requires_grad=True)


def _gradient(f: Map, x: np.ndarray) -> np.ndarray:
    leaf = _leaf(x)
    return minigen.grad(f(leaf).sum(), leaf)[0].numpy()  # type: ignore[union-attr]


def _hessian(f: Map, x: np.ndarray) -> np.ndarray:
    return minigen.hessian(f, _leaf(x)).numpy().reshape(x.size, x.size)


def _exact(trial: Trial, got: Any, expected: np.ndarray, tried: str) -> None:
    """End the trial where a right result has the error of a finite difference."""
    trial.require(
        close(got, expected, 1e-12),
        "It is right to some digits only, where differentiating twice gives all of them: is a finite difference in it? Take "
        "minigen.grad of the first derivative, made with create_graph=True.",
        tried,
        *show_pair(got, expected),
    )


@exercise(
    "03.1",
    "A second derivative",
    hints=(
        "minigen.grad(y.sum(), x, create_graph=True) gives a tuple with the first derivatives, which are tensors of a graph.",
        "Sum the first derivatives and take minigen.grad of the sum once more.",
    ),
)
def second_derivative(trial: Trial) -> str:
    """Write second(f, x): f″ at every number of the tensor x, which requires a gradient; f works on each number by
    itself, and is made of minigen's operations."""
    second = trial.function("second")

    def right(f: Map, x: np.ndarray) -> np.ndarray:
        return np.diag(_hessian(lambda t: f(t).sum(), x)).reshape(x.shape)

    for f, x in (
        (cube, np.array([1.0, 2.0, -3.0])),
        (wave, trial.generator.normal((2, 3), dtype=np.float64)),
        (cube, np.array(0.5)),
    ):
        tried = f"second({'x³' if f is cube else 'x·sin 2x'}, x) at x = {x.round(4).tolist()}"
        got = trial.call(second, f, _leaf(x), tried=tried)
        first = _gradient(f, x)
        mistakes = {
            "This is the first derivative: differentiate it once more.": first,
            "This is the square of the first derivative.": first**2,
            "This is f itself.": f(_leaf(x)).numpy(),
            "It is first·second derivative: the first was squared or multiplied by itself before the second grad.": (
                2 * first * right(f, x)
            ),
        }
        if isinstance(got, (tuple, list)) and len(got) == 1:
            trial.fail("minigen.grad returns a tuple, one gradient for each input: take its first with [0].", tried)
        trial.equal(got, right(f, x), tried, mistakes)
        _exact(trial, got, right(f, x), tried)
    return "With create_graph=True a gradient is a tensor like any other; so third derivatives are no harder."


@exercise(
    "03.2",
    "Hessian times vector",
    hints=(
        "Hv is the gradient of the number ⟨∇f(x), v⟩, where v does not depend on x.",
        "(g,) = minigen.grad(f(x), x, create_graph=True), then minigen.grad((g * v).sum(), x).",
    ),
)
def hessian_vector(trial: Trial) -> str:
    """Write hvp(f, x, v): the Hessian of f at x times v, without forming the Hessian; f takes the tensor x and gives
    a scalar, x requires a gradient, v is a tensor of x's shape."""
    hvp = trial.function("hvp")
    random = trial.generator.normal
    for f, x, v in (
        (quadratic, np.array([1.0, 2.0]), np.array([1.0, -1.0])),
        (coupled, random((4,), dtype=np.float64), random((4,), dtype=np.float64)),
        (coupled, random((2, 3), dtype=np.float64), random((2, 3), dtype=np.float64)),
    ):
        name = "x₁² + 3x₁x₂ + 5x₂²" if f is quadratic else "Σx⁴ + exp(0.3 Σx)"
        tried = f"hvp(f, x, v), f = {name}, x = {x.round(4).tolist()}, v = {v.round(4).tolist()}"
        got = trial.call(hvp, f, _leaf(x), Tensor(v), tried=tried)
        if isinstance(got, (tuple, list)) and len(got) == 2:
            trial.fail(
                "There are two results: minigen.hvp returns f's value and the product; take its second, [1].", tried
            )
        if isinstance(got, (tuple, list)):
            trial.fail("minigen.grad returns a tuple, one gradient for each input: take its first with [0].", tried)
        h, g = _hessian(f, x), _gradient(f, x)
        mistakes = {
            "v is not used: this is H times the vector of ones, the gradient of the sum of the gradient.": (
                (h @ np.ones(x.size)).reshape(x.shape)
            ),
            "v came too late: this is (H·1)·v, element by element. Multiply the gradient by v before the second grad.": (
                (h @ np.ones(x.size)).reshape(x.shape) * v
            ),
            "This is the diagonal of H times v: the mixed derivatives are missing.": np.diag(h).reshape(x.shape) * v,
            "This is the gradient times v, element by element: only one derivative was taken.": g * v,
            "This is ⟨∇f, v⟩, the number whose gradient is asked for.": (g * v).sum(),
            "This is the gradient.": g,
        }
        trial.equal(got, (h @ v.ravel()).reshape(x.shape), tried, mistakes)
        _exact(trial, got, (h @ v.ravel()).reshape(x.shape), tried)
    return "Two backward passes, for any number of variables (Pearlmutter 1994). minigen.hvp is these lines."


def _critic(trial: Trial, inputs: int) -> nn.Module:
    critic = nn.Sequential(nn.Linear(inputs, 6), nn.Tanh(), nn.Linear(6, 1))
    for parameter in critic.parameters():
        parameter.data = trial.generator.normal(parameter.shape, dtype=np.float32)
    return critic


def _slopes(critic: nn.Module, x: np.ndarray, create_graph: bool = True) -> Tensor:
    leaf = Tensor(x, requires_grad=True)
    return minigen.grad(critic(leaf).sum(), leaf, create_graph=create_graph)[0]  # type: ignore[return-value]


def _penalty(critic: nn.Module, x: np.ndarray) -> Tensor:
    return ((F.norm(_slopes(critic, x), dim=1) - 1) ** 2).mean()


@exercise(
    "03.3",
    "A gradient penalty",
    hints=(
        "The gradient of critic(x).sum() by x has in row i the gradient of D at xᵢ: the other rows do not depend on it.",
        "x comes without a gradient: x = x.detach().requires_grad_(). And the penalty is to be differentiated by the "
        "weights, so the gradient needs create_graph=True.",
    ),
)
def gradient_penalty(trial: Trial) -> str:
    """Write penalty(critic, x): the mean over the rows xᵢ of (‖∇D(xᵢ)‖₂ - 1)², as a scalar tensor that can be
    differentiated by the critic's weights."""
    penalty = trial.function("penalty")
    for n, inputs in ((3, 2), (5, 4)):
        critic = _critic(trial, inputs)
        x = trial.generator.normal((n, inputs))
        # some rows steeper than 1 and one less steep, which a penalty of one side would leave alone
        flattest = np.linalg.norm(_slopes(critic, x, create_graph=False).numpy(), axis=1).min()
        *_, last = critic.children()
        last.weight.data = last.weight.data * np.float32(0.6 / flattest)
        slopes = _slopes(critic, x, create_graph=False).numpy()
        norms = np.linalg.norm(slopes, axis=1)
        tried = f"penalty(critic, x), x of shape ({n}, {inputs})"
        got = trial.call(penalty, critic, Tensor(x), tried=tried)
        mistakes = {
            "The norm was taken over the whole batch; each row has a norm of its own (dim=1).": (
                (np.linalg.norm(slopes) - 1) ** 2
            ),
            "These are the gradients of the *mean* of the critic's outputs, n times too small: sum the outputs before grad.": (
                ((norms / n - 1) ** 2).mean()
            ),
            "The squared norms were compared with 1: the root is missing.": ((norms**2 - 1) ** 2).mean(),
            "This is (mean norm - 1)². Large and small slopes cancel in it: square first, then take the mean.": (
                (norms.mean() - 1) ** 2
            ),
            "The squares were summed over the batch: take their mean.": ((norms - 1) ** 2).sum(),
            "This is the mean squared norm, without the 1: it pulls the slope to 0 (that is the R1 penalty, but for a factor).": (
                (norms**2).mean()
            ),
            "The squares are missing: this is the mean of ‖∇D‖ - 1.": (norms - 1).mean(),
            "Slopes below 1 cost nothing here: this penalty has one side, max(‖∇D‖ - 1, 0)². Asked for are both.": (
                (np.maximum(norms - 1, 0) ** 2).mean()
            ),
            "The factor λ = 10 of WGAN-GP is in it already; asked for is the mean alone.": 10
            * ((norms - 1) ** 2).mean(),
            "This is half of it: there is no ½.": ((norms - 1) ** 2).mean() / 2,
            "Each number of the gradient was compared with 1, not the norm of each row.": ((slopes - 1) ** 2).mean(),
        }
        trial.equal(got, _penalty(critic, x).numpy(), tried, mistakes, rtol=1e-5)
        trial.require(
            isinstance(got, Tensor), f"The value is right; return it as a tensor, not {type(got).__name__}.", tried
        )
        trial.require(
            got.requires_grad,
            "The value is right, but it hangs on no graph, so that no weight would ever learn from it, and nothing would "
            "complain: take the gradient with create_graph=True.",
            tried,
        )
        weights = list(critic.parameters())
        expected = minigen.grad(_penalty(critic, x), weights[0])[0]
        tried = f"(g,) = minigen.grad({tried}, the first layer's weights); g"
        slope = trial.run(lambda got=got, w=weights[0]: minigen.grad(got, w)[0], tried)  # type: ignore[misc]
        trial.equal(slope.numpy(), expected.numpy(), tried, rtol=1e-4)  # type: ignore[union-attr]
    return "That is WGAN-GP's penalty (arXiv 1704.00028), but for the points at which it is taken and the factor λ."


FEW, MOST = (
    40,
    130,
)  # backward passes; conjugate gradients take 7, or 13 where f is differentiated anew for each product


class _Watched(minigen.Function):
    """y = x, which keeps every gradient that comes back through it."""

    arrived: ClassVar[list[np.ndarray]] = []

    def forward(self, x: Any) -> Any:
        return x.copy()

    def backward(self, g: Tensor) -> Tensor:
        _Watched.arrived.append(g.numpy().copy())
        return g


def _parallel(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(abs(a @ b) > (1 - 1e-9) * np.linalg.norm(a) * np.linalg.norm(b))


def _few_curvatures(trial: Trial, n: int) -> Map:
    """A bowl whose Hessian has five different eigenvalues, so that five products are enough."""
    basis = np.linalg.qr(trial.generator.spawn(9).normal((n, 4), dtype=np.float64))[0]
    rows = Tensor(np.ascontiguousarray((basis * np.sqrt([2.0, 6.0, 20.0, 60.0])).T))

    def bowl(x: Tensor) -> Tensor:
        y = _Watched.apply(x)
        z = rows @ y
        return 0.25 * (y**2).sum() + 0.5 * (z**2).sum() + (z**4).sum() / 1000 + y.sum()

    return bowl


def _bowl(seed: int, n: int, trial: Trial) -> Map:
    root = trial.generator.spawn(seed).normal((n, n), dtype=np.float64)
    matrix = Tensor(root @ root.T / n + 0.2 * np.eye(n))

    def bowl(x: Tensor) -> Tensor:
        flat = x.reshape(-1)
        return 0.5 * (flat * (matrix @ flat)).sum() + (flat**4).sum() / 12 + flat.sum()

    return bowl


@exercise(
    "03.4",
    "Newton's step without the Hessian",
    hints=(
        "Hp = -g can be solved when products Hp are all one has: that is what the conjugate gradient method does.",
        "Start with p = 0, r = -g, d = r; repeat: q = Hd, α = r·r/(d·q), p += αd, new r = r - αq, d = new r + (new r·new "
        "r)/(r·r)·d, until r is small; for x of any shape the dots are sums of products.",
    ),
)
def newton_direction(trial: Trial) -> str:
    """Write newton(f, x): the array p of x's shape that solves Hp = -g, with g and H gradient and Hessian of the
    convex function f at the array x, by conjugate gradients on Hessian-vector products."""
    newton = trial.function("newton")
    for seed, shape in ((0, (2,)), (1, (12,)), (2, (4, 5))):
        size = int(np.prod(shape))
        f, x = _bowl(seed, size, trial), trial.generator.normal(shape, dtype=np.float64)
        tried = f"newton(f, x), x of shape {shape}"
        got = trial.call(newton, f, x, tried=tried)
        h, g = _hessian(f, x), _gradient(f, x)
        step = np.linalg.solve(h, -g.ravel()).reshape(shape)
        one = (g**2).sum() / (g.ravel() @ h @ g.ravel()) * -g
        mistakes = {
            "This is +H⁻¹g, which goes uphill: the right-hand side is -g.": -step,
            "This is -g, the direction of gradient descent.": -g,
            "The conjugate gradients stopped after one step: p is a multiple of -g.": one,
            "This is -Hg: H was multiplied, and must be solved with.": -(h @ g.ravel()).reshape(shape),
            "Only the diagonal of H was used.": -g / np.diag(h).reshape(shape),
            "This is x + p, the next point; asked for is the step p.": x + step,
        }
        trial.equal(got, step, tried, mistakes, rtol=1e-5)
    few, size = _few_curvatures(trial, 60), 60
    x = trial.generator.normal((size,), dtype=np.float64)
    tried = f"newton(f, x), {size} variables, the Hessian ½·I and four more curvatures"
    _Watched.arrived = []
    got = trial.call(newton, few, x, tried=tried)
    arrived = list(_Watched.arrived)
    h, g = _hessian(few, x), _gradient(few, x)
    trial.equal(got, np.linalg.solve(h, -g), tried, rtol=1e-4)
    trial.require(
        len(arrived) <= FEW or any(_parallel(a, h @ g) for a in arrived),
        f"It is right, but took {len(arrived)} backward passes for {size} variables, and none of them gave H times the first "
        "direction, -g: this is the whole Hessian, row by row. Conjugate gradients take about ten passes here.",
        tried,
    )
    trial.require(
        len(arrived) <= MOST,
        f"It is right, but took {len(arrived)} backward passes for {size} variables, where conjugate gradients take about "
        "ten. Steepest descent, which goes along r each time, takes hundreds: the next direction is r + (new r·new "
        "r)/(r·r)·d. And stop once r is small.",
        tried,
    )
    return "n variables need at most n products with H, in practice far fewer, and never n² numbers."
