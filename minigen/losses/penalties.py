"""Penalties on the discriminator's gradient with respect to its input, added to its loss.

Each is called alike, ``penalty(discriminator, real, fake, generator, weight)``, and differentiated once more when the
discriminator learns. The gradient for sample i is that of the *sum* of all outputs with respect to xᵢ: where outputs
do not mix samples it is ∇D(xᵢ), and through batch norm, which does mix them, it is the sum's, in every order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import cast

from minigen.autograd import enable_grad, grad
from minigen.creation import rand, randn
from minigen.errors import ShapeError, UserError, unknown_name
from minigen.functional import flatten, norm, square, std
from minigen.random import Generator
from minigen.tensor import Tensor

Discriminator = Callable[[Tensor], Tensor]
Penalty = Callable[[Discriminator, Tensor, Tensor], Tensor]


def wgan_gp_penalty(
    discriminator: Discriminator, real: Tensor, fake: Tensor, generator: Generator, weight: float = 10.0
) -> Tensor:
    """λ E(‖∇D(x̂)‖₂ - 1)², x̂ = εx + (1 - ε)x̃ (Gulrajani et al. 2017, arXiv 1704.00028).

    ε is uniform on [0, 1], one number for each sample: x̂ lies somewhere on the straight line between a real and a
    generated sample. The norm is over all features of one sample, not over the batch.

    Args:
        discriminator: samples to outputs, one for each.
        real, fake: x and x̃, (N, *) both.
        generator: where ε comes from.
        weight: λ.

    Raises:
        ShapeError: real and generated samples of different shapes.

    >>> import minigen
    >>> x = minigen.zeros(4, 1)
    >>> wgan_gp_penalty(lambda x: 3 * x, x, x, minigen.Generator(0), weight=10.0).item()  # 10·(3 - 1)²
    40.0
    """
    if real.shape != fake.shape:
        raise ShapeError(
            f"WGAN-GP mixes each real sample with a fake one: shapes {real.shape} and {fake.shape} differ."
        )
    shape = (real.shape[0],) + (1,) * (real.ndim - 1)
    epsilon = rand(shape, generator=generator, dtype=real.dtype, device=real.device)
    mixed = epsilon * real.detach() + (1 - epsilon) * fake.detach()
    return weight * square(_gradient_norms(discriminator, mixed) - 1).mean()


def r1_penalty(
    discriminator: Discriminator, real: Tensor, fake: Tensor, generator: Generator | None = None, weight: float = 10.0
) -> Tensor:
    """½γ E‖∇D(x)‖₂² on real samples (Mescheder et al. 2018, arXiv 1801.04406): D must lie flat where the data are.

    Args:
        discriminator: samples to outputs, one for each.
        real: x, (N, *).
        fake, generator: not looked at; here so that all penalties are called alike.
        weight: γ.

    >>> import minigen
    >>> x = minigen.tensor([[1.0], [2.0]])
    >>> r1_penalty(lambda x: x * x, x, x, weight=2.0).item()  # the mean of (2x)²
    10.0
    """
    return 0.5 * weight * _mean_squared_norm(discriminator, real)


def r2_penalty(
    discriminator: Discriminator, real: Tensor, fake: Tensor, generator: Generator | None = None, weight: float = 10.0
) -> Tensor:
    """½γ E‖∇D(x̃)‖₂² on generated samples: R1's twin (Mescheder et al. 2018, arXiv 1801.04406).

    Args:
        discriminator: samples to outputs, one for each.
        real, generator: not looked at; here so that all penalties are called alike.
        fake: x̃, (N, *).
        weight: γ.

    >>> import minigen
    >>> x = minigen.zeros(4, 1)
    >>> r2_penalty(lambda x: 3 * x, x, x, weight=2.0).item()
    9.0
    """
    return 0.5 * weight * _mean_squared_norm(discriminator, fake)


def dragan_penalty(
    discriminator: Discriminator, real: Tensor, fake: Tensor, generator: Generator, weight: float = 10.0
) -> Tensor:
    """λ E(‖∇D(x + δ)‖₂ - 1)² around real samples, δ ~ N(0, (½ std x)² I) (Kodali et al. 2017, arXiv 1705.07215).

    As every penalty it is *added* to the discriminator's loss; trained on it alone, a discriminator learns a slope of 1
    and nothing about the data.

    Args:
        discriminator: samples to outputs, one for each.
        real: x, (N, *).
        fake: not looked at; here so that all penalties are called alike.
        generator: where δ comes from.
        weight: λ.

    >>> import minigen
    >>> x = minigen.zeros(4, 1)
    >>> dragan_penalty(lambda x: 3 * x, x, x, minigen.Generator(0), weight=1.0).item()  # (3 - 1)²
    4.0
    """
    x = real.detach()
    noise = 0.5 * std(x, unbiased=False) * randn(x.shape, generator=generator, dtype=x.dtype, device=x.device)
    return weight * square(_gradient_norms(discriminator, x + noise) - 1).mean()


GAN_PENALTIES: dict[str, Callable[..., Tensor]] = {
    "wgan-gp": wgan_gp_penalty,
    "r1": r1_penalty,
    "r2": r2_penalty,
    "dragan": dragan_penalty,
}


def gan_penalty(name: str, weight: float, generator: Generator) -> Penalty | None:
    """The penalty of that name as a function of (discriminator, real, fake); None for ``'none'``.

    Args:
        name: a key of `GAN_PENALTIES`, or ``'none'``.
        weight: λ, or γ for R1 and R2.
        generator: where its random numbers come from.

    Raises:
        UserError: an unknown name, or a negative weight.

    >>> import minigen
    >>> penalty = gan_penalty("wgan-gp", 10.0, minigen.Generator(0))
    >>> penalty(lambda x: 3 * x, minigen.ones(4, 1), minigen.zeros(4, 1)).item()
    40.0
    """
    if name not in GAN_PENALTIES and name != "none":
        raise unknown_name("gradient penalty", name, ["none", *GAN_PENALTIES])
    if not weight >= 0:
        raise UserError(f"The weight of a gradient penalty must be at least 0, not {weight}.")
    return None if name == "none" else partial(GAN_PENALTIES[name], generator=generator, weight=weight)


def _mean_squared_norm(discriminator: Discriminator, x: Tensor) -> Tensor:
    """E‖∇D(x)‖₂², without the root, whose second derivative is infinite at 0."""
    return square(_gradients(discriminator, x)).sum() / x.shape[0]


def _gradient_norms(discriminator: Discriminator, x: Tensor) -> Tensor:
    """‖∇D(xᵢ)‖₂ for every sample, (N,)."""
    return norm(flatten(_gradients(discriminator, x), 1), dim=1)


def _gradients(discriminator: Discriminator, x: Tensor) -> Tensor:
    """∇ Σᵢ D(xᵢ) at x, recorded, so that it can be differentiated by the discriminator's weights."""
    with enable_grad():
        leaf = x.detach().requires_grad_()
        (gradient,) = grad(discriminator(leaf).sum(), leaf, create_graph=True)
    return cast(Tensor, gradient)  # None stands for an unused input only, which raises
