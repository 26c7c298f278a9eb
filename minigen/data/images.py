"""Picture files, whatever is in them, as arrays of numbers from 0 to 1, and back.

Every kind of pixel that Pillow reads is taken: grey of 1, 8, 16 or 32 bits, colours, palettes, CMYK, with transparency or
without. What is transparent is laid on white paper; a photograph is turned as its EXIF tag says; of a film, the first
frame counts.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigen.errors import ShapeError, UserError
from minigen.files import atomic_write

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(
    [
        ".png",
        ".apng",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".bmp",
        ".dib",
        ".gif",
        ".tif",
        ".tiff",
        ".webp",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".tga",
        ".jp2",
        ".avif",
    ]
)
_GREY = ("1", "L", "LA", "I", "F", "I;16", "I;16B", "I;16L", "I;16N")
_ALPHA = ("LA", "PA", "RGBA", "RGBa")


class UnreadableImage(UserError):
    """A file that holds no picture, or half of one."""


def without_sub_folders(folder: Path) -> str:
    """How to name a folder, in a sentence, of which only the files were looked at."""
    inside = any(entry.is_dir() for entry in folder.iterdir())
    return f"the folder {folder}" + (" itself, and sub-folders are not looked at" if inside else "")


def read_image(path: str | os.PathLike[str], channels: int | None = None) -> np.ndarray:
    """Read a picture of any size, format and mode.

    Args:
        path: of the file
        channels: 1 for grey (0.299 R + 0.587 G + 0.114 B), 3 for red, green and blue; None for 1 if the file is grey

    Returns:
        (channels, H, W) float32 from 0 to 1; 16-bit grey keeps its precision

    Raises:
        UserError: There is no such file, it cannot be read, or it holds no whole picture (`UnreadableImage`).

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "grey.png"
    >>> write_image(path, np.array([[[0.0, 0.2, 1.0]]]))
    >>> read_image(path).astype(float).round(3).tolist()
    [[[0.0, 0.2, 1.0]]]
    >>> read_image(path, channels=3).shape
    (3, 1, 3)
    """
    if channels not in (None, 1, 3):
        raise UserError(f"An image is read with 1 channel or with 3, not with {channels!r}.")
    return _planes(np.asarray(_load(path, channels)), np.float32(255)).astype(np.float32, copy=False)


def read_square(path: str | os.PathLike[str], size: int, channels: int) -> np.ndarray:
    """Read the middle of a picture, resized: the largest square there is, as (channels, size, size) uint8.

    Shrinking averages over all pixels that become one (Pillow's bicubic filter); a smaller picture is enlarged.

    Raises:
        UserError: As `read_image`.
    """
    from PIL import Image

    picture = _load(path, channels, at_least=2 * size)
    side = min(picture.size)
    left, top = (picture.width - side) / 2, (picture.height - side) / 2
    box = (left, top, left + side, top + side)
    square = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC, box))
    return _planes(np.rint(square).clip(0, 255).astype(np.uint8))


def is_grey(path: str | os.PathLike[str]) -> bool:
    """Whether a picture has no colours; a palette counts as colours. Reads the head of the file alone.

    Raises:
        UserError: As `read_image`.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.mode in _GREY
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises what its many decoders raise
        raise _unreadable(path, error) from error


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write a picture as PNG, whole or not at all.

    Args:
        path: a name that ends in .png
        image: (1 or 3, H, W), numbers from 0 to 1; what is outside is clipped, the rest rounded to the nearest of 256 steps

    Raises:
        ShapeError: Another shape, or no pixels.
        UserError: Another ending, NaN, or a path that cannot be written.
        TrainingError: The disk failed or is full.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "red.png"
    >>> write_image(path, np.array([[[1.0]], [[0.0]], [[0.0]]]))
    >>> read_image(path).ravel().tolist()
    [1.0, 0.0, 0.0]
    """
    from io import BytesIO

    from PIL import Image

    image = np.asarray(image)
    if image.ndim != 3 or image.shape[0] not in (1, 3) or image.size == 0:
        raise ShapeError(f"write_image takes an image (1 or 3, H, W), not one of shape {image.shape}.")
    if Path(path).suffix.lower() != ".png":
        raise UserError(f"Images are written as PNG: let the name {os.fspath(path)} end in .png.")
    if np.isnan(image).any():
        raise UserError(f"{int(np.isnan(image).sum())} of {image.size} values of the image are NaN: nothing to write.")
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    buffer = BytesIO()
    Image.fromarray(pixels[:, :, 0] if len(image) == 1 else pixels).save(buffer, format="PNG")
    atomic_write(path, buffer.getbuffer())


def _load(path: str | os.PathLike[str], channels: int | None, at_least: int | None = None) -> Image:
    """The picture in a file, upright and opaque, in mode L, RGB, or F for grey from 0 to 255 with fractions.

    `at_least` lets a JPEG be decoded at a half, a quarter or an eighth of its size, as long as no side becomes smaller.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            if at_least is not None:
                file.draft(None, (at_least, at_least))
            picture = _opaque(ImageOps.exif_transpose(file))
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises what its many decoders raise
        raise _unreadable(path, error) from error
    if channels == 3 and picture.mode == "F":
        return Image.fromarray(np.rint(np.asarray(picture)).astype(np.uint8)).convert("RGB")
    if channels is None or channels == len(picture.getbands()):
        return picture
    return picture.convert("RGB" if channels == 3 else "L")


def _opaque(picture: Image) -> Image:
    """A picture of any mode as L, RGB, or F from 0 to 255."""
    from PIL import Image

    grey = picture.mode in _GREY
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        return Image.fromarray(_light(np.asarray(picture, np.float32), is_float=picture.mode == "F"))
    if picture.mode in _ALPHA or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, with_alpha).convert("RGB")
    return picture.convert("L" if grey else "RGB")


def _light(values: np.ndarray, is_float: bool) -> np.ndarray:
    """Grey values of 16 or 32 bits, or fractions, as float32 from 0 to 255."""
    if not np.isfinite(values).all():
        raise ValueError("some of its values are NaN or infinite")
    white = 65535.0
    if is_float:  # no standard says what is white: the least of 1, 255 and 65535 that no value exceeds
        white = next((w for w in (1.0, 255.0) if values.max() <= w), 65535.0)
    return (values / np.float32(white)).clip(0, 1) * np.float32(255)


def _planes(pixels: np.ndarray, over: np.float32 | None = None) -> np.ndarray:
    """(H, W) or (H, W, 3) → (1 or 3, H, W), divided by `over`."""
    planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return np.ascontiguousarray(planes if over is None else planes / over)


def _unreadable(path: str | os.PathLike[str], error: Exception) -> UserError:
    name = os.fspath(path)
    if isinstance(error, FileNotFoundError):
        return UserError(f"There is no file {name}.")
    if isinstance(error, IsADirectoryError):
        return UserError(f"{name} is a folder, not a picture.")
    if isinstance(error, PermissionError):
        return UserError(f"The file {name} may not be read: no permission.")
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return UnreadableImage(f"The file {name} is not a picture in a format that is known here.")
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return UnreadableImage(f"The picture {name} is damaged, or too large to be one: {reason}.")
