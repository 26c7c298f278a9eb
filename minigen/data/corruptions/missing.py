"""Missing parts. Each function draws a mask (N, 1, H, W) for images (N, C, H, W): 1 where a pixel is known, 0 where not."""

from __future__ import annotations

import numpy as np

from minigen.random import Generator


def missing_blocks(images: np.ndarray, generator: Generator, size: np.ndarray, count: np.ndarray) -> np.ndarray:
    """`count` (N,) squares of `size` (N,) pixels a side, anywhere within the image; they may overlap.

    A block larger than the image is cut to its size, and then nothing is known.
    """
    n, _, h, w = images.shape
    mask = np.ones((n, 1, h, w), np.float32)
    for one, side, blocks in zip(mask, size.tolist(), count.tolist()):
        for _ in range(int(blocks)):
            height, width = min(int(side), h), min(int(side), w)
            top = generator.integers(0, h - height + 1, ())
            left = generator.integers(0, w - width + 1, ())
            one[:, top : top + height, left : left + width] = 0
    return mask


def missing_pixels(images: np.ndarray, generator: Generator, share: np.ndarray) -> np.ndarray:
    """Each pixel is missing with probability `share` (N,), alone."""
    n, _, h, w = images.shape
    return (generator.uniform((n, 1, h, w)) >= share.reshape(-1, 1, 1, 1)).astype(np.float32)


def scratches(images: np.ndarray, generator: Generator, count: np.ndarray, width: np.ndarray) -> np.ndarray:
    """`count` (N,) straight scratches `width` (N,) pixels wide, from a fifth to the whole of the longer side long."""
    n, _, h, w = images.shape
    mask = np.ones((n, 1, h, w), np.float32)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    for one, lines, wide in zip(mask, count.tolist(), width.tolist()):
        for _ in range(int(lines)):
            middle_y, middle_x, turn, reach = generator.uniform((4,)).tolist()
            up, right = y - middle_y * (h - 1), x - middle_x * (w - 1)
            cos, sin = np.cos(np.pi * turn), np.sin(np.pi * turn)
            along, across = right * cos + up * sin, up * cos - right * sin
            half = (0.1 + 0.4 * reach) * max(h, w)
            one[0][(abs(along) <= half) & (abs(across) <= max(wide / 2, 0.5))] = 0
    return mask
