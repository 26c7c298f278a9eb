"""The two sides of a generative adversarial network (Goodfellow et al. 2014, arXiv 1406.2661).

D(x) is the probability that x is real, D = σ(logit). The discriminator *minimizes* its own loss, the generator its
own; each is written as what is minimized, from logits, with -log σ(a) = softplus(-a) and -log(1 - σ(a)) = softplus(a),
which never overflow.
"""

from __future__ import annotations

import math

from minigen.functional import softplus
from minigen.tensor import Tensor


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """L_D = -E log D(x) - E log(1 - D(G(z))). Logits (N, 1) of real and of generated images."""
    return _minus_log_sigmoid(real_logits).mean() + _minus_log_sigmoid(-fake_logits).mean()


def generator_loss(fake_logits: Tensor) -> Tensor:
    """L_G = -E log D(G(z)), the non-saturating form: a strong gradient where the discriminator is sure of a fake."""
    return _minus_log_sigmoid(fake_logits).mean()


def generator_loss_minimax(fake_logits: Tensor) -> Tensor:
    """L_G = E log(1 - D(G(z))), the other side of the minimax game; its gradient vanishes as D(G(z)) → 0."""
    return -_minus_log_sigmoid(-fake_logits).mean()


def _minus_log_sigmoid(logits: Tensor) -> Tensor:
    return softplus(-logits, threshold=math.inf)
