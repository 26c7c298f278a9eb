"""A folder of the user's own pictures as a data set: any size, format and mode, each cut to a square and resized."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np

from minigen.data.digits import split_indices
from minigen.data.images import SUFFIXES, is_grey, read_square
from minigen.data.progress import track
from minigen.data.source import SPLITS, DataSource, check_image_size
from minigen.errors import UserError

LARGEST = 4096


class BrokenImageWarning(UserWarning):
    """A picture was left out because it cannot be read; the text names it and says why."""


def open_folder(path: str | os.PathLike[str], image_size: int | None = None) -> DataSource:
    """The data source of a folder of pictures.

    All pictures in the folder and its sub-folders are taken, by their ending (`minigen.data.images.SUFFIXES`); names that
    begin with a dot are passed over. Of each, the largest square in its middle is resized to image_size × image_size.
    All have three channels, or one where every picture is grey. Those that cannot be read are left out with a
    `BrokenImageWarning` each.

    The classes are the sub-folders, by name, where every picture lies in one and there are at least two; else there are
    no labels. One picture in five of each class, chosen once and for all by its place in the order of names, is held
    out.

    Heads of the files are read here; the pixels of a split when it is loaded, and kept as bytes.

    Args:
        path: the folder
        image_size: pixels down and across a sample, from 1 to 4096; 64 unless given

    Raises:
        UserError: No such folder, fewer than two pictures in it, or an image size out of range.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise UserError(f"There is no folder {path}.")
    size = check_image_size(64 if image_size is None else image_size, LARGEST, "the side of a sample")
    files, grey = _readable(folder)
    if len(files) < 2:
        found = "no picture that can be read" if not files else f"only one picture that can be read, {files[0].name}"
        raise UserError(
            f"The folder {path} holds {found}: it takes at least two (one to train on, one held out), in files whose "
            "names end in .png, .jpg or the like."
        )
    names = [file.relative_to(folder).parts[0] for file in files]
    classes = sorted(set(names)) if all(len(file.relative_to(folder).parts) > 1 for file in files) else []
    classes = classes if len(classes) > 1 else []
    labels = np.array([classes.index(name) if classes else 0 for name in names], np.int64)
    indices = dict(zip(SPLITS, split_indices(labels)))
    channels = 1 if all(grey) else 3

    @lru_cache(maxsize=len(SPLITS))
    def pixels(split: str) -> tuple[np.ndarray, np.ndarray]:
        images, kept = _read_all([files[index] for index in indices[split]], size, channels)
        if len(kept) == 0:
            raise UserError(
                f"None of the {len(indices[split])} pictures of {path} that are "
                f"{'held out' if split == 'test' else 'to train on'} can be read."
            )
        return images, labels[indices[split]][kept]

    description = f"{len(files)} pictures in {path}, cut to {size}×{size}"
    return DataSource(
        os.fspath(path), description, "image", (channels, size, size), len(classes), pixels, class_names=tuple(classes)
    )


def _readable(folder: Path) -> tuple[list[Path], list[bool]]:
    """The pictures in a folder whose heads can be read, in the order of their names, and which are grey."""
    files: list[Path] = []
    walked: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if os.path.realpath(place) in walked:  # a link that leads back up
            folders.clear()
            continue
        walked.add(os.path.realpath(place))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(place, n) for n in names if Path(n).suffix.lower() in SUFFIXES and not n.startswith(".")]
    readable, grey = [], []
    for file in sorted(files, key=lambda file: file.relative_to(folder).parts):
        try:
            grey.append(is_grey(file))
            readable.append(file)
        except UserError as error:
            _warn(error)
    return readable, grey


def _read_all(files: list[Path], size: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """(n, channels, size, size) uint8, and the indices of the n files that could be read."""
    images = np.empty((len(files), channels, size, size), np.uint8)

    def read(index: int) -> UserError | None:
        try:
            images[index] = read_square(files[index], size, channels)
        except UserError as error:
            return error
        return None

    kept = []
    with ThreadPoolExecutor() as threads:  # Pillow decodes and resizes without holding the interpreter
        for index, error in enumerate(track(threads.map(read, range(len(files))), len(files), "Reading pictures")):
            if error is None:
                kept.append(index)
            else:
                _warn(error)
    return (images if len(kept) == len(files) else images[kept]), np.array(kept, np.int64)


def _warn(error: UserError) -> None:
    warnings.warn(f"{str(error).rstrip('.')}; it is left out.", BrokenImageWarning, stacklevel=2)
