"""Solutions of chapter 8."""

import numpy as np


def losses(real, fake):
    """-log σ(a) = log(1 + exp(-a)), without probabilities."""
    d_loss = np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean()
    return d_loss, np.logaddexp(0, -fake).mean()


def slopes(f):
    """The derivative of log(1 + exp(a)) is σ(a)."""
    sigma = 1 / (1 + np.exp(-f))
    return -sigma / f.size, -(1 - sigma) / f.size


answers = {
    "A": "D helps G",
    "B": "gradients left over",
    "C": "sigmoid twice",
    "D": "labels exchanged",
    "E": "right",
    "F": "G outside the graph",
    "G": "G downhill",
}


def count(samples, centers, radius):
    """Modes reached, the share of samples of high quality, KL(p ‖ uniform)."""
    distances = np.linalg.norm(samples[:, None] - centers, axis=2)  # (n, K)
    nearest, good = distances.argmin(axis=1), distances.min(axis=1) <= radius
    p = np.bincount(nearest, minlength=len(centers)) / len(samples)
    p = p[p > 0]
    return len(np.unique(nearest[good])), good.mean(), (p * np.log(len(centers) * p)).sum()


def field(theta, psi, gamma):
    """Both players downhill, each on its own loss."""
    d = 1 / (1 + np.exp(-psi * theta))
    return psi * (1 - d), -theta * d - gamma * psi


SOLUTIONS = {"08.1": losses, "08.2": slopes, "08.3": answers, "08.4": count, "08.5": field}
