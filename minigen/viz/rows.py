"""Rows of images with words beside them: originals over reconstructions, what a class looks like, what a cluster holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from minigen.errors import ShapeError, UserError
from minigen.viz.grid import BACKGROUND, enlarge, image_grid
from minigen.viz.picture import Picture, saver
from minigen.viz.titled import Titled, titled

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

_LETTERS = 14
_SMALL = 9
_UNIT = 16  # pixels: half the height of a title, and the space around text
_LINE = 14  # pixels from one line of a caption to the next


def draw_rows(
    rows: Titled,
    value_range: tuple[float, float] = (0.0, 1.0),
    scale: int | None = None,
) -> Picture:
    """Draw rows of images, each labelled at its left; a shorter row leaves grey.

    Args:
        rows: label and images (n, c, h, w), c = 1 or 3, of one shape but for n, which may be 0 in some; pairs, or a
            dictionary
        value_range, scale: as for `draw_image_grid`

    Raises:
        ShapeError, UserError: As `draw_image_grid`; rows without labels, or none.

    >>> picture = draw_rows([("real", np.zeros((3, 1, 8, 8))), ("fake", np.ones((2, 1, 8, 8)))])
    """
    labelled = titled("rows", rows)
    if not labelled:
        raise UserError("There are no rows to draw.")
    return Picture(np.asarray(_strip(labelled, (), value_range, scale)))


save_rows = saver(draw_rows)


def draw_panels(
    panels: Titled,
    columns: int,
    value_range: tuple[float, float] = (0.0, 1.0),
    scale: int | None = None,
) -> Picture:
    """Draw several grids side by side, each under its title.

    Args:
        panels: title → images (n, c, h, w), c = 1 or 3: a dictionary, or pairs
        columns: images in a row of each grid
        value_range, scale: as for `draw_image_grid`

    Raises:
        ShapeError, UserError: As `draw_image_grid`; panels without titles, or none.

    >>> picture = draw_panels({"real": np.zeros((4, 1, 8, 8)), "fake": np.ones((4, 1, 8, 8))}, columns=2)
    """
    from PIL import Image, ImageDraw

    font = _font(_LETTERS)
    parts = []
    for title, images in titled("panels", panels):
        grid = Image.fromarray(enlarge(image_grid(images, columns, 1, value_range), np.shape(images), scale))
        width = max(grid.width, int(font.getlength(title)) + _UNIT)
        part = Image.new("RGB", (width, grid.height + 2 * _UNIT), "white")
        part.paste(grid, ((width - grid.width) // 2, 2 * _UNIT))
        ImageDraw.Draw(part).text((width / 2, _UNIT), title, fill="black", font=font, anchor="mm")
        parts.append(part)
    if not parts:
        raise UserError("There are no panels to draw.")
    picture = Image.new("RGB", (sum(p.width for p in parts) + _UNIT * (len(parts) - 1), max(p.height for p in parts)))
    picture.paste("white", (0, 0, *picture.size))
    left = 0
    for part in parts:
        picture.paste(part, (left, 0))
        left += part.width + _UNIT
    return Picture(np.asarray(picture))


save_panels = saver(draw_panels)


def draw_reconstructions(
    originals: np.ndarray,
    reconstructions: np.ndarray,
    columns: int = 10,
    value_range: tuple[float, float] = (0.0, 1.0),
    scale: int | None = None,
    captions: Sequence[str] = (),
) -> Picture:
    """Draw rows in pairs, labelled at the left: originals, and below each its reconstruction.

    Args:
        originals, reconstructions: (n, c, h, w), c = 1 or 3, in the same order
        columns: pairs in a row
        value_range, scale: as for `draw_image_grid`
        captions: a few short lines to stand below each pair; none, or n of them

    Raises:
        ShapeError, UserError: As `draw_image_grid`; shapes that differ.

    >>> digits = np.zeros((2, 1, 8, 8))
    >>> picture = draw_reconstructions(digits, digits, columns=2)
    """
    originals, reconstructions = np.asarray(originals), np.asarray(reconstructions)
    if originals.shape != reconstructions.shape:
        raise ShapeError(
            "Originals and reconstructions must have one shape, "
            f"but they have {originals.shape} and {reconstructions.shape}."
        )
    if columns < 1:
        raise UserError(f"A grid needs at least 1 column, not {columns}.")
    strips = []
    for start in range(0, max(len(originals), 1), columns):
        chosen = slice(start, start + columns)
        pair = [("original", originals[chosen]), ("reconstruction", reconstructions[chosen])]
        strips.append(_strip(pair, captions[chosen], value_range, scale))
    return Picture(np.asarray(_stack(strips)))


save_reconstructions = saver(draw_reconstructions)


def _strip(
    rows: Sequence[tuple[str, np.ndarray]],
    captions: Sequence[str],
    value_range: tuple[float, float],
    scale: int | None,
) -> Image:
    """Labelled rows of images, with a caption below each column."""
    from PIL import Image, ImageDraw

    font, small = _font(_LETTERS), _font(_SMALL)
    columns = max((len(images) for _, images in rows), default=0)
    filled = [_fill_up(np.asarray(images), columns, value_range) for _, images in rows]
    images = np.concatenate(filled) if filled else np.empty((0, 1, 1, 1))
    grid = enlarge(image_grid(images, columns or None, 1, value_range), images.shape, scale)
    margin = int(max(font.getlength(label) for label, _ in rows)) + _UNIT
    lines = max((caption.count("\n") + 1 for caption in captions), default=0)
    strip = Image.new("RGB", (margin + grid.shape[1], len(grid) + _LINE * lines), "white")
    strip.paste(Image.fromarray(grid), (margin, 0))
    draw = ImageDraw.Draw(strip)
    for number, (label, _) in enumerate(rows):
        middle = (number + 0.5) * len(grid) / len(rows)
        draw.text((margin - _UNIT / 2, middle), label, fill="black", font=font, anchor="rm")
    for number, caption in enumerate(captions):
        middle = margin + (number + 0.5) * grid.shape[1] / columns
        for line, text in enumerate(caption.split("\n")):
            draw.text((middle, len(grid) + (line + 0.5) * _LINE), text, fill="black", font=small, anchor="mm")
    return strip


def _font(size: int) -> FreeTypeFont:
    """The font that comes with matplotlib: Pillow's own has no Greek letters."""
    from matplotlib import get_data_path
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)


def _fill_up(images: np.ndarray, columns: int, value_range: tuple[float, float]) -> np.ndarray:
    """The images, and the grey of the ground up to so many."""
    if len(images) == columns:
        return images
    low, high = value_range
    grey = np.full((columns - len(images), *images.shape[1:]), low + (high - low) * BACKGROUND / 255)
    return np.concatenate([images, grey])


def _stack(strips: Sequence[Image]) -> Image:
    """Strips below one another, with a white gap between."""
    from PIL import Image

    gap = _UNIT // 2
    height = sum(strip.height for strip in strips) + gap * (len(strips) - 1)
    picture = Image.new("RGB", (max(strip.width for strip in strips), height), "white")
    top = 0
    for strip in strips:
        picture.paste(strip, (0, top))
        top += strip.height + gap
    return picture
