"""Which classes do samples cover? Judged by a classifier of real images."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.metrics.arrays import as_probabilities


def class_coverage(probabilities: np.ndarray, share: float = 0.01, confidence: float = 0.8) -> dict[str, Any]:
    """How the samples spread over the classes.

    A sample belongs to its most probable class, and counts when that probability reaches `confidence`; a class is
    covered when at least `share` of all samples count for it.

    Args:
        probabilities: p(class | sample), (N, classes).

    Returns:
        ``classes_covered``; ``class_shares``, of all samples, those that count; ``confident_share``, their sum; and
        ``class_entropy``, of the shares of the most probable classes, over its maximum log(classes): 1 when even (and
        when there is one class).

    Raises:
        ShapeError, UserError: not probabilities.

    >>> report = class_coverage(np.array([[0.9, 0.05, 0.05], [0.95, 0.0, 0.05], [0.0, 0.9, 0.1]]))
    >>> report["classes_covered"], report["confident_share"]
    (2, 1.0)
    """
    probabilities = as_probabilities("class_coverage", probabilities)
    n, classes = probabilities.shape
    label, sure = probabilities.argmax(axis=1), probabilities.max(axis=1) >= confidence
    shares = np.bincount(label[sure], minlength=classes) / n
    p = np.bincount(label, minlength=classes) / n
    entropy = -(p[p > 0] * np.log(p[p > 0])).sum() / np.log(classes) if classes > 1 else 1.0
    return {
        "classes_covered": int((shares >= share).sum()),
        "class_shares": [round(float(s), 4) for s in shares],
        "confident_share": float(sure.mean()),
        "class_entropy": float(abs(entropy)),  # not -0.0 when one class has all
    }
