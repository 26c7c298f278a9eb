"""The convolutional variational autoencoder."""

from __future__ import annotations

from minigen import nn
from minigen.losses.variational import reparametrize
from minigen.tensor import Tensor


class ConvVAE(nn.Module):
    """q(z|x) = N(μ(x), σ²(x)) by convolutions that halve the image twice; p(x|z) by transposed ones that double it.

    Args:
        image_shape: (C, H, W), H and W multiples of 4, values from 0 to 1.
        width: channels of the first convolution; the second has twice as many.
        latent_dim: size of z.
    """

    def __init__(self, image_shape: tuple[int, int, int] = (1, 8, 8), width: int = 32, latent_dim: int = 8) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        channels, h, w = image_shape
        small = (2 * width, h // 4, w // 4)
        features = 2 * width * (h // 4) * (w // 4)
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),  # (N, width, H/2, W/2)
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # (N, 2·width, H/4, W/4)
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(features, 4 * width),
            nn.ReLU(),
        )
        self.mu = nn.Linear(4 * width, latent_dim)
        self.logvar = nn.Linear(4 * width, latent_dim)
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, 4 * width),
            nn.ReLU(),
            nn.Linear(4 * width, features),
            nn.ReLU(),
            nn.Unflatten(1, small),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),  # (N, width, H/2, W/2)
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),  # (N, C, H, W)
        )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) to μ and log σ², both (N, latent_dim)."""
        features = self.encoder(x)
        return self.mu(features), self.logvar(features)

    def decode(self, z: Tensor) -> Tensor:
        """z (N, latent_dim) to the logits of the pixels (N, C, H, W)."""
        return self.decoder(z)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of the reconstruction from z = μ + σ·noise, with μ and log σ². The noise is (N, latent_dim)."""
        mu, logvar = self.encode(x)
        return self.decode(reparametrize(mu, logvar, noise)), mu, logvar
