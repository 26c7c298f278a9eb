"""Generators and discriminators of points: dense layers for vectors of 2 numbers or of 1,200.

Widths, activation and batch norm are arguments, so that the published networks are a line each:

- ours: three ReLU layers of 128 against three LeakyReLU layers of 128, no batch norm;
- VEEGAN (Srivastava et al. 2017, arXiv 1705.07761): two ReLU layers of 128 against one;
- PacGAN (Lin et al. 2018, arXiv 1712.04086): four layers of 400 with batch norm against three of 200 maxout units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.errors import unknown_name
from minigen.functional import amax, reshape
from minigen.models.gan import normalize_spectrally
from minigen.tensor import Tensor

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": lambda: nn.LeakyReLU(0.2),
    "tanh": nn.Tanh,
}
MAXOUT_PIECES = 5


class MLPGenerator(nn.Module):
    """z (N, latent_dim) to points (N, dim).

    Args:
        dim: numbers in a point.
        latent_dim: size of z.
        hidden: widths of the hidden layers.
        activation: after each of them, a key of `ACTIVATIONS`.
        batch_norm: before each activation.
        he_start: start from `start_large`, and not as PyTorch does.

    >>> import minigen
    >>> MLPGenerator(dim=2, latent_dim=3, hidden=(8,))(minigen.zeros(5, 3)).shape
    (5, 2)
    """

    def __init__(
        self,
        dim: int = 2,
        latent_dim: int = 2,
        hidden: Sequence[int] = (128, 128, 128),
        activation: str = "relu",
        batch_norm: bool = False,
        he_start: bool = False,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        layers: list[nn.Module] = []
        n_in = latent_dim
        for width in hidden:
            layers.append(nn.Linear(n_in, width, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(width))
            layers.append(_activation(activation))
            n_in = width
        self.layers = nn.Sequential(*layers, nn.Linear(n_in, dim))
        if he_start:
            start_large(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class MLPDiscriminator(nn.Module):
    """Points (N, packing·dim) to one logit each (N, 1): positive for real.

    Args:
        dim: numbers in a point.
        hidden: widths of the hidden layers.
        activation: a key of `ACTIVATIONS`, or ``'maxout'``: each unit the largest of five linear ones.
        packing: m, how many points it sees side by side (`minigen.losses.pack`).
        spectral: divide every weight by its largest singular value (`minigen.nn.utils.spectral_norm`).
        he_start: start from `start_large`, and not as PyTorch does.
        proportions: what the numbers of a point are multiplied by, all 1 unless given. A start is made for inputs of one
            size, so that the first layer's is enlarged by √(dim/Σ proportions²).

    >>> import minigen
    >>> MLPDiscriminator(dim=2, hidden=(8,), packing=4)(minigen.zeros(5, 8)).shape
    (5, 1)
    """

    def __init__(
        self,
        dim: int = 2,
        hidden: Sequence[int] = (128, 128, 128),
        activation: str = "leaky-relu",
        packing: int = 1,
        spectral: bool = False,
        he_start: bool = False,
        proportions: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        seen = np.ones(dim) if proportions is None else proportions
        self.register_buffer("proportions", Tensor(np.tile(seen, packing).astype(np.float32)), persistent=False)
        layers: list[nn.Module] = []
        n_in = packing * dim
        for width in hidden:
            if activation == "maxout":
                layers += [nn.Linear(n_in, MAXOUT_PIECES * width), Maxout(MAXOUT_PIECES)]
            else:
                layers += [nn.Linear(n_in, width), _activation(activation)]
            n_in = width
        self.layers = nn.Sequential(*layers, nn.Linear(n_in, 1))
        if he_start:
            start_large(self)
        first = self.layers[0]
        with no_grad():
            for start in (first.weight, first.bias):
                start *= float(np.sqrt(dim / np.square(seen).sum()))
        if spectral:
            normalize_spectrally(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x * self.proportions)


class Maxout(nn.Module):
    """The largest of every `pieces` neighbouring features: (N, pieces·n) to (N, n).

    Goodfellow et al. 2013, arXiv 1302.4389.

    >>> import minigen
    >>> Maxout(2)(minigen.tensor([[1.0, 5.0, -2.0, -3.0]])).tolist()
    [[5.0, -2.0]]
    """

    def __init__(self, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, input: Tensor) -> Tensor:
        n, features = input.shape
        return amax(reshape(input, (n, features // self.pieces, self.pieces)), dim=2)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


def start_large(module: nn.Module) -> None:
    """Weights of dense layers from U(-√(6/fan_in), √(6/fan_in)), of the last one √2 less, in place.

    He et al. 2015, arXiv 1502.01852.

    So a signal keeps its size through ReLU layers; PyTorch's own start, which biases keep, shrinks it by √6 in each.
    """
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    for layer in layers[:-1]:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    nn.init.kaiming_uniform_(layers[-1].weight, nonlinearity="linear")


def _activation(name: str) -> nn.Module:
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]()
