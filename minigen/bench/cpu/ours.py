"""Our side of the comparison: what `minigen.bench.cpu.theirs` does in PyTorch, line by line.

A step is that of the training loop of the same name (`minigen.training`), with its default losses and rates, on a batch
that stays the same. What stands around it there is left out on both sides: the data, what is logged, the running
average of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minigen import nn
from minigen.bench.cpu.cases import MODELS, Kernel, Task
from minigen.creation import rand, randn
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
        noise: where z and other random numbers come from.
    """

    def __init__(self, modules: dict[str, Any], data: Sequence[Tensor]) -> None:
        self.modules, self.data, self.noise = modules, list(data), Generator(0)

    def __call__(self) -> Losses:
        raise NotImplementedError


class AdversarialStep(Step):
    """A step of D and one of G on the same fakes, non-saturating loss (`minigen.training.gan.train_gan`)."""

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, real: Tensor, rates: Sequence[float], betas: Any
    ) -> None:
        super().__init__({"generator": generator, "discriminator": discriminator}, [real])
        self.generator: Any = generator
        self.discriminator = discriminator
        self.optimizer_g = Adam(generator.parameters(), lr=rates[0], betas=betas)
        self.optimizer_d = Adam(discriminator.parameters(), lr=rates[1], betas=betas)

    def __call__(self) -> Losses:
        (real,) = self.data
        loss = GAN_LOSSES["non-saturating"]
        fake = self.generator(randn(len(real), self.generator.latent_dim, generator=self.noise))

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
        super().__init__({"vae": model}, [images])
        self.model, self.optimizer = model, Adam(model.parameters(), lr=2e-3)

    def __call__(self) -> Losses:
        (x,), model = self.data, self.model
        mu, logvar = model.encode(x)
        z = reparametrize(mu, logvar, randn(len(x), model.latent_dim, generator=self.noise))
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

    def __call__(self) -> Losses:
        (x,) = self.data
        loss = squared_error(self.model(x), x)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss}


class RestorationStep(Step):
    """A step of D and one of the U-Net G (`minigen.training.restoration.train_restoration_gan`)."""

    def __init__(self, generator: UNet, discriminator: PatchDiscriminator, image: Tensor, damaged: Tensor) -> None:
        super().__init__({"generator": generator, "discriminator": discriminator}, [image, damaged])
        self.generator, self.discriminator = generator, discriminator
        self.optimizer_g = Adam(generator.parameters(), lr=1.5e-3, betas=(0.5, 0.999))
        self.optimizer_d = Adam(discriminator.parameters(), lr=1.5e-3, betas=(0.5, 0.999))

    def __call__(self) -> Losses:
        image, damaged = self.data
        loss = GAN_LOSSES["non-saturating"]
        restored = self.generator(damaged, None, randn(len(image), self.generator.latent_dim, generator=self.noise))

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

    def __call__(self) -> Losses:
        real, fake = self.data
        d_loss = GAN_LOSSES["wasserstein"].discriminator(self.critic(real), self.critic(fake))
        d_loss = d_loss + wgan_gp_penalty(self.critic, real, fake, self.noise)
        self.optimizer.zero_grad()
        d_loss.backward()
        self.optimizer.step()
        return {"d_loss": d_loss}


def make_step(model: str, batch: int, shape: Sequence[int]) -> Step:
    """The training step of one of `MODELS`, its networks fresh, on a batch of noise of that shape."""
    noise = Generator(0)
    size: Any = tuple(shape)
    first = rand(batch, *size, generator=noise)
    second = rand(batch, *size, generator=noise)
    if model == "dcgan":
        return AdversarialStep(
            DCGANGenerator(size, generator=noise),
            DCGANDiscriminator(size, generator=noise),
            2 * first - 1,
            (1e-4, 1e-4),
            (0.9, 0.999),
        )
    if model == "gan2d":
        return AdversarialStep(
            MLPGenerator(size[0], he_start=True),
            MLPDiscriminator(size[0], he_start=True),
            first,
            (5e-3, 6e-4),
            (0.0, 0.99),
        )
    if model == "conv-vae":
        return VariationalStep(ConvVAE(size, likelihood="gaussian"), first)
    if model == "dense-autoencoder":
        return ReconstructionStep(dense_autoencoder(size), first)
    if model == "conv-autoencoder":
        return ReconstructionStep(conv_autoencoder(size[0]), first)
    if model == "restoration-gan":
        return RestorationStep(
            UNet(size[0], latent_dim=8), PatchDiscriminator(size[0], conditional=True), first, second
        )
    if model == "critic":
        return CriticStep(DCGANDiscriminator(size, generator=noise), 2 * first - 1, 2 * second - 1)
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


def make_kernel(kernel: Kernel, direction: str) -> Callable[[], np.ndarray]:
    """One convolution in one direction, on images that lie in memory channels last, as they do in training."""
    noise, size, out = Generator(0), kernel.size, kernel.out_size
    x = noise.normal((kernel.batch, size, size, kernel.in_channels)).transpose(0, 3, 1, 2)
    y = noise.normal((kernel.batch, out, out, kernel.out_channels)).transpose(0, 3, 1, 2)
    w = noise.normal((kernel.out_channels, kernel.in_channels // kernel.groups, kernel.window, kernel.window))
    return convolution(kernel, direction, x, w, y)


def convolution(
    kernel: Kernel, direction: str, x: np.ndarray, w: np.ndarray, y: np.ndarray
) -> Callable[[], np.ndarray]:
    """C(x, w), T(y, w) or W(x, y), as in `minigen.functional.convolution`."""
    from minigen_kernels import cpu

    pad, size, window = kernel.padding, kernel.size, kernel.window
    stride, padding, groups = (kernel.stride, kernel.stride), (pad, pad, pad, pad), kernel.groups
    if direction == "forward":
        return lambda: cpu.conv2d(x, w, stride, padding, (1, 1), groups)
    if direction == "input gradient":
        return lambda: cpu.conv_transpose2d(y, w, stride, padding, (1, 1), groups, (size, size))
    return lambda: cpu.conv2d_weight_grad(x, y, stride, padding, (1, 1), groups, (window, window))


def prepare(task: Task) -> Callable[[], Any]:
    """What a task asks for, ready to be called again and again."""
    if "model" in task:
        return make_step(task["model"], task["batch"], task["shape"])
    if "kernel" in task:
        return make_kernel(Kernel(*task["kernel"]), task["direction"])
    from minigen_kernels.cpu import matmul

    a = Generator(0).normal((task["matmul"], task["matmul"]))
    return lambda: matmul(a, a)


def start(threads: int) -> None:
    """Set up this process as a training run is."""
    from minigen_kernels.cpu import set_num_threads
    from minigen_kernels.cpu.memory import keep_freed_memory

    keep_freed_memory()
    set_num_threads(threads)
    np.seterr(all="ignore")
