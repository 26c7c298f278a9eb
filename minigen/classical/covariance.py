"""Covariance matrices: their factors, the density that belongs to them, and what to do where they are singular.

The likelihood of a Gaussian has no maximum where its samples do not fill the space: on duplicates, constant features or
collinear data the variance in some direction can shrink to 0, and the density grows without end. So covariances here
are kept from below:

    Σ ⪰ reg_covar · diag(v),   v the variances of the features in all the data:

no feature, and no direction in features of unit variance, has a variance below `reg_covar`. Among such matrices the
most likely one has the sample covariance's eigenvectors, its eigenvalues raised to the floor where they are below (both
in features of unit variance). This is precisely maximum likelihood where the floor is not reached, and it is a maximum
under a constraint where it is: so EM cannot lose likelihood, as it can where a constant is added to the diagonal in
every step (scikit-learn's way, with the same name). And it does not depend on the units of the data.
"""

from __future__ import annotations

import numpy as np

from minigen.errors import UserError

LOG_2PI = float(np.log(2 * np.pi))


def yardstick(x: np.ndarray) -> np.ndarray:
    """v: the variance of each feature, (D,), by which `reg_covar` is measured; always above 0.

    A feature that is constant (up to rounding) has no measure of its own: it takes the mean of the others' variances, or
    1 where all are constant.

    Args:
        x: (n, D) float64.
    """
    variance = x.var(axis=0)
    constant = variance <= (10 * np.finfo(np.float64).eps * np.abs(x).max(axis=0)) ** 2
    variance[constant] = 1.0 if constant.all() else variance[~constant].mean()
    return variance


def raise_to_floor(covariance: np.ndarray, v: np.ndarray, reg_covar: float) -> np.ndarray:
    """The most likely covariance ⪰ reg_covar · diag(v), for a sample covariance (D, D)."""
    scale = np.outer(np.sqrt(v), np.sqrt(v))
    values, vectors = np.linalg.eigh(covariance / scale)
    if values[0] >= reg_covar:
        return covariance
    raised = vectors * np.maximum(values, reg_covar) @ vectors.T
    return (raised + raised.T) / 2 * scale


def cholesky(covariance: np.ndarray, what: str) -> np.ndarray:
    """L, lower triangular, with LLᵀ = Σ (D, D).

    Raises:
        UserError: Σ is singular, or not a covariance.
    """
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError as error:
        raise UserError(
            f"{what} is singular (no variance in some direction), so it has no density: raise reg_covar, or drop "
            "features that are constant or follow from others."
        ) from error


def log_density(x: np.ndarray, mean: np.ndarray, root: np.ndarray) -> np.ndarray:
    """ln N(x; μ, Σ) = -½(D ln 2π + ‖z‖²) - ln det L for each row of x, where Σ = LLᵀ and z = L⁻¹(x - μ).

    Args:
        x: (n, D) float64.
        mean: μ, (D,).
        root: L, lower triangular (D, D); or, where Σ is diagonal, its diagonal, the standard deviations (D,).

    Returns:
        (n,)
    """
    if root.ndim == 1:
        z, diagonal = (x - mean) / root, root
        square = np.einsum("nd,nd->n", z, z)
    else:
        from scipy.linalg import solve_triangular

        z, diagonal = solve_triangular(root, (x - mean).T, lower=True, check_finite=False), np.diagonal(root)
        square = np.einsum("dn,dn->n", z, z)
    return -0.5 * (len(mean) * LOG_2PI + square) - np.log(diagonal).sum()
