"""Solutions of chapter 3."""

import numpy as np

import minigen
from minigen import functional as F


def second(f, x):
    """f works on each number by itself, so the gradient of the sum holds every f′(xᵢ)."""
    (first,) = minigen.grad(f(x).sum(), x, create_graph=True)
    return minigen.grad(first.sum(), x)[0]


def hvp(f, x, v):
    """The gradient of ⟨∇f, v⟩."""
    (gradient,) = minigen.grad(f(x), x, create_graph=True)
    return minigen.grad((gradient * v).sum(), x)[0]


def penalty(critic, x):
    """Mean of (‖∇D(xᵢ)‖ - 1)²."""
    x = x.detach().requires_grad_()
    (slopes,) = minigen.grad(critic(x).sum(), x, create_graph=True)
    return ((F.norm(slopes, dim=1) - 1) ** 2).mean()


def newton(f, x):
    """Conjugate gradients (Hestenes & Stiefel 1952) on Hp = -g."""
    point = minigen.tensor(x, requires_grad=True)
    (gradient,) = minigen.grad(f(point), point, create_graph=True)
    p, r = np.zeros_like(x), -gradient.numpy()
    d = r.copy()
    for _ in range(3 * x.size):
        if np.linalg.norm(r) < 1e-10 * np.linalg.norm(gradient.numpy()):
            break
        q = minigen.grad((gradient * minigen.tensor(d)).sum(), point, retain_graph=True)[0].numpy()
        alpha = (r * r).sum() / (d * q).sum()
        p = p + alpha * d
        left = r - alpha * q
        d = left + (left * left).sum() / (r * r).sum() * d
        r = left
    return p


SOLUTIONS = {"03.1": second, "03.2": hvp, "03.3": penalty, "03.4": newton}
