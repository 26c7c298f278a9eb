"""Expectation-maximization for mixtures of Gaussians: the two steps, as functions (Dempster, Laird & Rubin 1977).

A mixture p(x) = Σₖ πₖ N(x; μₖ, Σₖ) is fitted by two steps in turn:

- E, `expectation`: how probable is it that sample n came from component k? rₙₖ = πₖ N(xₙ; μₖ, Σₖ) / p(xₙ);
- M, `maximization`: the parameters that are most likely if each sample belongs to each component by that share.

A round of both never lowers the likelihood:

    responsibilities = kmeans_responsibilities(x, 3, generator)
    for _ in range(100):
        parameters = maximization(x, responsibilities)
        log_prob, responsibilities = expectation(x, parameters)    # log_prob.mean() rises
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigen.classical._samples import positive, samples
from minigen.classical.covariance import cholesky, log_density, raise_to_floor, yardstick
from minigen.classical.kmeans import KMeans
from minigen.errors import ShapeError, UserError, unknown_name
from minigen.random import Generator

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")


@dataclass(frozen=True)
class MixtureParameters:
    """The parameters of a mixture of K Gaussians in D dimensions, float64, laid out as scikit-learn's.

    Args:
        weights: π, (K,), not negative, of sum 1.
        means: μ, (K, D).
        covariances: by type,
            ``full``: (K, D, D), each component its own;
            ``tied``: (D, D), one for all;
            ``diag``: (K, D), the variances;
            ``spherical``: (K,), the one variance of all features.
        covariance_type: which of these.

    Raises:
        UserError: an unknown type, or shapes that do not belong together.

    >>> MixtureParameters([1.0], [[0.0, 0.0]], [1.0], "spherical").means.shape
    (1, 2)
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    covariance_type: str = "full"

    def __post_init__(self) -> None:
        if self.covariance_type not in COVARIANCE_TYPES:
            raise unknown_name("covariance type", self.covariance_type, COVARIANCE_TYPES)
        for name in ("weights", "means", "covariances"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        k = self.weights.size
        d = self.means.shape[-1] if self.means.ndim else 0
        covariances = {"full": (k, d, d), "tied": (d, d), "diag": (k, d), "spherical": (k,)}[self.covariance_type]
        found = (self.weights.shape, self.means.shape, self.covariances.shape)
        if found != ((k,), (k, d), covariances) or k == 0 or d == 0:
            raise ShapeError(
                f"MixtureParameters: weights {found[0]}, means {found[1]} and {self.covariance_type} covariances "
                f"{found[2]} do not belong together; for {k} components of {d} features they are {(k,)}, {(k, d)} and "
                f"{covariances}."
            )
        if not (np.isfinite(self.means).all() and np.isfinite(self.covariances).all()):
            raise UserError("MixtureParameters: a mean or a covariance is NaN or infinite.")
        if not (self.weights >= 0).all() or abs(self.weights.sum() - 1) > 1e-4:
            raise UserError("MixtureParameters: the weights must not be negative, and their sum must be 1.")

    @property
    def n_components(self) -> int:
        """K."""
        return len(self.weights)

    @property
    def n_features(self) -> int:
        """D."""
        return self.means.shape[1]

    def n_parameters(self) -> int:
        """How many numbers are free: K - 1 weights, KD means, and those of the covariances."""
        k, d = self.means.shape
        matrix = d * (d + 1) // 2
        covariances = {"full": k * matrix, "tied": matrix, "diag": k * d, "spherical": k}[self.covariance_type]
        return k - 1 + k * d + covariances

    def roots(self) -> list[np.ndarray]:
        """A root of each component's covariance: L with LLᵀ = Σₖ (D, D); standard deviations (D,) where Σₖ is diagonal.

        Raises:
            UserError: a covariance is singular.
        """
        k, d = self.means.shape
        if self.covariance_type == "full":
            return [cholesky(c, f"The covariance of component {i}") for i, c in enumerate(self.covariances)]
        if self.covariance_type == "tied":
            return [cholesky(self.covariances, "The covariance of the components")] * k
        if not (self.covariances > 0).all():
            raise UserError("A variance of a component is not above 0, so it has no density: raise reg_covar.")
        return list(np.broadcast_to(np.sqrt(self.covariances.reshape(k, -1)), (k, d)))


def component_log_prob(x: Any, parameters: MixtureParameters) -> np.ndarray:
    """ln N(xₙ; μₖ, Σₖ) of samples `x` (n, D) under each Gaussian of `parameters`, (n, K)."""
    x = samples(x, "The mixture", features=parameters.n_features)
    return np.stack([log_density(x, m, root) for m, root in zip(parameters.means, parameters.roots())], axis=1)


def expectation(x: Any, parameters: MixtureParameters) -> tuple[np.ndarray, np.ndarray]:
    """The E step, in logarithms, so that nothing underflows.

    Args:
        x: (n, D).
        parameters: of the mixture.

    Returns:
        log_prob: ln p(xₙ) = ln Σₖ πₖ N(xₙ; μₖ, Σₖ), (n,); its sum is the log-likelihood
        responsibilities: rₙₖ = p(component k | xₙ), (n, K), of sum 1 in each row

    >>> mixture = MixtureParameters([0.5, 0.5], [[-1.0], [1.0]], [1.0, 1.0], "spherical")
    >>> expectation([[0.0], [3.0]], mixture)[1].round(3).tolist()  # half each; e⁻⁶ to 1
    [[0.5, 0.5], [0.002, 0.998]]
    """
    with np.errstate(divide="ignore"):  # ln 0 = -∞ for a component that has lost all its samples
        joint = component_log_prob(x, parameters) + np.log(parameters.weights)
    top = joint.max(axis=1, keepdims=True)
    log_prob = top + np.log(np.exp(joint - top).sum(axis=1, keepdims=True))
    return log_prob[:, 0], np.exp(joint - log_prob)


def maximization(
    x: Any, responsibilities: Any, covariance_type: str = "full", reg_covar: float = 1e-6
) -> MixtureParameters:
    """The M step: with nₖ = Σₙ rₙₖ,

        πₖ = nₖ/n,   μₖ = Σₙ rₙₖ xₙ / nₖ,   Sₖ = Σₙ rₙₖ (xₙ - μₖ)(xₙ - μₖ)ᵀ / nₖ,

    and Σₖ is Sₖ (full), Σₖ πₖSₖ for all (tied), the diagonal of Sₖ (diag) or its mean (spherical), kept from below.

    A component without any sample (nₖ = 0) has weight 0 from then on, and the mean and covariance of all the data.

    Args:
        x: (n, D), n of at least 2.
        responsibilities: (n, K), not negative, of sum 1 in each row.
        covariance_type: ``full``, ``tied``, ``diag`` or ``spherical``.
        reg_covar: the least variance of a component in any direction, in features of unit variance (spherical: as a part
            of the mean of the features' variances). So clusters narrower than √reg_covar of the data are widened, and
            singular covariances are mended; see `minigen.classical.covariance`.

    Raises:
        ShapeError: not as many rows of responsibilities as samples.
        UserError: responsibilities that are negative or of another sum, an unknown type, a negative reg_covar.

    >>> halves = maximization([[0.0], [2.0], [10.0], [14.0]], [[1, 0], [1, 0], [0, 1], [0, 1]], "spherical")
    >>> halves.means.tolist(), halves.covariances.round(6).tolist()
    ([[1.0], [12.0]], [1.0, 4.0])
    """
    x, r = samples(x, "maximization", least=2), samples(responsibilities, "maximization: the responsibilities")
    if len(r) != len(x):
        raise ShapeError(f"maximization: {len(x)} samples need as many rows of responsibilities, not {len(r)}.")
    if (r < 0).any() or np.abs(r.sum(axis=1) - 1).max() > 1e-4:
        raise UserError("maximization: responsibilities must not be negative, and their sum must be 1 in each row.")
    reg_covar = positive(reg_covar, "reg_covar", "maximization", zero=True)
    size = r.sum(axis=0)  # (K,)
    share = np.where(size > 0, r / np.where(size > 0, size, 1.0), 1 / len(x))  # (n, K), of sum 1 in each column
    weights, means = size / size.sum(), share.T @ x
    covariances = _covariances(x, share, weights, means, covariance_type, reg_covar)
    return MixtureParameters(weights, means, covariances, covariance_type)


def kmeans_responsibilities(x: Any, n_components: int, generator: Generator | None = None) -> np.ndarray:
    """Responsibilities to start EM from: 1 for a sample's cluster by k-means (from k-means++), 0 for others.

    Args:
        x: (n, D).
        n_components: K.
        generator: of `KMeans` (the default one unless given).

    Returns:
        (n, K).

    >>> kmeans_responsibilities([[0.0], [0.1], [9.0]], 2, Generator(0)).sum(0).tolist() in ([2.0, 1.0], [1.0, 2.0])
    True
    """
    labels = KMeans(n_components, generator=generator).fit(x).labels_
    return np.eye(n_components)[labels]


def _covariances(
    x: np.ndarray, share: np.ndarray, weights: np.ndarray, means: np.ndarray, covariance_type: str, reg_covar: float
) -> np.ndarray:
    v = yardstick(x)
    if covariance_type in ("diag", "spherical"):
        variances = np.stack([share[:, k] @ (x - mean) ** 2 for k, mean in enumerate(means)])  # (K, D)
        if covariance_type == "diag":
            return np.maximum(variances, reg_covar * v)
        return np.maximum(variances.mean(axis=1), reg_covar * v.mean())
    scatter = [_scatter(x, share[:, k], mean) for k, mean in enumerate(means)]
    if covariance_type == "tied":
        return raise_to_floor(np.tensordot(weights, scatter, axes=1), v, reg_covar)
    return np.stack([raise_to_floor(s, v, reg_covar) for s in scatter])


def _scatter(x: np.ndarray, share: np.ndarray, mean: np.ndarray) -> np.ndarray:
    centred = (x - mean) * np.sqrt(share)[:, None]
    return centred.T @ centred
