"""The datasets that can be asked for by name, on the command line too."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from minigen.data.cifar import open_cifar10
from minigen.data.digits import open_digits, open_digits28
from minigen.data.folder import open_folder
from minigen.data.imbalance import Imbalance, parse_imbalance
from minigen.data.mnist import open_fashion_mnist, open_mnist
from minigen.data.photographs import open_photographs
from minigen.data.points import open_grid25, open_mixture1200, open_moons, open_ring8, open_spiral
from minigen.data.source import DataSource, Samples
from minigen.errors import UserError, unknown_name

DATASETS: dict[str, DataSource] = {
    source.name: source
    for source in (
        open_digits(),
        open_digits28(),
        open_photographs(),
        open_ring8(),
        open_grid25(),
        open_spiral(),
        open_moons(),
        open_mixture1200(),
        open_mnist(),
        open_fashion_mnist(),
        open_cifar10(),
    )
}

_WITH_ROOT: dict[Any, Callable[..., DataSource]] = {
    "mnist": open_mnist,
    "fashion-mnist": open_fashion_mnist,
    "cifar10": open_cifar10,
}
_WITH_SIZE: dict[Any, Callable[..., DataSource]] = {"photographs": open_photographs}


def open_dataset(
    name: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    image_size: int | None = None,
    imbalance: Imbalance | None = None,
) -> DataSource:
    """The dataset of that name, or the pictures in that folder.

    Args:
        name: a name in `DATASETS`, or the path of a folder of pictures (`minigen.data.folder`); where a folder is called
            like a dataset, write ./NAME
        root: for datasets that come in files: the folder that has them, or that they are downloaded to
        image_size: for photographs and folders: pixels down and across a sample
        imbalance: "CLASS:SHARE,…" or a mapping: the shares of the classes that are to be rare in the training split
            (`parse_imbalance`)

    Raises:
        UserError: An unknown name (the sentence lists those there are, and the closest), an option that the dataset does
            not have, a wrong imbalance, or a folder without pictures.

    >>> open_dataset("digits").shape
    (1, 8, 8)
    >>> len(open_dataset("digits").load("train")), len(open_dataset("digits", imbalance="0:0.02").load("train"))
    (1437, 1298)
    """
    source = _find(name, root, image_size)
    if imbalance is None:
        return source
    return replace(source, shares=parse_imbalance(imbalance, source.classes, source.class_names))


def _find(name: str | os.PathLike[str], root: str | os.PathLike[str] | None, image_size: int | None) -> DataSource:
    if root is not None and name not in _WITH_ROOT:
        raise UserError(f"Only {', '.join(_WITH_ROOT)} come in files of their own, so {name} takes no data root.")
    if image_size is not None and name in DATASETS and name not in _WITH_SIZE:
        sides = [str(side) for side in DATASETS[name].shape]
        shape = "×".join(sides) if len(sides) > 1 else f"points of {sides[0]} numbers"
        raise UserError(
            f"The image size is a choice for {', '.join(_WITH_SIZE)} and folders of pictures; samples of {name} are {shape}."
        )
    if name in _WITH_ROOT:
        return _WITH_ROOT[name](root)
    if name in _WITH_SIZE and image_size is not None:
        return _WITH_SIZE[name](image_size)
    if name in DATASETS:
        return DATASETS[name]
    if os.path.isdir(name):
        return open_folder(name, image_size)
    if os.path.exists(name):
        raise UserError(f"{os.fspath(name)} is a file: a dataset is a name or a folder of pictures.")
    if len(Path(name).parts) > 1:
        raise UserError(f"There is no folder {os.fspath(name)}; give the name of a dataset, or a folder of pictures.")
    raise unknown_name("dataset", os.fspath(name), DATASETS)


def load(name: str, split: str = "train", scale: str = "unit", **options: Any) -> Samples:
    """The samples and labels of one split: `open_dataset(name, **options).load(split, scale)` in one line.

    >>> load("ring8", "test")
    ArrayDataset(2500 samples of float32[2], int64[])
    """
    return open_dataset(name, **options).load(split, scale)
