"""DBSCAN: clusters are regions where samples lie dense, of any shape; samples in thin regions are noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np

from minigen.classical._samples import count, positive, samples
from minigen.classical.distances import squared_distances

BLOCK = 1 << 22  # distances held at once: 32 MiB


class DBSCAN:
    """Density-based clustering (Ester, Kriegel, Sander & Xu, KDD 1996).

    A sample with `min_samples` samples within `eps` of it, itself included, is a core sample. Core samples within `eps`
    of each other are in one cluster; another sample within `eps` of a core sample is at the border of its cluster (of
    the first one, where there are several); all others are noise. Nothing is random, and the number of clusters is
    found, not given. Clusters are numbered by the first core sample in each.

    Distances are computed in blocks of rows, twice at most, and never held all at once: memory grows as n, time as n².

    Args:
        eps: the radius, in the units of the data.
        min_samples: how many make a place dense.

    Attributes:
        labels_: (n,) int64, 0, 1, … for the clusters, -1 for noise.
        core_sample_indices_: which samples are core samples, rising.

    >>> DBSCAN(eps=1.5, min_samples=2).fit_predict([[0.0], [1.0], [2.0], [10.0], [11.0], [50.0]]).tolist()
    [0, 0, 0, 1, 1, -1]
    """

    labels_: np.ndarray
    core_sample_indices_: np.ndarray

    def __init__(self, eps: float = 0.5, min_samples: int = 5) -> None:
        self.eps = positive(eps, "eps", "DBSCAN")
        self.min_samples = count(min_samples, "min_samples", "DBSCAN")

    def fit(self, x: Any) -> Self:
        """Label the samples `x`, (n, D)."""
        x = samples(x, "DBSCAN")
        neighbours, everything = Neighbours(x, self.eps), np.arange(len(x))
        crowd = np.zeros(len(x), dtype=np.int64)
        for rows, near in neighbours.of(everything, everything):
            crowd[rows] = near.sum(axis=1)
        core = crowd >= self.min_samples
        labels = np.full(len(x), -1)
        clusters = 0
        for first in np.flatnonzero(core):
            if labels[first] == -1:
                _spread(int(first), clusters, labels, core, neighbours)
                clusters += 1
        self.labels_, self.core_sample_indices_ = labels, np.flatnonzero(core)
        return self

    def fit_predict(self, x: Any) -> np.ndarray:
        """`fit`, and the labels."""
        return self.fit(x).labels_


def _spread(first: int, cluster: int, labels: np.ndarray, core: np.ndarray, neighbours: Neighbours) -> None:
    """Give the label `cluster` to all that can be reached from the core sample `first`, wave after wave."""
    labels[first] = cluster
    wave = np.array([first])
    while len(wave):
        free = np.flatnonzero(labels == -1)
        reached = np.zeros(len(free), dtype=bool)
        for _, near in neighbours.of(wave, free):
            reached |= near.any(axis=0)
        new = free[reached]
        labels[new] = cluster
        wave = new[core[new]]  # the border reaches no further


class Neighbours:
    """Which samples lie within `eps` of which.

    Distances come from one matrix product; those so close to `eps` that its rounding could decide are computed again,
    from the differences.
    """

    def __init__(self, x: np.ndarray, eps: float) -> None:
        self.x, self.radius = x, eps * eps
        self.centred = x - x.mean(axis=0)
        largest = (self.centred**2).sum(axis=1).max()
        self.rounding = 4 * (x.shape[1] + 4) * np.finfo(np.float64).eps * largest

    def of(self, rows: np.ndarray, columns: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Some of `rows` at a time, with a bool for each of them and each of `columns`: (part, len(columns))."""
        others = self.centred[columns]
        step = max(1, BLOCK // max(1, len(columns)))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            d = squared_distances(self.centred[part], others)
            near = d <= self.radius
            i, j = np.nonzero(np.abs(d - self.radius) <= self.rounding)
            for at in range(0, len(i), 4096):  # a lattice may have very many
                a, b = i[at : at + 4096], j[at : at + 4096]
                near[a, b] = ((self.x[part[a]] - self.x[columns[b]]) ** 2).sum(axis=1) <= self.radius
            yield part, near
