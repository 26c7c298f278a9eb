"""Datasets: a length, and the samples at given indices.

`ArrayDataset` holds its samples as they are; `ImageDataset` may hold images as bytes, or cut them out of larger ones, and
hands them out as numbers.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from minigen.errors import ShapeError, UserError


class Dataset(Protocol):
    """What `DataLoader` reads from: any class with these two methods.

    >>> class Squares:
    ...     def __len__(self):
    ...         return 5
    ...     def __getitem__(self, index):
    ...         return (np.asarray(index) ** 2,)
    >>> from minigen.data import DataLoader
    >>> [batch.tolist() for (batch,) in DataLoader(Squares(), batch_size=2)]
    [[0, 1], [4, 9], [16]]
    """

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


class ImageDataset:
    """Images and their labels; what is kept as bytes becomes numbers only in the batch that asks for it.

    Args:
        images: (n, C, H, W), uint8 from 0 to 255 or float32 from 0 to 1; an array, or any object that has its `shape`,
            `dtype` and `images[indices]` (`minigen.data.photographs.Patches`)
        labels: (n,) int64
        scale: of what is handed out: 'unit' for [0, 1], 'tanh' for [-1, 1]

    Raises:
        ShapeError: no images (n, C, H, W), or not as many labels.

    >>> dataset = ImageDataset(np.array([0, 255], np.uint8).reshape(2, 1, 1, 1), np.array([3, 4]), scale="tanh")
    >>> images, labels = dataset[np.array([1, 0])]
    >>> images.ravel().tolist(), labels.tolist()
    ([1.0, -1.0], [4, 3])
    """

    def __init__(self, images: Any, labels: np.ndarray, scale: str = "unit") -> None:
        if len(images) != len(labels):
            raise ShapeError(f"ImageDataset takes as many labels as images, not {len(labels)} and {len(images)}.")
        self.images = images
        self.labels = labels
        self.scale = scale

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> tuple[np.ndarray, ...]:
        return scaled(self.images[index], self.scale), self.labels[index]

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All images (n, C, H, W) float32, and all labels: made anew each time, so ask for batches where they are many."""
        return scaled(self.images[:], self.scale), self.labels.copy()

    def __repr__(self) -> str:
        low = 0 if self.scale == "unit" else -1
        return f"ImageDataset({len(self)} images of {list(self.images.shape[1:])} from {low} to 1)"


def scaled(images: np.ndarray, scale: str) -> np.ndarray:
    """Images that are uint8, or float32 from 0 to 1, as float32 in a scale: 'unit' ([0, 1]) or 'tanh' ([-1, 1]).

    >>> scaled(np.array([0, 51, 255], np.uint8), "unit").tolist() == [0.0, np.float32(0.2), 1.0]
    True
    """
    light = images.astype(np.float32) / np.float32(255) if images.dtype == np.uint8 else images
    return light if scale == "unit" else light * np.float32(2) - np.float32(1)
