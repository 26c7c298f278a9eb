"""Datasets: a length, and the samples at given indices."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from minigen.errors import ShapeError, UserError


class Dataset(Protocol):
    """What `DataLoader` reads from: any class with these two methods."""

    def __len__(self) -> int:
        """How many samples there are."""
        ...

    def __getitem__(self, index: Any) -> tuple[np.ndarray, ...]:
        """The samples at an array of indices, stacked along the first axis: one array for each kind of value."""
        ...


class ArrayDataset:
    """Samples that lie in arrays of one length: sample i is row i of each (`TensorDataset` in PyTorch).

    Args:
        *arrays: arrays (n, ...), for example images and labels

    Raises:
        UserError: No array at all.
        ShapeError: An array without a first axis, or first axes of different lengths.

    >>> dataset = ArrayDataset(np.arange(6.0).reshape(3, 2), np.array([7, 8, 9]))
    >>> len(dataset)
    3
    >>> dataset[np.array([2, 0])]
    (array([[4., 5.],
           [0., 1.]]), array([9, 7]))
    """

    def __init__(self, *arrays: np.ndarray) -> None:
        if not arrays:
            raise UserError("ArrayDataset needs at least one array.")
        self.arrays = tuple(np.asanyarray(array) for array in arrays)
        shapes = ", ".join(str(array.shape) for array in self.arrays)
        if any(array.ndim == 0 for array in self.arrays):
            raise ShapeError(f"ArrayDataset takes arrays whose first axis counts the samples, but got shapes {shapes}.")
        if len({len(array) for array in self.arrays}) > 1:
            raise ShapeError(f"ArrayDataset takes arrays with as many rows each, but got shapes {shapes}.")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: Any) -> tuple[np.ndarray, ...]:
        return tuple(array[index] for array in self.arrays)

    def __repr__(self) -> str:
        kinds = ", ".join(f"{array.dtype}{list(array.shape[1:])}" for array in self.arrays)
        return f"ArrayDataset({len(self)} samples of {kinds})"
