"""Two-dimensional mixtures of Gaussians, on which mode collapse can be counted.

The protocol is PacGAN's (Lin et al., 2018), on the kinds of mixtures that VEEGAN (Srivastava et al., 2017) used too:

- ring: 8 modes on the circle of radius 1, at angles 2πk/8, standard deviation 0.01;
- grid: 25 modes at {-4, -2, 0, 2, 4}², standard deviation 0.05.

A generator is judged by 2,500 of its samples: one is of high quality within 3 standard deviations of its nearest mode,
and a mode is covered by one such sample. True samples score 1 - exp(-9/2) = 98.9 %.

Take care with published code: angles from `linspace(0, 2π, 8)` put the last mode on the first and leave seven.
"""

from __future__ import annotations

import math

import numpy as np

from minigen.errors import UserError
from minigen.random import Generator


def ring_centers(modes: int = 8, radius: float = 1.0) -> np.ndarray:
    """The means of the ring: (modes, 2) float32, radius·(cos 2πk/modes, sin 2πk/modes) for k = 0, …, modes - 1.

    >>> ring_centers(modes=4).round(6).tolist()
    [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [-0.0, -1.0]]
    """
    _check("modes", modes, modes >= 1, "at least 1")
    _check("radius", radius, 0 < radius < math.inf, "a positive number")
    angle = 2 * np.pi * np.arange(modes) / modes
    return (radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)).astype(np.float32)


def grid_centers(side: int = 5, spacing: float = 2.0) -> np.ndarray:
    """The means of the grid: (side², 2) float32, centred on the origin, the second coordinate running fastest.

    >>> grid_centers()[[0, 1, 24]].tolist()
    [[-4.0, -4.0], [-4.0, -2.0], [4.0, 4.0]]
    """
    _check("side", side, side >= 1, "at least 1")
    _check("spacing", spacing, 0 < spacing < math.inf, "a positive number")
    line = spacing * (np.arange(side) - (side - 1) / 2)
    return np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)


def ring(
    n: int, generator: Generator, modes: int = 8, radius: float = 1.0, std: float = 0.01
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` samples of the ring: each from a mode chosen uniformly, x = center + std·ε with ε ~ N(0, I).

    Returns:
        samples: (n, 2) float32
        modes: (n,) int64, the row of `ring_centers(modes, radius)` that each sample belongs to

    Raises:
        UserError: A negative `n`, fewer than one mode, or a radius or std out of range.

    >>> samples, mode = ring(1000, Generator(0))
    >>> bool((np.linalg.norm(samples - ring_centers()[mode], axis=1) < 0.05).all())
    True
    """
    return _sample(n, generator, ring_centers(modes, radius), std)


def grid(
    n: int, generator: Generator, side: int = 5, spacing: float = 2.0, std: float = 0.05
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` samples of the grid: each from a mode chosen uniformly, x = center + std·ε with ε ~ N(0, I).

    Returns:
        samples: (n, 2) float32
        modes: (n,) int64, the row of `grid_centers(side, spacing)` that each sample belongs to

    Raises:
        UserError: A negative `n`, a side below one, or a spacing or std out of range.

    >>> samples, mode = grid(3, Generator(0))
    >>> samples.shape, samples.dtype, mode.dtype
    ((3, 2), dtype('float32'), dtype('int64'))
    """
    return _sample(n, generator, grid_centers(side, spacing), std)


def _sample(n: int, generator: Generator, centers: np.ndarray, std: float) -> tuple[np.ndarray, np.ndarray]:
    _check("n", n, n >= 0, "0 or more")
    _check("std", std, 0 <= std < math.inf, "0 or a positive number")
    mode = generator.integers(0, len(centers), (n,))
    noise = generator.normal((n, 2))
    return centers[mode] + np.float32(std) * noise, mode.astype(np.int64)


def _check(name: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise UserError(f"The {name} of a mixture must be {expected}, not {value!r}.")
