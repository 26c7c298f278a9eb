"""How well scores tell two kinds of samples apart, whatever the threshold."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.errors import ShapeError, UserError


def auroc(scores: Any, positive: Any) -> float:
    """The area under the ROC curve: the probability that a positive sample scores higher than a negative one.

    By ranks, U / (n₊·n₋) with U = Σ ranks of the positive - n₊(n₊ + 1)/2 (Mann & Whitney 1947); samples that tie share
    the mean of their ranks, so that a tie counts one half. 1 when the scores separate the two, ½ when they say nothing.

    Args:
        scores: (n,), high for what is held to be positive; infinite ones have their place
        positive: (n,) booleans, or 0 and 1, with at least one of each

    Raises:
        ShapeError: Not two arrays of one length.
        UserError: Scores that are NaN, or only one kind of sample.

    >>> auroc([0.1, 0.4, 0.4, 0.8], [False, False, True, True])
    0.875
    """
    values, truth = _checked(scores, positive)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)  # the highest rank of each distinct score
    ranks = (last - (counts - 1) / 2)[inverse]
    n_positive = int(truth.sum())
    u = ranks[truth].sum() - n_positive * (n_positive + 1) / 2
    return float(u / (n_positive * (len(truth) - n_positive)))


def average_precision(scores: Any, positive: Any) -> float:
    """The area under the curve of precision over recall, Σₖ (Rₖ - Rₖ₋₁)·Pₖ, as a sum over the distinct scores.

    Pₖ and Rₖ are precision and recall when everything that scores at least the k-th highest value is called positive.
    Scores that say nothing give the share of positive samples, not ½. No interpolation between the points of the curve
    (Davis & Goadrich 2006 show why it would flatter).

    Args:
        scores, positive: as for `auroc`

    Raises:
        ShapeError, UserError: As `auroc`.

    >>> round(average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)
    0.8333
    """
    values, truth = _checked(scores, positive)
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    ends = np.append(values[1:] != values[:-1], True)  # the last sample of each distinct score
    hits = np.cumsum(truth)[ends]
    precision, recall = hits / (np.flatnonzero(ends) + 1), hits / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def _checked(scores: Any, positive: Any) -> tuple[np.ndarray, np.ndarray]:
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(positive)
    if values.ndim != 1 or values.shape != truth.shape:
        raise ShapeError(f"Scores and what is positive are arrays of one length, not {values.shape} and {truth.shape}.")
    if not np.isin(truth, (0, 1)).all():
        raise UserError("Say of each sample whether it is positive by True or False (or 1 or 0), and nothing else.")
    truth = truth.astype(bool)
    if np.isnan(values).any():
        raise UserError(f"{int(np.isnan(values).sum())} of the {len(values)} scores are NaN, which cannot be ranked.")
    if truth.all() or not truth.any():
        kind = "positive" if len(truth) and truth.all() else "negative"
        raise UserError(f"Ranking needs samples of both kinds, and all {len(truth)} are {kind}.")
    return values, truth
