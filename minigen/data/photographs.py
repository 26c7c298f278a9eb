"""Patches of the two real photographs that scikit-learn carries in its package (a temple, a flower): no download.

Each photograph has 427 rows and 640 columns. The middle of it is held out, from top to bottom, so that sky, walls, leaves
and petals are on both sides, and no pixel of the test part is ever seen in training:

        columns   0 ──────────── 256 ────── 384 ──────────── 640
                  │     train     │   test   │     train     │     427 rows
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from minigen.data.dataset import scaled
from minigen.data.source import DataSource, check_image_size, check_scale, check_split

_TEST = slice(256, 384)
_TRAIN = (slice(0, 256), slice(384, 640))
LARGEST = _TEST.stop - _TEST.start
STRIDE = 8  # pixels from one training patch to the next, down and across


class Patches:
    """Square patches of images, cut out when they are asked for; what is kept is the images.

    Args:
        images: of (C, H, W) each, no side smaller than `size`
        size: pixels down and across a patch
        stride: pixels from one patch to the next, down and across, the last ones touching the lower and the right edge
            in any case; None for patches side by side that share no pixel, what is left over being halved between edges

    >>> patches = Patches([np.arange(12).reshape(1, 3, 4)], size=2, stride=2)
    >>> len(patches), patches.shape
    (4, (4, 1, 2, 2))
    >>> patches[np.array([3])].tolist()
    [[[[6, 7], [10, 11]]]]
    """

    def __init__(self, images: list[np.ndarray], size: int, stride: int | None = None) -> None:
        self._images, self._size = images, size
        corners = []
        for number, image in enumerate(images):
            rows, columns = (_starts(side, size, stride) for side in image.shape[1:])
            corners.append(np.stack(np.meshgrid(number, rows, columns, indexing="ij"), axis=-1).reshape(-1, 3))
        self.corners = np.concatenate(corners)  # (n, 3): which image, top row, left column
        self.shape = (len(self.corners), images[0].shape[0], size, size)
        self.dtype = images[0].dtype

    def __len__(self) -> int:
        return len(self.corners)

    def __getitem__(self, index: Any) -> np.ndarray:
        corners = self.corners[index]
        patches = np.empty((*corners.shape[:-1], *self.shape[1:]), self.dtype)
        for place in np.ndindex(corners.shape[:-1]):
            number, row, column = corners[place]
            patches[place] = self._images[number][:, row : row + self._size, column : column + self._size]
        return patches


def load_photographs(split: str = "train", scale: str = "unit") -> list[np.ndarray]:
    """The parts of the two photographs, whole: the temple's first, then the flower's, from left to right.

    Args:
        split: 'train' for four regions of 427×256, 'test' for two of 427×128
        scale: 'unit' for pixels in [0, 1], 'tanh' for [-1, 1]

    Returns:
        (3, H, W) float32 each, fresh arrays

    Raises:
        UserError: An unknown split or scale.

    >>> [region.shape for region in load_photographs("test")]
    [(3, 427, 128), (3, 427, 128)]
    """
    check_split(split)
    check_scale(scale)
    return [scaled(region, scale) for region in _regions(split)]


def open_photographs(image_size: int = 64) -> DataSource:
    """The data source `photographs`: patches, without labels.

    The training patches overlap, one every 8 pixels down and across (4,700 of 64×64); those held out do not, and are
    as many as fit (24 of 64×64). None straddles two regions.

    Args:
        image_size: pixels down and across a patch, at most 128

    Raises:
        UserError: A size that does not fit into the part held out.
    """
    size = check_image_size(image_size, LARGEST, "the width of the part of the photographs that is held out")

    def read(split: str) -> tuple[Patches, np.ndarray]:
        patches = Patches(_regions(split), size, STRIDE if split == "train" else None)
        return patches, np.zeros(len(patches), np.int64)

    description = f"patches of two real photographs, {size}×{size} in colour"
    return DataSource("photographs", description, "image", (3, size, size), 0, read)


def _regions(split: str) -> list[np.ndarray]:
    columns = _TRAIN if split == "train" else (_TEST,)
    return [photograph[:, :, part] for photograph in _photographs() for part in columns]


@lru_cache(maxsize=1)
def _photographs() -> list[np.ndarray]:
    from sklearn.datasets import load_sample_images

    return [np.ascontiguousarray(image.transpose(2, 0, 1)) for image in load_sample_images().images]


def _starts(side: int, size: int, stride: int | None) -> np.ndarray:
    if stride is None:
        count = side // size
        return (side - count * size) // 2 + size * np.arange(count)
    return np.unique(np.append(np.arange(0, side - size + 1, stride), side - size))
