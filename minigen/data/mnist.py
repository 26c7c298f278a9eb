"""MNIST and Fashion-MNIST, from the four files that each is published in (the idx format)."""

from __future__ import annotations

import gzip
import os
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from minigen.data.download import Remote, data_root, fetch, find
from minigen.data.source import DataSource
from minigen.errors import UserError

_GZIP = b"\x1f\x8b"
_BYTES = 8  # the code for uint8 in an idx file
_PREFIX = {"train": "train", "test": "t10k"}

MNIST = Remote(
    "mnist",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    },
    also_in=("MNIST/raw",),  # where torchvision puts them
)
FASHION_MNIST = Remote(
    "fashion-mnist",
    (
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    },
    also_in=("FashionMNIST/raw",),
)
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def open_mnist(root: str | os.PathLike[str] | None = None, remote: Remote = MNIST) -> DataSource:
    """The data source `mnist`: 60,000 handwritten digits to train on and 10,000 held out, 28×28 (LeCun et al., 1998).

    Nothing is read before a split is loaded. Its two files are taken from `root`/mnist, from `root`/MNIST/raw (where
    torchvision puts them) or from `root` itself, compressed or not, and any number of images will do; what is not there is
    downloaded to `root`/mnist, if its checksum is right.

    Args:
        root: the folder; unless given, what MINIGEN_DATA names, or else ~/.cache/minigen
        remote: what the files are called, and where they are to be had
    """
    return _source("mnist", "70,000 handwritten digits, 28×28 (a download of 12 MB)", (), root, remote)


def open_fashion_mnist(root: str | os.PathLike[str] | None = None, remote: Remote = FASHION_MNIST) -> DataSource:
    """The data source `fashion-mnist`: 60,000 clothes to train on and 10,000 held out, 28×28 (Xiao et al., 2017,
    arXiv 1708.07747). As `open_mnist`, in `root`/fashion-mnist and `root`/FashionMNIST/raw.
    """
    return _source("fashion-mnist", "70,000 clothes, 28×28 in grey (a download of 31 MB)", CLOTHES, root, remote)


def read_idx(path: Path) -> np.ndarray:
    """Read an idx file of bytes: two zeros, the code 8, the number of axes, each axis as 4 bytes (the highest first), data.

    Args:
        path: of the file, compressed by gzip or not, whatever it is called

    Returns:
        uint8 of the shape that the file states

    Raises:
        UserError: The file is damaged, or no idx file of bytes.
    """
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == _GZIP else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, str(error)) from error
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror}).") from error
    if content[:3] != bytes([0, 0, _BYTES]) or len(content) < 4:
        raise _damaged(path, "it does not begin as an idx file of bytes does, with 0, 0, 8")
    axes = content[3]
    shape = (
        tuple(int(n) for n in np.frombuffer(content[4 : 4 + 4 * axes], ">u4")) if len(content) >= 4 + 4 * axes else ()
    )
    expected = 4 + 4 * axes + int(np.prod(shape, dtype=object))
    if len(shape) != axes or len(content) != expected:
        raise _damaged(path, f"it has {len(content)} bytes, not the {expected} that its head states")
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _source(
    name: str, description: str, class_names: tuple[str, ...], root: str | os.PathLike[str] | None, remote: Remote
) -> DataSource:
    @lru_cache(maxsize=2)
    def read(split: str) -> tuple[np.ndarray, np.ndarray]:
        images_file = _file(remote, f"{_PREFIX[split]}-images-idx3-ubyte.gz", data_root(root))
        labels_file = _file(remote, f"{_PREFIX[split]}-labels-idx1-ubyte.gz", data_root(root))
        images, labels = read_idx(images_file), read_idx(labels_file)
        if images.shape[1:] != (28, 28) or len(images) == 0:
            raise UserError(f"{images_file} holds an array {images.shape}, not images (n, 28, 28).")
        if labels.shape != (len(images),) or labels.max() > 9:
            raise UserError(f"{labels_file} does not hold one label from 0 to 9 for each image of {images_file.name}.")
        return images[:, None], labels.astype(np.int64)

    return DataSource(name, description, "image", (1, 28, 28), 10, read, class_names=class_names)


def _file(remote: Remote, filename: str, root: Path) -> Path:
    missing = tuple(name for name in remote.md5 if find(remote, _spellings(name), root) is None)
    return find(remote, _spellings(filename), root) or fetch(remote, filename, root, missing)


def _spellings(filename: str) -> tuple[str, ...]:
    """What a file may be called: compressed or not, and with a dot, as in some collections."""
    dotted = filename.replace("-idx", ".idx")
    return filename, filename.removesuffix(".gz"), dotted, dotted.removesuffix(".gz")


def _damaged(path: Path, reason: str) -> UserError:
    return UserError(
        f"{path} is damaged ({reason.rstrip('.')}): put a whole one in its place, or delete it to have it downloaded."
    )
