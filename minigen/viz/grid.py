"""Many images in one picture."""

from __future__ import annotations

import math

import numpy as np

from minigen.errors import ShapeError, UserError
from minigen.viz.picture import Picture, saver

BACKGROUND = 200  # the grey between images: apart from black digits' grounds and from white paper
_LEGIBLE = 48  # pixels: tiny images are enlarged to at least this on their longer side


def image_grid(
    images: np.ndarray,
    columns: int | None = None,
    padding: int = 1,
    value_range: tuple[float, float] = (0.0, 1.0),
) -> np.ndarray:
    """Lay images out in rows, from left to right and from the top down.

    Args:
        images: (n, c, h, w), c = 1 (grey) or 3 (red, green, blue)
        columns: images in a row; the next whole number to √n unless given
        padding: pixels of grey around each image
        value_range: the values shown as black and as full light; others are clipped

    Returns:
        uint8 array (H, W) for c = 1 and (H, W, 3) for c = 3, with H = rows·(h + padding) + padding and W alike

    Raises:
        ShapeError: Not (n, 1 or 3, h, w), or no images.
        UserError: Columns, padding or value range out of range, or values that are NaN.

    >>> image_grid(np.array([0.0, 0.5, 1.0]).reshape(3, 1, 1, 1), columns=2)
    array([[200, 200, 200, 200, 200],
           [200,   0, 200, 128, 200],
           [200, 200, 200, 200, 200],
           [200, 255, 200, 200, 200],
           [200, 200, 200, 200, 200]], dtype=uint8)
    """
    pixels = _to_bytes(images, value_range)
    n, h, w, c = pixels.shape
    columns = math.ceil(math.sqrt(n)) if columns is None else columns
    if columns < 1 or padding < 0:
        raise UserError(f"A grid needs at least 1 column and a padding of 0 or more, not {columns} and {padding}.")
    columns = min(columns, n)
    rows = math.ceil(n / columns)
    cells = np.full((rows * columns, h + padding, w + padding, c), BACKGROUND, np.uint8)
    cells[:n, padding:, padding:] = pixels
    body = cells.reshape(rows, columns, h + padding, w + padding, c)
    body = body.transpose(0, 2, 1, 3, 4).reshape(rows * (h + padding), columns * (w + padding), c)
    picture = np.full((len(body) + padding, body.shape[1] + padding, c), BACKGROUND, np.uint8)
    picture[: len(body), : body.shape[1]] = body
    return picture[:, :, 0] if c == 1 else picture


def draw_image_grid(
    images: np.ndarray,
    columns: int | None = None,
    padding: int = 1,
    value_range: tuple[float, float] = (0.0, 1.0),
    scale: int | None = None,
) -> Picture:
    """Draw `image_grid(images, …)`.

    Args:
        images, columns, padding, value_range: as for `image_grid`
        scale: each pixel becomes scale × scale; unless given, what brings tiny images to 48 pixels at least

    Raises:
        ShapeError, UserError: As `image_grid`; a scale below 1.

    >>> draw_image_grid(np.zeros((4, 1, 8, 8)), scale=1)
    <Picture 19×19>
    """
    return Picture(enlarge(image_grid(images, columns, padding, value_range), np.shape(images), scale))


save_image_grid = saver(draw_image_grid)


def _to_bytes(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """(n, c, h, w) of any number type → (n, h, w, c) uint8."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise ShapeError(
            f"Images must have the shape (n, 1 or 3, h, w) with n, h, w of at least 1, not {images.shape}."
        )
    low, high = value_range
    if not low < high:
        raise UserError(f"A value range goes from a lower to a higher value, not {value_range}.")
    light = (images.astype(np.float64) - low) / (high - low)
    if np.isnan(light).any():
        raise UserError(f"{int(np.isnan(light).sum())} of {light.size} values of the images are NaN: nothing to show.")
    return np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8).transpose(0, 2, 3, 1)


def enlarge(grid: np.ndarray, shape: tuple[int, ...], scale: int | None) -> np.ndarray:
    """Make each pixel of a grid scale × scale; unless given, what brings tiny images (…, h, w) to 48 pixels at least."""
    scale = max(1, math.ceil(_LEGIBLE / max(shape[-2:]))) if scale is None else scale
    if scale < 1:
        raise UserError(f"A picture is enlarged by a whole number of at least 1, not {scale}.")
    return grid.repeat(scale, axis=0).repeat(scale, axis=1)
