"""What every system is: everything that belongs to one name on the command line.

    system = make_system(config)          # networks with fresh weights
    system.train(session)                 # the loop
    system.sample(64, generator)          # images from 0 to 1, or points
    system.reconstruct(images)            # where the model can; the abilities that a model lacks are None
    system.evaluate()                     # numbers on held-out data

To add one: write the network in `models/`, the loss in `losses/`, the loop in `training/`, a class in this folder, and
its line in `__init__.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minigen import nn, optim
from minigen.data import open_dataset
from minigen.data.registry import DATASETS
from minigen.data.source import DataSource
from minigen.device import device as find_device
from minigen.errors import UserError
from minigen.optim import LRScheduler, Optimizer
from minigen.random import Generator, manual_seed
from minigen.training.options import Option, natural_number, positive_integer, positive_number
from minigen.training.session import Session

Config = dict[str, Any]
SAMPLES_SHOWN = 64
RECONSTRUCTIONS_SHOWN = 20

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adam": lambda params, lr, betas: optim.Adam(params, lr=lr, betas=betas),
    "adamw": lambda params, lr, betas: optim.AdamW(params, lr=lr, betas=betas),
    "rmsprop": lambda params, lr, betas: optim.RMSprop(params, lr=lr),
    "sgd": lambda params, lr, betas: optim.SGD(params, lr=lr),
    "momentum": lambda params, lr, betas: optim.SGD(params, lr=lr, momentum=0.9),
    "nesterov": lambda params, lr, betas: optim.SGD(params, lr=lr, momentum=0.9, nesterov=True),
}
SCHEDULES: dict[str, Callable[[Optimizer, int], LRScheduler]] = {
    "linear": lambda optimizer, steps: optim.LinearLR(optimizer, 1.0, 0.0, steps),
    "cosine": lambda optimizer, steps: optim.CosineAnnealingLR(optimizer, steps),
    "step": lambda optimizer, steps: optim.StepLR(optimizer, max(1, steps // 3)),
    "exponential": lambda optimizer, steps: optim.ExponentialLR(optimizer, 0.01 ** (1 / steps)),
}

COMMON_OPTIONS = (
    Option("seed", 0, "of weights, order and noise", natural_number),
    Option("device", "cpu", "cpu, cuda or cudasim", metavar="NAME"),
)


def data_options(data: str) -> tuple[Option, ...]:
    """The options of what a model is trained on."""
    return (
        Option("data", data, "the data set, or a folder of your own images", metavar="NAME"),
        Option("data_root", None, "where the files of mnist, fashion-mnist and cifar10 are or go", metavar="DIR"),
        Option(
            "image_size", None, "side of the images of a folder, or of the patches of photographs", positive_integer
        ),
        Option(
            "imbalance", None, "keep only a share of a class in training: 0:0.02, or 0:0 for none", metavar="C:SHARE"
        ),
    )


def training_options(
    epochs: int, batch_size: int, lr: float, optimizer: str = "adam", lr_schedule: str = "constant"
) -> tuple[Option, ...]:
    """The options of training by gradient descent."""
    return (
        Option("epochs", epochs, "passes over the training data", positive_integer),
        Option("batch_size", batch_size, "samples a step", positive_integer),
        Option("lr", lr, "learning rate", positive_number, metavar="RATE"),
        Option(
            "lr_schedule", lr_schedule, _one_of("the rate over the run", SCHEDULES), choices=("constant", *SCHEDULES)
        ),
        Option("optimizer", optimizer, _one_of("the optimizer", OPTIMIZERS), choices=tuple(OPTIMIZERS)),
        Option("init_from", None, "start with the weights of another run, where names and shapes agree", metavar="RUN"),
        Option("freeze", None, "do not train the weights of these names: 'encoder.*', with commas", metavar="PATTERN"),
    )


class System:
    """What all systems share.

    Attributes:
        name, description: on the command line, and one line on what it is.
        options: its settings: `data_options`, `training_options`, and its own.
        defaults_of_data: settings that are others on a data set, by the name of that.
        scale: of the images it is trained on: 'unit', from 0 to 1, or 'tanh', from -1 to 1.
        kinds: of data it takes: 'image', 'point'.
        multiple_of: what the sides of its images must be multiples of.
        source: the data set.
        modules, optimizers, generators: what a checkpoint keeps, by name.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]
    defaults_of_data: ClassVar[dict[str, Config]] = {}
    scale: ClassVar[str] = "unit"
    kinds: ClassVar[tuple[str, ...]] = ("image",)
    multiple_of: ClassVar[int] = 1

    # What a model may be able to do besides; each is a method of the systems that can.
    latent_dim: int | None = None  # the size of z
    prior: Callable[[int, Generator], np.ndarray] | None = None  # draws of z, (n, latent_dim)
    decode: Callable[[np.ndarray], np.ndarray] | None = None  # z to samples: images from 0 to 1, or points
    encode: Callable[[np.ndarray], np.ndarray] | None = None  # images from 0 to 1 to codes (n, latent_dim)
    reconstruct: Callable[[np.ndarray], np.ndarray] | None = None  # images to images, both from 0 to 1
    restore: Callable[..., np.ndarray] | None = None  # damaged images to images, both from 0 to 1
    anomaly_scores: Callable[[np.ndarray], np.ndarray] | None = None  # (n,), high for what is unlike the training data

    def __init__(self, config: Config) -> None:
        self.config = config
        self.device = find_device(config["device"])
        self.source: DataSource = config.pop("source", None) or open_dataset(
            config["data"], root=config["data_root"], image_size=config["image_size"], imbalance=config["imbalance"]
        )
        self.check_data()
        if config["data"] not in DATASETS:  # a run is to find its folders from wherever it is opened
            config["data"] = os.path.abspath(config["data"])
        if config["data_root"] is not None:
            config["data_root"] = os.path.abspath(config["data_root"])
        self.sample_shape: tuple[int, ...] = tuple(self.source.shape)
        manual_seed(config["seed"])  # the initial weights
        self.noise = Generator(config["seed"]).spawn(1)
        self.modules: dict[str, nn.Module] = {}
        self.optimizers: dict[str, Optimizer] = {}
        self.trained: list[str] = []  # names of the modules that an optimizer has
        self.generators = {"noise": self.noise}

    def check_data(self) -> None:
        """Refuse data that this model is not made for.

        Raises:
            UserError: with what the data are, and what the model is made for.
        """
        shape, name = tuple(self.source.shape), self.source.name
        if self.source.kind not in self.kinds:
            made_for = {"image": "images", "point": "points"}
            raise UserError(
                f"The model {self.name!r} is made for {' or '.join(made_for[kind] for kind in self.kinds)}, and {name!r} "
                f"holds {made_for[self.source.kind]} of shape {shape}; use --data {self.defaults()['data']}."
            )
        if self.source.kind == "image" and any(side % self.multiple_of for side in shape[1:]):
            raise UserError(
                f"The model {self.name!r} is made for images whose sides are multiples of {self.multiple_of}, and "
                f"{name!r} holds samples of shape {shape}; use --data {self.defaults()['data']}."
            )

    @classmethod
    def all_options(cls) -> tuple[Option, ...]:
        """Its own options and those of every system."""
        return (*cls.options, *COMMON_OPTIONS)

    @classmethod
    def defaults(cls, data: str | None = None) -> Config:
        """The settings where none is given, for the data set of this name; for its own one unless given."""
        values = {option.name: option.default for option in cls.all_options()}
        return values | cls.defaults_of_data.get(str(values["data"] if data is None else data), {})

    @classmethod
    def completed(cls, config: Config) -> Config:
        """A configuration with what follows from the settings that are given."""
        return config

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        channels, height, width = self.sample_shape
        return channels, height, width

    # ---- data ---------------------------------------------------------------------------------------------------

    def training_data(self) -> Any:
        """The samples to train on, in this system's scale."""
        return self.source.load("train", scale=self.scale)

    def held_out(self) -> np.ndarray:
        """The samples that are never trained on; images from 0 to 1."""
        return self.samples_of("test")

    def samples_of(self, split: str) -> np.ndarray:
        """All samples of 'train' or 'test' as one array; images from 0 to 1."""
        data = self.source.load(split)
        return data[np.arange(len(data))][0]

    # ---- training -----------------------------------------------------------------------------------------------

    def add_optimizer(
        self, name: str, *modules: str, lr: float | None = None, betas: tuple[float, float] = (0.9, 0.999)
    ) -> Optimizer:
        """The optimizer that the options ask for, over the weights of these modules that are not frozen.

        Args:
            name: in `optimizers`.
            *modules: names in `modules`.
            lr: --lr unless given.
            betas: of Adam and AdamW.

        Raises:
            UserError: everything in those modules is frozen.
        """
        patterns = [pattern for pattern in (self.config["freeze"] or "").split(",") if pattern]
        self.trained += modules
        trained = []
        for module in modules:
            for key, weight in self.modules[module].named_parameters():
                if any(_matches(f"{module}.{key}", pattern) or _matches(key, pattern) for pattern in patterns):
                    weight.requires_grad_(False)
                else:
                    trained.append(weight)
        if not trained:
            raise UserError(f"--freeze {self.config['freeze']} leaves nothing of the {' and '.join(modules)} to train.")
        make = OPTIMIZERS[self.config["optimizer"]]
        self.optimizers[name] = make(trained, lr=self.config["lr"] if lr is None else lr, betas=betas)
        return self.optimizers[name]

    def check_freeze(self) -> None:
        """Refuse a --freeze pattern that names no weight.

        Raises:
            UserError: with the names that there are.
        """
        names = [(f"{name}.{key}", key) for name in self.trained for key, _ in self.modules[name].named_parameters()]
        for pattern in filter(None, (self.config.get("freeze") or "").split(",")):
            if not any(_matches(full, pattern) or _matches(key, pattern) for full, key in names):
                groups = sorted({full.rsplit(".", 1)[0] for full, _ in names})
                raise UserError(f"--freeze {pattern} names no weight of {self.name!r}; it has {', '.join(groups)}.")

    def make_schedules(self, steps: int) -> list[LRScheduler]:
        """The schedule of each optimizer over a run of that many steps."""
        name = self.config.get("lr_schedule", "constant")
        return (
            [] if name == "constant" else [SCHEDULES[name](optimizer, steps) for optimizer in self.optimizers.values()]
        )

    def check_steps(self, steps: int) -> None:
        """Refuse settings that make no sense in a run of so many steps."""

    def train(self, session: Session) -> None:
        """Run the loop."""
        raise NotImplementedError

    # ---- what it can do -----------------------------------------------------------------------------------------

    @property
    def can_sample(self) -> bool:
        """Whether it makes new samples from noise alone."""
        return self.prior is not None and self.decode is not None

    def sample(self, n: int, generator: Generator) -> np.ndarray:
        """`n` new samples drawn by `generator`: images (n, C, H, W) from 0 to 1, or points (n, d)."""
        if self.prior is None or self.decode is None:
            raise self.cannot("draw samples")
        return self.decode(self.prior(n, generator))

    def cannot(self, what: str) -> UserError:
        """The error for an ability that this model lacks."""
        return UserError(
            f"A run of the model {self.name!r} cannot {what}; use another model (`minigen train --list` shows them)."
        )

    def evaluate(self, inception: str | None = None) -> Config:
        """Numbers on held-out data: the model's own, and how good its samples are.

        Args:
            inception: a file with the weights of the Inception network, for the FID and the KID of images.
        """
        result = self.measure()
        if self.can_sample:
            from minigen.training.systems.evaluation import judge_samples

            result |= judge_samples(self.source, self.sample, inception)
        return result

    def measure(self) -> Config:
        """What is special to this model: its loss on held-out data, its bound."""
        return {}

    def save_pictures(self, folder: Path) -> list[Path]:
        """Write samples.png and reconstructions.png, where they apply."""
        from minigen.viz import save_image_grid, save_points, save_reconstructions

        pictures = []
        if self.can_sample:
            pictures.append(folder / "samples.png")
            if self.source.kind == "image":
                save_image_grid(pictures[-1], self.sample(SAMPLES_SHOWN, Generator(0)))
            else:
                real = self.held_out()
                save_points(pictures[-1], self.sample(len(real), Generator(0))[:, :2], real[:, :2])
        if self.reconstruct is not None:
            images = self.held_out()[:RECONSTRUCTIONS_SHOWN]
            pictures.append(folder / "reconstructions.png")
            save_reconstructions(pictures[-1], images, self.reconstruct(images))
        return pictures


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _one_of(what: str, names: Any) -> str:
    extra = ["constant"] if names is SCHEDULES else []
    return f"{what}: {', '.join([*extra, *names])}"
