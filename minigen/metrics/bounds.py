"""What a variational autoencoder is worth: bounds on log p(x), and how much of its latent vector it uses. In nats."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.errors import DtypeError, ShapeError, UserError
from minigen.metrics.arrays import as_numbers


def elbo(log_w: Any) -> float:
    """(1/N) Σₙ (1/k) Σᵢ log wᵢₙ, the evidence lower bound on the mean of log p(x).

    Args:
        log_w: log wᵢₙ = log p(xₙ, zᵢ) - log q(zᵢ|xₙ) for k draws zᵢ from q(z|xₙ), (k, N), as in `minigen.losses.iwae_loss`.

    Raises:
        ShapeError, DtypeError: other shapes or numbers.
        UserError: NaN or +∞; -∞, a weight of 0, is a number like any other.

    >>> elbo([[0.0], [1.0]]), iwae_bound([[0.0], [1.0]]) > 0.5
    (0.5, True)
    """
    return float(_log_weights("elbo", log_w).mean())


def iwae_bound(log_w: Any) -> float:
    """(1/N) Σₙ log (1/k) Σᵢ wᵢₙ, the bound of k samples (Burda et al. 2016, arXiv 1509.00519).

    `elbo` at k = 1; it grows with k, and tends to log p(x). k = 5,000 is customary for the likelihood of a model. For
    the bound of fewer samples give fewer rows.

    Args:
        log_w: as for `elbo`.

    Raises:
        As `elbo`.

    >>> round(iwae_bound([[0.0], [1.098612]]), 6)  # weights 1 and 3: log 2
    0.693147
    """
    w = _log_weights("iwae_bound", log_w)
    largest = w.max(axis=0)
    largest = np.where(np.isfinite(largest), largest, 0)  # all weights of this image are 0
    with np.errstate(divide="ignore"):
        return float((largest + np.log(np.exp(w - largest).mean(axis=0))).mean())


def kl_per_dimension(mu: Any, logvar: Any) -> list[float]:
    """(1/N) Σₙ ½ (μ² + σ² - 1 - log σ²), KL(q(z|x) ‖ N(0, I)) for each dimension of z on its own.

    Args:
        mu, logvar: of q(z|x) = N(μ, σ²), (N, Z) both.

    Returns:
        Z numbers; one near 0 belongs to a dimension that carries nothing.

    Raises:
        ShapeError, DtypeError, UserError: other shapes, or not finite numbers.

    >>> kl_per_dimension([[0.0, 2.0]], [[0.0, 0.0]])
    [0.0, 2.0]
    """
    m, v = _codes("kl_per_dimension", mu), _codes("kl_per_dimension", logvar)
    if m.shape != v.shape:
        raise ShapeError(f"kl_per_dimension: mu and logvar have the same shape, not {m.shape} and {v.shape}.")
    return [float(kl) for kl in 0.5 * (m**2 + np.exp(v) - 1 - v).mean(axis=0)]


def active_units(mu: Any, threshold: float = 1e-2) -> int:
    """How many dimensions of z vary with x: Var_x E[z|x] > threshold (Burda et al. 2016, section 5.3).

    Args:
        mu: E[z|x] for N samples, at least 2, (N, Z).
        threshold: of the variance, which is over N.

    Raises:
        ShapeError, DtypeError, UserError: other shapes, or not finite numbers.

    >>> active_units([[0.0, 3.0], [0.0, -3.0]])  # the first never moves
    1
    """
    means = _codes("active_units", mu)
    if len(means) < 2:
        raise ShapeError("active_units: how codes vary shows in two samples or more, not in one.")
    return int((means.var(axis=0) > threshold).sum())


def _codes(metric: str, values: Any) -> np.ndarray:
    array = as_numbers(metric, values)
    if array.ndim != 2:
        raise ShapeError(f"{metric}: codes have the shape (N, Z), a row a sample, not {array.shape}.")
    return array


def _log_weights(metric: str, log_w: Any) -> np.ndarray:
    w = np.asarray(log_w)
    if w.dtype.kind not in "fiu":
        raise DtypeError(f"{metric}: log-weights are real numbers, not {w.dtype}.")
    if w.ndim != 2 or not w.size:
        raise ShapeError(f"{metric}: log-weights have the shape (k, N), both at least 1, not {w.shape}.")
    if np.isnan(w).any() or np.isposinf(w).any():
        raise UserError(f"{metric}: the log-weights of shape {w.shape} hold NaN or +infinity.")
    return w.astype(np.float64)
