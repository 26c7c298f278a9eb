"""The variational autoencoders."""

from __future__ import annotations

import numpy as np

from minigen.autograd import no_grad
from minigen.functional import sigmoid
from minigen.losses import squared_error
from minigen.metrics import psnr
from minigen.models import ConvVAE
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.options import Option, non_negative_number, positive_integer
from minigen.training.session import Session
from minigen.training.systems.system import Config, System, data_options, training_options
from minigen.training.vae import train_vae, vae_bound


class VariationalAutoencoder(System):
    """``minigen train vae``."""

    name = "vae"
    description = "convolutional variational autoencoder, Bernoulli likelihood"
    options = (
        *data_options("digits"),
        *training_options(epochs=100, batch_size=64, lr=2e-3),
        Option("latent_dim", 8, "size of z", positive_integer),
        Option("beta", 1.0, "weight of the KL term", non_negative_number, metavar="B"),
    )
    multiple_of = 4

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.latent_dim = config["latent_dim"]
        self.model = ConvVAE(self.image_shape, latent_dim=config["latent_dim"])
        self.model.to(self.device)
        self.modules = {"vae": self.model}
        self.add_optimizer("adam", "vae")

    def train(self, session: Session) -> None:
        train_vae(self.model, self.optimizers["adam"], session, self.noise, self.held_out(), beta=self.config["beta"])

    def prior(self, n: int, generator: Generator) -> np.ndarray:
        """N(0, I)."""
        return generator.normal((n, self.config["latent_dim"]))

    @no_grad()
    def decode(self, z: np.ndarray) -> np.ndarray:
        """The means of p(x|z)."""
        self.model.eval()
        return sigmoid(self.model.decode(Tensor(z, device=self.device))).cpu().numpy()

    @no_grad()
    def encode(self, images: np.ndarray) -> np.ndarray:
        """μ(x)."""
        self.model.eval()
        mu, _ = self.model.encode(Tensor(images, device=self.device))
        return mu.cpu().numpy()

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """The means of p(x|z) at z = μ(x)."""
        return self.decode(self.encode(images))

    def measure(self) -> Config:
        held_out = self.held_out()
        bound = vae_bound(self.model, held_out, draws=32)
        error = squared_error(Tensor(self.reconstruct(held_out)), Tensor(held_out)).item()
        return {
            "elbo": -(bound["nll"] + bound["kl"]),
            **bound,
            "reconstruction_error": error,
            "psnr": psnr(error / held_out[0].size),
        }
