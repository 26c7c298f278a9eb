"""Mixtures of Gaussians, fitted by expectation-maximization (whose two steps are in `minigen.classical.em`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import numpy as np

from minigen.classical._samples import count, floating_type, positive, samples
from minigen.classical.criteria import aic, bic
from minigen.classical.em import (
    COVARIANCE_TYPES,
    MixtureParameters,
    expectation,
    kmeans_responsibilities,
    maximization,
)
from minigen.errors import ShapeError, UserError, unknown_name
from minigen.random import Generator, pick


class GaussianMixture:
    """p(x) = Σₖ πₖ N(x; μₖ, Σₖ), the most likely one that EM finds from a k-means start.

    The likelihood has many maxima: `n_init` starts, the best end is kept.

    Args:
        n_components: K.
        covariance_type: ``full``, ``tied`` (one for all components), ``diag`` or ``spherical``.
        tol: stop when the mean log-likelihood of a sample changes by less, in nats.
        reg_covar: the least variance of a component in any direction, in features of unit variance. Mends singular
            covariances; where there are none, it changes nothing (see `minigen.classical.covariance`).
        max_iter: of both steps, for one start.
        n_init: how many starts.
        generator: where the starts come from (the default one unless given).

    Attributes:
        parameters_: `MixtureParameters`; ``weights_``, ``means_`` and ``covariances_`` are its arrays.
        converged_: whether `tol` was reached.
        n_iter_: iterations of the best start.
        lower_bounds_: the mean log-likelihood of a sample at each of them, never falling.
        lower_bound_: the last of these. (The parameters are one M step further, and not less likely.)

    Raises:
        UserError: an unknown type of covariance, or a number out of range.

    >>> x = [[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]]
    >>> mixture = GaussianMixture(2, generator=Generator(0)).fit(x)
    >>> sorted(mixture.means_.ravel().round(3).tolist()), mixture.weights_.round(3).tolist()
    ([0.1, 5.1], [0.5, 0.5])
    """

    parameters_: MixtureParameters
    converged_: bool
    n_iter_: int
    lower_bounds_: list[float]
    lower_bound_: float

    def __init__(
        self,
        n_components: int = 1,
        covariance_type: str = "full",
        tol: float = 1e-3,
        reg_covar: float = 1e-6,
        max_iter: int = 100,
        n_init: int = 1,
        generator: Generator | None = None,
    ) -> None:
        if covariance_type not in COVARIANCE_TYPES:
            raise unknown_name("covariance type", covariance_type, COVARIANCE_TYPES)
        self.n_components = count(n_components, "n_components", "GaussianMixture")
        self.covariance_type = covariance_type
        self.tol = positive(tol, "tol", "GaussianMixture", zero=True)
        self.reg_covar = positive(reg_covar, "reg_covar", "GaussianMixture", zero=True)
        self.max_iter = count(max_iter, "max_iter", "GaussianMixture")
        self.n_init = count(n_init, "n_init", "GaussianMixture")
        self.generator = pick(generator)
        self.dtype: Any = np.float64

    @classmethod
    def from_parameters(cls, parameters: MixtureParameters, dtype: Any = np.float64) -> Self:
        """A mixture with known parameters (such as saved ones), whose samples are of type `dtype`."""
        mixture = cls(parameters.n_components, parameters.covariance_type)
        mixture.parameters_, mixture.dtype = parameters, dtype
        return mixture

    def fit(self, x: Any, start: MixtureParameters | None = None) -> Self:
        """Find the parameters.

        Args:
            x: (n, D), n of at least 2 and of at least K. Samples are drawn as float32 if `x` is float32, else float64.
            start: the parameters to begin with, instead of `n_init` k-means starts. (One that is narrower than
                `reg_covar` allows is widened in the first iteration.)

        Raises:
            UserError: too few samples, NaN, a wrong shape; a covariance that became singular with reg_covar=0.
        """
        data = samples(x, "GaussianMixture", least=max(2, self.n_components))
        starts: Iterable[MixtureParameters]
        if start is None:
            starts = (self._first_parameters(data) for _ in range(self.n_init))
        else:
            self._check_start(start, data)
            starts = [start]
        best = max((self._climb(data, parameters) for parameters in starts), key=lambda end: end[1][-1])
        self.parameters_, self.lower_bounds_, self.converged_ = best
        self.lower_bound_, self.n_iter_ = self.lower_bounds_[-1], len(self.lower_bounds_)
        self.dtype = floating_type(x)
        return self

    def score_samples(self, x: Any) -> np.ndarray:
        """ln p(x) of each sample, (n,) float64: low for anomalies."""
        return expectation(x, self._fitted())[0]

    def score(self, x: Any) -> float:
        """The mean of ln p(x) over the samples."""
        return float(self.score_samples(x).mean())

    def predict_proba(self, x: Any) -> np.ndarray:
        """p(component | x), (n, K) float64."""
        return expectation(x, self._fitted())[1]

    def predict(self, x: Any) -> np.ndarray:
        """The most probable component of each sample, (n,) int64."""
        return self.predict_proba(x).argmax(axis=1)

    def fit_predict(self, x: Any) -> np.ndarray:
        """`fit`, and `predict` of the same samples."""
        return self.fit(x).predict(x)

    def sample(self, n: int, generator: Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Draw `n` samples: each from a component chosen with its weight.

        Returns:
            samples: (n, D), of the type of the data that were fitted
            components: (n,) int64, the component of each
        """
        p, random = self._fitted(), pick(generator)
        n = count(n, "n", "GaussianMixture", least=0)
        u = random.uniform((n,), dtype=np.float64) * p.weights.sum()
        component = np.searchsorted(p.weights.cumsum(), u, side="right").clip(max=p.n_components - 1)
        x = random.normal((n, p.n_features), dtype=np.float64)
        for k, root in enumerate(p.roots()):
            own = component == k
            x[own] = p.means[k] + (x[own] * root if root.ndim == 1 else x[own] @ root.T)
        return x.astype(self.dtype), component

    def n_parameters(self) -> int:
        """How many numbers were fitted."""
        return self._fitted().n_parameters()

    def aic(self, x: Any) -> float:
        """Akaike's information criterion on the samples `x` (those that were fitted): 2k - 2 ln L̂, less is better."""
        return aic(float(self.score_samples(x).sum()), self.n_parameters())

    def bic(self, x: Any) -> float:
        """The Bayesian criterion on the samples `x` (those that were fitted): k ln n - 2 ln L̂, less is better."""
        log_prob = self.score_samples(x)
        return bic(float(log_prob.sum()), self.n_parameters(), len(log_prob))

    @property
    def weights_(self) -> np.ndarray:
        """π, (K,)."""
        return self._fitted().weights

    @property
    def means_(self) -> np.ndarray:
        """μ, (K, D)."""
        return self._fitted().means

    @property
    def covariances_(self) -> np.ndarray:
        """Σ, of a shape that depends on the type: see `MixtureParameters`."""
        return self._fitted().covariances

    def _climb(self, x: np.ndarray, parameters: MixtureParameters) -> tuple[MixtureParameters, list[float], bool]:
        """EM from `parameters`: the parameters it ends in, the mean log-likelihoods, and whether it converged."""
        bounds: list[float] = []
        for _ in range(self.max_iter):
            log_prob, responsibilities = expectation(x, parameters)
            parameters = maximization(x, responsibilities, self.covariance_type, self.reg_covar)
            bounds.append(float(log_prob.mean()))
            if len(bounds) > 1 and abs(bounds[-1] - bounds[-2]) < self.tol:
                return parameters, bounds, True
        return parameters, bounds, False

    def _first_parameters(self, x: np.ndarray) -> MixtureParameters:
        responsibilities = kmeans_responsibilities(x, self.n_components, self.generator)
        return maximization(x, responsibilities, self.covariance_type, self.reg_covar)

    def _check_start(self, start: MixtureParameters, x: np.ndarray) -> None:
        wanted = (self.n_components, x.shape[1], self.covariance_type)
        found = (start.n_components, start.n_features, start.covariance_type)
        if found != wanted:
            raise ShapeError(
                "GaussianMixture: the start must have {} components of {} features with {} covariances, ".format(
                    *wanted
                )
                + "and has {} of {} with {}.".format(*found)
            )

    def _fitted(self) -> MixtureParameters:
        if not hasattr(self, "parameters_"):
            raise UserError("GaussianMixture: has no parameters yet; call fit first.")
        return self.parameters_
