"""Points strewn along curves in the plane: a spiral and two moons, on which a generator must bend its space."""

from __future__ import annotations

import math

import numpy as np

from minigen.errors import UserError
from minigen.random import Generator


def spiral(
    n: int, generator: Generator, arms: int = 2, turns: float = 1.5, std: float = 0.02
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` points of a spiral whose arms wind out from the origin to the circle of radius 1.

    For a point of arm k: r = √u with u ~ U[0, 1), which strews an arm evenly over the disc it winds through,
    x = r·(cos θ, sin θ) + std·ε with θ = 2π(turns·r + k/arms) and ε ~ N(0, I).

    Args:
        n: how many points
        generator: where the draws come from
        arms: how many there are, each chosen as often as another
        turns: how often an arm goes round
        std: of the noise about an arm; arms are 1/(turns·arms) apart

    Returns:
        samples: (n, 2) float32
        arm: (n,) int64, the arm that each sample belongs to

    Raises:
        UserError: A negative `n`, less than one arm, or turns or std out of range.

    >>> samples, arm = spiral(500, Generator(0))
    >>> samples.shape, sorted(set(arm.tolist()))
    ((500, 2), [0, 1])
    """
    _check("n", n, n >= 0, "0 or more")
    _check("arms", arms, arms >= 1, "at least 1")
    _check("turns", turns, 0 < turns < math.inf, "a positive number")
    _check("std", std, 0 <= std < math.inf, "0 or a positive number")
    arm = generator.integers(0, arms, (n,))
    radius = np.sqrt(generator.uniform((n,)))
    angle = 2 * np.pi * (turns * radius + arm / arms)
    return _blurred(radius * np.cos(angle), radius * np.sin(angle), std, generator), arm.astype(np.int64)


def moons(n: int, generator: Generator, std: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Draw `n` points of two half circles of radius 1, one hooked into the other (`make_moons` in scikit-learn).

    With t ~ U[0, π): (cos t, sin t) on the upper moon and (1 - cos t, 1/2 - sin t) on the lower, plus std·ε, ε ~ N(0, I).

    Args:
        n: how many points
        generator: where the draws come from
        std: of the noise

    Returns:
        samples: (n, 2) float32
        moon: (n,) int64, 0 for the upper and 1 for the lower

    Raises:
        UserError: A negative `n`, or a std out of range.

    >>> samples, moon = moons(500, Generator(0), std=0)
    >>> bool((samples[moon == 0, 1] >= 0).all() and (samples[moon == 1, 1] <= 0.5).all())
    True
    """
    _check("n", n, n >= 0, "0 or more")
    _check("std", std, 0 <= std < math.inf, "0 or a positive number")
    moon = generator.integers(0, 2, (n,))
    angle = np.pi * generator.uniform((n,))
    x = np.where(moon == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(moon == 0, np.sin(angle), 0.5 - np.sin(angle))
    return _blurred(x, y, std, generator), moon.astype(np.int64)


def _blurred(x: np.ndarray, y: np.ndarray, std: float, generator: Generator) -> np.ndarray:
    points = np.stack([x, y], axis=1).astype(np.float32)
    return points + np.float32(std) * generator.normal(points.shape)


def _check(name: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise UserError(f"The {name} of these points must be {expected}, not {value!r}.")
