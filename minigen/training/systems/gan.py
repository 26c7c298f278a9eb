"""The generative adversarial networks: one loop, and a choice of networks, losses and ways to keep the two in balance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.data import ArrayDataset
from minigen.data.imbalance import keep_shares
from minigen.errors import UserError
from minigen.losses import GAN_LOSSES, GAN_PENALTIES, gan_loss, gan_penalty
from minigen.models.dcgan import DCGANDiscriminator, DCGANGenerator
from minigen.models.gan import ConvDiscriminator, ConvGenerator
from minigen.models.gan64 import ConvDiscriminator64, ConvGenerator64, DenseDiscriminator, DenseGenerator
from minigen.models.mlp_gan import ACTIVATIONS, MLPDiscriminator, MLPGenerator
from minigen.models.whitening import Whitening
from minigen.optim import ExponentialMovingAverage
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.gan import falling_noise, train_gan
from minigen.training.options import Option, non_negative_number, positive_integer, positive_number, share, widths
from minigen.training.session import Session
from minigen.training.systems.system import Config, System, data_options, training_options

SCALINGS: dict[str, Callable[[np.ndarray], Whitening]] = {
    "none": lambda points: Whitening.identity(points.shape[1]),
    "standardize": Whitening.standardizing,
    "whiten": Whitening.of,
}
WITHOUT_BETAS = ("optimizer", ("rmsprop", "sgd", "momentum", "nesterov"))
TRAINING_STREAM = 2  # of random points; 0 and 1 are those of the data sets' own splits


def gan_options(
    latent_dim: int,
    lr_d: float | None = None,
    beta1: float = 0.5,
    beta2: float = 0.999,
    instance_noise: float = 0.0,
    ema: float = 0.999,
) -> tuple[Option, ...]:
    """The switches of every GAN, each of which goes with each other."""
    return (
        Option("latent_dim", latent_dim, "size of z", positive_integer),
        Option(
            "loss",
            "non-saturating",
            f"the loss: {', '.join(GAN_LOSSES)}; wasserstein needs --gradient-penalty, --weight-clip or --spectral-norm",
            choices=tuple(GAN_LOSSES),
        ),
        Option(
            "lr_d",
            lr_d,
            "learning rate of the discriminator" + (", that of --lr unless given" if lr_d is None else ""),
            positive_number,
            metavar="RATE",
        ),
        Option("beta1", beta1, "Adam's first decay rate", share, metavar="B", unused_with=WITHOUT_BETAS),
        Option("beta2", beta2, "Adam's second decay rate", share, metavar="B", unused_with=WITHOUT_BETAS),
        Option("critic_steps", 1, "steps of the discriminator for each of the generator", positive_integer),
        Option("label_smoothing", 0.0, "how far below 1 the label of real samples is", share, metavar="S"),
        Option(
            "gradient_penalty",
            "none",
            f"on the discriminator's gradient: none, {', '.join(GAN_PENALTIES)}",
            choices=("none", *GAN_PENALTIES),
        ),
        Option(
            "penalty_weight",
            10.0,
            "of the gradient penalty",
            non_negative_number,
            metavar="W",
            unused_with=("gradient_penalty", ("none",)),
        ),
        Option("weight_clip", 0.0, "clip the discriminator's weights to ± this; 0: do not", non_negative_number),
        Option("spectral_norm", False, "divide the discriminator's weights by their largest singular value", bool),
        Option("packing", 1, "samples that the discriminator sees side by side (PacGAN)", positive_integer),
        Option(
            "instance_noise",
            instance_noise,
            "noise on what the discriminator sees, falling to 0 over the first 40 % of the run",
            non_negative_number,
            metavar="STD",
        ),
        Option("ema", ema, "decay of the generator's running average, which is sampled; 0: none", share, metavar="D"),
    )


class Adversarial(System):
    """A generator, a discriminator, and the average of the generator that samples are drawn from."""

    scale = "tanh"

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.latent_dim: int = config["latent_dim"]
        self._check_switches()
        self.loss = gan_loss(config["loss"], config["label_smoothing"])
        self.penalty = gan_penalty(config["gradient_penalty"], config["penalty_weight"], self.noise)
        generator, discriminator = self.make_networks()
        self.generator, self.discriminator = generator.to(self.device), discriminator.to(self.device)
        self.average = ExponentialMovingAverage(self.generator, decay=config["ema"])
        self.modules |= {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
        }
        betas = (config["beta1"], config["beta2"])
        self.add_optimizer("generator", "generator", betas=betas)
        self.add_optimizer("discriminator", "discriminator", lr=config["lr_d"], betas=betas)

    def make_networks(self) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator with fresh weights."""
        raise NotImplementedError

    def _check_switches(self) -> None:
        config = self.config
        if config["batch_size"] % config["packing"]:
            raise UserError(
                f"--batch-size {config['batch_size']} does not split into packs of {config['packing']}; give a multiple."
            )
        bounded = config["weight_clip"] > 0 or config["gradient_penalty"] != "none" or config["spectral_norm"]
        if config["loss"] == "wasserstein" and not bounded:
            raise UserError(
                "The Wasserstein loss needs a critic whose slope is bounded: add --gradient-penalty wgan-gp, "
                "--weight-clip 0.01 or --spectral-norm."
            )

    def check_steps(self, steps: int) -> None:
        if self.config["critic_steps"] > steps:
            raise UserError(
                f"The run has {steps} steps of the discriminator, so that with --critic-steps "
                f"{self.config['critic_steps']} the generator would never take one; give fewer, or more --epochs."
            )

    def train(self, session: Session) -> None:
        config, steps = self.config, session.total_epochs * len(session.loader)
        train_gan(
            self.generator,
            self.discriminator,
            self.optimizers["generator"],
            self.optimizers["discriminator"],
            session,
            self.noise,
            self.average,
            self.loss,
            self.penalty,
            config["critic_steps"],
            config["packing"],
            config["weight_clip"],
            falling_noise(config["instance_noise"], steps),
        )

    def prior(self, n: int, generator: Generator) -> np.ndarray:
        """N(0, I)."""
        return generator.normal((n, self.latent_dim))

    @no_grad()
    def decode(self, z: np.ndarray) -> np.ndarray:
        """Images of the averaged generator."""
        model = self.average.module.eval()
        return ((model(Tensor(z, device=self.device)) + 1) * 0.5).cpu().numpy()


class AdversarialNetwork(Adversarial):
    """``minigen train gan``."""

    name = "gan"
    description = "convolutional GAN for small images, non-saturating loss"
    options = (
        *data_options("digits"),
        *training_options(epochs=60, batch_size=64, lr=2e-3),
        *gan_options(latent_dim=16),
    )
    multiple_of = 4

    def make_networks(self) -> tuple[nn.Module, nn.Module]:
        packing, spectral = self.config["packing"], self.config["spectral_norm"]
        return (
            ConvGenerator(self.image_shape, latent_dim=self.latent_dim),
            ConvDiscriminator(self.image_shape, packing=packing, spectral=spectral, generator=self.noise),
        )


class DCGAN(Adversarial):
    """``minigen train dcgan``."""

    name = "dcgan"
    description = "DCGAN for 28×28, as in Keras's tutorial: 5×5 convolutions, dropout"
    options = (
        *data_options("digits28"),
        *training_options(epochs=120, batch_size=64, lr=5e-4),
        *gan_options(latent_dim=100, ema=0.995),
    )
    # The tutorial's, for data of the tutorial's size.
    defaults_of_data: ClassVar[dict[str, Config]] = {
        data: {"epochs": 50, "batch_size": 256, "lr": 1e-4, "beta1": 0.9, "ema": 0.999}
        for data in ("mnist", "fashion-mnist")
    }
    multiple_of = 4

    def make_networks(self) -> tuple[nn.Module, nn.Module]:
        packing, spectral = self.config["packing"], self.config["spectral_norm"]
        return (
            DCGANGenerator(self.image_shape, self.latent_dim, generator=self.noise),
            DCGANDiscriminator(self.image_shape, packing=packing, spectral=spectral, generator=self.noise),
        )


class GAN64(Adversarial):
    """``minigen train gan64``."""

    name = "gan64"
    description = "GAN for colour images of 64×64, convolutional or dense"
    options = (
        *data_options("photographs"),
        *training_options(epochs=20, batch_size=32, lr=2e-4),
        *gan_options(latent_dim=100),
        Option("network", "conv", "conv (DCGAN's) or dense", choices=("conv", "dense")),
        Option("width", 32, "channels of the widest maps of the convolutional networks", positive_integer),
    )
    multiple_of = 16

    def make_networks(self) -> tuple[nn.Module, nn.Module]:
        shape, width = self.image_shape, self.config["width"]
        packing, spectral = self.config["packing"], self.config["spectral_norm"]
        if self.config["network"] == "dense":
            return (
                DenseGenerator(shape, self.latent_dim),
                DenseDiscriminator(shape, packing=packing, spectral=spectral),
            )
        return (
            ConvGenerator64(shape, width, self.latent_dim),
            ConvDiscriminator64(shape, width, packing=packing, spectral=spectral),
        )


class PointGAN(Adversarial):
    """``minigen train gan2d``: trained on points brought to unit size, and sampled in the data's own units.

    Of whitened points, the generator makes principal components, each of standard deviation 1, and instance noise is of
    that size too; the discriminator sees them in their own proportions. So the one direction that tells the modes of
    `mixture1200` apart is not drowned by seven hundred that hold nothing but noise.
    """

    name = "gan2d"
    description = "GAN of dense layers for points: mixtures on which lost modes can be counted"
    options = (
        *data_options("grid25"),
        *training_options(epochs=28, batch_size=256, lr=5e-3, lr_schedule="linear"),
        *gan_options(latent_dim=2, lr_d=6e-4, beta1=0.0, beta2=0.99, instance_noise=0.3),
        Option("hidden", [128, 128, 128], "widths of the generator's layers", widths, metavar="N,N"),
        Option("hidden_d", [128, 128, 128], "widths of the discriminator's layers", widths, metavar="N,N"),
        Option("activation", "relu", "of the generator", choices=tuple(ACTIVATIONS)),
        Option("activation_d", "leaky-relu", "of the discriminator", choices=(*ACTIVATIONS, "maxout")),
        Option("batch_norm", False, "batch norm in the generator", bool),
        Option("he_start", True, "weights start as large as He et al. (2015) have them, PyTorch's are smaller", bool),
        Option(
            "scaling",
            "standardize",
            "of the points: none, standardize (mean 0, one standard deviation for all), or whiten (their principal "
            "components, each of standard deviation 1)",
            choices=tuple(SCALINGS),
        ),
        Option("scale_d", 1.0, "the discriminator sees the scaled points this much larger", positive_number),
    )
    defaults_of_data: ClassVar[dict[str, Config]] = {
        "mixture1200": {
            **{"epochs": 40, "lr": 3e-3, "lr_d": 3e-3, "beta2": 0.9, "instance_noise": 1.0},
            **{"scaling": "whiten", "scale_d": 2.0},
        }
    }
    kinds = ("point",)

    def make_networks(self) -> tuple[nn.Module, nn.Module]:
        config = self.config
        whitening = SCALINGS[config["scaling"]](self._points()[0])
        self.own_scaling = {name: value.numpy().copy() for name, value in whitening.state_dict().items()}
        self.modules["scale"] = self.scaling = whitening.to(self.device)
        dim = len(whitening.proportions)
        return (
            MLPGenerator(
                dim,
                self.latent_dim,
                config["hidden"],
                config["activation"],
                config["batch_norm"],
                config["he_start"],
            ),
            MLPDiscriminator(
                dim,
                config["hidden_d"],
                config["activation_d"],
                config["packing"],
                config["spectral_norm"],
                config["he_start"],
                config["scale_d"] * whitening.proportions,
            ),
        )

    def training_data(self) -> Any:
        """Points to train on, scaled."""
        points, labels = self._points()
        return ArrayDataset(self.scaling(points), labels)

    def _points(self) -> tuple[np.ndarray, np.ndarray]:
        """Points and labels: where a formula makes them, 100,000 in the plane, 33,333 in 1,200 dimensions."""
        if self.source.draw is None:
            points, labels = self.source.load("train").arrays
            return points, labels
        stream = Generator(0).spawn(TRAINING_STREAM)  # as with the data sets, no user's seed changes the data
        points, labels = self.source.draw(min(100_000, 40_000_000 // self.sample_shape[0]), stream)
        if self.source.shares:
            kept = keep_shares(labels, self.source.shares)
            points, labels = points[kept], labels[kept]
        return points, labels

    def train(self, session: Session) -> None:
        if session.step == 0:  # weights taken from another run brought that of its points
            self.scaling.load_state_dict(self.own_scaling)
        else:  # the scaling is the checkpoint's, which another machine may have made
            session.loader.dataset = self.training_data()
        super().train(session)

    @no_grad()
    def decode(self, z: np.ndarray) -> np.ndarray:
        """Points of the averaged generator, in the data's own units."""
        model = self.average.module.eval()
        return self.scaling.undo(model(Tensor(z, device=self.device)).cpu().numpy())
