"""Looking into a latent space: walks between latents, and the whole of one that has two dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.autograd import no_grad
from minigen.errors import ShapeError, UserError
from minigen.tensor import Tensor
from minigen.viz.grid import draw_image_grid
from minigen.viz.picture import Picture, saver
from minigen.viz.points import draw_paths
from minigen.viz.rows import draw_panels
from minigen.viz.titled import Titled, titled

_IMAGES, _POINTS = 5, 3  # axes of an array (n, steps, C, H, W) of images and (n, steps, 2) of points


def draw_walks(walks: Titled, real: np.ndarray | None = None, value_range: tuple[float, float] = (0.0, 1.0)) -> Picture:
    """Draw what was decoded on the way from one latent to another: a row of images a walk, or a line in the plane.

    Args:
        walks: title → samples (n, steps, C, H, W), or points (n, steps, 2), as a dictionary or pairs; the panels stand
            side by side
        real: (m, 2), real points behind the lines; needed for points alone
        value_range: of images: the values shown as black and as full light

    Raises:
        ShapeError: No walks, or walks of another shape.
        UserError: Images that are NaN; walks without titles.

    >>> picture = draw_walks({"from 1 to 7": np.zeros((2, 5, 1, 8, 8))})
    """
    ways = {title: np.asarray(samples) for title, samples in titled("walks", walks)}
    axes = {samples.ndim for samples in ways.values()}
    if axes == {_IMAGES}:
        panels = {title: way.reshape(-1, *way.shape[2:]) for title, way in ways.items()}
        steps = max(way.shape[1] for way in ways.values())
        return draw_panels(panels, max(1, steps), value_range)
    if axes == {_POINTS} and real is not None:
        return draw_paths({title: list(way) for title, way in ways.items()}, real)
    raise ShapeError(
        "Walks are samples (n, steps, C, H, W), or points (n, steps, 2) with real ones, "
        f"not {', '.join(str(way.shape) for way in ways.values()) or 'nothing'}."
    )


save_walks = saver(draw_walks)


def draw_manifold(
    samples: np.ndarray, real: np.ndarray | None = None, value_range: tuple[float, float] = (0.0, 1.0)
) -> Picture:
    """Draw the samples all over a latent space of two dimensions, as `decode_plane` gives them.

    Images stand side by side. Of points, lines are drawn: on the left those of a second latent that is held fast, on the
    right those of a first one, so that one sees how the plane of latents is folded into the space of samples.

    Args:
        samples: (rows, columns, C, H, W), or points (rows, columns, 2)
        real: (m, 2), real points behind the lines; needed for points alone
        value_range: of images: the values shown as black and as full light

    Raises:
        ShapeError: Samples of another shape.
        UserError: Images that are NaN.

    >>> picture = draw_manifold(np.zeros((3, 4, 1, 8, 8)))
    """
    samples = np.asarray(samples)
    if samples.ndim == _IMAGES:
        images = samples.reshape(-1, *samples.shape[2:])
        return draw_image_grid(images, samples.shape[1], padding=0, value_range=value_range)
    if samples.ndim == _POINTS and real is not None:
        lines = {"first latent varied": list(samples), "second latent varied": list(samples.transpose(1, 0, 2))}
        return draw_paths(lines, real)
    raise ShapeError(
        "A manifold is of samples (rows, columns, C, H, W), or of points (rows, columns, 2) with real ones, "
        f"not {samples.shape}."
    )


save_manifold = saver(draw_manifold)


@no_grad()
def decode_plane(decode: Callable[[Tensor], Any], side: int = 20) -> np.ndarray:
    """What a decoder makes of a grid over a latent space of two dimensions, at the quantiles of N(0, I).

    As in figure 4 of Kingma & Welling (1312.6114): the unit square, evenly spaced, taken through the inverse of the
    Gaussian's distribution function in each coordinate, so that each sample stands for as much of the prior's mass. The
    first coordinate grows to the right and the second upwards.

    Args:
        decode: latents (n, 2) to samples (n, …)
        side: samples a row and a column, 2 at least

    Returns:
        (side, side, …), rows from the top

    Raises:
        UserError: A side below 2.

    >>> print(decode_plane(lambda z: z, side=3)[0].round(2))  # the top row: the second coordinate is the largest
    [[-0.97  0.97]
     [ 0.    0.97]
     [ 0.97  0.97]]
    """
    from scipy.special import ndtri

    if side < 2:
        raise UserError(f"A manifold needs at least 2 samples a side, not {side}.")
    quantiles = ndtri((np.arange(side) + 0.5) / side)
    z = np.stack(np.meshgrid(quantiles, quantiles[::-1]), axis=-1).astype(np.float32)  # (side, side, 2)
    samples = np.asarray(decode(Tensor(z.reshape(-1, 2))))
    return samples.reshape(side, side, *samples.shape[1:])
