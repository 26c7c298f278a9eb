"""Fidelity and diversity apart: which samples lie where the data are, and which data lie where the samples are.

A set stands for the union of balls about its points, each as wide as the distance to the point's k-th nearest
neighbour in the set. Balls are closed: a point on the edge is inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.errors import UserError
from minigen.metrics.arrays import feature_pair
from minigen.metrics.distances import row_blocks, squared_distances, squared_radii


def precision_recall(real: Any, fake: Any, k: int = 3) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991).

    Precision is the share of fake samples in a ball of the real ones, recall the share of real samples in a ball of
    the fake ones. Equal sets have 1 and 1. One outlier makes a large ball and raises them: see `density_coverage`.

    Args:
        real, fake: features (N, d) and (M, d), more than k of each; other shapes (N, *) are flattened.
        k: which nearest neighbour sets the radius.

    Raises:
        ShapeError: too few samples, or features of different sizes.
        UserError: NaN or infinity, or a k below 1.

    >>> line = np.arange(10.0)[:, None]
    >>> precision_recall(line, line[:5] + 0.25)  # all fakes are near real ones, and not all real ones near fakes
    (1.0, 0.8)
    """
    least = _neighbours("precision_recall", k) + 1
    x, y = feature_pair("precision_recall", real, fake, (least, least))
    return float((_balls_around(y, x, k) > 0).mean()), float((_balls_around(x, y, k) > 0).mean())


def density_coverage(real: Any, fake: Any, k: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020, arXiv 2002.09797).

    Density is how many balls of the real set a fake sample lies in, on average, over k: about 1 for fakes of the right
    distribution, more where they crowd. Coverage is the share of real balls with a fake sample inside; for N fakes
    of the right distribution about 1 - 2⁻ᵏ.

    Args:
        real, fake: features (N, d), more than k of them, and (M, d); other shapes (N, *) are flattened.
        k: which nearest neighbour sets the radius.

    Raises:
        ShapeError: too few samples, or features of different sizes.
        UserError: NaN or infinity, or a k below 1.

    >>> line = np.arange(10.0)[:, None]
    >>> density_coverage(line, line, k=2), density_coverage(line, line + 100, k=2)
    ((1.5, 1.0), (0.0, 0.0))
    """
    x, y = feature_pair("density_coverage", real, fake, (_neighbours("density_coverage", k) + 1, 1))
    radii, hit = squared_radii(x, k), np.zeros(len(x), bool)
    inside = 0
    for rows in row_blocks(len(y), len(x)):
        within = squared_distances(y[rows], x) <= radii
        inside += int(within.sum())
        hit |= within.any(axis=0)
    return inside / (k * len(y)), float(hit.mean())


def _balls_around(points: np.ndarray, centers: np.ndarray, k: int) -> np.ndarray:
    """In how many balls of `centers` each point lies, (N,)."""
    radii = squared_radii(centers, k)
    blocks = row_blocks(len(points), len(centers))
    return np.concatenate([(squared_distances(points[rows], centers) <= radii).sum(axis=1) for rows in blocks])


def _neighbours(metric: str, k: int) -> int:
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1:
        raise UserError(f"{metric}: k counts neighbours, from 1, and cannot be {k!r}.")
    return int(k)
