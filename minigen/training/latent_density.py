"""The density of an autoencoder's codes: what makes a generator of it, and tells which images are unlike the others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minigen.classical import GaussianMixture
from minigen.errors import UserError
from minigen.random import Generator

CANDIDATES = (1, 2, 5, 10, 20, 40)  # numbers of components, tried in this order until BIC rises
KEPT_VARIANCE = 0.99
SAMPLES_PER_COMPONENT = 5  # fewer give no covariance worth the name


class LatentDensity:
    """A mixture of Gaussians on the principal coordinates of codes, and one Gaussian of equal variance on the rest.

    A wide code lies near a space of few dimensions; the mixture is fitted where 99 % of the variance is.

    Args:
        codes: (n, latent_dim), n of at least 1.
        components: of the mixture; chosen by BIC unless given.

    Raises:
        UserError: too few codes for so many components.

    Attributes:
        mixture: the fitted `GaussianMixture`.

    >>> density = LatentDensity(Generator(0).normal((500, 3)))
    >>> density.mixture.n_components, density.sample(7, Generator(1)).shape
    (1, (7, 3))
    """

    mixture: GaussianMixture

    def __init__(self, codes: np.ndarray, components: int | None = None) -> None:
        n = len(codes)
        check_components(components, n)
        codes = np.repeat(codes, 2 if n == 1 else 1, axis=0).astype(np.float64)  # one image has no variance
        self.mean = codes.mean(axis=0)
        _, lengths, axes = np.linalg.svd(codes - self.mean, full_matrices=False)
        variances = lengths**2 / len(codes)  # falling
        share = variances.cumsum() / max(variances.sum(), np.finfo(np.float64).tiny)
        kept = min(int(np.searchsorted(share, KEPT_VARIANCE)) + 1, len(axes))
        self.axes = axes[:kept]  # (kept, latent_dim), orthonormal
        self.rest = codes.shape[1] - kept  # dimensions left out
        spread = max(float(variances[kept:].sum()), 1e-6 * float(variances.sum()), 1e-12)
        self.rest_variance = spread / max(self.rest, 1)
        coordinates = (codes - self.mean) @ self.axes.T
        sizes = [k for k in CANDIDATES if SAMPLES_PER_COMPONENT * k <= n] or [1]
        sizes = sizes if components is None else [components]
        self.mixture = _fit(coordinates, sizes)

    def sample(self, n: int, generator: Generator) -> np.ndarray:
        """`n` codes drawn by `generator`, (n, latent_dim) float32; off the principal coordinates they lie at their mean."""
        return (self.mean + self.mixture.sample(n, generator)[0] @ self.axes).astype(np.float32)

    def score_samples(self, codes: np.ndarray) -> np.ndarray:
        """ln p(z) of each code, (n,) float64."""
        centred = codes.astype(np.float64) - self.mean
        coordinates = centred @ self.axes.T
        off = (centred**2).sum(axis=1) - (coordinates**2).sum(axis=1)
        rest = 0.5 * (off.clip(0) / self.rest_variance + self.rest * math.log(2 * math.pi * self.rest_variance))
        return self.mixture.score_samples(coordinates) - (rest if self.rest else 0.0)


def check_components(components: int | None, n: int) -> None:
    """Refuse a mixture of more components than n training images can tell apart.

    Raises:
        UserError: with the most components that so many images allow.
    """
    if components is not None and n < SAMPLES_PER_COMPONENT * components:
        raise UserError(
            f"A mixture of {components} needs {SAMPLES_PER_COMPONENT * components} training images, and there are {n}: give "
            f"a --mixture of at most {max(1, n // SAMPLES_PER_COMPONENT)}."
        )


def _fit(x: np.ndarray, sizes: Sequence[int]) -> GaussianMixture:
    """The mixture before the first whose BIC is no better; the larger ones, which take longest, are not tried."""
    best = GaussianMixture(sizes[0], generator=Generator(0)).fit(x)
    for k in sizes[1:]:
        mixture = GaussianMixture(k, generator=Generator(0)).fit(x)
        if mixture.bic(x) >= best.bic(x):
            break
        best = mixture
    return best
