"""Principal component analysis: the best linear autoencoder, and so the one that any other has to beat."""

from __future__ import annotations

import numpy as np

from minigen.errors import UserError


def pca_error(train: np.ndarray, images: np.ndarray, components: int) -> float:
    """The mean over `images` of ‖x - x̂‖², x̂ the projection on the first principal components of `train`.

    Args:
        train: (N, *), what the mean and the components are computed from.
        images: (M, *), of the same shape otherwise.
        components: how many, from 0 to the number of pixels.

    Raises:
        UserError: more components than pixels, or a negative number.

    >>> points = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    >>> round(pca_error(points, np.array([[0.0, 2.0]]), components=1), 6)  # (1, 1) is nearest on the line
    2.0
    """
    x = train.reshape(len(train), -1).astype(np.float64)
    y = images.reshape(len(images), -1).astype(np.float64)
    if not 0 <= components <= x.shape[1]:
        raise UserError(f"pca_error: images of {x.shape[1]} pixels have as many components, not {components}.")
    mean = x.mean(axis=0)
    _, _, axes = np.linalg.svd(x - mean, full_matrices=False)  # rows: directions of falling variance
    kept = axes[:components]
    centred = y - mean
    return float(((centred - centred @ kept.T @ kept) ** 2).sum(axis=1).mean())
