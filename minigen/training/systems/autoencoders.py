"""The autoencoders: networks that squeeze an image through a few numbers and draw it again."""

from __future__ import annotations

import numpy as np

from minigen.autograd import no_grad
from minigen.metrics import pca_error, psnr
from minigen.models import DenseAutoencoder
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.autoencoder import autoencoder_error, train_autoencoder
from minigen.training.options import Option, positive_integer
from minigen.training.session import Session
from minigen.training.systems.system import Config, System, data_options, training_options


class Autoencoder(System):
    """``minigen train ae``."""

    name = "ae"
    description = "dense autoencoder, squared error"
    options = (
        *data_options("digits"),
        *training_options(epochs=100, batch_size=64, lr=1e-3),
        Option("latent_dim", 8, "size of the code", positive_integer),
    )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.latent_dim = config["latent_dim"]
        self.model = DenseAutoencoder(self.image_shape, latent_dim=config["latent_dim"])
        self.model.to(self.device)
        self.modules = {"autoencoder": self.model}
        self.add_optimizer("adam", "autoencoder")

    def train(self, session: Session) -> None:
        train_autoencoder(self.model, self.optimizers["adam"], session, self.held_out())

    @no_grad()
    def encode(self, images: np.ndarray) -> np.ndarray:
        self.model.eval()
        return self.model.encode(Tensor(images, device=self.device)).cpu().numpy()

    @no_grad()
    def decode(self, z: np.ndarray) -> np.ndarray:
        self.model.eval()
        return self.model.decode(Tensor(z, device=self.device)).cpu().numpy()

    def prior(self, n: int, generator: Generator) -> np.ndarray:
        """Draws from the Gaussian that fits the training images' codes: an autoencoder has no prior of its own."""
        codes = self.encode(self.samples_of("train")).astype(np.float64)
        mean, covariance = codes.mean(axis=0), np.cov(codes, rowvar=False).reshape(codes.shape[1], -1)
        values, axes = np.linalg.eigh(covariance)
        root = axes * np.sqrt(values.clip(0))
        z = mean + generator.normal((n, len(mean)), dtype=np.float64) @ root.T
        return z.astype(np.float32)

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        return self.decode(self.encode(images))

    def anomaly_scores(self, images: np.ndarray) -> np.ndarray:
        """‖x - x̂‖² of each image: what it was not trained on, it draws badly."""
        return ((images - self.reconstruct(images)) ** 2).reshape(len(images), -1).sum(axis=1)

    def measure(self) -> Config:
        held_out = self.held_out()
        error = autoencoder_error(self.model, held_out)
        baseline = pca_error(self.samples_of("train"), held_out, self.config["latent_dim"])
        return {
            "reconstruction_error": error,
            "pca_error": baseline,
            "error_over_pca": error / baseline,
            "psnr": psnr(error / held_out[0].size),
        }
