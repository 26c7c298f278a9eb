"""Datasets and the loader that cuts them into batches.

    source = open_dataset("photographs")             # a name in DATASETS, or a folder of your own pictures
    for images, labels in DataLoader(source.load("train"), batch_size=64): ...

`registry` finds a dataset by name; `digits`, `photographs`, `points`, `mnist`, `cifar` and `folder` make them; `DataLoader`
yields seeded, resumable batches; `read_image` and `write_image` are for single pictures, and `corruptions` spoils them.
"""

from minigen.data.dataset import ArrayDataset, Dataset, ImageDataset
from minigen.data.digits import load_digits
from minigen.data.images import read_image, write_image
from minigen.data.loader import DataLoader
from minigen.data.photographs import load_photographs
from minigen.data.registry import DATASETS, load, open_dataset
from minigen.data.source import DataSource

__all__ = [
    "DATASETS",
    "ArrayDataset",
    "DataLoader",
    "DataSource",
    "Dataset",
    "ImageDataset",
    "load",
    "load_digits",
    "load_photographs",
    "open_dataset",
    "read_image",
    "write_image",
]
