"""Maximum mean discrepancies (Gretton et al. 2012): how far apart two sets are in the mean of a kernel's features.

MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y). Unbiased, a sample is not paired with itself: the mean over many draws is
the true value, and where that is 0 the estimate may be a little negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigen.errors import UserError
from minigen.metrics.arrays import feature_pair
from minigen.metrics.distances import row_blocks, squared_distances
from minigen.random import Generator

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (N, d), (M, d) to (N, M)

MEDIAN_OF = 1000  # pooled samples that the median distance is taken from


def kernel_distance(
    features_a: Any, features_b: Any, generator: Generator, subsets: int = 100, subset_size: int = 1000
) -> tuple[float, float]:
    """The mean and standard deviation, over random subsets, of the unbiased MMD² with the kernel (xᵀy/d + 1)³.

    On features of the Inception network it is the Kernel Inception Distance, KID (Bińkowski et al. 2018, arXiv
    1801.01401). Unlike the Fréchet distance its mean does not depend on how many samples there are.

    Args:
        features_a, features_b: (N, d) and (M, d), at least 2 samples each; other shapes (N, *) are flattened.
        generator: where the subsets come from.
        subsets: how many.
        subset_size: samples of each set in a subset, drawn without replacement; all where there are fewer.

    Returns:
        mean, standard deviation. With subsets of the whole sets the second is 0 and says nothing.

    Raises:
        ShapeError: fewer than two samples, or features of different sizes.
        UserError: NaN or infinity, no subsets, or subsets of one sample.

    >>> x = Generator(0).normal((40, 2))
    >>> near, _ = kernel_distance(x[:20], x[20:], Generator(1), subsets=5)
    >>> far, _ = kernel_distance(x[:20], x[20:] + 3, Generator(1), subsets=5)
    >>> near < far
    True
    """
    a, b = feature_pair("kernel_distance", features_a, features_b, least=(2, 2))
    if subsets < 1 or subset_size < 2:
        raise UserError(
            f"kernel_distance: takes 1 subset or more of at least 2 samples, not {subsets} of {subset_size}."
        )
    if subset_size >= max(len(a), len(b)):
        return _squared_mmd(_cubic, a, b, biased=False), 0.0
    values = []
    for _ in range(subsets):
        x, y = (set_[generator.permutation(len(set_))[:subset_size]] for set_ in (a, b))
        values.append(_squared_mmd(_cubic, x, y, biased=False))
    return float(np.mean(values)), float(np.std(values))


def squared_mmd(
    features_a: Any, features_b: Any, bandwidth: float | Sequence[float] | None = None, biased: bool = False
) -> float:
    """MMD² with the Gaussian kernel exp(-‖x - y‖²/(2σ²)), which tells any two distributions apart.

    Args:
        features_a, features_b: (N, d) and (M, d), at least 2 samples each; other shapes (N, *) are flattened.
        bandwidth: σ, or several, whose kernels are averaged; None for `median_distance` of the two sets together.
        biased: pair samples with themselves too: never negative, 0 for equal sets, and too large by about 1/N + 1/M.

    Raises:
        ShapeError: fewer than two samples, or features of different sizes.
        UserError: NaN or infinity, or a bandwidth that is not positive.

    >>> squared_mmd([[0.0], [0.0]], [[1.0], [1.0]], bandwidth=0.5**0.5)  # 2 - 2/e
    1.2642411176571153
    """
    a, b = feature_pair("squared_mmd", features_a, features_b, least=(2, 2))
    sigmas = np.atleast_1d(np.asarray(median_distance(a, b) if bandwidth is None else bandwidth, dtype=np.float64))
    if sigmas.ndim != 1 or not sigmas.size or not ((sigmas > 0) & np.isfinite(sigmas)).all():
        raise UserError(f"squared_mmd: a bandwidth is a positive number, or several of them, not {bandwidth!r}.")

    def gaussian(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        distances = squared_distances(x, y)
        return np.mean([np.exp(distances / (-2 * sigma**2)) for sigma in sigmas], axis=0)

    return _squared_mmd(gaussian, a, b, biased)


def median_distance(features_a: Any, features_b: Any) -> float:
    """The median distance between two samples of both sets together, a customary bandwidth (Gretton et al. 2012, §8).

    Taken from at most 1,000 of the samples, always the same ones. Pairs at distance 0 do not count; 1 if there are
    only such.

    Args:
        features_a, features_b: (N, d) and (M, d).

    >>> median_distance([[0.0], [1.0]], [[3.0]])  # of 1, 2 and 3
    2.0
    """
    pooled = np.concatenate(feature_pair("median_distance", features_a, features_b))
    if len(pooled) > MEDIAN_OF:
        pooled = pooled[Generator(0).permutation(len(pooled))[:MEDIAN_OF]]
    distances = squared_distances(pooled, pooled)[np.triu_indices(len(pooled), 1)]
    apart = distances[distances > 0]
    return float(np.sqrt(np.median(apart))) if apart.size else 1.0


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _squared_mmd(kernel: Kernel, a: np.ndarray, b: np.ndarray, biased: bool) -> float:
    value = _mean(kernel, a, a, biased) + _mean(kernel, b, b, biased) - 2 * _mean(kernel, a, b, True)
    return max(value, 0.0) if biased else value  # rounding aside it is not negative


def _mean(kernel: Kernel, x: np.ndarray, y: np.ndarray, with_itself: bool) -> float:
    """The mean of the kernel over all pairs, or over those of two different samples of one set (y is x)."""
    total, pairs = 0.0, len(x) * len(y)
    for rows in row_blocks(len(x), len(y)):
        values = kernel(x[rows], y)
        if not with_itself:
            np.fill_diagonal(values[:, rows], 0)
        total += float(values.sum())
    return total / (pairs if with_itself else pairs - len(x))
