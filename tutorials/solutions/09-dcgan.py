"""Solutions of chapter 9."""

import numpy as np


def batch_norm(x, mean, var, training, momentum, eps):
    """In training the statistics are the batch's, in evaluation those that were kept."""
    if not training:
        return (x - mean[:, None, None]) / np.sqrt(var[:, None, None] + eps), mean, var
    axes = (0, 2, 3)
    y = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    kept_mean = (1 - momentum) * mean + momentum * x.mean(axes)
    kept_var = (1 - momentum) * var + momentum * x.var(axes, ddof=1)
    return y, kept_mean, kept_var


def start_std(channels, kernel, stride, slope):
    """n·std²·(1 + slope²)/2 = 1, with n products in each output."""
    n = channels * kernel**2 / stride**2
    return np.sqrt(2 / (1 + slope**2) / n)


def frechet(a, b):
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½)."""
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    eigenvalues = np.linalg.eigvals(s @ t).real
    overlap = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s + t) - 2 * overlap


def coverage(real, fake, k):
    """The first in a sorted row is the point itself."""
    radius = np.sort(np.linalg.norm(real[:, None] - real, axis=2), axis=1)[:, k]
    return (np.linalg.norm(real[:, None] - fake, axis=2) <= radius[:, None]).any(axis=1).mean()


def js_bound(real, fake):
    """log 2 - L_D/2."""
    return np.log(2) - (np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()) / 2


SOLUTIONS = {"09.1": batch_norm, "09.2": start_std, "09.3": frechet, "09.4": coverage, "09.5": js_bound}
