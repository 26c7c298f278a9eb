"""Solutions of chapter 2."""

import numpy as np


def central(f, x, h):
    """The slope between x - h and x + h."""
    return (f(x + h) - f(x - h)) / (2 * h)


def numeric_gradient(f, x, h):
    """One element at a time; x itself is left alone."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        gradient[index] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient


def numeric_vjp(f, x, v, h):
    """Jᵀv is the gradient of the number vᵀf(x)."""
    return numeric_gradient(lambda x: (v * f(x)).sum(), x, h)


answers = {
    "A": "right",
    "B": "factor",  # the 1/n of the mean is missing
    "C": "only for ones",  # log-softmax: eʸ·Σ g became eʸ·n·g, the same when all of g are 1
    "D": "broadcasting",  # a mean over the rows in place of the sum
    "E": "second order",  # the slope is an array outside the graph
    "F": "right",
    "G": "sign",
}


def agrees(f, vjp, x):
    """Three random cotangents, compared relative to the size of the gradient."""
    generator = np.random.default_rng(0)
    for _ in range(3):
        v = generator.standard_normal(np.shape(f(x)))
        ours, numeric = vjp(x, v), numeric_vjp(f, x, v, 1e-5)
        if np.abs(ours - numeric).max() > 1e-6 * max(np.abs(ours).max(), np.abs(numeric).max()):
            return False
    return True


SOLUTIONS = {"02.1": central, "02.2": numeric_gradient, "02.3": numeric_vjp, "02.4": answers, "02.5": agrees}
