"""Euclidean distances between two sets of features, a block of rows at a time so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 2**22  # entries of a matrix of distances held at once: 32 MiB
_CLOSE = 1e-7  # of two squared norms: below it their difference is computed anew
_ROUNDING = 1e-9  # relative, of what `squared_distances` gives


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices that cut `rows` rows into blocks of at most `BLOCK` entries, or of one row where that has more."""
    step = max(1, BLOCK // columns)
    return (slice(i, min(i + step, rows)) for i in range(0, rows, step))


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """‖aᵢ - bⱼ‖² as ‖aᵢ‖² + ‖bⱼ‖² - 2·aᵢᵀbⱼ, a matrix product; (N, d) and (M, d) to (N, M).

    That cancels where two rows are close to one another and far from the origin: those pairs are computed anew from
    their differences. So equal rows are at distance 0 exactly, and all others right to about nine digits.
    """
    norms_a, norms_b = (a * a).sum(axis=1)[:, None], (b * b).sum(axis=1)
    scale = norms_a + norms_b
    result = scale - 2 * (a @ b.T)
    close = result <= _CLOSE * scale
    for i in np.flatnonzero(close.any(axis=1)):
        result[i, close[i]] = ((b[close[i]] - a[i]) ** 2).sum(axis=1)
    return result


def squared_radii(x: np.ndarray, k: int) -> np.ndarray:
    """The squared distance from each row of x to its k-th nearest other row; (N, d) with N > k to (N,).

    A hair more (1e-9) than that, so that rounding leaves no neighbour out of the ball it defines.
    """
    radii = np.empty(len(x))
    for rows in row_blocks(len(x), len(x)):
        distances = squared_distances(x[rows], x)
        np.fill_diagonal(distances[:, rows], np.inf)  # a row is not its own neighbour
        radii[rows] = np.partition(distances, k - 1, axis=1)[:, k - 1]
    return radii * (1 + _ROUNDING)
