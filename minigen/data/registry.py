"""The datasets that can be asked for by name, on the command line too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from minigen.data.dataset import ArrayDataset
from minigen.data.digits import load_digits
from minigen.data.mixtures import grid, ring
from minigen.errors import UserError, unknown_name
from minigen.random import Generator

SPLITS = ("train", "test")
MIXTURE_SAMPLES = {"train": 10_000, "test": 2_500}  # 2,500 is how many VEEGAN and PacGAN judge by


@dataclass(frozen=True)
class DatasetInfo:
    """One line of the table: what a name stands for.

    `kind` is 'image' for samples (channels, height, width), or 'point' for vectors; `shape` is that of one sample;
    `load(split, **options)` returns samples and labels, and `options` names what it takes.
    """

    name: str
    description: str
    kind: str
    shape: tuple[int, ...]
    classes: int
    load: Callable[..., tuple[np.ndarray, np.ndarray]]
    options: tuple[str, ...]


def _mixture(draw: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    def load(split: str, n: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        stream = Generator(0).spawn(SPLITS.index(split))  # as with the digits, no user's seed changes the data
        return draw(MIXTURE_SAMPLES[split] if n is None else n, stream)

    return load


DATASETS: dict[str, DatasetInfo] = {
    entry.name: entry
    for entry in (
        DatasetInfo("digits", "1,797 real handwritten digits, 8×8", "image", (1, 8, 8), 10, load_digits, ("scale",)),
        DatasetInfo("ring8", "8 Gaussians on a circle of radius 1", "point", (2,), 8, _mixture(ring), ("n",)),
        DatasetInfo("grid25", "25 Gaussians on a 5×5 grid", "point", (2,), 25, _mixture(grid), ("n",)),
    )
}


def dataset_info(name: str) -> DatasetInfo:
    """The table's line for `name`.

    Raises:
        UserError: There is no such dataset; the sentence lists those that there are, and the closest name.

    >>> dataset_info("digits").shape
    (1, 8, 8)
    >>> dataset_info("digit")
    Traceback (most recent call last):
    minigen.errors.UserError: Unknown dataset 'digit': did you mean 'digits'? There are digits, ring8, grid25.
    """
    if name in DATASETS:
        return DATASETS[name]
    raise unknown_name("dataset", name, DATASETS)


def load(name: str, split: str = "train", **options: Any) -> ArrayDataset:
    """The samples and labels of one split of a dataset.

    Args:
        name: 'digits' (`load_digits`), 'ring8' (`mixtures.ring`) or 'grid25' (`mixtures.grid`)
        split: 'train' or 'test'
        **options: `scale` ('unit' or 'tanh') for images; `n` (how many samples) for mixtures, which have 10,000 to train
            on and 2,500 held out unless told otherwise

    Returns:
        `ArrayDataset` of samples (n, *shape) float32 and labels (n,) int64

    Raises:
        UserError: An unknown name, split, option or value.

    >>> load("ring8", "test")
    ArrayDataset(2500 samples of float32[2], int64[])
    """
    dataset = dataset_info(name)
    if split not in SPLITS:
        raise UserError(f"A dataset has the splits 'train' and 'test', not {split!r}.")
    for option in options:
        if option not in dataset.options:
            raise UserError(f"The dataset {name!r} takes {', '.join(dataset.options)} as an option, not {option!r}.")
    return ArrayDataset(*dataset.load(split, **options))
