"""The convolutional GAN for small images: a generator from noise, and a discriminator that tells its images from real.

The recipe is DCGAN's (Radford et al. 2016): transposed convolutions with batch norm up, strided convolutions with
LeakyReLU down, no pooling, tanh at the end, weights from N(0, 0.02²).
"""

from __future__ import annotations

from minigen import nn
from minigen.nn.utils import spectral_norm
from minigen.random import Generator
from minigen.tensor import Tensor


class ConvGenerator(nn.Module):
    """z (N, latent_dim) to images (N, C, H, W) from -1 to 1.

    Args:
        image_shape: (C, H, W), H and W multiples of 4.
        width: channels before the last layer; twice as many at the start.
        latent_dim: size of z.

    >>> import minigen
    >>> ConvGenerator((1, 28, 28), width=8, latent_dim=16)(minigen.zeros(2, 16)).shape
    (2, 1, 28, 28)
    """

    def __init__(self, image_shape: tuple[int, int, int] = (1, 8, 8), width: int = 48, latent_dim: int = 16) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        channels, h, w = image_shape
        small = (2 * width, h // 4, w // 4)
        features = 2 * width * (h // 4) * (w // 4)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, features, bias=False),  # batch norm subtracts a bias again
            nn.BatchNorm1d(features),
            nn.ReLU(),
            nn.Unflatten(1, small),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),  # (N, width, H/2, W/2)
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),  # (N, C, H, W)
            nn.Tanh(),
        )
        initialize(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class ConvDiscriminator(nn.Module):
    """Images (N, C, H, W) from -1 to 1 to one logit each (N, 1): positive for real.

    Args:
        image_shape: (C, H, W), H and W multiples of 4.
        width: channels of the first convolution; the second has twice as many.
        dropout: probability of dropping a feature, which keeps a small data set from being learnt by heart.
        packing: m, how many images it sees side by side in its channels (`minigen.losses.pack`).
        spectral: divide every weight by its largest singular value.
        generator: where the dropout masks come from.

    >>> import minigen
    >>> ConvDiscriminator((1, 28, 28), width=8)(minigen.zeros(2, 1, 28, 28)).shape
    (2, 1)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 8, 8),
        width: int = 48,
        dropout: float = 0.2,
        packing: int = 1,
        spectral: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        channels, h, w = image_shape
        self.layers = nn.Sequential(
            nn.Conv2d(packing * channels, width, 4, stride=2, padding=1),  # (N, width, H/2, W/2)
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout, generator=generator),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),  # (N, 2·width, H/4, W/4)
            nn.LeakyReLU(0.2),
            nn.Dropout(dropout, generator=generator),
            nn.Flatten(),
            nn.Linear(2 * width * (h // 4) * (w // 4), 1),
        )
        initialize(self)
        if spectral:
            normalize_spectrally(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def initialize(module: nn.Module) -> None:
    """DCGAN's start: weights of convolutions and dense layers from N(0, 0.02²), biases 0."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def normalize_spectrally(module: nn.Module) -> None:
    """Divide the weight of every dense layer and convolution by its largest singular value.

    Miyato et al. 2018, arXiv 1802.05957.

    Together with LeakyReLU that bounds the slope of a discriminator. Call it after `initialize`.
    """
    for layer in list(module.modules()):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            spectral_norm(layer)
