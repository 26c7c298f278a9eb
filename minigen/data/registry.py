"""The datasets that can be asked for by name, on the command line too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from minigen.data.digits import load_digits
from minigen.data.imbalance import Imbalance, parse_imbalance
from minigen.data.mixtures import grid, grid_centers, ring, ring_centers
from minigen.data.source import SPLITS, DataSource, Samples, as_arrays
from minigen.errors import unknown_name
from minigen.random import Generator

POINTS = {"train": 10_000, "test": 2_500}  # 2,500 is how many VEEGAN and PacGAN judge by

Draw = Callable[[int, Generator], tuple[np.ndarray, np.ndarray]]


def _points(
    name: str,
    description: str,
    classes: int,
    draw: Draw,
    centers: np.ndarray | None = None,
    std: float | None = None,
) -> DataSource:
    def read(split: str, scale: str) -> tuple[np.ndarray, np.ndarray]:
        stream = Generator(0).spawn(SPLITS.index(split))  # as with the digits, no user's seed changes the data
        return draw(POINTS[split], stream)

    shape = (2,) if centers is None else centers.shape[1:]
    return DataSource(name, description, "point", shape, classes, as_arrays(read), centers=centers, std=std, draw=draw)


DATASETS: dict[str, DataSource] = {
    source.name: source
    for source in (
        DataSource("digits", "1,797 real handwritten digits, 8×8", "image", (1, 8, 8), 10, as_arrays(load_digits)),
        _points("ring8", "8 Gaussians on a circle of radius 1", 8, ring, ring_centers(), 0.01),
        _points("grid25", "25 Gaussians on a 5×5 grid", 25, grid, grid_centers(), 0.05),
    )
}


def open_dataset(
    name: str,
    root: str | None = None,
    image_size: int | None = None,
    imbalance: Imbalance | None = None,
) -> DataSource:
    """The dataset of that name.

    Args:
        name: a name in `DATASETS`
        imbalance: "CLASS:SHARE,…" or a mapping: the shares of the classes that are to be rare in the training split
            (`parse_imbalance`)

    Raises:
        UserError: An unknown name (the sentence lists those there are, and the closest), or a wrong imbalance.

    >>> open_dataset("digits").shape
    (1, 8, 8)
    >>> len(open_dataset("digits").load("train")), len(open_dataset("digits", imbalance="0:0.02").load("train"))
    (1437, 1298)
    """
    if name not in DATASETS:
        raise unknown_name("dataset", name, DATASETS)
    source = DATASETS[name]
    if imbalance is None:
        return source
    return replace(source, shares=parse_imbalance(imbalance, source.classes, source.class_names))


def load(name: str, split: str = "train", scale: str = "unit", **options: Any) -> Samples:
    """The samples and labels of one split: `open_dataset(name, **options).load(split, scale)` in one line.

    >>> load("ring8", "test")
    ArrayDataset(2500 samples of float32[2], int64[])
    """
    return open_dataset(name, **options).load(split, scale)
