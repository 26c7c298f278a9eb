"""A system is everything that belongs to one name on the command line: networks, optimizers, data scale, loop, metrics.

    system = make_system(config)          # networks with fresh weights
    system.train(session, ...)            # the loop
    system.sample(64, generator)          # images from 0 to 1
    system.reconstruct(images)            # where the model reconstructs
    system.evaluate(...)                  # numbers on held-out data

To add one: write the network in `models/`, the loss in `losses/`, the loop in this folder, and a class here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.creation import randn
from minigen.data.registry import dataset_info, load
from minigen.device import device as find_device
from minigen.errors import UserError, unknown_name
from minigen.functional import sigmoid
from minigen.losses import squared_error
from minigen.metrics import class_coverage, pca_error, psnr
from minigen.models import ConvDiscriminator, ConvGenerator, ConvVAE, DenseAutoencoder
from minigen.optim import Adam, ExponentialMovingAverage, Optimizer
from minigen.random import Generator, manual_seed
from minigen.tensor import Tensor
from minigen.training.autoencoder import autoencoder_error, train_autoencoder
from minigen.training.gan import train_gan
from minigen.training.session import Session
from minigen.training.vae import train_vae, vae_bound

Config = dict[str, Any]
SAMPLES_JUDGED = 1000


class System:
    """What all systems share.

    Attributes:
        modules, optimizers, generators: what a checkpoint keeps, by name.
    """

    name: str
    description: str
    defaults: ClassVar[Config]  # of the options that `minigen train NAME` takes
    scale = "unit"  # of the images it is trained on: from 0 to 1, or 'tanh', from -1 to 1

    modules: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]

    def __init__(self, config: Config) -> None:
        self.config = config
        self.device = find_device(config["device"])
        info = dataset_info(config["data"])
        if info.kind != "image" or any(side % 4 for side in info.shape[1:]):
            raise UserError(
                f"The model {self.name!r} is made for images whose sides are multiples of 4, and {info.name!r} holds "
                f"samples of shape {info.shape}; use --data digits."
            )
        self.image_shape: tuple[int, int, int] = (info.shape[0], info.shape[1], info.shape[2])
        manual_seed(config["seed"])  # the initial weights
        self.noise = Generator(config["seed"]).spawn(1)
        self.generators = {"noise": self.noise}

    def training_data(self) -> Any:
        """The images to train on, in this system's scale."""
        return load(self.config["data"], "train", scale=self.scale)

    def held_out(self) -> np.ndarray:
        """The images that are never trained on, from 0 to 1."""
        return load(self.config["data"], "test").arrays[0]

    def train(self, session: Session) -> None:
        """Run the loop."""
        raise NotImplementedError

    def sample(self, n: int, generator: Generator) -> np.ndarray:
        """n new images (n, C, H, W) from 0 to 1."""
        raise NotImplementedError

    reconstruct: Callable[[np.ndarray], np.ndarray] | None = None  # images from 0 to 1 to images from 0 to 1

    def evaluate(self) -> Config:
        """Numbers on held-out data."""
        samples = self.sample(SAMPLES_JUDGED, Generator(0))
        return self._reconstruction_metrics() | _coverage(self.config["data"], samples)

    def _reconstruction_metrics(self) -> Config:
        return {}


class Autoencoder(System):
    """``minigen train ae``."""

    name = "ae"
    description = "dense autoencoder, squared error"
    defaults: ClassVar[Config] = {"data": "digits", "epochs": 100, "batch_size": 64, "lr": 1e-3, "latent_dim": 8}

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.model = DenseAutoencoder(self.image_shape, latent_dim=config["latent_dim"])
        self.model.to(self.device)
        self.modules = {"autoencoder": self.model}
        self.optimizers = {"adam": Adam(self.model.parameters(), lr=config["lr"])}

    def train(self, session: Session) -> None:
        train_autoencoder(self.model, self.optimizers["adam"], session, self.held_out())

    @no_grad()
    def sample(self, n: int, generator: Generator) -> np.ndarray:
        """Decoded draws from the Gaussian that fits the training images' codes: an autoencoder has no prior of its own."""
        self.model.eval()
        images = load(self.config["data"], "train").arrays[0]
        codes = self.model.encode(Tensor(images, device=self.device)).cpu().numpy().astype(np.float64)
        mean, covariance = codes.mean(axis=0), np.cov(codes, rowvar=False).reshape(codes.shape[1], -1)
        values, axes = np.linalg.eigh(covariance)
        root = axes * np.sqrt(values.clip(0))
        z = mean + generator.normal((n, len(mean)), dtype=np.float64) @ root.T
        return self.model.decode(Tensor(z.astype(np.float32), device=self.device)).cpu().numpy()

    @no_grad()
    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        self.model.eval()
        return self.model(Tensor(images, device=self.device)).cpu().numpy()

    def _reconstruction_metrics(self) -> Config:
        held_out, train = self.held_out(), load(self.config["data"], "train").arrays[0]
        error = autoencoder_error(self.model, held_out)
        baseline = pca_error(train, held_out, self.model.latent_dim)
        return {
            "reconstruction_error": error,
            "pca_error": baseline,
            "error_over_pca": error / baseline,
            "psnr": psnr(error / held_out[0].size),
        }


class VariationalAutoencoder(System):
    """``minigen train vae``."""

    name = "vae"
    description = "convolutional variational autoencoder, Bernoulli likelihood"
    defaults: ClassVar[Config] = {
        "data": "digits",
        "epochs": 100,
        "batch_size": 64,
        "lr": 2e-3,
        "latent_dim": 8,
        "beta": 1.0,
    }

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.model = ConvVAE(self.image_shape, latent_dim=config["latent_dim"])
        self.model.to(self.device)
        self.modules = {"vae": self.model}
        self.optimizers = {"adam": Adam(self.model.parameters(), lr=config["lr"])}

    def train(self, session: Session) -> None:
        train_vae(self.model, self.optimizers["adam"], session, self.noise, self.held_out(), beta=self.config["beta"])

    @no_grad()
    def sample(self, n: int, generator: Generator) -> np.ndarray:
        """The means of p(x|z), z ~ N(0, I)."""
        self.model.eval()
        z = randn(n, self.model.latent_dim, generator=generator, device=self.device)
        return sigmoid(self.model.decode(z)).cpu().numpy()

    @no_grad()
    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """The means of p(x|z) at z = μ(x)."""
        self.model.eval()
        mu, _ = self.model.encode(Tensor(images, device=self.device))
        return sigmoid(self.model.decode(mu)).cpu().numpy()

    def _reconstruction_metrics(self) -> Config:
        held_out = self.held_out()
        bound = vae_bound(self.model, held_out, draws=32)
        error = squared_error(Tensor(self.reconstruct(held_out)), Tensor(held_out)).item()
        return {
            "elbo": -(bound["nll"] + bound["kl"]),
            **bound,
            "reconstruction_error": error,
            "psnr": psnr(error / held_out[0].size),
        }


class AdversarialNetwork(System):
    """``minigen train gan``."""

    name = "gan"
    description = "convolutional GAN, non-saturating loss"
    defaults: ClassVar[Config] = {"data": "digits", "epochs": 60, "batch_size": 64, "lr": 2e-3, "latent_dim": 16}
    scale = "tanh"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
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
        self.optimizers = {
            "generator": Adam(self.generator.parameters(), lr=config["lr"], betas=(0.5, 0.999)),
            "discriminator": Adam(self.discriminator.parameters(), lr=config["lr"], betas=(0.5, 0.999)),
        }

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

    @no_grad()
    def sample(self, n: int, generator: Generator) -> np.ndarray:
        """Images of the averaged generator."""
        model = self.average.module.eval()
        z = randn(n, self.config["latent_dim"], generator=generator, device=self.device)
        return ((model(z) + 1) * 0.5).cpu().numpy()


SYSTEMS: dict[str, type[System]] = {
    system.name: system for system in (Autoencoder, VariationalAutoencoder, AdversarialNetwork)
}


def find_system(name: str) -> type[System]:
    """The system of that name.

    Raises:
        UserError: there is none; the sentence lists them, and the closest name.
    """
    if name in SYSTEMS:
        return SYSTEMS[name]
    raise unknown_name("model", name, SYSTEMS)


def make_system(config: Config) -> System:
    """The system that a run's config.json describes, with fresh weights from its seed."""
    try:
        system = find_system(config["model"])
        return system({**system.defaults, **config})
    except KeyError as error:
        raise UserError(f"The run's config.json lacks {error}: it was changed, or is of another version.") from error


def _coverage(data: str, samples: np.ndarray) -> Config:
    from minigen.metrics.classifier import class_probabilities, train_classifier

    images, labels = load(data, "train").arrays
    held_out, held_out_labels = load(data, "test").arrays
    judge = train_classifier(images, labels)
    accuracy = float((class_probabilities(judge, held_out).argmax(axis=1) == held_out_labels).mean())
    return {"judge_accuracy": accuracy, **class_coverage(class_probabilities(judge, samples))}
