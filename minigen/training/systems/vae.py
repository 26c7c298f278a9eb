"""The variational autoencoders: dense, convolutional, and importance-weighted."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from minigen.autograd import no_grad
from minigen.functional import logsumexp
from minigen.losses import cyclical_annealing, linear_annealing
from minigen.metrics import psnr
from minigen.models import VAE, ConvVAE, DenseVAE
from minigen.models.vae import LIKELIHOODS
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.options import Option, non_negative_number, positive_integer, positive_number, widths
from minigen.training.session import Session
from minigen.training.systems.system import Config, System, data_options, training_options
from minigen.training.vae import binarize, importance_bounds, importance_samples, train_iwae, train_vae, vae_terms

IMPORTANCE_SAMPLES = 1000  # for the log-likelihood of an image
IMAGES_MEASURED = 1000  # held-out images in the bounds
IMAGES_WATCHED = 500  # and in those after every epoch
SCORE_SAMPLES = 64  # for an anomaly score
AT_ONCE = 256  # images through the networks

HIDDEN = Option("hidden", [200, 200], "widths of the hidden layers", widths, metavar="N,N")
WIDTH = Option("width", 32, "channels of the first convolution", positive_integer)
LATENT_DIM = Option("latent_dim", 8, "size of z", positive_integer)
LIKELIHOOD = (
    Option(
        "likelihood", "gaussian", "p(x|z): gaussian for grey pixels, bernoulli for black and white", choices=LIKELIHOODS
    ),
    Option(
        "sigma",
        None,
        "of the gaussian likelihood; learnt unless given",
        positive_number,
        metavar="S",
        unused_with=("likelihood", ("bernoulli",)),
    ),
    Option(
        "binarize",
        False,
        "with bernoulli: black and white images, drawn from the grey ones",
        bool,
        unused_with=("likelihood", ("gaussian",)),
    ),
)
KL_TERM = (
    Option("beta", 1.0, "weight of the KL term", non_negative_number, metavar="B"),
    Option(
        "kl_annealing",
        "none",
        "how the KL term comes in: none (at once), linear, cyclical",
        choices=("none", "linear", "cyclical"),
    ),
    Option(
        "warmup_epochs",
        20,
        "epochs in which an annealed KL term grows; half a cycle",
        positive_integer,
        unused_with=("kl_annealing", ("none",)),
    ),
    Option("free_bits", 0.0, "nats of each dimension that cost nothing", non_negative_number, metavar="NATS"),
)


class VariationalAutoencoder(System):
    """``minigen train vae``.

    >>> from minigen.training.systems import make_system
    >>> system = make_system({"model": "vae", "latent_dim": 2, "hidden": [64]})
    >>> system.sample(16, Generator(0)).shape
    (16, 1, 8, 8)
    """

    name = "vae"
    description = "variational autoencoder of dense layers"
    options = (
        *data_options("digits"),
        *training_options(epochs=200, batch_size=64, lr=2e-3, lr_schedule="cosine"),
        HIDDEN,
        LATENT_DIM,
        *LIKELIHOOD,
        *KL_TERM,
    )

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.latent_dim = config["latent_dim"]
        self.model = self.make_model()
        self.model.to(self.device)
        self.modules = {"vae": self.model}
        self.add_optimizer("adam", "vae")

    def make_model(self) -> VAE:
        """The networks, with fresh weights."""
        config = self.config
        return DenseVAE(self.image_shape, config["hidden"], config["latent_dim"], config["likelihood"], config["sigma"])

    def train(self, session: Session) -> None:
        config = self.config
        warmup = config["warmup_epochs"] * len(session.loader)
        annealing = {
            "none": None,
            "linear": partial(linear_annealing, warmup=warmup),
            "cyclical": partial(cyclical_annealing, period=2 * warmup),
        }
        train_vae(
            self.model,
            self.optimizers["adam"],
            session,
            self.noise,
            self.held_out()[:IMAGES_WATCHED],
            beta=config["beta"],
            annealing=annealing[config["kl_annealing"]],
            minimum_kl=config["free_bits"],
            binary=config["binarize"],
        )

    def held_out(self) -> np.ndarray:
        """With --binarize, black and white images that are always the same."""
        images = super().held_out()
        return binarize(Tensor(images), Generator(0)).numpy() if self.config["binarize"] else images

    def prior(self, n: int, generator: Generator) -> np.ndarray:
        """`n` draws from N(0, I) by `generator`, (n, Z)."""
        return generator.normal((n, self.config["latent_dim"]))

    @no_grad()
    def decode(self, z: np.ndarray) -> np.ndarray:
        """The means of p(x|z), from 0 to 1."""
        self.model.eval()
        parts = [self.model.image(self.model.decode(part)).cpu().numpy() for part in self._parts(z)]
        return np.concatenate(parts).clip(0, 1)

    @no_grad()
    def encode(self, images: np.ndarray) -> np.ndarray:
        """μ(x)."""
        self.model.eval()
        return np.concatenate([self.model.encode(part)[0].cpu().numpy() for part in self._parts(images)])

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        """The means of p(x|z) at z = μ(x)."""
        return self.decode(self.encode(images))

    def anomaly_scores(self, images: np.ndarray) -> np.ndarray:
        """-log p(x) in nats, by importance samples: high for what is improbable under the model."""
        samples = importance_samples(self.model, images, SCORE_SAMPLES, Generator(0))
        return np.concatenate([math.log(SCORE_SAMPLES) - logsumexp(Tensor(log_w), 0).numpy() for log_w in samples])

    def measure(self) -> Config:
        images = self.held_out()[:IMAGES_MEASURED]
        terms = vae_terms(self.model, images, draws=32)
        bounds = importance_bounds(self.model, images, IMPORTANCE_SAMPLES)
        made = self.reconstruct(images)
        error = float(((made - images) ** 2).sum()) / len(images)
        return {
            "elbo": -(terms.nll + terms.kl),
            "log_likelihood": bounds["log_likelihood"],
            "importance_samples": IMPORTANCE_SAMPLES,
            "effective_samples": bounds["effective_samples"],
            "nll": terms.nll,
            "kl": terms.kl,
            "kl_per_dimension": [round(float(kl), 4) for kl in terms.kl_per_dimension],
            "active_units": terms.active_units,
            "reconstruction_error": error,
            "psnr": psnr(made, images),
        }

    def _parts(self, array: np.ndarray) -> list[Tensor]:
        starts = range(0, max(len(array), 1), AT_ONCE)
        return [Tensor(array[start : start + AT_ONCE], device=self.device) for start in starts]


class ConvVariationalAutoencoder(VariationalAutoencoder):
    """``minigen train conv-vae``."""

    name = "conv-vae"
    description = "variational autoencoder of convolutions"
    options = (
        *data_options("digits"),
        *training_options(epochs=100, batch_size=64, lr=2e-3),
        WIDTH,
        LATENT_DIM,
        *LIKELIHOOD,
        *KL_TERM,
    )

    def make_model(self) -> VAE:
        config = self.config
        return ConvVAE(self.image_shape, config["width"], config["latent_dim"], config["likelihood"], config["sigma"])


class ImportanceWeightedAutoencoder(VariationalAutoencoder):
    """``minigen train iwae``."""

    name = "iwae"
    description = "importance-weighted autoencoder: a VAE with a bound of k samples"
    options = (
        *data_options("digits"),
        *training_options(epochs=100, batch_size=64, lr=2e-3),
        HIDDEN,
        LATENT_DIM,
        *LIKELIHOOD,
        Option("k", 10, "importance samples an image", positive_integer),
    )

    def train(self, session: Session) -> None:
        train_iwae(
            self.model,
            self.optimizers["adam"],
            session,
            self.noise,
            self.held_out()[:IMAGES_WATCHED],
            k=self.config["k"],
            binary=self.config["binarize"],
        )
