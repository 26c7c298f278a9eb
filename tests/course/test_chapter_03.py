"""Chapter 3: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

import minigen
from minigen import course
from minigen import functional as F


def first(f, x):
    return minigen.grad(f(x).sum(), x, create_graph=True)[0]


def without_graph(f, x):
    (g,) = minigen.grad(f(x).sum(), x)
    return minigen.grad(g.sum(), x)[0]


def hessian(f, x):
    return minigen.hessian(f, x).numpy().reshape(x.numel(), x.numel())


def penalty_of(rule, create_graph=True, of=lambda outputs: outputs.sum()):
    """A penalty: `rule` makes a number of the gradients of the critic's summed outputs."""

    def penalty(critic, x):
        x = x.detach().requires_grad_()
        (slopes,) = minigen.grad(of(critic(x)), x, create_graph=create_graph)
        return rule(slopes)

    return penalty


def right_rule(g):
    return ((F.norm(g, dim=1) - 1) ** 2).mean()


def newton_of(rule):
    """A direction: `rule` of the Hessian, the gradient (flat) and the point."""

    def newton(f, x):
        point = minigen.tensor(x, requires_grad=True)
        return rule(hessian(f, point), first(f, point).numpy().ravel(), x.ravel()).reshape(x.shape)

    return newton


def second_by_differences(f, x):
    x, h = x.detach(), 1e-3
    return (f(x + h) - 2 * f(x) + f(x - h)) / h**2


def second_by_one_difference(f, x):
    at = [minigen.grad(f(z).sum(), z)[0] for z in ((x.detach() + s).requires_grad_() for s in (1e-5, -1e-5))]
    return (at[0] - at[1]) / 2e-5


def hvp_by_difference(f, x, v):
    at = [minigen.grad(f(z), z)[0] for z in ((x.detach() + s * v).requires_grad_() for s in (1e-5, -1e-5))]
    return (at[0] - at[1]) / 2e-5


def steepest(f, x):
    point = minigen.tensor(x, requires_grad=True)
    (g,) = minigen.grad(f(point), point, create_graph=True)
    p, r = np.zeros_like(x), -g.numpy()
    while np.linalg.norm(r) > 1e-6 * np.linalg.norm(g.numpy()):
        q = minigen.grad((g * minigen.tensor(r)).sum(), point, retain_graph=True)[0].numpy()
        p, r = p + (r * r).sum() / (r * q).sum() * r, r - (r * r).sum() / (r * q).sum() * q
    return p


def column_by_column(f, x):
    point = minigen.tensor(x, requires_grad=True)
    units = [minigen.tensor(e.reshape(x.shape)) for e in np.eye(x.size)]
    h = np.array([minigen.hvp(f, point, e)[1].numpy().ravel() for e in units])
    return -np.linalg.solve(h, first(f, point).numpy().ravel()).reshape(x.shape)


WRONG = [
    ("03.1", first, "first derivative"),
    ("03.1", lambda f, x: first(f, x) ** 2, "square of the first derivative"),
    ("03.1", lambda f, x: f(x), "f itself"),
    ("03.1", lambda f, x: minigen.grad((first(f, x) ** 2).sum(), x)[0], "first·second"),
    ("03.1", lambda f, x: minigen.grad(first(f, x).sum(), x), "take its first with [0]"),
    ("03.1", without_graph, "It raised AutogradError"),
    ("03.1", lambda f, x: minigen.grad(first(f, x).sum(), x)[0].sum(), "A single number came out"),
    ("03.1", second_by_differences, "a finite difference"),
    ("03.1", second_by_one_difference, "a finite difference"),
    ("03.2", hvp_by_difference, "a finite difference"),
    ("03.2", lambda f, x, v: minigen.hvp(f, x, v), "take its second, [1]"),
    ("03.2", lambda f, x, v: minigen.grad(first(f, x).sum(), x)[0], "v is not used"),
    ("03.2", lambda f, x, v: minigen.grad(first(f, x).sum(), x)[0] * v, "v came too late"),
    ("03.2", lambda f, x, v: np.diag(hessian(f, x)).reshape(x.shape) * v.numpy(), "the diagonal of H times v"),
    ("03.2", lambda f, x, v: first(f, x) * v, "only one derivative was taken"),
    ("03.2", lambda f, x, v: (first(f, x) * v).sum(), "the number whose gradient is asked for"),
    ("03.2", first, "called with 3 arguments"),
    ("03.2", lambda f, x, v: first(f, x), "This is the gradient."),
    ("03.2", lambda f, x, v: minigen.grad((first(f, x) * v).sum(), x), "take its first with [0]"),
    ("03.3", penalty_of(lambda g: (F.norm(g) - 1) ** 2), "over the whole batch"),
    ("03.3", penalty_of(right_rule, of=lambda outputs: outputs.mean()), "n times too small"),
    ("03.3", penalty_of(lambda g: (((g**2).sum(1) - 1) ** 2).mean()), "the root is missing"),
    ("03.3", penalty_of(lambda g: (F.norm(g, dim=1).mean() - 1) ** 2), "(mean norm - 1)²"),
    ("03.3", penalty_of(lambda g: ((F.norm(g, dim=1) - 1) ** 2).sum()), "summed over the batch"),
    ("03.3", penalty_of(lambda g: (g**2).sum(1).mean()), "without the 1"),
    ("03.3", penalty_of(lambda g: (F.norm(g, dim=1) - 1).mean()), "The squares are missing"),
    ("03.3", penalty_of(lambda g: ((g - 1) ** 2).mean()), "not the norm of each row"),
    ("03.3", penalty_of(lambda g: (F.relu(F.norm(g, dim=1) - 1) ** 2).mean()), "has one side"),
    ("03.3", penalty_of(lambda g: 10 * right_rule(g)), "λ = 10"),
    ("03.3", penalty_of(lambda g: right_rule(g) / 2), "there is no ½"),
    ("03.3", penalty_of(right_rule, create_graph=False), "create_graph=True"),
    ("03.3", lambda critic, x: penalty_of(right_rule)(critic, x).item(), "return it as a tensor"),
    ("03.3", lambda critic, x: minigen.grad(critic(x).sum(), x), "It raised AutogradError"),
    ("03.4", newton_of(lambda h, g, x: np.linalg.solve(h, g)), "goes uphill"),
    ("03.4", newton_of(lambda h, g, x: -g), "direction of gradient descent"),
    ("03.4", newton_of(lambda h, g, x: -g * (g @ g) / (g @ h @ g)), "stopped after one step"),
    ("03.4", newton_of(lambda h, g, x: -h @ g), "must be solved with"),
    ("03.4", newton_of(lambda h, g, x: -g / np.diag(h)), "Only the diagonal"),
    ("03.4", newton_of(lambda h, g, x: x - np.linalg.solve(h, g)), "asked for is the step"),
    ("03.4", newton_of(lambda h, g, x: -np.linalg.solve(h, g)), "62 backward passes for 60 variables, and none"),
    ("03.4", column_by_column, "the whole Hessian, row by row"),
    ("03.4", steepest, "hundreds"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_conjugate_gradients_need_not_stop_early():
    def newton(f, x):
        point = minigen.tensor(x, requires_grad=True)
        (g,) = minigen.grad(f(point), point, create_graph=True)
        p, r = np.zeros_like(x), -g.numpy()
        d = r.copy()
        for _ in range(x.size):
            q = minigen.grad((g * minigen.tensor(d)).sum(), point, retain_graph=True)[0].numpy()
            p, left = p + (r * r).sum() / (d * q).sum() * d, r - (r * r).sum() / (d * q).sum() * q
            d, r = left + (left * left).sum() / (r * r).sum() * d, left
        return p

    result = course.check("03.4", newton)
    assert result, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(3)}
