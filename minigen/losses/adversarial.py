"""The two sides of a generative adversarial network: what the discriminator minimizes, and what the generator does.

Every pair is called alike, on the logits of a batch of real and of a batch of generated samples, of one shape:

    loss = gan_loss("hinge")
    d_loss = loss.discriminator(real_logits, fake_logits)
    g_loss = loss.generator(real_logits, fake_logits)

so that a training loop is written once. r is a logit D(x) of real samples, f a logit D(G(z)) of generated ones, E a mean
over the batch. The probability that x is real is σ(r): -log σ(a) = softplus(-a) and -log(1 - σ(a)) = softplus(a) are
computed in this form, which never overflows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from minigen.autograd import no_grad
from minigen.errors import ShapeError, UserError, unknown_name
from minigen.functional import relu, reshape, sigmoid, softplus, square
from minigen.tensor import Tensor


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """L_D = -E log σ(r) - E log(1 - σ(f)) (Goodfellow et al. 2014, arXiv 1406.2661).

    Args:
        real_logits, fake_logits: r and f, of any shape.
        smoothing: s of one-sided label smoothing (Salimans et al. 2016, arXiv 1606.03498): the label of real samples is
            1 - s, so that r has its best value at a finite height. The label of generated ones stays 0: raised, it
            would hold generated samples where they are.

    >>> import minigen
    >>> undecided = minigen.zeros(4)
    >>> discriminator_loss(undecided, undecided)  # 2 log 2
    tensor(1.3863)
    """
    return _minus_log_smoothed(real_logits, smoothing).mean() + _softplus(fake_logits).mean()


def generator_loss(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """L_G = -E log σ(f), the non-saturating form: a strong gradient where the discriminator is sure of a fake.

    Args:
        real_logits: not looked at; here so that all losses are called alike.
        fake_logits: f, of any shape.

    >>> import minigen
    >>> f = minigen.tensor([-10.0], requires_grad=True)
    >>> minigen.grad(generator_loss(None, f), f)[0], minigen.grad(generator_loss_minimax(None, f), f)[0]
    (tensor([-1.]), tensor([-4.5398e-05]))
    """
    return _softplus(-fake_logits).mean()


def generator_loss_minimax(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """L_G = E log(1 - σ(f)), the other side of the minimax game; its gradient vanishes as σ(f) → 0.

    Args:
        real_logits, fake_logits: as for `generator_loss`, whose example has both.

    >>> import minigen
    >>> generator_loss_minimax(None, minigen.zeros(3))  # log ½
    tensor(-0.6931)
    """
    return -_softplus(fake_logits).mean()


def least_squares_discriminator_loss(real_logits: Tensor, fake_logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """L_D = ½ E(r - 1)² + ½ E f² (Mao et al. 2017, arXiv 1611.04076, labels 0 and 1).

    Args:
        real_logits, fake_logits: r and f, of any shape.
        smoothing: s, with which it is ½ E(r - (1 - s))².

    >>> import minigen
    >>> least_squares_discriminator_loss(minigen.tensor([3.0]), minigen.tensor([1.0]))
    tensor(2.5)
    """
    return (square(real_logits - (1 - smoothing)).mean() + square(fake_logits).mean()) * 0.5


def least_squares_generator_loss(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """L_G = ½ E(f - 1)²: generated samples far on the real side are pulled back too.

    Args:
        real_logits, fake_logits: as for `generator_loss`.

    >>> import minigen
    >>> f = minigen.tensor([3.0], requires_grad=True)
    >>> minigen.grad(least_squares_generator_loss(None, f), f)[0]
    tensor([2.])
    """
    return square(fake_logits - 1).mean() * 0.5


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """L_D = E max(0, 1 - r) + E max(0, 1 + f) (Lim & Ye 2017, arXiv 1705.02894): beyond the margin nothing more is gained.

    Args:
        real_logits, fake_logits: r and f, of any shape.

    >>> import minigen
    >>> hinge_discriminator_loss(minigen.tensor([5.0, 0.5]), minigen.tensor([-5.0]))
    tensor(0.25)
    """
    return relu(1 - real_logits).mean() + relu(1 + fake_logits).mean()


def wasserstein_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """L_D = E f - E r (Arjovsky et al. 2017, arXiv 1701.07875); -L_D estimates the distance, up to the Lipschitz constant.

    Only of use with a critic that is kept Lipschitz: by `clip_weights`, by the penalty of WGAN-GP, or by spectral norm.

    Args:
        real_logits, fake_logits: r and f, of any shape.

    >>> import minigen
    >>> wasserstein_discriminator_loss(minigen.tensor([3.0, 5.0]), minigen.tensor([1.0]))
    tensor(-3.)
    """
    return fake_logits.mean() - real_logits.mean()


def wasserstein_generator_loss(real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
    """L_G = -E f, the generator's side of the Wasserstein and of the hinge loss.

    Args:
        real_logits, fake_logits: as for `generator_loss`.

    >>> import minigen
    >>> wasserstein_generator_loss(None, minigen.tensor([1.0, 3.0]))
    tensor(-2.)
    """
    return -fake_logits.mean()


def relativistic_average_discriminator_loss(real_logits: Tensor, fake_logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """L_D = -E log σ(r - E f) - E log(1 - σ(f - E r)) (Jolicoeur-Martineau 2018, arXiv 1807.00734, RaSGAN).

    D says how much more real a real sample is than the average generated one.

    Args:
        real_logits, fake_logits: r and f, of any shape.
        smoothing: s; the label of real samples is 1 - s.

    >>> import minigen
    >>> r, f = minigen.tensor([1.0, 2.0]), minigen.tensor([-1.0])
    >>> same = relativistic_average_discriminator_loss(r + 100, f + 100)  # only differences count
    >>> relativistic_average_discriminator_loss(r, f), same
    (tensor(0.1666), tensor(0.1666))
    """
    real, fake = real_logits - fake_logits.mean(), fake_logits - real_logits.mean()
    return _minus_log_smoothed(real, smoothing).mean() + _softplus(fake).mean()


def relativistic_average_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """L_G = -E log σ(f - E r) - E log(1 - σ(r - E f)): the same with the roles exchanged. Both terms teach G.

    Args:
        real_logits, fake_logits: r and f, of any shape.

    >>> import minigen
    >>> relativistic_average_generator_loss(minigen.tensor([1.0, 2.0]), minigen.tensor([-1.0]))
    tensor(5.1666)
    """
    return relativistic_average_discriminator_loss(fake_logits, real_logits)


def relativistic_discriminator_loss(real_logits: Tensor, fake_logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """L_D = -E log σ(r - f), each real sample paired with a generated one (RSGAN, arXiv 1807.00734).

    Args:
        real_logits, fake_logits: r and f, of one shape.
        smoothing: s; the label of real samples is 1 - s.

    Raises:
        ShapeError: not as many of the one as of the other.

    >>> import minigen
    >>> relativistic_discriminator_loss(minigen.tensor([2.0]), minigen.tensor([2.0]))  # log 2
    tensor(0.6931)
    """
    _check_pairs(real_logits, fake_logits)
    return _minus_log_smoothed(real_logits - fake_logits, smoothing).mean()


def relativistic_generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """L_G = -E log σ(f - r).

    Args:
        real_logits, fake_logits: r and f, of one shape.

    Raises:
        ShapeError: not as many of the one as of the other.

    >>> import minigen
    >>> relativistic_generator_loss(minigen.tensor([10.0]), minigen.tensor([0.0]))
    tensor(10.)
    """
    return relativistic_discriminator_loss(fake_logits, real_logits)


class GanLoss(NamedTuple):
    """Both sides of a loss.

    Attributes:
        discriminator, generator: functions of (real_logits, fake_logits).
        relativistic: whether the generator's side looks at the real logits; where it does not, they may be None.
        labels: whether the discriminator's side has labels, which can be smoothed.
        log_odds: whether the discriminator learns the log-odds of being real, so that σ of it is a probability.

    >>> import minigen
    >>> gan_loss("hinge").opinion(minigen.tensor([1.0, 3.0])), gan_loss("minimax").opinion(minigen.zeros(2))
    (tensor(2.), tensor(0.5))
    """

    discriminator: Callable[..., Tensor]
    generator: Callable[[Any, Tensor], Tensor]
    relativistic: bool = False
    labels: bool = False
    log_odds: bool = False

    def opinion(self, logits: Tensor) -> Tensor:
        """What the discriminator thinks of samples, in the mean: their probability of being real, or its bare output."""
        return (sigmoid(logits) if self.log_odds else logits).mean()


GAN_LOSSES: dict[str, GanLoss] = {
    "minimax": GanLoss(discriminator_loss, generator_loss_minimax, labels=True, log_odds=True),
    "non-saturating": GanLoss(discriminator_loss, generator_loss, labels=True, log_odds=True),
    "least-squares": GanLoss(least_squares_discriminator_loss, least_squares_generator_loss, labels=True),
    "hinge": GanLoss(hinge_discriminator_loss, wasserstein_generator_loss),
    "wasserstein": GanLoss(wasserstein_discriminator_loss, wasserstein_generator_loss),
    "relativistic": GanLoss(
        relativistic_discriminator_loss, relativistic_generator_loss, relativistic=True, labels=True
    ),
    "relativistic-average": GanLoss(
        relativistic_average_discriminator_loss, relativistic_average_generator_loss, relativistic=True, labels=True
    ),
}


def gan_loss(name: str, label_smoothing: float = 0.0) -> GanLoss:
    """The pair of that name, its discriminator's side with smoothed labels if asked for.

    Args:
        name: a key of `GAN_LOSSES`.
        label_smoothing: s from 0 (none) to below 1.

    Raises:
        UserError: an unknown name, an s out of range, or smoothing for a loss without labels.

    >>> import minigen
    >>> loss = gan_loss("least-squares", label_smoothing=0.1)
    >>> round(loss.discriminator(minigen.tensor([0.9]), minigen.tensor([0.0])).item(), 6)
    0.0
    """
    if name not in GAN_LOSSES:
        raise unknown_name("GAN loss", name, GAN_LOSSES)
    if not 0 <= label_smoothing < 1:
        raise UserError(f"Label smoothing must be at least 0 and less than 1, not {label_smoothing}.")
    loss = GAN_LOSSES[name]
    if label_smoothing == 0:
        return loss
    if not loss.labels:
        smoothable = ", ".join(key for key, value in GAN_LOSSES.items() if value.labels)
        raise UserError(f"The loss {name!r} has no labels to smooth; leave the smoothing at 0, or use {smoothable}.")
    return loss._replace(discriminator=partial(loss.discriminator, smoothing=label_smoothing))


def clip_weights(parameters: Any, limit: float) -> None:
    """w ← min(max(w, -limit), limit) for every weight, in place: the first WGAN's way to a Lipschitz critic.

    Call it after every step of the critic; Arjovsky et al. (2017, arXiv 1701.07875) take limit = 0.01.

    Args:
        parameters: the critic's, of any shapes.
        limit: above 0.

    Raises:
        UserError: a limit that is not positive.

    >>> import minigen
    >>> critic = minigen.nn.Linear(8, 1)
    >>> clip_weights(critic.parameters(), 0.01)
    >>> round(critic.weight.abs().max().item(), 4)
    0.01
    """
    if not limit > 0:
        raise UserError(f"Weights are clipped to a positive limit, not {limit}.")
    with no_grad():
        for parameter in parameters:
            parameter.clamp_(-limit, limit)


def pack(x: Tensor, m: int) -> Tensor:
    """m samples as one, side by side in its channels or features: what a discriminator of PacGAN sees.

    A generator that lacks a mode gives packs without it, which m samples show far more clearly than one does (Lin et al.
    2018, arXiv 1712.04086).

    Args:
        x: (N, d) or (N, C, H, W), N a multiple of m.
        m: samples in a pack.

    Returns:
        (N/m, m·d) or (N/m, m·C, H, W), each pack from m neighbours in the batch.

    Raises:
        ShapeError: N is not a multiple of m, or x has no second axis.

    >>> import minigen
    >>> pack(minigen.tensor([[1, 2], [3, 4], [5, 6], [7, 8]]), 2).tolist()
    [[1, 2, 3, 4], [5, 6, 7, 8]]
    """
    if m < 1 or x.ndim < 2 or x.shape[0] % m:
        raise ShapeError(
            f"pack: a batch (N, C, ...) of shape {x.shape} does not split into packs of {m}; N must be a multiple of it."
        )
    return x if m == 1 else reshape(x, (x.shape[0] // m, m * x.shape[1], *x.shape[2:]))


def _softplus(logits: Tensor) -> Tensor:
    return softplus(logits, threshold=math.inf)


def _minus_log_smoothed(logits: Tensor, smoothing: float) -> Tensor:
    """-(1 - s) log σ(a) - s log(1 - σ(a)) = softplus(-a) + s·a."""
    loss = _softplus(-logits)
    return loss + smoothing * logits if smoothing else loss


def _check_pairs(real_logits: Tensor, fake_logits: Tensor) -> None:
    if real_logits.shape != fake_logits.shape:
        raise ShapeError(
            f"A relativistic loss pairs real logits {real_logits.shape} with generated ones {fake_logits.shape}: there "
            "must be as many; use 'relativistic-average' where there are not."
        )
