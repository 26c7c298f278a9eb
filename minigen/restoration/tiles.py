"""Restoring an image of any size piece by piece: overlapping tiles, blended smoothly where they overlap."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigen.errors import ShapeError, UserError

Restore = Callable[[np.ndarray, np.ndarray | None], np.ndarray]  # images and masks of known pixels to images


def restore_by_tiles(
    restore: Restore,
    image: np.ndarray,
    mask: np.ndarray | None = None,
    tile: int = 128,
    overlap: int = 32,
    batch_size: int = 8,
) -> np.ndarray:
    """Restore one image by tiles of a fixed size, so that memory does not grow with the image.

    The tiles lie evenly, at least `overlap` pixels over each other. Each counts with a weight that falls towards its
    borders, so that no seam shows; the weights are added up tile by tile in double precision and divided out at the end.
    An image that is smaller than a tile in one direction has tiles of its own size there.

    Args:
        restore: images (n, C, h, w) and their masks (n, 1, h, w), or None, to restored images of the same shape.
        image: (C, H, W).
        mask: (H, W), 1 where a pixel is known, or None.
        tile: side of a tile.
        overlap: pixels that neighbours share at least, less than `tile`.
        batch_size: tiles restored at once.

    Returns:
        (C, H, W) float32.

    Raises:
        UserError: a tile or an overlap that cannot be.
        ShapeError: not (C, H, W), or a mask of another size.

    >>> image = np.arange(300, dtype=np.float32).reshape(1, 20, 15)
    >>> twice = restore_by_tiles(lambda x, mask: 2 * x, image, tile=8, overlap=3)
    >>> bool(np.allclose(twice, 2 * image))
    True
    """
    if not (0 <= overlap < tile and batch_size >= 1):
        raise UserError(
            f"Tiles of {tile} pixels cannot overlap by {overlap} in batches of {batch_size}: the overlap must be less "
            "than the tile, and the batch at least 1."
        )
    if image.ndim != 3 or 0 in image.shape or (mask is not None and mask.shape != image.shape[1:]):
        raise ShapeError(
            f"restore_by_tiles: takes an image (C, H, W) and a mask (H, W), not {image.shape} and "
            f"{None if mask is None else mask.shape}."
        )
    _, h, w = image.shape
    height, width = min(tile, h), min(tile, w)
    window = np.outer(_window(height, overlap), _window(width, overlap))
    corners = [(top, left) for top in _starts(h, height, overlap) for left in _starts(w, width, overlap)]
    total, weights = np.zeros(image.shape), np.zeros((h, w))
    for first in range(0, len(corners), batch_size):
        places = [np.s_[top : top + height, left : left + width] for top, left in corners[first : first + batch_size]]
        pieces = np.stack([image[:, *place] for place in places]).astype(np.float32)
        masks = None if mask is None else np.stack([mask[place] for place in places])[:, None].astype(np.float32)
        for place, restored in zip(places, restore(pieces, masks)):
            total[:, *place] += window * restored
            weights[place] += window
    return (total / weights).astype(np.float32)


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin: the first at 0, the last at the end, evenly between, overlapping enough."""
    steps = -(-(length - tile) // (tile - min(overlap, tile - 1)))
    return [round(i * (length - tile) / steps) for i in range(steps + 1)] if steps else [0]


def _window(tile: int, overlap: int) -> np.ndarray:
    """Weights along one side: 1 in the middle, falling over `overlap` pixels as a raised cosine, and never 0."""
    distance = np.minimum(np.arange(tile), np.arange(tile)[::-1]) + 0.5  # of pixel centres from the border
    return np.sin(0.5 * np.pi * np.clip(distance / max(overlap, 1), 0, 1)) ** 2
