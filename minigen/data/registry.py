"""The datasets that can be asked for by name, on the command line too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from minigen.data.digits import open_digits, open_digits28
from minigen.data.imbalance import Imbalance, parse_imbalance
from minigen.data.points import open_grid25, open_mixture1200, open_moons, open_ring8, open_spiral
from minigen.data.source import DataSource, Samples
from minigen.errors import unknown_name

DATASETS: dict[str, DataSource] = {
    source.name: source
    for source in (
        open_digits(),
        open_digits28(),
        open_ring8(),
        open_grid25(),
        open_spiral(),
        open_moons(),
        open_mixture1200(),
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
