"""What every data set looks like to a program that uses it: a `DataSource`, opened by `minigen.data.open_dataset`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from minigen.data.dataset import ArrayDataset, Dataset, ImageDataset
from minigen.data.imbalance import keep_shares
from minigen.errors import UserError
from minigen.random import Generator

SPLITS = ("train", "test")
SCALES = ("unit", "tanh")


class Samples(Dataset, Protocol):
    """A `Dataset` of pairs (samples, labels) that also gives them all at once."""

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """All samples (n, *shape) float32 and all labels (n,) int64."""
        ...


@dataclass(frozen=True, eq=False)
class DataSource:
    """A data set: what its samples are, and how to get them.

    Attributes:
        name: what it was opened by
        description: one line for a table
        kind: 'image' for samples (channels, height, width), or 'point' for vectors
        shape: of one sample
        classes: how many classes the labels count from 0; 0 where there are no labels (and they are all 0)
        class_names: what the classes are called, where they have names; else ()
        centers: of a mixture of Gaussians, the means of its modes, (modes, *shape) float32; else None
        std: of a mixture of Gaussians, the standard deviation within a mode; else None
        intrinsic_dim: of a mixture of Gaussians, in how many dimensions a mode spreads; else None
        draw: of points made by a formula, `draw(n, generator)` makes n more, samples and labels; else None
        read: `read(split)` gives samples and labels: images as uint8, or as float32 from 0 to 1
        shares: of the classes that are rare in the training split, what is kept of them (`minigen.data.imbalance`)

    >>> from minigen.data import open_dataset
    >>> source = open_dataset("ring8")
    >>> source.kind, source.shape, source.classes, source.centers.shape, source.std
    ('point', (2,), 8, (8, 2), 0.01)
    >>> source.load("test")
    ArrayDataset(2500 samples of float32[2], int64[])
    """

    name: str
    description: str
    kind: str
    shape: tuple[int, ...]
    classes: int
    read: Callable[[str], tuple[Any, np.ndarray]] = field(repr=False)
    class_names: tuple[str, ...] = ()
    centers: np.ndarray | None = field(default=None, repr=False)
    std: float | None = None
    intrinsic_dim: int | None = None
    draw: Callable[[int, Generator], tuple[np.ndarray, np.ndarray]] | None = field(default=None, repr=False)
    shares: dict[int, float] = field(default_factory=dict)

    def load(self, split: str = "train", scale: str = "unit") -> Samples:
        """The samples and labels of one split.

        Args:
            split: 'train' or 'test' (what is held out)
            scale: of the pixels of images: 'unit' for [0, 1], 'tanh' for [-1, 1]; points are as they are in both

        Returns:
            A dataset for `DataLoader`: its length, samples (n, *shape) float32 and labels (n,) int64 at given indices,
            and `arrays`, all of them at once. With an imbalance, the training split lacks what it leaves out.

        Raises:
            UserError: An unknown split or scale; files that are missing or damaged.
        """
        check_split(split)
        check_scale(scale)
        samples, labels = self.read(split)
        if split == "train" and self.shares:
            kept = keep_shares(labels, self.shares)
            if len(kept) == 0:
                raise UserError(f"The imbalance leaves nothing of {self.name!r} to train on: keep more of some class.")
            samples, labels = samples[kept], labels[kept]
        return ImageDataset(samples, labels, scale) if self.kind == "image" else ArrayDataset(samples, labels)


def check_split(split: str) -> None:
    """Raise a UserError unless `split` is 'train' or 'test'."""
    if split not in SPLITS:
        raise UserError(f"A dataset has the splits 'train' and 'test', not {split!r}.")


def check_scale(scale: str) -> None:
    """Raise a UserError unless `scale` is 'unit' or 'tanh'."""
    if scale not in SCALES:
        raise UserError(f"Images come in the scales 'unit' ([0, 1]) and 'tanh' ([-1, 1]), not {scale!r}.")


def check_image_size(image_size: int, largest: int, why: str) -> int:
    """`image_size` as an int; a UserError unless it is an integer from 1 to `largest`, which the sentence explains."""
    is_integer = isinstance(image_size, (int, np.integer)) and not isinstance(image_size, bool)
    if not is_integer or not 1 <= image_size <= largest:
        raise UserError(f"The image size must be a whole number from 1 to {largest} ({why}), not {image_size!r}.")
    return int(image_size)
