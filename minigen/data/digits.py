"""The 1,797 real handwritten digits, 8×8, that scikit-learn carries in its package: no download."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from minigen.errors import UserError

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
    if split not in ("train", "test"):
        raise UserError(f"The digits have the splits 'train' and 'test', not {split!r}.")
    if scale not in ("unit", "tanh"):
        raise UserError(f"The digits come in the scales 'unit' ([0, 1]) and 'tanh' ([-1, 1]), not {scale!r}.")
    pixels, labels = _digits()
    train, test = split_indices(labels)
    indices = train if split == "train" else test
    images = pixels[indices] / 16 if scale == "unit" else pixels[indices] / 8 - 1
    return images.astype(np.float32).reshape(-1, 1, 8, 8), labels[indices].astype(np.int64)


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

    return load(return_X_y=True)
