"""The DCGAN for images of 28×28: a course's first convolutional GAN, in the layers, starts and constants of Keras.

Keras differs from PyTorch where nothing is written: LeakyReLU has slope 0.3, batch norm eps 10⁻³ and momentum 0.99 (0.01
in PyTorch's sense), weights start Glorot-uniform and biases at 0, and padding 'same' of a 5×5 window with stride 2 on 28
pixels is asymmetric: 1 above and left, 2 below and right. The transposed convolutions are its exact adjoint.
"""

from __future__ import annotations

from minigen import nn
from minigen.models.gan import normalize_spectrally
from minigen.random import Generator
from minigen.tensor import Tensor

SLOPE = 0.3


class DCGANGenerator(nn.Module):
    """z (N, latent_dim) to images (N, C, 4h, 4w) from -1 to 1; 28×28 for 7×7 at the start.

    Args:
        image_shape: (C, H, W), H and W multiples of 4.
        latent_dim: size of z.
        dropout: after each activation.
        generator: where the dropout masks come from.
        width: channels before the last layer, the tutorial's 64; four times as many at the start.

    >>> import minigen
    >>> DCGANGenerator(latent_dim=8, width=4)(minigen.zeros(2, 8)).shape
    (2, 1, 28, 28)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        latent_dim: int = 100,
        dropout: float = 0.3,
        generator: Generator | None = None,
        width: int = 64,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        channels, h, w = image_shape
        features = 4 * width * (h // 4) * (w // 4)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, features, bias=False),
            nn.BatchNorm1d(features, eps=1e-3, momentum=0.01),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout, generator=generator),
            nn.Unflatten(1, (4 * width, h // 4, w // 4)),
            nn.ConvTranspose2d(4 * width, 2 * width, 5, stride=1, padding="same", bias=False),  # (N, 2·width, H/4, W/4)
            nn.BatchNorm2d(2 * width, eps=1e-3, momentum=0.01),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout, generator=generator),
            nn.ConvTranspose2d(2 * width, width, 5, stride=2, padding="same", bias=False),  # (N, width, H/2, W/2)
            nn.BatchNorm2d(width, eps=1e-3, momentum=0.01),
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout, generator=generator),
            nn.ConvTranspose2d(width, channels, 5, stride=2, padding="same", bias=False),  # (N, C, H, W)
            nn.Tanh(),
        )
        start_as_keras(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class DCGANDiscriminator(nn.Module):
    """Images (N, packing·C, H, W) from -1 to 1 to one logit each (N, 1).

    Args:
        image_shape: (C, H, W).
        dropout: after each activation.
        packing: m, how many images it sees side by side in its channels (`minigen.losses.pack`).
        spectral: divide every weight by its largest singular value.
        generator: where the dropout masks come from.
        width: channels of the first convolution, the tutorial's 64; the second has twice as many.

    >>> import minigen
    >>> DCGANDiscriminator(width=4)(minigen.zeros(2, 1, 28, 28)).shape
    (2, 1)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        dropout: float = 0.3,
        packing: int = 1,
        spectral: bool = False,
        generator: Generator | None = None,
        width: int = 64,
    ) -> None:
        super().__init__()
        channels, h, w = image_shape
        rows, columns = -(-h // 4), -(-w // 4)
        self.layers = nn.Sequential(
            nn.Conv2d(packing * channels, width, 5, stride=2, padding="same"),  # (N, width, H/2, W/2)
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout, generator=generator),
            nn.Conv2d(width, 2 * width, 5, stride=2, padding="same"),  # (N, 2·width, H/4, W/4)
            nn.LeakyReLU(SLOPE),
            nn.Dropout(dropout, generator=generator),
            nn.Flatten(),
            nn.Linear(2 * width * rows * columns, 1, bias=False),
        )
        start_as_keras(self)
        if spectral:
            normalize_spectrally(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def start_as_keras(module: nn.Module) -> None:
    """Weights of dense layers and convolutions Glorot-uniform (Glorot & Bengio 2010), biases 0."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
