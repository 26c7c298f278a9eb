"""What a classical model is given: a table of finite numbers, one sample a row."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.errors import ShapeError, UserError

LARGEST = 1e100  # squares of numbers up to here, and sums of them, do not overflow


def samples(x: Any, owner: str, least: int = 1, features: int | None = None) -> np.ndarray:
    """`x` as float64, (n, D).

    Args:
        x: an array, nested lists or a tensor.
        owner: who asks, for the message.
        least: how many samples are needed.
        features: D, where it is settled.

    Raises:
        UserError: not such a table, or NaN, infinity or a number too large to be squared in it.
    """
    array = _numbers(x, owner)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ShapeError(
            f"{owner}: samples are a table of shape (n, D) with one sample in each row, not an array of shape "
            f"{array.shape}; reshape it with x.reshape(len(x), -1)."
        )
    _check_count(array, owner, least)
    if features is not None and array.shape[1] != features:
        raise ShapeError(f"{owner}: was fitted to samples of {features} features, and these have {array.shape[1]}.")
    return array


def values(x: Any, owner: str, least: int = 1) -> np.ndarray:
    """`x` as float64, (n,): samples of one number each. Raises as `samples` does."""
    array = _numbers(x, owner)
    if array.ndim != 1:
        raise ShapeError(f"{owner}: samples are numbers in an array of one axis, not of shape {array.shape}.")
    _check_count(array, owner, least)
    return array


def _check_count(array: np.ndarray, owner: str, least: int) -> None:
    if len(array) < least:
        raise UserError(f"{owner}: needs {least} {'sample' if least == 1 else 'samples'} or more, not {len(array)}.")


def labels(y: Any, n: int, owner: str) -> np.ndarray:
    """`y` as an array of `n` labels of any one kind."""
    array = np.asarray(y)
    if array.shape != (n,):
        raise ShapeError(f"{owner}: {n} samples need {n} labels in an array of one axis, not of shape {array.shape}.")
    return array


def floating_type(x: Any) -> Any:
    """The type in which samples like `x` are drawn: float32 where `x` is float32, float64 otherwise."""
    return np.float32 if getattr(x, "dtype", None) == np.float32 else np.float64


def count(value: Any, name: str, owner: str, least: int = 1) -> int:
    """`value` as an integer of at least `least`."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < least:
        raise UserError(f"{owner}: {name} must be an integer of at least {least}, not {value!r}.")
    return int(value)


def positive(value: Any, name: str, owner: str, zero: bool = False) -> float:
    """`value` as a finite number above 0 (or from 0 on, with `zero`)."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not np.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise UserError(f"{owner}: {name} must be a number {'of at least' if zero else 'above'} 0, not {value!r}.")
    return float(value)


def _numbers(x: Any, owner: str) -> np.ndarray:
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ShapeError(f"{owner}: the rows of the samples are not all of one length.") from error
    if array.dtype.kind not in "fiub":
        raise UserError(f"{owner}: samples are real numbers, not {array.dtype}.")
    array = array.astype(np.float64)
    if not np.abs(array).max(initial=0.0) <= LARGEST:  # NaN fails every comparison
        if np.isnan(array).any():
            raise UserError(
                f"{owner}: {int(np.isnan(array).sum())} of the {array.size} numbers are NaN; drop or fill them."
            )
        raise UserError(
            f"{owner}: a number is infinite or above {LARGEST:g}; its square cannot be held: rescale the data."
        )
    return array
