"""Are samples sharp and diverse, as a classifier sees them?"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.errors import UserError
from minigen.metrics.arrays import as_probabilities


def inception_style_score(probabilities: Any, splits: int = 10) -> tuple[float, float]:
    """exp(E KL(p(y|x) ‖ p(y))) with p(y) the mean of p(y|x), from 1 to the number of classes; more is better.

    It is the Inception score (Salimans et al. 2016, arXiv 1606.03498) when p(y|x) comes from the Inception network, and
    only then comparable with published ones. It never looks at real data, and a split of few samples scores too low.

    Args:
        probabilities: p(class | sample), (N, classes).
        splits: how many parts the samples are cut into, in their order; each is scored on its own.

    Returns:
        mean and standard deviation over the splits.

    Raises:
        ShapeError, UserError: no probabilities, or fewer samples than splits.

    >>> inception_style_score([[1.0, 0.0], [0.0, 1.0]], splits=1)
    (2.0, 0.0)
    """
    p = as_probabilities("inception_style_score", probabilities)
    if not 1 <= splits <= len(p):
        raise UserError(f"inception_style_score: {len(p)} samples can be cut into 1 to {len(p)} splits, not {splits}.")
    scores = []
    for part in np.array_split(p, splits):
        marginal = part.mean(axis=0)
        ratio = np.divide(part, marginal, out=np.ones_like(part), where=part > 0)  # 0·log 0 = 0
        scores.append(np.exp((part * np.log(ratio)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))
