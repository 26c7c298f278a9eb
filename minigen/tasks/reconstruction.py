"""Images through a model and back: how much of each is lost on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigen.errors import UserError
from minigen.tasks.abilities import ability, in_batches
from minigen.training.systems import System


@dataclass(frozen=True)
class Reconstructions:
    """Images, what the model makes of them, and how far apart the two are.

    Attributes:
        originals, reconstructions: (n, C, H, W) from 0 to 1
        errors: (n,) float64, the sum over the pixels of (x - x̂)²
        psnr: (n,) float64, in decibels; infinite where nothing is lost
    """

    originals: np.ndarray
    reconstructions: np.ndarray
    errors: np.ndarray
    psnr: np.ndarray


def reconstruct(system: System, images: np.ndarray | None = None) -> Reconstructions:
    """Reconstruct images, the held-out ones unless others are given.

    PSNR is 10·log₁₀(1/MSE), with MSE the error over the number of pixels and channels: the images go from 0 to 1.

    Args:
        system: one that reconstructs
        images: (n, C, H, W) from 0 to 1, of the model's size (see `read_inputs`)

    Raises:
        UserError: a model that does not reconstruct, or no images.

    >>> from minigen.training.runs import load_system
    >>> from minigen.tasks import reconstruct
    >>> system, _ = load_system("runs/ae-1")                  # doctest: +SKIP
    >>> reconstruct(system).errors.mean()                     # doctest: +SKIP
    0.67
    """
    instead = ": `minigen restore` is what it is for" if system.restore is not None else ""
    method = ability(system, "reconstruct", f"reconstruct images{instead}")
    originals = system.held_out() if images is None else images
    if len(originals) == 0:
        raise UserError("There are no images to reconstruct: give at least one.")
    made = in_batches(method, originals)
    squares = (originals.astype(np.float64) - made) ** 2
    errors = squares.reshape(len(squares), -1).sum(axis=1)
    with np.errstate(divide="ignore"):
        psnr = -10 * np.log10(errors / originals[0].size)
    return Reconstructions(originals, made, errors, psnr)
