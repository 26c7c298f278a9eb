"""Solutions of chapter 6."""

import numpy as np


def log_normal(x, mean, covariance):
    """By the Cholesky factor: no inverse, and no determinant that could overflow."""
    root = np.linalg.cholesky(covariance)
    u = np.linalg.solve(root, (x - mean).T)  # (D, n)
    log_det = 2 * np.log(np.diagonal(root)).sum()
    return -0.5 * (len(mean) * np.log(2 * np.pi) + log_det + (u**2).sum(axis=0))


def e_step(log_joint):
    """ln Σ exp a = m + ln Σ exp(a - m) with m the largest: one term of the sum is then 1."""
    top = log_joint.max(axis=1, keepdims=True)
    log_prob = top + np.log(np.exp(log_joint - top).sum(axis=1, keepdims=True))
    return log_prob[:, 0], np.exp(log_joint - log_prob)


def m_step(x, r):
    """Single Gaussians with weighted points."""
    size = r.sum(axis=0)  # (K,)
    means = r.T @ x / size[:, None]
    covariances = []
    for k, mean in enumerate(means):
        covariances.append((r[:, k, None] * (x - mean)).T @ (x - mean) / size[k])
    return size / len(x), means, np.stack(covariances)


def criteria(log_likelihood, components, dimensions, n):
    """K - 1 weights (the last follows from the others), KD means, and K symmetric matrices."""
    k = components - 1 + components * dimensions + components * dimensions * (dimensions + 1) // 2
    return 2 * k - 2 * log_likelihood, k * np.log(n) - 2 * log_likelihood


def sample(weights, means, covariances, n, generator):
    """A component by its place among the sums of the weights, then a point of its Gaussian."""
    u = generator.uniform((n,), dtype=np.float64)
    component = np.searchsorted(np.cumsum(weights)[:-1], u)
    roots = np.linalg.cholesky(covariances)  # (K, D, D)
    z = generator.normal((n, means.shape[1]), dtype=np.float64)
    return means[component] + np.einsum("nij,nj->ni", roots[component], z)


SOLUTIONS = {"06.1": log_normal, "06.2": e_step, "06.3": m_step, "06.4": criteria, "06.5": sample}
