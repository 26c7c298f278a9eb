"""How arrays lie in memory for the kernels. What is done here to arrays, NumPy's and CuPy's do alike."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

ALIGNMENT = 16  # bytes, of an access to four numbers at once
LARGEST = (1 << 31) - 1024  # numbers of an array, so that the index of every thread of the last block is an int32


def empty(like: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """An uninitialized C-contiguous array where `like` is, of its dtype unless another is given."""
    _check_size(shape)
    return np.empty_like(like, dtype=dtype, order="C", shape=shape)


def packed(array: Any) -> Any:
    """The array itself if it is C-contiguous and aligned, else a copy that is."""
    _check_size(array.shape)
    if array.flags.c_contiguous and address(array) % ALIGNMENT == 0:
        return array
    return array.copy(order="C")


def _check_size(shape: tuple[int, ...]) -> None:
    if prod(shape) > LARGEST:
        raise ValueError(
            f"An array of shape {shape} has more than {LARGEST} numbers, which is as many as CUDA kernels index; split "
            f"the batch."
        )


def address(array: Any) -> int:
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr


def channels_last(images: Any) -> Any:
    """Images (N, C, H, W) as a C-contiguous (N, H, W, C) array."""
    return packed(images.transpose(0, 2, 3, 1))


def channels_first(images: Any) -> Any:
    """The (N, C, H, W) view of images (N, H, W, C)."""
    return images.transpose(0, 3, 1, 2)
