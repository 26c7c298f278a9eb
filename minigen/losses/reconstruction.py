"""How far a reconstruction is from the image it should be. A *sum* over pixels, a mean over the batch.

The sum matters. A mean over pixels makes the same term smaller by the number of pixels, and everything it is weighed
against (the KL term of a VAE, a penalty) silently larger by as much.
"""

from __future__ import annotations

from minigen.functional import binary_cross_entropy_with_logits, mse_loss
from minigen.tensor import Tensor


def squared_error(reconstruction: Tensor, image: Tensor) -> Tensor:
    """(1/N) Σₙ ‖x̂ₙ - xₙ‖², both (N, *)."""
    return mse_loss(reconstruction, image, reduction="sum") / image.shape[0]


def bernoulli_nll(logits: Tensor, image: Tensor) -> Tensor:
    """(1/N) Σₙ -log p(xₙ), every pixel an independent coin that shows 1 with probability σ(logit); both (N, *).

    Pixels may be grey, from 0 to 1: then it is the cross-entropy between two coins. From logits, in the stable form.
    """
    return binary_cross_entropy_with_logits(logits, image, reduction="sum") / image.shape[0]
