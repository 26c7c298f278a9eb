"""Training a generative adversarial network: steps of the discriminator and of the generator in turn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigen import nn
from minigen.autograd import no_grad
from minigen.creation import randn
from minigen.losses import GAN_LOSSES, GanLoss, Penalty, clip_weights, pack
from minigen.optim import ExponentialMovingAverage, Optimizer
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.rehearsal import Rehearsal
from minigen.training.session import Session


def train_gan(
    generator: Any,
    discriminator: nn.Module,
    optimizer_g: Optimizer,
    optimizer_d: Optimizer,
    session: Session | Rehearsal,
    noise: Generator,
    average: ExponentialMovingAverage,
    loss: GanLoss = GAN_LOSSES["non-saturating"],
    penalty: Penalty | None = None,
    critic_steps: int = 1,
    packing: int = 1,
    weight_clip: float = 0.0,
    instance_noise: Callable[[int], float] = lambda step: 0.0,
) -> None:
    """Algorithm 1 of Goodfellow et al. (2014): for every batch one step of D, after every k of them one of G.

    So each of the k steps of the discriminator between two of the generator has real samples of its own, and an epoch
    is once through the data for the discriminator. A step of G is on the fakes that D has just learnt from: drawn anew,
    as in the paper, they cost one more pass through G and bring nothing that was seen.

    Args:
        optimizer_g, optimizer_d: of the two networks' weights.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        generator: z (N, latent_dim) to samples, with the attribute `latent_dim`.
        discriminator: samples, or packs of them, to logits.
        noise: where z, and all other noise, comes from.
        average: a running average of the generator's weights, whose samples wander less from step to step.
        loss: both sides of it, from `minigen.losses.gan_loss`.
        penalty: on the discriminator's gradient, from `minigen.losses.gan_penalty`.
        critic_steps: k.
        packing: samples that the discriminator sees side by side, a divisor of the batch size.
        weight_clip: clip the discriminator's weights to ± this, unless it is 0.
        instance_noise: the standard deviation, by step, of Gaussian noise on all that the discriminator sees, real or
            not: blurred, the two have common ground from the start (Arjovsky & Bottou 2017, arXiv 1701.04862).
    """
    learning = [weight for weight in discriminator.parameters() if weight.requires_grad]

    def seen(x: Tensor) -> Tensor:
        std = instance_noise(session.step)
        blurred = x if std == 0 else x + std * randn(*x.shape, generator=noise, device=x.device)
        return pack(blurred, packing)

    for _ in session.epochs():
        for batch in session.batches():
            real = seen(batch)
            fake = seen(generator(randn(len(batch), generator.latent_dim, generator=noise, device=session.device)))

            # The discriminator: real up, fake down. Detached, the fakes are mere samples: G learns nothing here.
            real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
            d_loss = loss.discriminator(real_logits, fake_logits)
            with no_grad():
                session.log(d_loss=d_loss, d_real=loss.opinion(real_logits), d_fake=loss.opinion(fake_logits))
            if penalty is not None:
                d_penalty = penalty(discriminator, real, fake)
                session.log(d_penalty=d_penalty)
                d_loss = d_loss + d_penalty

            optimizer_d.zero_grad()
            d_loss.backward()
            optimizer_d.step()
            if weight_clip > 0:
                clip_weights(learning, weight_clip)
            if (session.step + 1) % critic_steps:
                continue

            # The generator: the same fakes up. The discriminator only passes the gradient on: its own is not computed.
            for weight in learning:
                weight.requires_grad_(False)
            g_loss = loss.generator(discriminator(real) if loss.relativistic else None, discriminator(fake))
            session.log(g_loss=g_loss)

            optimizer_g.zero_grad()
            g_loss.backward()
            optimizer_g.step()
            for weight in learning:
                weight.requires_grad_(True)
            average.update()

        session.end_epoch()


def falling_noise(start: float, steps: int) -> Callable[[int], float]:
    """The standard deviation of instance noise by step: from `start` in a straight line to 0 at 40 % of the `steps`.

    >>> noise = falling_noise(0.1, steps=100)
    >>> [round(noise(step), 3) for step in (0, 20, 40, 99)]
    [0.1, 0.05, 0.0, 0.0]
    """
    return lambda step: start * max(0.0, 1 - step / (0.4 * steps))
