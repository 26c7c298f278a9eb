"""How far a reconstruction is from the image it should be. A *sum* over pixels, a mean over the batch.

The sum matters. A mean over pixels makes the same term smaller by the number of pixels, and everything it is weighed
against (the KL term of a VAE, a penalty) silently larger by as much.

The likelihoods are whole: the Gaussian one keeps its ½ log 2πσ², so that bounds of different models compare.
"""

from __future__ import annotations

import math

from minigen.errors import ShapeError, UserError
from minigen.functional import binary_cross_entropy_with_logits, exp, mse_loss, square
from minigen.tensor import Tensor


def squared_error(reconstruction: Tensor, image: Tensor) -> Tensor:
    """(1/N) Σₙ ‖x̂ₙ - xₙ‖².

    Args:
        reconstruction, image: x̂ and x, (N, *).

    >>> import minigen
    >>> squared_error(minigen.zeros(2, 3), minigen.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, 1.0]])).item()
    2.0
    """
    return mse_loss(reconstruction, image, reduction="sum") / image.shape[0]


def bernoulli_nll(logits: Tensor, image: Tensor, reduction: str = "mean") -> Tensor:
    """-log p(x) = -Σ x log σ(a) + (1 - x) log(1 - σ(a)) over the pixels, each a coin that shows 1 with probability σ(a).

    Pixels may be grey, from 0 to 1. Then it is the cross-entropy between two coins, which equals the mean of -log p
    over binary images whose pixels are drawn with x as their probability. From logits, in the stable form.

    Args:
        logits: a, (N, *).
        image: x, (N, *).
        reduction: ``'mean'`` over the batch, or ``'none'`` for one number an image, (N,).

    >>> import minigen
    >>> bernoulli_nll(minigen.zeros(2, 3), minigen.ones(2, 3))  # 3 log 2
    tensor(2.0794)
    """
    return _over_batch(binary_cross_entropy_with_logits(logits, image, reduction="none"), reduction, "bernoulli_nll")


def gaussian_nll(mean: Tensor, image: Tensor, logvar: Tensor | float, reduction: str = "mean") -> Tensor:
    """-log p(x) = ½ Σ (x - m)²/σ² + log σ² + log 2π over the pixels, each Gaussian about its mean.

    With σ² = ½/π it is π‖x - m‖²; in general a squared error weighed by 1/2σ², so that a fixed σ is another name of β.
    With one learnt σ for all pixels the best is σ² = the mean squared error (Rybkin et al. 2021, arXiv 2006.13202).
    A density has no upper end: pixels that never change, each with a σ of its own, drive it to infinity.

    Args:
        mean: m, (N, *).
        image: x, (N, *).
        logvar: log σ²: a number (fixed), a parameter of shape () (learnt), or (N, *), one for each pixel.
        reduction: ``'mean'`` over the batch, or ``'none'`` for one number an image, (N,).

    Raises:
        ShapeError: shapes that do not fit.

    >>> import minigen
    >>> round(gaussian_nll(minigen.zeros(1, 2), minigen.ones(1, 2), logvar=0.0).item(), 4)  # 2·(½ + ½ log 2π)
    2.8379
    """
    if not isinstance(logvar, Tensor):
        logvar = Tensor(logvar, dtype=mean.dtype, device=mean.device)
    nll = (square(image - mean) * exp(-logvar) + logvar + math.log(2 * math.pi)) * 0.5
    if mean.shape != image.shape or nll.shape != image.shape:
        raise ShapeError(
            f"gaussian_nll: the means {mean.shape} must have the shape of the images {image.shape}, and the log-variances "
            f"{logvar.shape} must be one number or fit it."
        )
    return _over_batch(nll, reduction, "gaussian_nll")


def _over_batch(terms: Tensor, reduction: str, name: str) -> Tensor:
    """Terms (N, *), one for each pixel, summed over the pixels and reduced over the batch."""
    if reduction == "mean":
        return terms.sum() / terms.shape[0]
    if reduction == "none":
        return terms.flatten(1).sum(1) if terms.ndim > 1 else terms
    raise UserError(
        f"{name}: reduction must be 'mean' (over the batch) or 'none' (a number an image), not {reduction!r}."
    )
