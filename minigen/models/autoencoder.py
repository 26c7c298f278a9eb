"""The autoencoders: an encoder f to a code h, and a decoder g that draws the image again, x̂ = g(f(x)).

What keeps them from copying their input is a code that is narrower than the image (the bottleneck), or something in
the loss: sparsity, a penalty on the Jacobian, or damage to the input (`minigen.training.autoencoder`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from minigen import nn
from minigen.errors import unknown_name
from minigen.functional import flatten, linear, reshape, sigmoid
from minigen.models.stacks import dense_stack, halving_stacks
from minigen.tensor import Tensor

CODES: dict[str, Callable[[], nn.Module]] = {"linear": nn.Identity, "sigmoid": nn.Sigmoid, "relu": nn.ReLU}


class Autoencoder(nn.Module):
    """What the untied networks share: an encoder, an activation of the code, a decoder.

    Args:
        encoder: images (N, C, H, W) to the code before its activation (N, latent_dim).
        decoder: codes (N, latent_dim) to images (N, C, H, W).
        latent_dim: numbers in a code.
        code: ``'linear'``, ``'sigmoid'`` (from 0 to 1) or ``'relu'`` (0 or above).

    Raises:
        UserError: a code that there is not.
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent_dim: int, code: str = "linear") -> None:
        super().__init__()
        if code not in CODES:
            raise unknown_name("code", code, CODES)
        self.latent_dim = latent_dim
        self.encoder, self.code, self.decoder = encoder, CODES[code](), decoder

    def encode(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to codes (N, latent_dim)."""
        return self.code(self.encoder(x))

    def decode(self, z: Tensor) -> Tensor:
        """Codes (N, latent_dim) to images (N, C, H, W)."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """Images to their reconstructions."""
        return self.decode(self.encode(x))


class DenseAutoencoder(Autoencoder):
    """f: pixels → hidden → … → code, g the same widths backwards, ReLU between, sigmoid at the end.

    With ``hidden=(256,)`` on 28×28 it is 784–256–L–256–784. Without hidden layers it is one layer each way.

    Args:
        image_shape: (C, H, W), values from 0 to 1.
        hidden: widths of the hidden layers of the encoder.
        latent_dim, code: as for `Autoencoder`.

    >>> import minigen
    >>> model = DenseAutoencoder((1, 28, 28), hidden=(256,), latent_dim=32)
    >>> model.encode(minigen.zeros(5, 1, 28, 28)).shape, model(minigen.zeros(5, 1, 28, 28)).shape
    ((5, 32), (5, 1, 28, 28))
    """

    decoder: nn.Sequential

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 8, 8),
        hidden: Sequence[int] = (256, 128),
        latent_dim: int = 8,
        code: str = "linear",
    ) -> None:
        pixels = math.prod(image_shape)
        encoder = nn.Sequential(nn.Flatten(), *dense_stack([pixels, *hidden, latent_dim]))
        decoder = nn.Sequential(
            *dense_stack([latent_dim, *reversed(hidden), pixels]), nn.Sigmoid(), nn.Unflatten(1, image_shape)
        )
        super().__init__(encoder, decoder, latent_dim, code)

    @property
    def columns(self) -> Tensor:
        """The weight of the decoder's first layer, (features, latent_dim): a column for each unit of the code."""
        return self.decoder[0].weight


class ConvAutoencoder(Autoencoder):
    """Convolutions that halve the image, and transposed ones that double it again, with dense layers between.

    The depth follows the size, as `halved_sizes` says: 8×8 to 2×2, 28×28 to 7×7, 64×64 to 8×8. Channels double each
    time, and the dense layers on both sides of the code are four times as wide as the first convolution. The kernels
    are 4 wide with stride 2, so that every pixel of a doubled image is reached as often as its neighbours (`minigen
    demo checkerboard` shows what a kernel of 3 does).

    Args:
        image_shape: (C, H, W), of any size; values from 0 to 1.
        width: channels of the first convolution.
        latent_dim, code: as for `Autoencoder`.

    >>> import minigen
    >>> ConvAutoencoder((3, 17, 30), width=4)(minigen.zeros(2, 3, 17, 30)).shape
    (2, 3, 17, 30)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 8, 8),
        width: int = 32,
        latent_dim: int = 8,
        code: str = "linear",
    ) -> None:
        down, up, corner = halving_stacks(image_shape, width)
        dense = [math.prod(corner), 4 * width, latent_dim]
        encoder = nn.Sequential(*down, nn.Flatten(), *dense_stack(dense))
        decoder = nn.Sequential(*dense_stack(dense[::-1]), nn.Unflatten(1, corner), *up, nn.Sigmoid())
        super().__init__(encoder, decoder, latent_dim, code)


class TiedAutoencoder(nn.Module):
    """f with a sigmoid after every layer, and g with the same weights transposed and its own biases.

    h₁ = σ(W₁x + b₁), h₂ = σ(W₂h₁ + b₂), … and back, with one hidden layer x̂ = σ(Wᵀσ(Wx + b) + c), the network of
    Rifai et al. 2011. Tied, the code cannot be made small, and with it every derivative of the code, while the
    decoder makes up for it: a penalty on the Jacobian needs that. The sigmoid is smooth, so that the Jacobian can be
    differentiated.

    Args:
        image_shape: (C, H, W), values from 0 to 1.
        hidden: widths of the layers before the code.
        latent_dim: numbers in a code.

    >>> [name for name, _ in TiedAutoencoder(hidden=(), latent_dim=3).named_parameters()]
    ['back_bias0', 'layers.0.weight', 'layers.0.bias']
    """

    def __init__(
        self, image_shape: tuple[int, int, int] = (1, 8, 8), hidden: Sequence[int] = (), latent_dim: int = 64
    ) -> None:
        super().__init__()
        self.image_shape, self.latent_dim = image_shape, latent_dim
        widths = [math.prod(image_shape), *hidden, latent_dim]
        self.layers = nn.ModuleList(nn.Linear(n_in, n_out) for n_in, n_out in pairwise(widths))
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight, gain=4.0)  # σ'(0) = ¼
            nn.init.zeros_(layer.bias)
        for i, width in enumerate(widths[:-1]):
            self.register_parameter(f"back_bias{i}", nn.Parameter([0.0] * width))

    def encode(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to codes (N, latent_dim), from 0 to 1."""
        h = flatten(x, 1)
        for layer in self.layers:
            h = sigmoid(layer(h))
        return h

    def decode(self, z: Tensor) -> Tensor:
        """Codes (N, latent_dim) to images (N, C, H, W)."""
        for i in reversed(range(len(self.layers))):
            z = sigmoid(linear(z, self.layers[i].weight.T, getattr(self, f"back_bias{i}")))
        return reshape(z, (-1, *self.image_shape))

    def forward(self, x: Tensor) -> Tensor:
        """Images to their reconstructions."""
        return self.decode(self.encode(x))
