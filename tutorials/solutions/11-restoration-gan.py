"""Solutions of chapter 11."""

import numpy as np

from minigen import functional as F


def best_guesses(values, weights):
    """The mean, and the median: where the sum of the sorted weights reaches one half."""
    order = np.argsort(values)
    median = values[order][np.searchsorted(np.cumsum(weights[order]), 0.5)]
    return (weights * values).sum(), median


def least_error(sigma, p):
    """The error grows with a beyond 1/(1 + σ²): take the smallest a that is allowed, and not less than that."""
    a = max(1 / (1 + sigma**2), (1 - p) / np.sqrt(1 + sigma**2))
    return (1 - a) ** 2 + a**2 * sigma**2


def losses(generator, discriminator, damaged, clean, weight):
    """Clean up and restored down for D; restored up, and each towards its own clean image, for G."""
    restored = generator(damaged)
    d_loss = F.softplus(-discriminator(clean)).mean() + F.softplus(discriminator(restored.detach())).mean()
    distance = abs(restored - clean).sum() / len(clean)
    return d_loss, F.softplus(-discriminator(restored)).mean() + weight * distance


def patch_width(layers):
    """A kernel adds (kernel - 1) steps of as many pixels as the strides before it make."""
    width, step = 1, 1
    for kernel, stride in layers:
        width += (kernel - 1) * step
        step *= stride
    return width


SOLUTIONS = {"11.1": best_guesses, "11.2": least_error, "11.3": losses, "11.4": patch_width}
