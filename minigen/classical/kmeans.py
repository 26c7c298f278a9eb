"""k-means: every sample belongs to the nearest of K centres, and every centre is the mean of its samples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import numpy as np

from minigen.classical._samples import count, positive, samples
from minigen.classical.distances import squared_distances
from minigen.errors import ShapeError, UserError
from minigen.random import Generator, pick


class KMeans:
    """Least Σₙ ‖xₙ - c(xₙ)‖², where c(x) is the centre nearest to x, by Lloyd's algorithm (1957, published 1982).

    Two steps in turn, neither of which can raise the sum: each sample goes to its nearest centre; each centre goes to
    the mean of its samples. The end depends on the start, which is why the start is k-means++ and there are `n_init` of
    them, of which the best end is kept.

    A cluster that has lost its samples takes the sample farthest from its centre (which lowers the sum as well). Only
    where no sample is away from its centre, because there are fewer distinct samples than clusters, does one stay empty.

    Args:
        n_clusters: K.
        n_init: how many starts.
        max_iter: of both steps, for one start.
        tol: stop when the centres move by ‖Δ‖² ≤ tol · (the mean of the features' variances) in sum.
        generator: where the starts come from (the default one unless given).

    Attributes:
        cluster_centers_: (K, D) float64.
        labels_: (n,) int64, the cluster of each sample.
        inertia_: the sum above.
        n_iter_: iterations of the best start.

    >>> model = KMeans(2, generator=Generator(0)).fit([[0.0], [1.0], [10.0], [11.0]])
    >>> sorted(model.cluster_centers_.ravel().tolist()), model.inertia_
    ([0.5, 10.5], 1.0)
    """

    cluster_centers_: np.ndarray
    labels_: np.ndarray
    inertia_: float
    n_iter_: int

    def __init__(
        self,
        n_clusters: int = 8,
        n_init: int = 1,
        max_iter: int = 300,
        tol: float = 1e-4,
        generator: Generator | None = None,
    ) -> None:
        self.n_clusters = count(n_clusters, "n_clusters", "KMeans")
        self.n_init = count(n_init, "n_init", "KMeans")
        self.max_iter = count(max_iter, "max_iter", "KMeans")
        self.tol = positive(tol, "tol", "KMeans", zero=True)
        self.generator = pick(generator)

    def fit(self, x: Any, start: Any = None) -> Self:
        """Find the centres.

        Args:
            x: (n, D), n of at least K.
            start: the centres to begin with, (K, D), instead of `n_init` drawn ones.

        Raises:
            UserError: fewer samples than clusters, NaN, or a wrong shape.
        """
        x = samples(x, "KMeans", least=self.n_clusters)
        middle = x.mean(axis=0)
        x = x - middle  # so that distances keep their digits
        tol = self.tol * x.var(axis=0).mean()
        starts: Iterable[np.ndarray]
        if start is None:
            starts = (kmeans_plus_plus(x, self.n_clusters, self.generator)[0] for _ in range(self.n_init))
        else:
            given = samples(start, "KMeans: the start")
            if given.shape != (self.n_clusters, x.shape[1]):
                expected = (self.n_clusters, x.shape[1])
                raise ShapeError(f"KMeans: the start must be of shape {expected}, not {given.shape}.")
            starts = [given - middle]
        best = min((lloyd(x, centres, self.max_iter, tol) for centres in starts), key=lambda end: end.inertia)
        self.cluster_centers_ = best.centres + middle
        self.labels_, self.inertia_, self.n_iter_ = best.labels, best.inertia, best.n_iter
        return self

    def predict(self, x: Any) -> np.ndarray:
        """The nearest centre of each sample, (n,) int64."""
        return self.transform(x).argmin(axis=1)

    def fit_predict(self, x: Any) -> np.ndarray:
        """`fit`, and `predict` of the same samples."""
        return self.fit(x).predict(x)

    def transform(self, x: Any) -> np.ndarray:
        """The distance of each sample to each centre, (n, K) float64.

        Raises:
            UserError: before `fit`.
        """
        if not hasattr(self, "cluster_centers_"):
            raise UserError("KMeans: has no centres yet; call fit first.")
        x = samples(x, "KMeans", features=self.cluster_centers_.shape[1])
        middle = self.cluster_centers_.mean(axis=0)
        return np.sqrt(squared_distances(x - middle, self.cluster_centers_ - middle))


class Clustering(NamedTuple):
    """Where Lloyd's algorithm ended."""

    centres: np.ndarray
    labels: np.ndarray
    inertia: float
    n_iter: int


def kmeans_plus_plus(x: Any, n_clusters: int, generator: Generator | None = None) -> tuple[np.ndarray, np.ndarray]:
    """K samples far from one another to start from: each next one drawn with probability ∝ (its distance to those)².

    Arthur & Vassilvitskii (2007), in their greedy form: 2 + ⌊ln K⌋ are drawn each time, and the one is kept that leaves
    the least sum of squared distances.

    Args:
        x: (n, D), n of at least K.
        n_clusters: K.
        generator: where the draws come from (the default one unless given).

    Returns:
        centres: (K, D) float64, rows of `x`
        indices: (K,) int64, which rows; all different as long as there are distinct samples left

    >>> centres, indices = kmeans_plus_plus([[0.0], [0.1], [9.0]], 2, Generator(0))
    >>> 2 in indices  # one of the two is the sample far away
    True
    """
    k = count(n_clusters, "n_clusters", "kmeans_plus_plus")
    given, random = samples(x, "kmeans_plus_plus", least=k), pick(generator)
    x = given - given.mean(axis=0)
    tries = 2 + int(np.log(k))
    chosen = [int(random.integers(0, len(x), (1,))[0])]
    nearest = squared_distances(x, x[chosen])[:, 0]  # (n,): to the nearest of the chosen
    nearest[chosen] = 0.0
    while len(chosen) < k:
        drawn = _draw(nearest, tries, random)
        distances = np.minimum(nearest, squared_distances(x[drawn], x))  # (tries, n): if that one were added
        distances[np.arange(tries), drawn] = 0.0
        best = int(distances.sum(axis=1).argmin())
        chosen.append(int(drawn[best]))
        nearest = distances[best]
    return given[chosen], np.array(chosen)


def lloyd(x: np.ndarray, centres: np.ndarray, max_iter: int, tol: float) -> Clustering:
    """Lloyd's two steps until no label changes, or the centres move by ‖Δ‖² ≤ `tol` in sum, or `max_iter` times.

    Args:
        x: (n, D) float64, about the origin.
        centres: (K, D) float64.
    """
    labels = np.full(len(x), -1)
    away = 1e-13 * (x**2).sum(axis=1).max()  # less than this is the rounding of a distance of 0
    n_iter, moving = 0, True
    while moving and n_iter < max_iter:
        before, old = labels, centres
        distances = squared_distances(x, centres)
        labels = distances.argmin(axis=1)
        _fill_empty(labels, distances.min(axis=1), len(centres), away)
        centres = cluster_means(x, labels, centres)
        moving = bool((labels != before).any()) and ((centres - old) ** 2).sum() > tol
        n_iter += 1
    labels = squared_distances(x, centres).argmin(axis=1)  # of the centres as they ended
    return Clustering(centres, labels, float(((x - centres[labels]) ** 2).sum()), n_iter)


def cluster_means(x: np.ndarray, labels: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The mean of each cluster's samples, (K, D); an empty cluster keeps its centre."""
    size = np.bincount(labels, minlength=len(centres))
    member = np.zeros((len(centres), len(x)))
    member[labels, np.arange(len(x))] = 1.0
    return np.where(size[:, None] > 0, member @ x / np.maximum(size, 1)[:, None], centres)


def _fill_empty(labels: np.ndarray, distance: np.ndarray, k: int, away: float) -> None:
    """Give each empty cluster the farthest sample that is neither at its centre nor alone in its cluster."""
    size = np.bincount(labels, minlength=k)
    for empty in np.flatnonzero(size == 0):
        free = np.where(size[labels] > 1, distance, 0.0)
        farthest = int(free.argmax())
        if free[farthest] <= away:
            return
        size[labels[farthest]] -= 1
        size[empty] += 1
        labels[farthest], distance[farthest] = empty, 0.0


def _draw(weights: np.ndarray, n: int, random: Generator) -> np.ndarray:
    """`n` indices, each with probability ∝ its weight; any, where all weights are 0."""
    total = weights.cumsum()
    if total[-1] == 0:
        return random.integers(0, len(weights), (n,))
    u = random.uniform((n,), dtype=np.float64) * total[-1]
    return np.minimum(np.searchsorted(total, u, side="right"), len(weights) - 1)
