"""Mixtures of Gaussians, on which mode collapse can be counted.

In the plane, the protocol is PacGAN's (Lin et al., 2018, arXiv 1712.04086), on the kinds of mixtures that VEEGAN
(Srivastava et al., 2017, arXiv 1705.07761) used too:

- ring: 8 modes on the circle of radius 1, at angles 2πk/8, standard deviation 0.01;
- grid: 25 modes at {-4, -2, 0, 2, 4}², standard deviation 0.05.

A generator is judged by 2,500 of its samples: one is of high quality within 3 standard deviations of its nearest mode,
and a mode is covered by one such sample. True samples score 1 - exp(-9/2) = 98.9 %.

Other rings are in use: unrolled GANs (Metz et al., 2017, arXiv 1611.02163) have radius 2 and standard deviation 0.02,
which is `ring(n, generator, radius=2, std=0.02)`. `mixture1200` is VEEGAN's third mixture, in 1,200 dimensions.

Take care with published code: angles from `linspace(0, 2π, 8)` put the last mode on the first and leave seven, and a
variance given where a library wants a standard deviation makes a ring of 0.01 one of 0.0001.
"""

from __future__ import annotations

import math

import numpy as np

from minigen.errors import UserError
from minigen.random import Generator

MIXTURE1200_DIM = 700  # in so many of the 1,200 dimensions a mode spreads
_LEVELS = (-13, -5.5, -2.5, -2, -1, -0.5, 0, 0.25, 0.5, 10)


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


def mixture1200_centers() -> np.ndarray:
    """The means of `mixture1200`: (10, 1200) float32; row k has all its coordinates at the k-th level.

    >>> mixture1200_centers()[:, 0].tolist()
    [-13.0, -5.5, -2.5, -2.0, -1.0, -0.5, 0.0, 0.25, 0.5, 10.0]
    """
    return np.tile(np.array(_LEVELS, np.float32)[:, None], (1, 1200))


def mixture1200(n: int, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` samples of VEEGAN's mixture in 1,200 dimensions: ten Gaussians of 700 dimensions each.

    x = level·1 + (ε, 0): all 1,200 coordinates of a mode's mean are one level, the modes are equally likely, and
    ε ~ N(0, I) stirs the first 700 coordinates alone. The last 500 have no noise, so a mode lies in a flat of 700
    dimensions, and all flats are parallel; nothing is rotated. The paper names the dimensions and the isotropic noise;
    the levels (-13, -5.5, -2.5, -2, -1, -0.5, 0, 0.25, 0.5, 10) and the standard deviation of 1 are those of the
    program that its first author published. The two closest means are 0.25·√1200 = 8.7 apart.

    How to judge: a true sample lies about √700 = 26.5 standard deviations from its mean, so the paper's rule, high
    quality within 10 standard deviations, refuses every true sample, and its figures cannot be compared with those of
    another rule. `metrics.mode_radius(1, 700)` = 28.1 holds the same 98.9 % of true samples as 3 standard deviations do
    in the plane; the nearest mean is that of another mode for fewer than one true sample in 10⁸.

    Returns:
        samples: (n, 1200) float32
        modes: (n,) int64, the row of `mixture1200_centers()` that each sample belongs to

    Raises:
        UserError: A negative `n`.

    >>> samples, mode = mixture1200(4, Generator(0))
    >>> samples.shape, bool((samples[:, 700:] == mixture1200_centers()[mode, 700:]).all())
    ((4, 1200), True)
    """
    return _sample(n, generator, mixture1200_centers(), 1.0, MIXTURE1200_DIM)


def _sample(
    n: int, generator: Generator, centers: np.ndarray, std: float, noisy: int = 2
) -> tuple[np.ndarray, np.ndarray]:
    """Samples of equally likely modes, with noise in the first `noisy` coordinates."""
    _check("n", n, n >= 0, "0 or more")
    _check("std", std, 0 <= std < math.inf, "0 or a positive number")
    mode = generator.integers(0, len(centers), (n,))
    samples = centers[mode]
    samples[:, :noisy] += np.float32(std) * generator.normal((n, noisy))
    return samples, mode.astype(np.int64)


def _check(name: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise UserError(f"The {name} of a mixture must be {expected}, not {value!r}.")
