"""The dense autoencoder: an encoder to a few numbers (the bottleneck), and a decoder back to the image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from minigen import nn
from minigen.tensor import Tensor


class DenseAutoencoder(nn.Module):
    """x̂ = g(f(x)), f: pixels → hidden → … → latent, g the same widths backwards, ReLU between, sigmoid at the end.

    Without a bottleneck (a latent narrower than the image) it could copy its input and learn nothing.

    Args:
        image_shape: (C, H, W), values from 0 to 1.
        hidden: widths of the hidden layers of the encoder.
        latent_dim: width of the bottleneck.
    """

    def __init__(
        self, image_shape: tuple[int, int, int] = (1, 8, 8), hidden: Sequence[int] = (256, 128), latent_dim: int = 8
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        pixels = math.prod(image_shape)
        self.encoder = nn.Sequential(nn.Flatten(), *_dense([pixels, *hidden, latent_dim]))
        self.decoder = nn.Sequential(
            *_dense([latent_dim, *reversed(hidden), pixels]), nn.Sigmoid(), nn.Unflatten(1, image_shape)
        )

    def encode(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) to codes (N, latent_dim)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Codes (N, latent_dim) to images (N, C, H, W)."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """Images to their reconstructions."""
        return self.decode(self.encode(x))


def _dense(widths: Sequence[int]) -> list[nn.Module]:
    """Linear layers through the widths, with a ReLU between each two."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers[:-1]
