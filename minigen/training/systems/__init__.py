"""The systems: networks, optimizers, data scale, loop and metrics under one name on the command line, a file a family."""

from __future__ import annotations

from minigen.data.source import DataSource
from minigen.errors import UserError, unknown_name
from minigen.training.systems.autoencoders import (
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    SparseAutoencoder,
)
from minigen.training.systems.gan import DCGAN, GAN64, AdversarialNetwork, PointGAN
from minigen.training.systems.mixture import Mixture
from minigen.training.systems.restoration import CorrectionAutoencoder, RestorationGan
from minigen.training.systems.system import Config, System
from minigen.training.systems.vae import (
    ConvVariationalAutoencoder,
    ImportanceWeightedAutoencoder,
    VariationalAutoencoder,
)

SYSTEMS: dict[str, type[System]] = {
    system.name: system
    for system in (
        Autoencoder,
        ConvolutionalAutoencoder,
        SparseAutoencoder,
        ContractiveAutoencoder,
        DenoisingAutoencoder,
        CorrectionAutoencoder,
        VariationalAutoencoder,
        ConvVariationalAutoencoder,
        ImportanceWeightedAutoencoder,
        AdversarialNetwork,
        DCGAN,
        GAN64,
        PointGAN,
        RestorationGan,
        Mixture,
    )
}


def find_system(name: str) -> type[System]:
    """The system of that name.

    Raises:
        UserError: there is none; the sentence lists them, and the closest name.

    >>> find_system("gmm").__name__
    'Mixture'
    """
    if name in SYSTEMS:
        return SYSTEMS[name]
    raise unknown_name("model", name, SYSTEMS)


def make_system(config: Config, source: DataSource | None = None) -> System:
    """The system that a configuration describes, with fresh weights from its seed.

    Args:
        config: ``{"model": name, …}`` with any of the model's options; the others have their defaults.
        source: the data set, where it is not to be opened by the name in `config`.

    Raises:
        UserError: no such model, an option that it does not have, or a value that is none.

    >>> make_system({"model": "ae", "latent_dim": 3}).latent_dim
    3
    """
    if "model" not in config:
        raise UserError("The configuration names no model: config.json was changed, or is of another version.")
    system = find_system(config["model"])
    config = system.completed(config)
    options = {option.name: option for option in system.all_options()}
    for name in config:
        if name != "model" and name not in options:
            raise UserError(f"The model {system.name!r} has no option {name!r}; it has {', '.join(options)}.")
    defaults = system.defaults(config.get("data"))
    values = {name: option.value(config.get(name, defaults[name])) for name, option in options.items()}
    for name, option in options.items():
        option.check_used(values, defaults[name])
    made = system({"model": system.name, **values, "source": source})
    made.check_freeze()
    return made
