"""Datasets and the loader that cuts them into batches.

`registry` finds a dataset by name (`load("digits", "train")`), `digits` and `mixtures` make them, `ArrayDataset` holds
arrays in memory, and `DataLoader` yields seeded, resumable batches.
"""

from minigen.data.dataset import ArrayDataset, Dataset
from minigen.data.digits import load_digits
from minigen.data.loader import DataLoader
from minigen.data.registry import DATASETS, DatasetInfo, dataset_info, load

__all__ = ["DATASETS", "ArrayDataset", "DataLoader", "Dataset", "DatasetInfo", "dataset_info", "load", "load_digits"]
