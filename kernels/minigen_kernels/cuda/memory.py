"""How arrays lie in memory for the kernels. What is done here to arrays, NumPy's and CuPy's do alike."""

from __future__ import annotations

from typing import Any

import numpy as np

ALIGNMENT = 16  # bytes, of an access to four numbers at once
LARGEST = 1 << 31  # numbers of an array, so that every index is an int32


def empty(like: Any, shape: tuple[int, ...], dtype: Any = None) -> Any:
    """An uninitialized C-contiguous array where `like` is, of its dtype unless another is given."""
    return np.empty_like(like, dtype=dtype, order="C", shape=shape)


def packed(array: Any) -> Any:
    """The array itself if it is C-contiguous and aligned, else a copy that is; refuses what is too large for a kernel."""
    if array.size >= LARGEST:
        raise ValueError(
            f"An array of shape {array.shape} has 2^31 numbers or more, which CUDA kernels cannot index; split the batch."
        )
    if array.flags.c_contiguous and address(array) % ALIGNMENT == 0:
        return array
    return array.copy(order="C")


def address(array: Any) -> int:
    return array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr


def channels_last(images: Any) -> Any:
    """Images (N, C, H, W) as a C-contiguous (N, H, W, C) array."""
    return packed(images.transpose(0, 2, 3, 1))


def channels_first(images: Any) -> Any:
    """The (N, C, H, W) view of images (N, H, W, C)."""
    return images.transpose(0, 3, 1, 2)
