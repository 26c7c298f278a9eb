"""What the metrics take: arrays of finite numbers, checked once and in one sentence, and computed with in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.errors import DtypeError, ShapeError, UserError


def as_numbers(metric: str, values: Any, dtype: Any = np.float64) -> np.ndarray:
    """`values` as an array of `dtype`, without a copy where it is one already.

    Args:
        metric: the function that asks, for the sentence.
        values: anything that NumPy reads as an array of real numbers.

    Raises:
        DtypeError: not real numbers, or numbers that lie on a GPU.
        ShapeError: an empty array.
        UserError: NaN or infinity among them.
    """
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # CuPy's arrays do not turn into NumPy's by themselves
        raise DtypeError(
            f"{metric}: needs an array of real numbers (of a tensor on a GPU, its .cpu().numpy()): {error}"
        ) from error
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"{metric}: takes arrays of real numbers, not of {array.dtype}.")
    if not array.size:
        raise ShapeError(f"{metric}: there is nothing to measure in an array of shape {array.shape}.")
    if not np.isfinite(array).all():
        raise UserError(f"{metric}: the array of shape {array.shape} holds NaN or infinity; look where they come from.")
    return array.astype(dtype, copy=False)


def as_features(metric: str, values: Any, least: int = 1) -> np.ndarray:
    """`values` (N, *) as float64 features (N, d), what follows the first axis flattened.

    Args:
        metric: the function that asks, for the sentence.
        values: features (N, d), or samples of any shape, such as images (N, C, H, W).
        least: how many samples the metric needs.

    Raises:
        ShapeError: too few axes or samples.
        DtypeError, UserError: as for `as_numbers`.
    """
    array = as_numbers(metric, values)
    if array.ndim < 2:
        raise ShapeError(f"{metric}: features have the shape (N, d), a row a sample, not {array.shape}.")
    if len(array) < least:
        raise ShapeError(f"{metric}: needs at least {least} samples here, not {len(array)}.")
    return array.reshape(len(array), -1)


def feature_pair(metric: str, a: Any, b: Any, least: tuple[int, int] = (1, 1)) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features of one size, (N, d) and (M, d), at least so many of each, as `as_features` makes them."""
    x, y = as_features(metric, a, least[0]), as_features(metric, b, least[1])
    if x.shape[1] != y.shape[1]:
        raise ShapeError(
            f"{metric}: samples of both sets have as many features, not {x.shape[1]} and {y.shape[1]} "
            f"(shapes {np.shape(a)} and {np.shape(b)})."
        )
    return x, y


def as_probabilities(metric: str, values: Any) -> np.ndarray:
    """p(class | sample), (N, classes), as float64: no entry negative, each row with the sum 1."""
    p = as_numbers(metric, values)
    if p.ndim != 2:
        raise ShapeError(f"{metric}: probabilities have the shape (N, classes), not {p.shape}.")
    if p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise UserError(f"{metric}: each row must be probabilities with the sum 1; of logits, take the softmax first.")
    return p
