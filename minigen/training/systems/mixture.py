"""The mixture of Gaussians, on pixels, on points, or on the codes of an autoencoder."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from minigen.classical import (
    GaussianMixture,
    GradientMixture,
    MixtureParameters,
    choose_components,
    kmeans_responsibilities,
    maximization,
)
from minigen.classical.em import COVARIANCE_TYPES
from minigen.classical.selection import CRITERIA
from minigen.errors import UserError
from minigen.models.mixture import MixtureModel
from minigen.random import Generator
from minigen.training.mixture import train_by_em, train_by_gradient
from minigen.training.options import Option, non_negative_number, positive_integer, positive_number
from minigen.training.run_folder import RunFolder
from minigen.training.session import Session
from minigen.training.systems.system import OPTIMIZERS, Config, System, data_options

CANDIDATES = (1, 2, 3, 5, 8, 10, 15, 20, 25, 30, 40)  # numbers of components that a criterion chooses among
LARGEST_COVARIANCES = 2**29  # bytes of all full covariances together


def components(text: str) -> int | str:
    """A number of components, or the criterion that chooses it."""
    if text in CRITERIA:
        return text
    try:
        return positive_integer(text)
    except argparse.ArgumentTypeError:
        names = ", ".join(CRITERIA)
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, or one of {names}, not {text!r}") from None


def encoder(text: str) -> Config:
    """The configuration of the run whose encoder is to be used, from its folder; in config.json, as it was."""
    if text.startswith("{"):
        return json.loads(text)
    return {"run": str(Path(text).absolute()), **RunFolder.open(text).config}


class Mixture(System):
    """``minigen train gmm``.

    Raises:
        UserError: more components than training samples.
    """

    name = "gmm"
    description = "mixture of Gaussians by EM, on pixels or, with --encoder RUN, on a run's codes"
    options = (
        *data_options("digits"),
        Option("epochs", 200, "at most so many rounds of EM, or passes over the data", positive_integer),
        Option("components", 10, f"how many Gaussians, or what chooses it: {', '.join(CRITERIA)}", components),
        Option("covariance", "full", f"their covariances: {', '.join(COVARIANCE_TYPES)}", choices=COVARIANCE_TYPES),
        Option(
            "reg_covar",
            None,
            "least variance in any direction, for features of unit variance (default: 0.01 for pixels, else 1e-06)",
            non_negative_number,
            metavar="V",
        ),
        Option(
            "tol",
            1e-3,
            "EM ends when the log-likelihood changes by less, in nats a sample",
            non_negative_number,
            unused_with=("fit", ("gradient",)),
        ),
        Option(
            "encoder", None, "fit the codes of this run's encoder, and draw with its decoder", encoder, metavar="RUN"
        ),
        Option("fit", "em", "em, or gradient for gradient ascent", choices=("em", "gradient")),
        Option(
            "lr", 1e-2, "learning rate of --fit gradient", positive_number, metavar="RATE", unused_with=("fit", ("em",))
        ),
        Option(
            "optimizer",
            "adam",
            f"of --fit gradient: {', '.join(OPTIMIZERS)}",
            choices=tuple(OPTIMIZERS),
            unused_with=("fit", ("em",)),
        ),
        Option(
            "batch_size",
            None,
            "samples a step of --fit gradient (all unless given)",
            positive_integer,
            unused_with=("fit", ("em",)),
        ),
    )
    kinds = ("image", "point")

    @classmethod
    def completed(cls, config: Config) -> Config:
        """With --encoder RUN, the data of that run unless others are named."""
        if config.get("encoder") is None or "data" in config:
            return config
        given = config["encoder"]
        of = encoder(given if isinstance(given, str) else json.dumps(given))
        return {name: of[name] for name in ("data", "data_root", "image_size") if of.get(name) is not None} | config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        available = len(self.training_data())
        if config["components"] not in CRITERIA and config["components"] > available:
            raise UserError(
                f"--components {config['components']} is more than the {available} training samples of "
                f"{config['data']!r}; give at most {available}."
            )
        self.coder = None if config["encoder"] is None else self._load_encoder(config["encoder"])
        if self.coder is None:
            self.encode = None  # type: ignore[assignment, method-assign]  # what is fitted are the samples themselves
        if config["reg_covar"] is None:
            config["reg_covar"] = 1e-2 if self.source.kind == "image" and self.coder is None else 1e-6
        self.latent_dim = d = self.features(self.held_out()[:1]).shape[1]
        if config["components"] in CRITERIA:
            config["components"] = self._choose(config["components"])
        k, kind = config["components"], config["covariance"]
        if kind in ("full", "tied") and 8 * (k if kind == "full" else 1) * d * d > LARGEST_COVARIANCES:
            raise UserError(
                f"{k} covariances of {d} features would take {8 * k * d * d / 2**30:.0f} GiB; use --covariance diag, or "
                "an autoencoder's codes by --encoder RUN."
            )
        self.model: MixtureModel | GradientMixture = MixtureModel(k, d, kind)
        if config["fit"] == "gradient":
            self.model = GradientMixture(self.model.mixture_parameters())
        self.model.to(self.device)
        self.modules = {"mixture": self.model}
        if config["fit"] == "gradient":
            optimizer = OPTIMIZERS[config["optimizer"]](self.model.parameters(), lr=config["lr"], betas=(0.9, 0.999))
            self.optimizers = {"optimizer": optimizer}
        if self.coder is not None:
            self.modules |= {f"encoder:{name}": module for name, module in self.coder.modules.items()}

    def train(self, session: Session) -> None:
        rows = self.features(self.held_out())
        if session.step == 0:
            self._start(self.features(self.samples_of("train")))
        if isinstance(self.model, GradientMixture):
            train_by_gradient(self.model, self.optimizers["optimizer"], session, self.features, rows)
        else:
            train_by_em(self.model, session, self.features, rows, self.config["reg_covar"], self.config["tol"])

    def features(self, samples: np.ndarray) -> np.ndarray:
        """What the mixture is fitted to, (n, D): pixels, coordinates, or codes."""
        if self.coder is not None and self.coder.encode is not None:
            return self.coder.encode(samples)
        return samples.reshape(len(samples), -1)

    def encode(self, images: np.ndarray) -> np.ndarray:
        """The run's codes of images, (n, Z); without --encoder, the pixels."""
        return self.features(images)

    def prior(self, n: int, generator: Generator) -> np.ndarray:
        """`n` draws of the mixture by `generator`, (n, Z)."""
        return self._fitted().sample(n, generator)[0].astype(np.float32)

    def decode(self, z: np.ndarray) -> np.ndarray:
        """Codes drawn by the decoder; pixels as they are, between black and white."""
        if self.coder is not None and self.coder.decode is not None:
            return self.coder.decode(z)
        samples = z.reshape(len(z), *self.sample_shape)
        return samples.clip(0, 1) if self.source.kind == "image" else samples

    def anomaly_scores(self, images: np.ndarray) -> np.ndarray:
        """-ln p(x)."""
        return -self._fitted().score_samples(self.features(images))

    def measure(self) -> Config:
        mixture, train = self._fitted(), self.features(self.samples_of("train"))
        return {
            "components": mixture.n_components,
            "parameters": mixture.n_parameters(),
            "log_likelihood": mixture.score(self.features(self.held_out())),
            "train_log_likelihood": mixture.score(train),
            "aic": mixture.aic(train),
            "bic": mixture.bic(train),
        }

    def save_pictures(self, folder: Path) -> list[Path]:
        from minigen.viz import save_image_grid

        pictures = super().save_pictures(folder)
        if self.source.kind == "image":
            pictures.append(folder / "means.png")
            parameters = self.model.mixture_parameters()
            likeliest_first = np.argsort(-parameters.weights, kind="stable")
            save_image_grid(pictures[-1], self.decode(parameters.means[likeliest_first].astype(np.float32)))
        return pictures

    def _fitted(self) -> GaussianMixture:
        return GaussianMixture.from_parameters(self.model.mixture_parameters())

    def _start(self, rows: np.ndarray) -> None:
        """The parameters that k-means clusters give."""
        responsibilities = kmeans_responsibilities(rows, self.config["components"], self.noise)
        start: MixtureParameters = maximization(
            rows, responsibilities, self.config["covariance"], self.config["reg_covar"]
        )
        if isinstance(self.model, GradientMixture):
            self.model.load_state_dict(GradientMixture(start).state_dict())
        else:
            self.model.set_parameters(start)

    def _choose(self, criterion: str) -> int:
        rows = self.features(self.samples_of("train"))
        sizes = [k for k in CANDIDATES if k <= len(rows) // 5]
        options: dict[str, Any] = {name: self.config[name] for name in ("reg_covar", "tol")}
        options["covariance_type"] = self.config["covariance"]
        choice = choose_components(rows, sizes, criterion, generator=Generator(self.config["seed"]), **options)
        values = ", ".join(f"{row['n_components']:.0f}: {row[criterion]:.6g}" for row in choice.table)
        chosen = choice.mixture.n_components
        print(f"{criterion} for each number of components: {values}; {chosen} are taken.", file=sys.stderr)
        return chosen

    def _load_encoder(self, config: Config) -> System:
        """The system of the encoder's run, with its weights while the run is there; a checkpoint of ours has them too."""
        from minigen.training.runs import load_system
        from minigen.training.systems import make_system

        run = config["run"]
        if (Path(run) / "config.json").exists():
            system, _ = load_system(run)
        else:
            system = make_system({name: value for name, value in config.items() if name != "run"})
        if system.encode is None or system.decode is None:
            raise system.cannot("encode and decode, as --encoder asks")
        if system.sample_shape != self.sample_shape:
            raise UserError(
                f"The run {run} encodes images of shape {system.sample_shape}, and {self.source.name!r} holds "
                f"{self.sample_shape}; use --data {system.config['data']}."
            )
        return system
