"""The autoencoders: networks that draw an image again from a code, and what each is kept from copying it by."""

from __future__ import annotations

from argparse import ArgumentTypeError
from itertools import islice
from pathlib import Path

import numpy as np

from minigen.data import DataLoader
from minigen.data.corruptions import make_corruption
from minigen.losses.reconstruction import squared_error
from minigen.metrics.pca import pca_error
from minigen.metrics.restoration import psnr, ssim
from minigen.models.autoencoder import ConvAutoencoder, DenseAutoencoder, TiedAutoencoder
from minigen.optim import Adam
from minigen.random import Generator, default_generator
from minigen.tensor import Tensor
from minigen.training.autoencoder import (
    AnyAutoencoder,
    autoencoder_error,
    codes_of,
    in_parts,
    jacobian_norm,
    train_autoencoder,
    train_contractive_autoencoder,
    train_denoising_autoencoder,
    train_sparse_autoencoder,
)
from minigen.training.latent_density import LatentDensity, check_components
from minigen.training.options import Option, non_negative_number, positive_integer, share, widths
from minigen.training.session import Session
from minigen.training.systems.system import Config, System, data_options, training_options

WATCHED = 1000  # held-out images that are looked at after every epoch
FITTED = 3000  # training images whose codes give the density
PCA_PIXELS = 2**24  # of the training images whose principal components are found
TWIN_STEPS = 2000  # batches that a network without the penalty is trained on, to compare with
EXAMPLES = 10  # damaged images in a picture
FEATURES = 100  # units of a code in a picture

HIDDEN = Option(
    "hidden", [256, 128], "widths of the encoder's hidden layers; the decoder has them backwards", widths, metavar="N,N"
)
MIXTURE = Option(
    "mixture", None, "Gaussians in the density of the codes; as many as BIC chooses unless given", positive_integer
)
LATENT_DIM = Option("latent_dim", 8, "size of the code", positive_integer)


def _part(text: str) -> float:
    """A number above 0 and below 1."""
    value = share(text)
    if value == 0:
        raise ArgumentTypeError(f"must be a number above 0 and below 1, not {text!r}")
    return value


class AutoencoderSystem(System):
    """What the autoencoders share."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        if config["mixture"] is not None:
            check_components(config["mixture"], min(len(self.source.load("train")), FITTED))
        self.latent_dim = config["latent_dim"]
        self.model = self.make_model()
        self.model.to(self.device)
        self.modules = {"autoencoder": self.model}
        self.add_optimizer("adam", "autoencoder")
        self._density: LatentDensity | None = None

    def make_model(self) -> AnyAutoencoder:
        """The network, with fresh weights."""
        raise NotImplementedError

    def run_loop(self, session: Session, held_out: np.ndarray) -> None:
        """The algorithm: one epoch after another of `session`, watched on the `held_out` images (n, C, H, W)."""
        train_autoencoder(self.model, self.optimizers["adam"], session, held_out)

    def train(self, session: Session) -> None:
        self._density = None
        self.run_loop(session, self.some_of("test", WATCHED))

    def some_of(self, split: str, at_most: int) -> np.ndarray:
        """Images of a split, from 0 to 1: all of them, or `at_most`, evenly spaced."""
        data = self.source.load(split)
        count = min(len(data), at_most)
        return data[np.arange(count) * len(data) // max(count, 1)][0]

    def encode(self, images: np.ndarray) -> np.ndarray:
        return codes_of(self.model, images)

    def decode(self, z: np.ndarray) -> np.ndarray:
        return in_parts(self.model, z, self.model.decode)

    def reconstruct(self, images: np.ndarray) -> np.ndarray:
        return in_parts(self.model, images)

    def density(self) -> LatentDensity:
        """Of the training images' codes: an autoencoder has no prior of its own. Fitted once."""
        if self._density is None:
            self._density = LatentDensity(self.encode(self.some_of("train", FITTED)), self.config["mixture"])
        return self._density

    def prior(self, n: int, generator: Generator) -> np.ndarray:
        """Draws from the density of the codes."""
        return self.density().sample(n, generator)

    def anomaly_scores(self, images: np.ndarray) -> np.ndarray:
        """‖x - x̂‖² of each image: what it was not trained on, it draws badly."""
        return ((images - self.reconstruct(images)) ** 2).reshape(len(images), -1).sum(axis=1)

    def latent_scores(self, images: np.ndarray) -> np.ndarray:
        """-ln p(f(x)) of each image: a code where few training images have theirs."""
        return -self.density().score_samples(self.encode(images))

    def measure(self) -> Config:
        held_out = self.held_out()
        made = self.reconstruct(held_out)
        error = float(((held_out - made) ** 2).sum(dtype=np.float64)) / len(held_out)
        pixels, components = held_out[0].size, self.config["latent_dim"]
        result: Config = {"reconstruction_error": error, "psnr": psnr(made, held_out)}
        train = self.some_of("train", max(2, PCA_PIXELS // pixels))
        if components < min(len(train), pixels):  # else the principal components leave no error
            baseline = pca_error(train, held_out, components)
            result |= {"pca_error": baseline, "error_over_pca": error / baseline}
        if min(self.image_shape[1:]) >= 11:
            result["ssim"] = ssim(made, held_out)
        result["mixture_components"] = self.density().mixture.n_components
        return result


class Autoencoder(AutoencoderSystem):
    """``minigen train ae``.

    >>> from minigen.training.systems import make_system
    >>> system = make_system({"model": "ae", "hidden": [32], "latent_dim": 2})
    >>> images = system.held_out()[:5]
    >>> system.encode(images).shape, system.reconstruct(images).shape, system.anomaly_scores(images).shape
    ((5, 2), (5, 1, 8, 8), (5,))
    """

    name = "ae"
    description = "autoencoder of dense layers with a bottleneck"
    options = (
        *data_options("digits"),
        *training_options(epochs=100, batch_size=64, lr=1e-3),
        HIDDEN,
        LATENT_DIM,
        MIXTURE,
    )

    def make_model(self) -> DenseAutoencoder:
        return DenseAutoencoder(self.image_shape, self.config["hidden"], self.config["latent_dim"])


class ConvolutionalAutoencoder(AutoencoderSystem):
    """``minigen train conv-ae``."""

    name = "conv-ae"
    description = "convolutional autoencoder, for images of any size"
    options = (
        *data_options("digits"),
        *training_options(epochs=60, batch_size=64, lr=2e-3),
        Option("width", 32, "channels of the first convolution", positive_integer),
        LATENT_DIM,
        MIXTURE,
    )

    def make_model(self) -> ConvAutoencoder:
        return ConvAutoencoder(self.image_shape, self.config["width"], self.config["latent_dim"])


class SparseAutoencoder(AutoencoderSystem):
    """``minigen train sparse-ae``: a code that may be wider than the image, few of whose units are on at a time."""

    name = "sparse-ae"
    description = "autoencoder whose wide code is sparse, by a KL or an L1 penalty"
    options = (
        *data_options("digits"),
        *training_options(epochs=150, batch_size=64, lr=3e-3),
        Option("hidden", None, "widths of layers before the code; none unless given", widths, metavar="N,N"),
        Option("latent_dim", 100, "units of the code", positive_integer),
        Option(
            "penalty", "kl", "kl, to a share of activity, on a sigmoid code; l1, on a ReLU code", choices=("kl", "l1")
        ),
        Option("sparsity", 0.2, "weight of the penalty", non_negative_number, metavar="L"),
        Option(
            "rho",
            0.05,
            "for kl: the share of the images that a unit is to be on for",
            _part,
            metavar="SHARE",
            unused_with=("penalty", ("l1",)),
        ),
        MIXTURE,
    )
    model: DenseAutoencoder

    def make_model(self) -> DenseAutoencoder:
        config = self.config
        code = "sigmoid" if config["penalty"] == "kl" else "relu"
        return DenseAutoencoder(self.image_shape, config["hidden"] or (), config["latent_dim"], code)

    def run_loop(self, session: Session, held_out: np.ndarray) -> None:
        config = self.config
        train_sparse_autoencoder(
            self.model,
            self.optimizers["adam"],
            session,
            held_out,
            config["penalty"],
            config["sparsity"],
            config["rho"],
        )

    def measure(self) -> Config:
        codes = self.encode(self.held_out())
        on = codes > 0.5 if self.config["penalty"] == "kl" else codes > 0
        return super().measure() | {
            "mean_activation": float(codes.mean()),
            "units_on": float(on.mean()),  # share of the units that are on for an image, in the mean
            "units_used": float((codes.std(axis=0) > 0.01).mean()),  # share of those that tell images apart
        }

    def features(self) -> np.ndarray:
        """What each unit adds to the image, (latent_dim, C, H, W): a unit switched on alone, less none at all."""
        units = np.eye(self.config["latent_dim"], dtype=np.float32)
        return self.decode(units) - self.decode(np.zeros_like(units))

    def save_pictures(self, folder: Path) -> list[Path]:
        """Write features.png too: what each unit adds, grey for nothing, each on a scale of its own."""
        from minigen.viz import save_image_grid

        features = self.features()[:FEATURES]
        largest = np.abs(features).max(axis=(1, 2, 3), keepdims=True)
        picture = folder / "features.png"
        save_image_grid(picture, features / np.maximum(largest, 1e-6), value_range=(-1, 1))
        return [*super().save_pictures(folder), picture]


class ContractiveAutoencoder(AutoencoderSystem):
    """``minigen train contractive-ae``: a code that moves little when the image does."""

    name = "contractive-ae"
    description = "autoencoder with a penalty on the Jacobian of its code"
    options = (
        *data_options("digits"),
        *training_options(epochs=60, batch_size=64, lr=3e-3),
        Option(
            "hidden", [128], "widths of layers before the code; the way back has them backwards", widths, metavar="N,N"
        ),
        Option("latent_dim", 32, "units of the code", positive_integer),
        Option("contraction", 0.05, "weight of the penalty", non_negative_number, metavar="L"),
        Option("draws", None, "estimate the penalty from so many directions; exact unless given", positive_integer),
        MIXTURE,
    )

    def make_model(self) -> TiedAutoencoder:
        return TiedAutoencoder(self.image_shape, self.config["hidden"], self.config["latent_dim"])

    def run_loop(self, session: Session, held_out: np.ndarray) -> None:
        config = self.config
        train_contractive_autoencoder(
            self.model,
            self.optimizers["adam"],
            session,
            held_out,
            config["contraction"],
            self.noise,
            config["draws"],
        )

    def measure(self) -> Config:
        images, twin = self.some_of("test", WATCHED), self._train_twin()
        return super().measure() | {
            "jacobian_norm": jacobian_norm(self.model, images),
            "plain_jacobian_norm": jacobian_norm(twin, images),
            "plain_reconstruction_error": autoencoder_error(twin, images),
        }

    def _train_twin(self) -> AnyAutoencoder:
        """The same network, trained as long without the penalty; on large data for `TWIN_STEPS` batches only."""
        before = default_generator.get_state()
        default_generator.manual_seed(self.config["seed"])  # for the initial weights; put back, as nothing was drawn
        try:
            twin = self.make_model()
        finally:
            default_generator.set_state(before)
        twin.to(self.device)
        optimizer = Adam(twin.parameters(), lr=self.config["lr"])
        order = Generator(self.config["seed"]).spawn(2)
        loader = DataLoader(self.training_data(), self.config["batch_size"], True, True, order, prefetch=0)
        batches = (batch for _ in range(self.config["epochs"]) for batch in loader)
        for images, *_ in islice(batches, TWIN_STEPS):
            x = Tensor(images, device=self.device)
            loss = squared_error(twin(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return twin


class DenoisingAutoencoder(AutoencoderSystem):
    """``minigen train denoising-ae``: from damaged images to clean ones."""

    name = "denoising-ae"
    description = "autoencoder that is given damaged images and draws the clean ones"
    options = (
        *data_options("digits"),
        *training_options(epochs=100, batch_size=64, lr=1e-3),
        HIDDEN,
        Option("latent_dim", 32, "size of the code", positive_integer),
        Option("corruption", "noise:sigma=75", "the damage, such as noise:sigma=75 or block:size=3", metavar="KIND"),
        MIXTURE,
    )

    def __init__(self, config: Config) -> None:
        self.corruption = make_corruption(config["corruption"])
        super().__init__(config)
        self.corruption.check_size(*self.image_shape[1:])

    def make_model(self) -> DenseAutoencoder:
        return DenseAutoencoder(self.image_shape, self.config["hidden"], self.config["latent_dim"])

    def run_loop(self, session: Session, held_out: np.ndarray) -> None:
        train_denoising_autoencoder(self.model, self.optimizers["adam"], session, held_out, self.corruption, self.noise)

    def restore(self, images: np.ndarray) -> np.ndarray:
        """Clean images from damaged ones, both (n, C, H, W) of the size trained on."""
        return self.reconstruct(images)

    def measure(self) -> Config:
        """PSNR of damaged and of restored held-out images too: the means of the images' decibels."""
        images, damaged, restored = self._examples(WATCHED)
        return super().measure() | {"damaged_psnr": psnr(damaged, images), "restored_psnr": psnr(restored, images)}

    def save_pictures(self, folder: Path) -> list[Path]:
        """Write restorations.png too: clean, damaged and restored images."""
        from minigen.viz import save_rows

        picture = folder / "restorations.png"
        save_rows(picture, list(zip(("clean", "damaged", "restored"), self._examples(EXAMPLES))))
        return [*super().save_pictures(folder), picture]

    def _examples(self, at_most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Held-out images, the same damaged (as they are seen, within 0 and 1), and what is made of the damaged ones."""
        images = self.some_of("test", at_most)
        damaged, _ = self.corruption(images, Generator(0))
        return images, damaged.clip(0, 1), self.restore(damaged)
