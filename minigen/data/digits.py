"""The 1,797 real handwritten digits that scikit-learn carries in its package, no download: 8×8, and enlarged to 28×28."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minigen.data.dataset import scaled
from minigen.data.source import DataSource, check_scale, check_split

_SPLIT_SEED = 1797  # of the split only; no user's seed ever changes which digits are held out
_EVERY = 5  # one digit in five is held out


def load_digits(split: str = "train", scale: str = "unit") -> tuple[np.ndarray, np.ndarray]:
    """Real handwritten digits: 1,437 to train on and 360 held out.

    The data are scikit-learn's `load_digits`: the test half of the UCI "Optical Recognition of Handwritten Digits"
    (Alpaydin & Kaynak, 1998), 32×32 bitmaps summed over 4×4 blocks, so that a pixel is a whole number from 0 to 16.

    The split is fixed: within each class the digits are put in a random order that never changes, and every fifth one
    of the sequence is held out, so that each class has the same share in both parts, to within one digit. Who wrote
    which digit is not recorded, so one person's hand may be in both parts.

    Args:
        split: 'train' or 'test'
        scale: 'unit' for pixels in [0, 1] (pixel / 16), 'tanh' for [-1, 1] (pixel / 8 - 1)

    Returns:
        images: (n, 1, 8, 8) float32, a fresh array; the 17 values are exact in float32
        labels: (n,) int64, the digit

    Raises:
        UserError: An unknown split or scale.

    >>> images, labels = load_digits("test", scale="tanh")
    >>> images.shape, images.min().item(), images.max().item()
    ((360, 1, 8, 8), -1.0, 1.0)
    """
    return _select(_digits(), split, scale)


def load_digits28(split: str = "train", scale: str = "unit") -> tuple[np.ndarray, np.ndarray]:
    """The digits of `load_digits`, in the same order and with the same split, enlarged to 28×28 as MNIST's are laid out.

    An 8×8 image becomes 20×20 by bicubic interpolation (a = -1/2, Keys 1981, as Pillow does it), is clipped to [0, 1],
    and gets a black border of 4 pixels. So nothing is in it that was not in the 64 pixels: strokes are smooth, and sharp
    edges are missing.

    Args:
        split: 'train' or 'test'
        scale: 'unit' for pixels in [0, 1], 'tanh' for [-1, 1]

    Returns:
        images: (n, 1, 28, 28) float32, a fresh array
        labels: (n,) int64, the digit

    Raises:
        UserError: An unknown split or scale.

    >>> images, labels = load_digits28("test")
    >>> images.shape, images[:, :, :4].max().item(), images.max().item()
    ((360, 1, 28, 28), 0.0, 1.0)
    """
    return _select(_digits28(), split, scale)


def open_digits() -> DataSource:
    """The data source `digits`."""
    return DataSource("digits", "1,797 real handwritten digits, 8×8", "image", (1, 8, 8), 10, load_digits)


def open_digits28() -> DataSource:
    """The data source `digits28`."""
    return DataSource("digits28", "the same digits, enlarged to 28×28", "image", (1, 28, 28), 10, load_digits28)


def _select(digits: tuple[np.ndarray, np.ndarray], split: str, scale: str) -> tuple[np.ndarray, np.ndarray]:
    check_split(split)
    check_scale(scale)
    images, labels = digits
    train, test = split_indices(labels)
    indices = train if split == "train" else test
    return scaled(images[indices], scale), labels[indices]


def split_indices(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split samples with these `labels` (n,) into train and test indices, one in five of each class for the test.

    Sorted by class, in a fixed random order within a class, every fifth sample goes to the test part. The order comes
    from raw Philox words, which no version of NumPy may change (NEP 19), unlike a permutation drawn from them.
    """
    key = np.random.Philox(key=_SPLIT_SEED).random_raw(len(labels))
    order = np.lexsort((key, labels))
    held_out = np.arange(len(labels)) % _EVERY == 0
    return np.sort(order[~held_out]), np.sort(order[held_out])


@lru_cache(maxsize=1)
def _digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits as load  # takes a second: only when asked for

    pixels, labels = load(return_X_y=True)
    return (pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels.astype(np.int64)


@lru_cache(maxsize=1)
def _digits28() -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    small, labels = _digits()
    large = np.zeros((len(small), 1, 28, 28), np.float32)
    for image, out in zip(small[:, 0], large[:, 0]):
        out[4:24, 4:24] = np.asarray(Image.fromarray(image).resize((20, 20), Image.Resampling.BICUBIC)).clip(0, 1)
    return large, labels
