"""Can real and generated samples be told apart by their nearest neighbours?"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.metrics.arrays import feature_pair
from minigen.metrics.distances import row_blocks, squared_distances


def nearest_neighbour_accuracy(real: Any, fake: Any) -> dict[str, float]:
    """The leave-one-out accuracy of a 1-nearest-neighbour classifier of real against fake (Lopez-Paz & Oquab 2017).

    ½ is best: the sets cannot be told apart. 1 says that they are apart, 0 that fakes are copies of the real ones.
    Look at the two halves as well: real low and fake high also makes ½, and means fakes that crowd in the middle of the
    real ones, as those of a collapsed generator do (Xu et al. 2018, arXiv 1806.07755). Where several neighbours are
    equally near, the share of those of the right set counts. Take as many fakes as real ones.

    Args:
        real, fake: features (N, d) and (M, d); other shapes (N, *) are flattened.

    Returns:
        ``{"real": …, "fake": …, "overall": …}``, the accuracy over each set and over all samples.

    Raises:
        ShapeError: no samples, or features of different sizes.
        UserError: NaN or infinity.

    >>> nearest_neighbour_accuracy([[0.0], [1.0], [5.0]], [[5.1], [6.0]])
    {'real': 0.6666666666666666, 'fake': 0.5, 'overall': 0.6}
    """
    x, y = feature_pair("nearest_neighbour_accuracy", real, fake)
    right_real, right_fake = _right(x, y), _right(y, x)
    return {
        "real": right_real / len(x),
        "fake": right_fake / len(y),
        "overall": (right_real + right_fake) / (len(x) + len(y)),
    }


def _right(own: np.ndarray, other: np.ndarray) -> float:
    """How many rows of `own` have their nearest neighbour there."""
    right = 0.0
    for rows in row_blocks(len(own), len(own) + len(other)):
        to_own, to_other = squared_distances(own[rows], own), squared_distances(own[rows], other)
        np.fill_diagonal(to_own[:, rows], np.inf)
        nearest = np.minimum(to_own.min(axis=1), to_other.min(axis=1))[:, None]
        same, different = (to_own == nearest).sum(axis=1), (to_other == nearest).sum(axis=1)
        right += float((same / (same + different)).sum())
    return right
