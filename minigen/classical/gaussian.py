"""The Gaussian, of one number and of many: fitted by maximum likelihood, evaluated, sampled."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from minigen.classical._samples import count, floating_type, positive, samples, values
from minigen.classical.covariance import cholesky, log_density, raise_to_floor, yardstick
from minigen.errors import ShapeError, UserError
from minigen.random import Generator, pick


class Gaussian:
    """N(μ, σ²): ln p(x) = -½(ln 2πσ² + (x - μ)²/σ²).

    Args:
        mean: μ.
        variance: σ², above 0.
        dtype: the type of its samples.

    Raises:
        UserError: a variance that is not positive.

    >>> normal = Gaussian.fit([1.0, 2.0, 3.0, 6.0])
    >>> normal.mean, normal.variance
    (3.0, 3.5)
    """

    def __init__(self, mean: float = 0.0, variance: float = 1.0, dtype: Any = np.float64) -> None:
        if not np.isfinite(mean):
            raise UserError(f"Gaussian: mean must be a finite number, not {mean!r}.")
        self.mean, self.variance, self.dtype = float(mean), positive(variance, "variance", "Gaussian"), dtype

    @classmethod
    def fit(cls, x: Any, reg_covar: float = 1e-6) -> Self:
        """The most likely Gaussian: μ the mean of `x`, σ² = Σ(x - μ)²/n (over n, not n - 1).

        Args:
            x: (n,), n of at least 2. Samples are drawn as float32 if `x` is float32, else as float64.
            reg_covar: σ² where all samples are equal, and the likelihood has no maximum.

        Raises:
            UserError: fewer than 2 samples, NaN, or a wrong shape.
        """
        data = values(x, "Gaussian", least=2)
        floor = positive(reg_covar, "reg_covar", "Gaussian") * yardstick(data[:, None])[0]
        return cls(data.mean(), max(data.var(), floor), floating_type(x))

    def log_prob(self, x: Any) -> np.ndarray:
        """ln p(x) of each number in `x`, (n,) float64."""
        return log_density(values(x, "Gaussian")[:, None], np.array([self.mean]), np.sqrt([self.variance]))

    def sample(self, n: int, generator: Generator | None = None) -> np.ndarray:
        """`n` numbers, (n,), drawn by `generator`, of the type of the data that were fitted."""
        z = pick(generator).normal((count(n, "n", "Gaussian", least=0),), dtype=np.float64)
        return (self.mean + np.sqrt(self.variance) * z).astype(self.dtype)

    def n_parameters(self) -> int:
        """2: μ and σ²."""
        return 2


class MultivariateNormal:
    """N(μ, Σ): ln p(x) = -½(D ln 2π + ln det Σ + (x - μ)ᵀΣ⁻¹(x - μ)).

    Args:
        mean: μ, (D,).
        covariance: Σ, (D, D), symmetric and positive definite.
        dtype: the type of its samples.

    Raises:
        UserError: Σ is not symmetric, or is singular.

    >>> normal = MultivariateNormal.fit([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]])
    >>> normal.mean.tolist(), normal.covariance.tolist()
    ([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]])
    """

    def __init__(self, mean: Any, covariance: Any, dtype: Any = np.float64) -> None:
        self.mean = values(mean, "MultivariateNormal: the mean")
        self.covariance = samples(covariance, "MultivariateNormal: the covariance")
        d = len(self.mean)
        if self.covariance.shape != (d, d):
            raise ShapeError(
                f"MultivariateNormal: a mean of {d} features needs a covariance of shape {(d, d)}, not "
                f"{self.covariance.shape}."
            )
        asymmetry = np.abs(self.covariance - self.covariance.T).max(initial=0.0)
        if asymmetry > 1e-6 * np.abs(self.covariance).max(initial=0.0):
            raise UserError(f"MultivariateNormal: a covariance is symmetric, and this one is not (by {asymmetry:g}).")
        self.root = cholesky(self.covariance, "MultivariateNormal: the covariance")
        self.dtype = dtype

    @classmethod
    def fit(cls, x: Any, reg_covar: float = 1e-6) -> Self:
        """The most likely Gaussian: μ the mean of `x`, Σ = Σₙ(xₙ - μ)(xₙ - μ)ᵀ/n (over n, not n - 1).

        Args:
            x: (n, D), n of at least 2. Samples are drawn as float32 if `x` is float32, else as float64.
            reg_covar: the least variance in any direction, in features of unit variance: how singular covariances are
                mended (see `minigen.classical.covariance`). It changes nothing where they are not.

        Raises:
            UserError: fewer than 2 samples, NaN, a wrong shape; or a singular covariance with reg_covar=0.
        """
        data = samples(x, "MultivariateNormal", least=2)
        reg_covar = positive(reg_covar, "reg_covar", "MultivariateNormal", zero=True)
        mean = data.mean(axis=0)
        covariance = (data - mean).T @ (data - mean) / len(data)
        return cls(mean, raise_to_floor(covariance, yardstick(data), reg_covar), floating_type(x))

    def log_prob(self, x: Any) -> np.ndarray:
        """ln p(x) of each sample, (n,) float64."""
        return log_density(samples(x, "MultivariateNormal", features=len(self.mean)), self.mean, self.root)

    def sample(self, n: int, generator: Generator | None = None) -> np.ndarray:
        """`n` samples μ + Lz with LLᵀ = Σ and z ~ N(0, I) from `generator`, (n, D), of the type of the fitted data."""
        z = pick(generator).normal((count(n, "n", "MultivariateNormal", least=0), len(self.mean)), dtype=np.float64)
        return (self.mean + z @ self.root.T).astype(self.dtype)

    def n_parameters(self) -> int:
        """D + D(D + 1)/2: μ, and Σ, which is symmetric."""
        d = len(self.mean)
        return d + d * (d + 1) // 2
