"""The Fréchet distance between two sets of features, each taken for a Gaussian.

On features of the Inception network it is the Fréchet Inception Distance, FID (Heusel et al. 2017, arXiv 1706.08500);
on any other features it must not be called that, nor compared with published FIDs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.errors import ShapeError, UserError
from minigen.metrics.arrays import as_numbers, feature_pair


def frechet_distance(features_a: Any, features_b: Any) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2(Σ₁Σ₂)^½), the squared Wasserstein-2 distance of two Gaussians (Dowson & Landau 1982).

    0 for equal sets, never negative, in squared units of the features. It falls as the sets grow: compare only
    distances from as many samples.

    Args:
        features_a, features_b: (N, d) and (M, d), N and M at least 2; fewer than d is fine. Other shapes (N, *) are
            flattened. Σ is the covariance over N - 1.

    Raises:
        ShapeError: fewer than two samples, or features of different sizes.
        UserError: NaN or infinity.

    >>> round(frechet_distance([[-1.0], [1.0]], [[2.0], [4.0]]), 9)  # equal variances, means 3 apart
    9.0
    """
    a, b = feature_pair("frechet_distance", features_a, features_b, least=(2, 2))
    return _distance(a.mean(axis=0), _root_of_samples(a), b.mean(axis=0), _root_of_samples(b))


def frechet_from_statistics(mu_a: Any, cov_a: Any, mu_b: Any, cov_b: Any) -> float:
    """`frechet_distance` from means and covariances that are known already, such as those of a published data set.

    Args:
        mu_a, mu_b: (d,).
        cov_a, cov_b: (d, d), symmetric without negative eigenvalues; singular ones are fine.

    Raises:
        ShapeError: other shapes.
        UserError: NaN, infinity, or a matrix that is no covariance.

    >>> round(frechet_from_statistics([0.0], [[1.0]], [0.0], [[9.0]]), 6)  # (3 - 1)²
    4.0
    """
    name = "frechet_from_statistics"
    mean_a, mean_b, a, b = (as_numbers(name, value) for value in (mu_a, mu_b, cov_a, cov_b))
    d = mean_a.size
    if mean_a.shape != (d,) or mean_b.shape != (d,) or a.shape != (d, d) or b.shape != (d, d):
        raise ShapeError(
            f"{name}: means have the shape (d,) and covariances (d, d), not "
            f"{mean_a.shape}, {a.shape}, {mean_b.shape} and {b.shape}."
        )
    return _distance(mean_a, _root_of_covariance(a), mean_b, _root_of_covariance(b))


def _distance(mean_a: np.ndarray, root_a: np.ndarray, mean_b: np.ndarray, root_b: np.ndarray) -> float:
    # A root R has RᵀR = Σ. The eigenvalues of Σ₁Σ₂ are the squared singular values of R₁R₂ᵀ, so the trace of its root
    # is their sum: no root of a product that is not symmetric, and no complex numbers out of rounding.
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = ((mean_a - mean_b) ** 2).sum() + (root_a**2).sum() + (root_b**2).sum() - 2 * overlap
    return max(float(distance), 0.0)


def _root_of_samples(x: np.ndarray) -> np.ndarray:
    return np.linalg.qr(x - x.mean(axis=0), mode="r") / np.sqrt(len(x) - 1)  # (min(N, d), d)


def _root_of_covariance(covariance: np.ndarray) -> np.ndarray:
    values, axes = np.linalg.eigh((covariance + covariance.T) / 2)
    scale = np.abs(values).max()
    if np.abs(covariance - covariance.T).max() > 1e-5 * scale or values.min() < -1e-5 * scale:
        raise UserError("frechet_from_statistics: a covariance is symmetric and has no negative eigenvalues.")
    noise = len(values) * np.finfo(np.float64).eps * scale  # what rounding leaves of an eigenvalue that is 0
    return np.sqrt(np.where(values > noise, values, 0))[:, None] * axes.T
