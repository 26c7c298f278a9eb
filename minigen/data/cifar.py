"""CIFAR-10, from its binary version. (The version for Python is pickled, and what unpickles may run anything.)"""

from __future__ import annotations

import os
import tarfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from minigen.data.download import Remote, data_root, fetch, find
from minigen.data.source import DataSource
from minigen.errors import UserError

_ARCHIVE = "cifar-10-binary.tar.gz"
_BATCHES = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
_RECORD = 1 + 3 * 32 * 32  # a label; then red, green and blue, each row after row

CIFAR10 = Remote(
    "cifar10",
    ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/"),
    {_ARCHIVE: "c32a1d4ab5d03f1284b67883e8d87530"},
    also_in=("cifar10/cifar-10-batches-bin", "cifar-10-batches-bin"),  # what the archive unpacks to
)
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def open_cifar10(root: str | os.PathLike[str] | None = None, remote: Remote = CIFAR10) -> DataSource:
    """The data source `cifar10`: 50,000 colour photographs to train on and 10,000 held out, 32×32 (Krizhevsky, 2009).

    Nothing is read before a split is loaded. It is taken from the unpacked files (`data_batch_1.bin`, …, those that are
    there, and `test_batch.bin`) or from the archive `cifar-10-binary.tar.gz`, in `root`/cifar10, in
    `root`/cifar-10-batches-bin or in `root` itself; where there is neither, the archive is downloaded to `root`/cifar10,
    if its checksum is right.

    Args:
        root: the folder; unless given, what MINIGEN_DATA names, or else ~/.cache/minigen
        remote: what the archive is called, and where it is to be had
    """

    @lru_cache(maxsize=2)
    def read(split: str) -> tuple[np.ndarray, np.ndarray]:
        folder = data_root(root)
        files = [path for name in _BATCHES[split] if (path := find(remote, (name,), folder))]
        if files:
            parts = [(str(path), _content(path)) for path in files]
        else:
            archive = find(remote, (_ARCHIVE,), folder) or fetch(remote, _ARCHIVE, folder)
            parts = _unpack(archive, _BATCHES[split])
        records = np.concatenate([parse_batch(name, content) for name, content in parts])
        return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)

    description = "60,000 small photographs of ten kinds, 32×32 in colour (a download of 170 MB)"
    return DataSource("cifar10", description, "image", (3, 32, 32), 10, read, class_names=NAMES)


def parse_batch(name: str, content: bytes) -> np.ndarray:
    """Split a batch into records of 3,073 bytes: (n, 3073) uint8, in each the label and three planes of 32×32.

    Raises:
        UserError: The length is no multiple of that, or a label is above 9; the sentence names the file as `name`.
    """
    if len(content) == 0 or len(content) % _RECORD:
        raise _damaged(name, f"it has {len(content)} bytes, and not {_RECORD} for each image")
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    if records[:, 0].max() > 9:
        raise _damaged(name, f"it has a label of {records[:, 0].max()}, and there are 0 to 9")
    return records


def _unpack(archive: Path, names: tuple[str, ...]) -> list[tuple[str, bytes]]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                name = os.path.basename(member.name)
                if name in names and (file := tar.extractfile(member)):
                    found[name] = file.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise _damaged(str(archive), str(error)) from error
    if not found:
        raise _damaged(str(archive), f"there is no {names[0]} in it")
    return [(f"{name} in {archive}", found[name]) for name in sorted(found)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read {path} ({error.strerror}).") from error


def _damaged(name: str, reason: str) -> UserError:
    return UserError(
        f"{name} is damaged ({reason.rstrip('.')}): put a whole one of the binary version in its place, or delete it to have "
        "it downloaded."
    )
