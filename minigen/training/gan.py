"""Training a generative adversarial network: steps of the discriminator and of the generator in turn."""

from __future__ import annotations

from typing import Any

from minigen import nn
from minigen.autograd import no_grad
from minigen.creation import randn
from minigen.functional import sigmoid
from minigen.losses.adversarial import GAN_LOSSES, GanLoss, clip_weights, pack
from minigen.losses.penalties import Penalty
from minigen.optim import ExponentialMovingAverage, Optimizer
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.session import Session


def train_gan(
    generator: Any,
    discriminator: nn.Module,
    optimizer_g: Optimizer,
    optimizer_d: Optimizer,
    session: Session,
    noise: Generator,
    average: ExponentialMovingAverage,
    loss: GanLoss = GAN_LOSSES["non-saturating"],
    penalty: Penalty | None = None,
    critic_steps: int = 1,
    packing: int = 1,
    weight_limit: float = 0.0,
) -> None:
    """Algorithm 1 of Goodfellow et al. (2014): for every batch one step of D, after every k of them one of G.

    So each of the k steps of the discriminator between two of the generator has real samples of its own, and an epoch
    is once through the data for the discriminator.

    Args:
        generator: z (N, latent_dim) to samples, with the attribute `latent_dim`.
        discriminator: samples, or packs of them, to logits.
        noise: where z comes from.
        average: a running average of the generator's weights, whose samples wander less from step to step.
        loss: both sides of it, from `minigen.losses.gan_loss`.
        penalty: on the discriminator's gradient, from `minigen.losses.gan_penalty`.
        critic_steps: k.
        packing: samples that the discriminator sees side by side, a divisor of the batch size.
        weight_limit: clip the discriminator's weights to ± this, unless it is 0.
    """

    def fakes(n: int) -> Tensor:
        return pack(generator(randn(n, generator.latent_dim, generator=noise, device=session.device)), packing)

    for _ in session.epochs():
        for batch in session.batches():
            real = pack(batch, packing)

            # The discriminator: real up, fake down. The fakes are made without a graph: G learns nothing here.
            with no_grad():
                fake = fakes(len(batch))
            real_logits, fake_logits = discriminator(real), discriminator(fake)
            d_loss = loss.discriminator(real_logits, fake_logits)
            session.log(d_loss=d_loss, d_real=sigmoid(real_logits).mean(), d_fake=sigmoid(fake_logits).mean())
            if penalty is not None:
                d_penalty = penalty(discriminator, real, fake)
                session.log(d_penalty=d_penalty)
                d_loss = d_loss + d_penalty

            optimizer_d.zero_grad()
            d_loss.backward()
            optimizer_d.step()
            if weight_limit > 0:
                clip_weights(discriminator.parameters(), weight_limit)

            if (session.step + 1) % critic_steps:
                continue

            # The generator: its fakes up. The discriminator only passes the gradient on: its own is not computed.
            discriminator.requires_grad_(False)
            real_logits = discriminator(real) if loss.relativistic else None
            g_loss = loss.generator(real_logits, discriminator(fakes(len(batch))))
            session.log(g_loss=g_loss)

            optimizer_g.zero_grad()
            g_loss.backward()
            optimizer_g.step()
            discriminator.requires_grad_(True)
            average.update()

        session.end_epoch()
