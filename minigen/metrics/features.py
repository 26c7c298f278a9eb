"""Feature extractors: what the distances between sets of images are measured in.

A distance in pixels sees shifts and brightness, one in a classifier's features sees classes, one in Inception's features
is what the literature reports; for that `minigen.metrics.inception.inception_features` needs published weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.metrics.arrays import as_features


def pixel_features(images: Any) -> np.ndarray:
    """The pixels themselves, (N, *) to (N, d) float64. Points in the plane are their own features.

    >>> pixel_features(np.ones((2, 3, 4, 4))).shape
    (2, 48)
    """
    return as_features("pixel_features", images)
