"""Restoring pictures: a trained system on an image of any size, with transparency kept aside and missing parts found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigen.data.corruptions import Corruption
from minigen.data.images import SUFFIXES, UnreadableImage, read_image, without_sub_folders
from minigen.errors import UserError
from minigen.files import atomic_write
from minigen.metrics.restoration import psnr, ssim
from minigen.random import Generator
from minigen.restoration.tiles import restore_by_tiles

if TYPE_CHECKING:
    from minigen.training.systems import System

TILE, OVERLAP = 128, 32  # of networks that take any size


@dataclass
class Restored:
    """One restored image: (C, H, W) from 0 to 1 each; `clean` only where it is known, `mask` where parts are missing."""

    damaged: np.ndarray
    restored: np.ndarray
    mask: np.ndarray | None = None
    clean: np.ndarray | None = None

    def scores(self) -> dict[str, float]:
        """PSNR and SSIM of the damaged and the restored image; nothing where the clean one is not known."""
        if self.clean is None:
            return {}
        return {
            "damaged_psnr": psnr(self.damaged, self.clean),
            "psnr": psnr(self.restored, self.clean),
            "damaged_ssim": ssim(self.damaged, self.clean),
            "ssim": ssim(self.restored, self.clean),
        }


def restore_image(
    system: System, damaged: np.ndarray, mask: np.ndarray | None = None, ensemble: bool = False
) -> np.ndarray:
    """What a trained system makes of a damaged image of any size.

    A network of grey images restores the three channels of a colour image one by one.
    Networks that take any size work on tiles of 128 pixels; those that take one only, on tiles of that size, and an image
    that is smaller is continued by its mirror image first.

    Args:
        system: of a run that restores: `correction-ae`, `restoration-gan`, `denoising-ae`.
        damaged: (C, H, W), with as many channels as the system's images, or three where those are grey.
        mask: (H, W), 1 where a pixel is known; for systems that were trained with missing parts.
        ensemble: the mean over the eight positions of each tile, for networks that take any size.

    Returns:
        (C, H, W) float32 from 0 to 1.

    Raises:
        UserError: the system does not restore.

    >>> from minigen.training.runs import load_system
    >>> system, _ = load_system("runs/correction-ae-1")              # doctest: +SKIP
    >>> restored = restore_image(system, read_image("old.png", 3))   # doctest: +SKIP
    """
    restore = system.restore
    if restore is None:
        raise system.cannot("restore images")
    if len(damaged) == 3 and system.image_shape[0] == 1:
        return np.concatenate([restore_image(system, channel[None], mask, ensemble) for channel in damaged])

    if getattr(system, "any_size", False):
        return restore_by_tiles(partial(restore, ensemble=ensemble), damaged, mask, TILE, OVERLAP)
    side = min(system.image_shape[1:])
    _, h, w = damaged.shape
    around = ((0, 0), (0, max(side - h, 0)), (0, max(side - w, 0)))
    larger = np.pad(damaged, around, mode="symmetric")
    restored = restore_by_tiles(lambda images, masks: restore(images), larger, None, side, side // 2, 256)
    return restored[:, :h, :w].clip(0, 1)


def damage_and_restore(
    system: System, clean: np.ndarray, corruption: Corruption, generator: Generator, ensemble: bool = False
) -> Restored:
    """Damage a clean image, restore it, and keep all three for comparison.

    Args:
        system, ensemble: as for `restore_image`.
        clean: (C, H, W) from 0 to 1.
        corruption: what spoils it.
        generator: where the damage comes from.
    """
    damaged, mask = corruption(clean[None], generator)
    known = None if mask is None else mask[0, 0]
    used = known if takes_mask(system) else None
    restored = restore_image(system, damaged[0], used, ensemble)
    return Restored(damaged[0].clip(0, 1), restored, known, clean)


def takes_mask(system: System) -> bool:
    """Whether the system was trained with missing parts, and wants to be told which."""
    return getattr(system, "any_size", False) and system.corruption.has_mask  # type: ignore[attr-defined]


def find_missing(image: np.ndarray) -> np.ndarray:
    """The mask (H, W) of an image whose missing pixels are black: 0 where all channels are exactly 0, else 1."""
    return np.any(image > 0, axis=0).astype(np.float32)


def list_pictures(path: str | os.PathLike[str]) -> list[Path]:
    """A file alone, or the pictures in a folder by name.

    Raises:
        UserError: there is no such file or folder, or no picture in it.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        raise UserError(f"There is no picture in {without_sub_folders(path)}: put some there, or name a file.")
    return files


def read_with_alpha(path: str | os.PathLike[str], channels: int) -> tuple[np.ndarray, np.ndarray | None]:
    """A picture (channels, H, W) from 0 to 1, and its transparency (H, W) from 0 to 1 where it has some.

    The colours are those of the file, also where it is transparent: nothing is laid on white.

    Raises:
        UserError: as `minigen.data.images.read_image`.
    """
    from PIL import Image, ImageOps

    image = read_image(path, channels)  # what cannot be read is answered there
    try:
        with Image.open(path) as file:
            if "A" not in file.getbands() and "transparency" not in file.info:
                return image, None
            pixels = np.asarray(ImageOps.exif_transpose(file).convert("RGBA"), np.float32) / np.float32(255)
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadableImage(f"The picture {os.fspath(path)} is damaged: {error}.") from error
    colours, alpha = pixels[:, :, :3].transpose(2, 0, 1), pixels[:, :, 3]
    if channels == 1:
        colours = grey_of(colours)
    return np.ascontiguousarray(colours), alpha


def grey_of(colours: np.ndarray) -> np.ndarray:
    """0.299 R + 0.587 G + 0.114 B: (3, H, W) to (1, H, W)."""
    return np.tensordot(np.array([[0.299, 0.587, 0.114]], np.float32), colours, 1)


def write_with_alpha(path: str | os.PathLike[str], image: np.ndarray, alpha: np.ndarray | None) -> None:
    """Write an image as PNG, with its transparency if there is any.

    Args:
        path: of the file.
        image: (1 or 3, H, W) from 0 to 1.
        alpha: (H, W) from 0 to 1, or None.
    """
    from io import BytesIO

    from PIL import Image

    planes = image if alpha is None else np.concatenate([image, alpha[None]])
    pixels = np.rint(planes.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    buffer = BytesIO()
    Image.fromarray(pixels[:, :, 0] if len(planes) == 1 else pixels).save(buffer, format="PNG")
    atomic_write(path, buffer.getbuffer())
