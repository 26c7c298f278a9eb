"""Squared Euclidean distances between the rows of two tables."""

from __future__ import annotations

import numpy as np


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """‖xᵢ - yⱼ‖² = ‖xᵢ‖² - 2xᵢᵀyⱼ + ‖yⱼ‖², (n, m), never below 0.

    One matrix product, so fast; but where x and y are far from the origin and near each other, digits cancel: take the
    mean from both first. The error is at most about (D + 4)·2⁻⁵³·(‖xᵢ‖² + ‖yⱼ‖²)·2.

    Args:
        x: (n, D) float64.
        y: (m, D) float64.

    >>> squared_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [1.0, 0.0]])).tolist()
    [[25.0, 1.0]]
    """
    d = x @ (-2.0 * y.T)
    d += (x**2).sum(axis=1)[:, None]
    d += (y**2).sum(axis=1)
    return np.maximum(d, 0.0, out=d)
