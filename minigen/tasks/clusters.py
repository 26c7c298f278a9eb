"""Clusters of codes: do a model's latents put together what belongs together, better than the pixels do?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigen.classical import (
    DBSCAN,
    GaussianMixture,
    KMeans,
    adjusted_rand_score,
    cluster_purity,
    normalized_mutual_info_score,
)
from minigen.errors import UserError, unknown_name
from minigen.metrics.distances import squared_radii
from minigen.random import Generator
from minigen.tasks.abilities import ability, in_batches, samples_and_labels
from minigen.training.systems import System

METHODS = ("kmeans", "gmm", "dbscan")
MIN_SAMPLES = 5  # of DBSCAN
LARGEST = 5000  # samples that are clustered, evenly spaced over larger splits
STARTS = 10  # of k-means and of the mixture, the best of which is kept
NO_LABELS_K = 10


@dataclass(frozen=True)
class Clusters:
    """What was found in one split.

    Attributes:
        samples: (n, *shape), images from 0 to 1
        labels: (n,) classes, or None where the data have none
        codes: (n, latent_dim)
        of_codes: (n,) the cluster of each sample by its code; -1 is DBSCAN's noise
        of_samples: (n,) the same by its raw values, for comparison
        agreement: a row for codes and one for raw values: how many clusters and how much noise, and where there are
            labels purity, adjusted Rand index and normalized mutual information
    """

    samples: np.ndarray
    labels: np.ndarray | None
    codes: np.ndarray
    of_codes: np.ndarray
    of_samples: np.ndarray
    agreement: list[dict[str, Any]]


def cluster_codes(
    system: System,
    k: int | None = None,
    method: str = "kmeans",
    eps: float | None = None,
    split: str = "test",
    generator: Generator | None = None,
) -> Clusters:
    """Cluster the codes of a split, and its raw samples by the same method, and compare both with the classes.

    Of a split of more than 5,000 samples so many are taken, evenly spaced.

    Args:
        system: one that encodes
        k: how many clusters; as many as there are classes unless given (10 without labels). DBSCAN finds its own number
        method: 'kmeans', 'gmm' (each sample to its likeliest Gaussian, diagonal covariances) or 'dbscan'
        eps: DBSCAN's radius; `typical_radius` unless given
        split: 'test', the held-out samples, or 'train'
        generator: where the starts come from; `Generator(0)` unless given

    Raises:
        UserError: a model that does not encode, an unknown method, more clusters than samples.

    >>> from minigen.training.runs import load_system
    >>> from minigen.tasks import cluster_codes
    >>> system, _ = load_system("runs/ae-1")                     # doctest: +SKIP
    >>> cluster_codes(system, k=10).agreement[0]["purity"]       # doctest: +SKIP
    0.8
    """
    encode = ability(system, "encode", "cluster: it has no codes")
    if method not in METHODS:
        raise unknown_name("clustering method", method, METHODS)
    samples, labels = samples_and_labels(system, split, LARGEST)
    k = k or system.source.classes or NO_LABELS_K
    if method != "dbscan" and k > len(samples):
        raise UserError(f"{k} clusters need at least as many samples, and the split {split!r} has {len(samples)}.")
    codes = in_batches(encode, samples).astype(np.float64)
    raw = samples.reshape(len(samples), -1).astype(np.float64)
    generator = generator or Generator(0)
    state = generator.get_state()
    of_codes = assign(codes, k, method, eps, generator)
    generator.set_state(state)  # the same starts for both
    of_samples = assign(raw, k, method, eps, generator)
    agreement = [
        _agreement("codes", codes, of_codes, labels),
        _agreement("pixels" if system.source.kind == "image" else "points", raw, of_samples, labels),
    ]
    return Clusters(samples, labels, codes, of_codes, of_samples, agreement)


def assign(x: np.ndarray, k: int, method: str, eps: float | None, generator: Generator) -> np.ndarray:
    """The cluster of each row of `x` (n, d): (n,) int64, those of DBSCAN from -1."""
    if method == "kmeans":
        return KMeans(k, n_init=STARTS, generator=generator).fit(x).labels_
    if method == "gmm":
        return GaussianMixture(k, "diag", n_init=STARTS, generator=generator).fit(x).predict(x)
    return DBSCAN(typical_radius(x) if eps is None else eps, MIN_SAMPLES).fit_predict(x)


def typical_radius(x: np.ndarray) -> float:
    """The median over the samples of the distance to the nearest one that makes a place dense, DBSCAN's `min_samples`.

    Half of the samples are then in dense places. A rule of thumb (after the 4-distances of Ester et al. 1996) without a
    look at the classes; where it merges or scatters too much, give another radius.
    """
    others = min(MIN_SAMPLES - 1, len(x) - 1)  # the sample itself counts as well
    radius = float(np.median(np.sqrt(squared_radii(x - x.mean(axis=0), others)))) if others else 0.0
    return radius or 1.0


def principal_plane(x: np.ndarray) -> np.ndarray:
    """The projection of `x` (n, d) on its first two principal components, (n, 2); as it is where d is 2.

    A single column stands over zeros.

    >>> principal_plane(np.array([[0.0, 0.0, 1.0], [2.0, 0.0, 1.0]])).round(6).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    if x.shape[1] == 2:
        return x
    centred = x - x.mean(axis=0)
    if x.shape[1] == 1:
        return np.concatenate([centred, np.zeros_like(centred)], axis=1)
    _, axes = np.linalg.eigh(centred.T @ centred)
    plane = axes[:, :-3:-1]  # the two of largest variance
    plane = plane * np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]])  # the largest entry positive: no mirror images
    return centred @ plane


def _agreement(name: str, x: np.ndarray, clusters: np.ndarray, labels: np.ndarray | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        "clustered": name,
        "dimensions": x.shape[1],
        "clusters": len(np.unique(clusters[clusters >= 0])),
        "noise_share": float((clusters < 0).mean()),
    }
    if labels is not None:
        row["purity"] = cluster_purity(labels, clusters)
        row["adjusted_rand"] = adjusted_rand_score(labels, clusters)
        row["mutual_information"] = normalized_mutual_info_score(labels, clusters)
    return row
