"""Do clusters agree with known classes? None of these minds what the clusters are called.

DBSCAN's noise (-1) counts as a cluster of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.classical._samples import labels
from minigen.errors import UserError


def cluster_purity(labels_true: Any, labels_pred: Any) -> float:
    """(1/n) Σ over clusters of the size of the largest class in it: the accuracy if each cluster were named after it.

    From above 0 to 1. It rises with the number of clusters, and is 1 where each sample is one: compare only at equal K.

    Args:
        labels_true, labels_pred: classes and clusters, (n,), of any names.

    >>> round(cluster_purity([0, 0, 1, 1, 2], [0, 0, 0, 1, 1]), 3)
    0.6
    """
    table = contingency(labels_true, labels_pred)
    return float(table.max(axis=0).sum() / table.sum())


def adjusted_rand_score(labels_true: Any, labels_pred: Any) -> float:
    """The share of pairs of samples that both put together or both apart, less what chance gives (Hubert & Arabie 1985).

    With t pairs together in both, a in the classes, b in the clusters, N pairs in all: (t - ab/N) / ((a + b)/2 - ab/N).
    1 for the same grouping, 0 in the mean for a random one; it can be negative.

    Args:
        labels_true, labels_pred: classes and clusters, (n,), of any names.

    >>> adjusted_rand_score([0, 0, 1, 1], ["b", "b", "a", "a"])
    1.0
    """
    table = contingency(labels_true, labels_pred)
    both, a, b = (float(_pairs(part).sum()) for part in (table, table.sum(axis=1), table.sum(axis=0)))
    if both == a == b:  # the same grouping; also where all are together, or all apart, and the formula is 0/0
        return 1.0
    chance = a * b / float(_pairs(table.sum()))
    return (both - chance) / ((a + b) / 2 - chance)


def normalized_mutual_info_score(labels_true: Any, labels_pred: Any) -> float:
    """I(classes; clusters) / ((H(classes) + H(clusters))/2): 0 where independent, 1 for the same grouping.

    Strehl & Ghosh (2002), with the arithmetic mean. Where both put all samples together it is 1.

    Args:
        labels_true, labels_pred: classes and clusters, (n,), of any names.

    >>> normalized_mutual_info_score([0, 0, 1, 1], [0, 1, 0, 1])
    0.0
    """
    joint = contingency(labels_true, labels_pred)
    joint = joint / joint.sum()
    a, b, both = (_entropy(part) for part in (joint.sum(axis=1), joint.sum(axis=0), joint))
    if a + b == 0:
        return 1.0
    return float(np.clip(2 * (a + b - both) / (a + b), 0.0, 1.0))


def contingency(labels_true: Any, labels_pred: Any) -> np.ndarray:
    """How many samples are of class i and in cluster j, (classes, clusters) int64; names sorted.

    Raises:
        UserError: no labels, or not as many of one as of the other.
    """
    true = np.asarray(labels_true)
    if true.ndim != 1 or len(true) == 0:
        raise UserError(f"To compare clusters, give one label for each sample in one axis, not shape {true.shape}.")
    classes, i = np.unique(true, return_inverse=True)
    clusters, j = np.unique(labels(labels_pred, len(true), "To compare clusters"), return_inverse=True)
    table = np.zeros((len(classes), len(clusters)), dtype=np.int64)
    np.add.at(table, (i, j), 1)
    return table


def _pairs(n: np.ndarray) -> np.ndarray:
    return n * (n - 1) // 2


def _entropy(p: np.ndarray) -> float:
    p = p[p > 0]
    return float(-(p * np.log(p)).sum())
