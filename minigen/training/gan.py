"""Training a generative adversarial network: one step of the discriminator, one of the generator, in turn."""

from __future__ import annotations

from minigen import nn
from minigen.autograd import no_grad
from minigen.creation import randn
from minigen.functional import sigmoid
from minigen.losses import discriminator_loss, generator_loss
from minigen.models import ConvGenerator
from minigen.optim import ExponentialMovingAverage, Optimizer
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.session import Session


def train_gan(
    generator: ConvGenerator,
    discriminator: nn.Module,
    optimizer_g: Optimizer,
    optimizer_d: Optimizer,
    session: Session,
    noise: Generator,
    average: ExponentialMovingAverage,
) -> None:
    """Algorithm 1 of Goodfellow et al. (2014), with the non-saturating loss of the generator.

    Args:
        noise: where z comes from.
        average: a running average of the generator's weights, whose samples wander less from step to step.
    """
    for _ in session.epochs():
        for real in session.batches():
            # The discriminator: real up, fake down. The fakes are made without a graph: G learns nothing here.
            with no_grad():
                fake = generator(sample_z(real.shape[0], generator, noise, real))
            real_logits, fake_logits = discriminator(real), discriminator(fake)
            d_loss = discriminator_loss(real_logits, fake_logits)
            session.log(d_loss=d_loss, d_real=sigmoid(real_logits).mean(), d_fake=sigmoid(fake_logits).mean())

            optimizer_d.zero_grad()
            d_loss.backward()
            optimizer_d.step()

            # The generator: its fakes up. The discriminator only passes the gradient on: its own is not computed.
            discriminator.requires_grad_(False)
            fake = generator(sample_z(real.shape[0], generator, noise, real))
            g_loss = generator_loss(discriminator(fake))
            session.log(g_loss=g_loss)

            optimizer_g.zero_grad()
            g_loss.backward()
            optimizer_g.step()
            discriminator.requires_grad_(True)
            average.update()

        session.end_epoch()


def sample_z(n: int, generator: ConvGenerator, noise: Generator, like: Tensor) -> Tensor:
    """n latent vectors z ~ N(0, I), (n, latent_dim)."""
    return randn(n, generator.latent_dim, generator=noise, device=like.device)
