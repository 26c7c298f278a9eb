"""A user's own images, of any size and kind, brought to what a model takes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigen.data.images import SUFFIXES, UnreadableImage, read_square, without_sub_folders
from minigen.errors import UserError
from minigen.training.systems import System

LEAST = 2  # pixels a side: one alone shows nothing


class Inputs(NamedTuple):
    """Images for a model.

    Attributes:
        images: (n, C, H, W) float32 from 0 to 1, n of at least 1
        names: of their files, without the folder
        skipped: a sentence for each file of a folder that was passed over
    """

    images: np.ndarray
    names: list[str]
    skipped: list[str]


def read_inputs(system: System, path: str | os.PathLike[str]) -> Inputs:
    """Read an image, or all images of a folder in the order of their names, in the model's size and number of channels.

    Of each image the largest square in the middle is taken and resized, as when a folder is trained on. In a folder,
    files that are damaged or of one pixel are passed over, and other files and folders are not looked at.

    Args:
        system: of images
        path: a file or a folder

    Raises:
        UserError: no such path, no image in the folder, a file that is no image, or a model of points.

    >>> from minigen.training.runs import load_system
    >>> from minigen.tasks import read_inputs, reconstruct
    >>> system, _ = load_system("runs/ae-1")                              # doctest: +SKIP
    >>> reconstruct(system, read_inputs(system, "mine.jpg").images).psnr  # doctest: +SKIP
    array([21.3])
    """
    path = Path(path)
    if system.source.kind != "image":
        raise UserError(
            f"The run was trained on points, {system.source.name!r}, so there is no use for images from {path}."
        )
    if not path.is_dir():
        return Inputs(_read(system, path)[None], [path.name], [])
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and not file.is_dir())
    if not files:
        raise UserError(f"There is no image in {without_sub_folders(path)}: it needs files such as .png or .jpg.")
    images, names, skipped = [], [], []
    for file in files:
        try:
            images.append(_read(system, file))
            names.append(file.name)
        except UnreadableImage as error:
            skipped.append(str(error))
    if not images:
        others = f" (and none of the other {len(skipped) - 1} is better)" if len(skipped) > 1 else ""
        raise UserError(f"No image in the folder {path} can be used: {skipped[0].rstrip('.')}{others}.")
    return Inputs(np.stack(images), names, skipped)


def _read(system: System, file: Path) -> np.ndarray:
    """(C, H, W) float32 from 0 to 1."""
    from PIL import Image

    channels, height, width = system.image_shape
    if height != width:
        raise UserError(f"Files are brought to square images, and the run was trained on {height}×{width} pixels.")
    square = read_square(file, height, channels)
    with Image.open(file) as picture:
        if min(picture.size) < LEAST:
            raise UnreadableImage(
                f"The image {file} has {picture.height}×{picture.width} pixels, and needs {LEAST} a side at least."
            )
    return square.astype(np.float32) / np.float32(255)
