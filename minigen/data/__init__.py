"""Datasets and the loader that cuts them into batches.

`registry` finds a dataset by name (`load("digits", "train")`), `digits` and `mixtures` make them, `ArrayDataset` holds
arrays in memory, and `DataLoader` yields seeded, resumable batches.
"""

from minigen.data.dataset import ArrayDataset, Dataset
from minigen.data.digits import load_digits
from minigen.data.loader import DataLoader
from minigen.data.registry import DATASETS, load, open_dataset
from minigen.data.source import DataSource

__all__ = ["DATASETS", "ArrayDataset", "DataLoader", "DataSource", "Dataset", "load", "load_digits", "open_dataset"]
