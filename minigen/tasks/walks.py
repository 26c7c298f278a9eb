"""Looking into a latent space: walks between latents, and the whole of one that has two dimensions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.errors import ShapeError, UserError
from minigen.random import Generator
from minigen.tasks.abilities import ability, in_batches
from minigen.training.systems import System

_COLLINEAR = 1e-6  # sine of an angle below which the arc between two directions is not defined by them
_DRAWS = 20_000  # of a prior whose quantiles have no formula


def lerp(start: Any, end: Any, t: Any) -> np.ndarray:
    """Straight from `start` to `end`: (1 - t)·start + t·end.

    Args:
        start, end: latents (..., d)
        t: 0 to 1: a number, or an array of any shape s

    Returns:
        (*s, ..., d) float64

    >>> lerp([0.0, 2.0], [1.0, 0.0], [0.0, 0.25, 1.0]).tolist()
    [[0.0, 2.0], [0.25, 1.5], [1.0, 0.0]]
    """
    start, end, t = _along(start, end, t)
    return (1 - t) * start + t * end


def slerp(start: Any, end: Any, t: Any) -> np.ndarray:
    """On the arc from `start` to `end`: sin((1-t)Ω)/sin Ω · start + sin(tΩ)/sin Ω · end, Ω the angle between the two.

    Shoemake (1985) for unit quaternions; White (2016, 1609.04468) for latents. A Gaussian in many dimensions has its
    mass near the sphere of radius √d; the straight way leads through the inside, where it has next to none, and the arc
    stays near the sphere. Where the lengths differ, the length changes along the way.

    Where there is no one arc, because `start` or `end` is zero or they lie on one line, it is `lerp`, which for two
    latents of one direction is also the limit of the formula. (For opposite ones every half circle would do as well.)

    Args:
        start, end: latents (..., d)
        t: 0 to 1: a number, or an array of any shape s

    Returns:
        (*s, ..., d) float64

    >>> slerp([1.0, 0.0], [0.0, 1.0], 0.5).round(4).tolist()  # half way round a quarter circle
    [0.7071, 0.7071]
    """
    start, end, t = _along(start, end, t)
    lengths = np.linalg.norm(start, axis=-1, keepdims=True), np.linalg.norm(end, axis=-1, keepdims=True)
    a, b = (x / np.where(length > 0, length, 1) for x, length in zip((start, end), lengths))
    # arccos(aᵀb) has no digits left near 0 and π; this form keeps them everywhere.
    distance, sum_ = np.linalg.norm(a - b, axis=-1, keepdims=True), np.linalg.norm(a + b, axis=-1, keepdims=True)
    angle = 2 * np.arctan2(distance, sum_)
    sine = np.sin(angle)
    arc = (sine > _COLLINEAR) & (lengths[0] > 0) & (lengths[1] > 0)
    safe = np.where(arc, sine, 1.0)
    weights = np.where(arc, np.sin((1 - t) * angle) / safe, 1 - t), np.where(arc, np.sin(t * angle) / safe, t)
    return weights[0] * start + weights[1] * end


def latent_walk(system: System, n: int = 8, steps: int = 8, generator: Generator | None = None) -> np.ndarray:
    """Samples on the way between pairs of random latents, by both ways, from the first latent to the second.

    Args:
        system: one that decodes latents
        n: how many pairs
        steps: samples on each way, the two ends included, 2 at least
        generator: where the latents come from; `Generator(0)` unless given

    Returns:
        (n, 2, steps, *sample_shape) float32: of each pair the straight way (`lerp`), then the arc (`slerp`)

    Raises:
        UserError: a model without latents, or fewer than one pair or two steps.

    >>> from minigen.training.runs import load_system
    >>> from minigen.tasks import latent_walk
    >>> system, _ = load_system("runs/vae-1")                     # doctest: +SKIP
    >>> latent_walk(system, n=4, steps=10).shape                  # doctest: +SKIP
    (4, 2, 10, 1, 8, 8)
    """
    prior, decode = _latents(system, "walk between latents")
    if n < 1 or steps < 2:
        raise UserError(f"A walk needs at least 1 pair of latents and 2 steps, not {n} and {steps}.")
    ends = prior(2 * n, generator or Generator(0))
    start, end = ends[:n], ends[n:]
    t = np.linspace(0, 1, steps)
    ways = np.stack([lerp(start, end, t), slerp(start, end, t)])  # (2, steps, n, d)
    z = ways.transpose(2, 0, 1, 3).astype(np.float32)
    samples = in_batches(decode, z.reshape(-1, z.shape[-1]))
    return samples.reshape(n, 2, steps, *samples.shape[1:])


def latent_manifold(system: System, side: int = 20) -> np.ndarray:
    """Samples all over a latent space of two dimensions: side × side of them, at the quantiles of the prior.

    As in figure 4 of Kingma & Welling (1312.6114): the unit square, evenly spaced, taken through the inverse of the
    Gaussian's distribution function in each coordinate, so that each sample stands for as much of the prior's mass. The
    first coordinate grows to the right and the second upwards. For a prior that is not N(0, I), as the one that is
    fitted to the codes of an autoencoder, the quantiles are those of 20,000 draws.

    Args:
        system: one that decodes latents of two numbers
        side: samples a row and a column, 2 at least

    Returns:
        (side, side, *sample_shape) float32, rows from the top

    Raises:
        UserError: a model without latents or whose latents are not of two numbers, or a side below 2.
    """
    prior, decode = _latents(system, "show a latent space")
    if side < 2:
        raise UserError(f"A manifold needs at least 2 samples a side, not {side}.")
    dimensions = prior(1, Generator(0)).shape[1]
    if dimensions != 2:
        raise UserError(
            f"Only latents of two numbers fill a picture, and those of this run have {dimensions}: train one with "
            "--latent-dim 2, or walk between latents with --walk."
        )
    right, up = prior_quantiles(system, (np.arange(side) + 0.5) / side).T
    z = np.stack(np.meshgrid(right, up[::-1]), axis=-1).astype(np.float32)  # (side, side, 2)
    samples = in_batches(decode, z.reshape(-1, 2))
    return samples.reshape(side, side, *samples.shape[1:])


def prior_quantiles(system: System, p: np.ndarray) -> np.ndarray:
    """The quantiles at `p` (n,) of each coordinate of a system's prior: (n, latent_dim) float64."""
    from scipy.special import ndtri

    prior = ability(system, "prior", "draw latents")
    few = prior(4, Generator(0))
    if np.array_equal(few, Generator(0).normal(few.shape)):  # N(0, I): the draws are the generator's own
        return np.repeat(ndtri(p)[:, None], few.shape[1], axis=1)
    return np.quantile(prior(_DRAWS, Generator(0)).astype(np.float64), p, axis=0)


def _latents(system: System, what: str) -> tuple[Callable[..., np.ndarray], Callable[..., np.ndarray]]:
    """The prior and the decoder of a system that has latents; a mixture of Gaussians on raw samples has none."""
    if getattr(system, "coder", system) is None:
        raise system.cannot(f"{what}: it has none unless it is trained on codes, with --encoder RUN")
    return ability(system, "prior", what), ability(system, "decode", what)


def _along(start: Any, end: Any, t: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start, end, t = (np.asarray(value, dtype=np.float64) for value in (start, end, t))
    if start.ndim == 0 or start.shape != end.shape:
        raise ShapeError(f"A walk leads from latents to as many of the same size, not {start.shape} to {end.shape}.")
    return start, end, t.reshape(t.shape + (1,) * start.ndim)
