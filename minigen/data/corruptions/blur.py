"""Blur: out of focus (Gaussian) and in motion. Images (N, C, H, W) from 0 to 1; one value of each parameter an image.

Beyond its border an image is taken to go on as its mirror image (d c b a | a b c d | d c b a).
"""

from __future__ import annotations

import math

import numpy as np

from minigen.random import Generator

_REACH = 4  # a Gaussian is cut off at so many standard deviations


def gaussian_kernel(sigma: float) -> np.ndarray:
    """exp(-(u² + v²)/2σ²) on whole pixels up to 4σ away, divided by its sum; float64.

    >>> gaussian_kernel(0.1).tolist()
    [[1.0]]
    """
    radius = int(_REACH * sigma + 0.5)
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-6)) ** 2)
    line /= line.sum()
    return np.outer(line, line)


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """The path of a camera that stood at `length` places one pixel apart, each for the same time; float64, sum 1.

    The places lie on a line through the centre, at `angle` degrees from the horizontal, counter-clockwise. A place
    between four pixels counts for each of them by its nearness (bilinear).

    >>> motion_kernel(3, 0).round(3).tolist()
    [[0.0, 0.0, 0.0], [0.333, 0.333, 0.333], [0.0, 0.0, 0.0]]
    """
    places = np.arange(round(length)) - (round(length) - 1) / 2
    x, y = places * math.cos(math.radians(angle)), -places * math.sin(math.radians(angle))
    radius = math.ceil(abs(places[-1]))
    grid = np.arange(-radius, radius + 1)
    near_x = np.clip(1 - abs(grid - x[:, None]), 0, None)  # (places, columns)
    near_y = np.clip(1 - abs(grid - y[:, None]), 0, None)
    kernel = near_y.T @ near_x
    return kernel / kernel.sum()


def gaussian_blur(images: np.ndarray, generator: Generator, sigma: np.ndarray) -> np.ndarray:
    """Convolution with `gaussian_kernel(sigma)`, sigma (N,) in pixels."""
    from scipy.ndimage import gaussian_filter

    blurred = [gaussian_filter(x, (0, s, s), mode="reflect", truncate=_REACH) for x, s in zip(images, sigma.tolist())]
    return np.stack(blurred) if blurred else images


def motion_blur(images: np.ndarray, generator: Generator, length: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Convolution with `motion_kernel(length, angle)`, length (N,) in pixels and angle (N,) in degrees."""
    from scipy.ndimage import convolve

    blurred = [
        convolve(x, motion_kernel(steps, degrees)[None], mode="reflect")
        for x, steps, degrees in zip(images, length.tolist(), angle.tolist())
    ]
    return np.stack(blurred) if blurred else images
