"""The data sources of points that a formula makes: mixtures of Gaussians and curves. Their samples never run out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigen.data.curves import moons, spiral
from minigen.data.mixtures import (
    MIXTURE1200_DIM,
    grid,
    grid_centers,
    mixture1200,
    mixture1200_centers,
    ring,
    ring_centers,
)
from minigen.data.source import SPLITS, DataSource
from minigen.random import Generator

SAMPLES = {"train": 10_000, "test": 2_500}  # 2,500 is how many VEEGAN and PacGAN judge by

Draw = Callable[[int, Generator], tuple[np.ndarray, np.ndarray]]


def open_ring8() -> DataSource:
    """The data source `ring8`."""
    return _mixture("ring8", "8 Gaussians on a circle of radius 1", ring, ring_centers(), 0.01)


def open_grid25() -> DataSource:
    """The data source `grid25`."""
    return _mixture("grid25", "25 Gaussians on a 5×5 grid", grid, grid_centers(), 0.05)


def open_mixture1200() -> DataSource:
    """The data source `mixture1200`."""
    description = "10 Gaussians of 700 dimensions in a space of 1,200"
    return _mixture("mixture1200", description, mixture1200, mixture1200_centers(), 1.0, MIXTURE1200_DIM)


def open_spiral() -> DataSource:
    """The data source `spiral`."""
    return DataSource("spiral", "two arms of a spiral", "point", (2,), 2, _reader(spiral), draw=spiral)


def open_moons() -> DataSource:
    """The data source `moons`."""
    return DataSource(
        "moons", "two half circles, one hooked into the other", "point", (2,), 2, _reader(moons), draw=moons
    )


def _mixture(
    name: str, description: str, draw: Draw, centers: np.ndarray, std: float, intrinsic_dim: int = 2
) -> DataSource:
    return DataSource(
        name,
        description,
        "point",
        centers.shape[1:],
        len(centers),
        _reader(draw),
        centers=centers,
        std=std,
        intrinsic_dim=intrinsic_dim,
        draw=draw,
    )


def _reader(draw: Draw) -> Callable[[str], tuple[np.ndarray, np.ndarray]]:
    def read(split: str) -> tuple[np.ndarray, np.ndarray]:
        stream = Generator(0).spawn(SPLITS.index(split))  # as with the digits, no user's seed changes the data
        return draw(SAMPLES[split], stream)

    return read
