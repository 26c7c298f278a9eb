"""The generative adversarial networks."""

from __future__ import annotations

import numpy as np

from minigen.autograd import no_grad
from minigen.models import ConvDiscriminator, ConvGenerator
from minigen.optim import ExponentialMovingAverage
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.gan import train_gan
from minigen.training.options import Option, positive_integer
from minigen.training.session import Session
from minigen.training.systems.system import Config, System, data_options, training_options


class AdversarialNetwork(System):
    """``minigen train gan``."""

    name = "gan"
    description = "convolutional GAN, non-saturating loss"
    options = (
        *data_options("digits"),
        *training_options(epochs=60, batch_size=64, lr=2e-3),
        Option("latent_dim", 16, "size of z", positive_integer),
    )
    scale = "tanh"
    multiple_of = 4

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.latent_dim = config["latent_dim"]
        self.generator = ConvGenerator(self.image_shape, latent_dim=config["latent_dim"])
        self.discriminator = ConvDiscriminator(self.image_shape, generator=self.noise)
        self.generator.to(self.device)
        self.discriminator.to(self.device)
        self.average = ExponentialMovingAverage(self.generator, decay=0.999)
        self.modules = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
        }
        self.add_optimizer("generator", "generator", betas=(0.5, 0.999))
        self.add_optimizer("discriminator", "discriminator", betas=(0.5, 0.999))

    def train(self, session: Session) -> None:
        train_gan(
            self.generator,
            self.discriminator,
            self.optimizers["generator"],
            self.optimizers["discriminator"],
            session,
            self.noise,
            self.average,
        )

    def prior(self, n: int, generator: Generator) -> np.ndarray:
        """N(0, I)."""
        return generator.normal((n, self.config["latent_dim"]))

    @no_grad()
    def decode(self, z: np.ndarray) -> np.ndarray:
        """Images of the averaged generator."""
        model = self.average.module.eval()
        return ((model(Tensor(z, device=self.device)) + 1) * 0.5).cpu().numpy()
