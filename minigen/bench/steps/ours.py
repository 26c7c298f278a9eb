"""Training steps in minigen: what `minigen.bench.steps.theirs` does in PyTorch, line by line.

A step is that of the training loop of the same name (`minigen.training`), with its default losses and rates, on a batch
that stays the same. What stands around it there is left out on both sides: the data, what is logged, the running
average of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minigen import nn
from minigen.bench.steps import MODELS
from minigen.creation import rand, randn
from minigen.device import Device
from minigen.errors import unknown_name
from minigen.losses.adversarial import GAN_LOSSES
from minigen.losses.penalties import wgan_gp_penalty
from minigen.losses.reconstruction import squared_error
from minigen.losses.restoration import absolute_error
from minigen.losses.variational import free_bits, kl_per_dimension, negative_elbo, reparametrize
from minigen.models.autoencoder import Autoencoder
from minigen.models.dcgan import DCGANDiscriminator, DCGANGenerator
from minigen.models.mlp_gan import MLPDiscriminator, MLPGenerator
from minigen.models.patch_discriminator import PatchDiscriminator
from minigen.models.stacks import dense_stack
from minigen.models.unet import UNet
from minigen.models.vae import ConvVAE
from minigen.nn.utils import clip_grad_norm_
from minigen.optim import Adam
from minigen.random import Generator
from minigen.tensor import Tensor

Losses = dict[str, Tensor]


class Step:
    """A training step that can be taken again and again: calling it returns its losses.

    Attributes:
        modules: the networks, by name.
        data: the batch, one tensor or several.
        latent_dim: how many random numbers z has for each sample; 0 for a step without z.
        noise: where z and other random numbers come from.
    """

    def __init__(self, modules: dict[str, Any], data: Sequence[Tensor], latent_dim: int = 0) -> None:
        self.modules, self.data, self.latent_dim, self.noise = modules, list(data), latent_dim, Generator(0)

    def given(self) -> list[Tensor]:
        """What `take` is given: the batch, and a new z."""
        if not self.latent_dim:
            return self.data
        x = self.data[0]
        return [*self.data, randn(len(x), self.latent_dim, generator=self.noise, device=x.device)]

    def take(self, *given: Any) -> Losses:
        """The step itself: on the GPU, what a graph captures."""
        raise NotImplementedError

    def __call__(self) -> Losses:
        return self.take(*self.given())


class AdversarialStep(Step):
    """A step of D and one of G on the same fakes, non-saturating loss (`minigen.training.gan.train_gan`)."""

    def __init__(
        self, generator: Any, discriminator: nn.Module, real: Tensor, rates: Sequence[float], betas: Any
    ) -> None:
        super().__init__({"generator": generator, "discriminator": discriminator}, [real], generator.latent_dim)
        self.generator, self.discriminator = generator, discriminator
        self.optimizer_g = Adam(generator.parameters(), lr=rates[0], betas=betas)
        self.optimizer_d = Adam(discriminator.parameters(), lr=rates[1], betas=betas)

    def take(self, real: Tensor, z: Tensor) -> Losses:
        loss = GAN_LOSSES["non-saturating"]
        fake = self.generator(z)

        d_loss = loss.discriminator(self.discriminator(real), self.discriminator(fake.detach()))
        self.optimizer_d.zero_grad()
        d_loss.backward()
        self.optimizer_d.step()

        self.discriminator.requires_grad_(False)
        g_loss = loss.generator(None, self.discriminator(fake))
        self.optimizer_g.zero_grad()
        g_loss.backward()
        self.optimizer_g.step()
        self.discriminator.requires_grad_(True)
        return {"d_loss": d_loss, "g_loss": g_loss}


class VariationalStep(Step):
    """-ELBO of a Gaussian likelihood with one learnt σ (`minigen.training.vae.train_vae`)."""

    def __init__(self, model: ConvVAE, images: Tensor) -> None:
        super().__init__({"vae": model}, [images], model.latent_dim)
        self.model, self.optimizer = model, Adam(model.parameters(), lr=2e-3)

    def take(self, x: Tensor, noise: Tensor) -> Losses:
        model = self.model
        mu, logvar = model.encode(x)
        z = reparametrize(mu, logvar, noise)
        nll, kl = model.nll(model.decode(z), x), kl_per_dimension(mu, logvar)
        loss = negative_elbo(nll, free_bits(kl, 0.0))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}


class ReconstructionStep(Step):
    """The squared error of an autoencoder (`minigen.training.autoencoder.train_autoencoder`)."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        super().__init__({"autoencoder": model}, [images])
        self.model, self.optimizer = model, Adam(model.parameters(), lr=1e-3)

    def take(self, x: Tensor) -> Losses:
        loss = squared_error(self.model(x), x)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}


class RestorationStep(Step):
    """A step of D and one of the U-Net G (`minigen.training.restoration.train_restoration_gan`)."""

    def __init__(self, generator: UNet, discriminator: PatchDiscriminator, image: Tensor, damaged: Tensor) -> None:
        networks = {"generator": generator, "discriminator": discriminator}
        super().__init__(networks, [image, damaged], generator.latent_dim)
        self.generator, self.discriminator = generator, discriminator
        self.optimizer_g = Adam(generator.parameters(), lr=1.5e-3, betas=(0.5, 0.999))
        self.optimizer_d = Adam(discriminator.parameters(), lr=1.5e-3, betas=(0.5, 0.999))

    def take(self, image: Tensor, damaged: Tensor, z: Tensor) -> Losses:
        loss = GAN_LOSSES["non-saturating"]
        restored = self.generator(damaged, None, z)

        d_loss = loss.discriminator(self.discriminator(image, damaged), self.discriminator(restored.detach(), damaged))
        self.optimizer_d.zero_grad()
        d_loss.backward()
        self.optimizer_d.step()

        self.discriminator.requires_grad_(False)
        g_loss = loss.generator(None, self.discriminator(restored, damaged))
        g_loss = g_loss + 300 / math.prod(image.shape[1:]) * absolute_error(restored, image)
        self.optimizer_g.zero_grad()
        g_loss.backward()
        clip_grad_norm_(self.generator.parameters(), 20.0)
        self.optimizer_g.step()
        self.discriminator.requires_grad_(True)
        return {"d_loss": d_loss, "g_loss": g_loss}


class CriticStep(Step):
    """A step of a Wasserstein critic with the penalty on its gradient, which is differentiated twice."""

    def __init__(self, critic: nn.Module, real: Tensor, fake: Tensor) -> None:
        super().__init__({"critic": critic}, [real, fake])
        self.critic, self.optimizer = critic, Adam(critic.parameters(), lr=1e-4)

    def take(self, real: Tensor, fake: Tensor) -> Losses:
        d_loss = GAN_LOSSES["wasserstein"].discriminator(self.critic(real), self.critic(fake))
        d_loss = d_loss + wgan_gp_penalty(self.critic, real, fake, self.noise)
        self.optimizer.zero_grad()
        d_loss.backward()
        self.optimizer.step()
        return {"d_loss": d_loss}


def make_step(model: str, batch: int, shape: Sequence[int], device: Device | str = "cpu") -> Step:
    """The training step of one of `MODELS`, its networks fresh, on a batch of noise of that shape."""
    noise = Generator(0)
    size: Any = tuple(shape)
    first = rand(batch, *size, generator=noise, device=device)
    second = rand(batch, *size, generator=noise, device=device)
    if model == "dcgan":
        return AdversarialStep(
            DCGANGenerator(size, generator=noise).to(device),
            DCGANDiscriminator(size, generator=noise).to(device),
            2 * first - 1,
            (1e-4, 1e-4),
            (0.9, 0.999),
        )
    if model == "gan2d":
        return AdversarialStep(
            MLPGenerator(size[0], he_start=True).to(device),
            MLPDiscriminator(size[0], he_start=True).to(device),
            first,
            (5e-3, 6e-4),
            (0.0, 0.99),
        )
    if model == "conv-vae":
        return VariationalStep(ConvVAE(size, likelihood="gaussian").to(device), first)
    if model == "dense-autoencoder":
        return ReconstructionStep(dense_autoencoder(size).to(device), first)
    if model == "conv-autoencoder":
        return ReconstructionStep(conv_autoencoder(size[0]).to(device), first)
    if model == "restoration-gan":
        return RestorationStep(
            UNet(size[0], latent_dim=8).to(device),
            PatchDiscriminator(size[0], conditional=True).to(device),
            first,
            second,
        )
    if model == "critic":
        return CriticStep(DCGANDiscriminator(size, generator=noise).to(device), 2 * first - 1, 2 * second - 1)
    raise unknown_name("step", model, MODELS)


def dense_autoencoder(shape: tuple[int, int, int]) -> Autoencoder:
    """784–256–256–784 for 28×28, as its article has it: the code is the second layer of 256, with ReLU."""
    pixels = math.prod(shape)
    encoder = nn.Sequential(nn.Flatten(), *dense_stack([pixels, 256, 256]))
    decoder = nn.Sequential(nn.Linear(256, pixels), nn.Sigmoid(), nn.Unflatten(1, shape))
    return Autoencoder(encoder, decoder, 256, "relu")


def conv_autoencoder(channels: int) -> nn.Sequential:
    """Two convolutions that halve an image and two that double it: its work is in proportion to the pixels."""
    return nn.Sequential(
        nn.Conv2d(channels, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )
