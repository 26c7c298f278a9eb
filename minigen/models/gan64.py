"""GANs for colour images of 64×64: a stack of dense layers, and the convolutional form that suits images better.

The dense networks are those of a well-known listing, with its mistakes mended: there the generator narrows layer by
layer and ends in three numbers, and a sigmoid stands before a loss that takes logits. Here the generator widens to an
image of 64·64·3 numbers through tanh, and the discriminator, which narrows as in the listing, ends in a logit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from minigen import nn
from minigen.models.dcgan import start_as_keras
from minigen.models.gan import initialize, normalize_spectrally
from minigen.tensor import Tensor


class DenseGenerator(nn.Module):
    """z (N, latent_dim) to images (N, C, H, W) from -1 to 1: dense → LeakyReLU 0.2 → batch norm, and so on; then tanh.

    Args:
        image_shape: (C, H, W).
        latent_dim: size of z.
        hidden: widths of the hidden layers.

    >>> import minigen
    >>> DenseGenerator((1, 8, 8), latent_dim=4, hidden=(16, 32))(minigen.zeros(2, 4)).shape
    (2, 1, 8, 8)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 64, 64),
        latent_dim: int = 100,
        hidden: Sequence[int] = (128, 256, 512, 1024),
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        layers: list[nn.Module] = []
        n_in = latent_dim
        for width in hidden:
            # Keras's momentum 0.8 is the share that stays, PyTorch's 0.2 the share that comes in
            layers += [nn.Linear(n_in, width), nn.LeakyReLU(0.2), nn.BatchNorm1d(width, eps=1e-3, momentum=0.2)]
            n_in = width
        pixels = math.prod(image_shape)
        self.layers = nn.Sequential(*layers, nn.Linear(n_in, pixels), nn.Tanh(), nn.Unflatten(1, image_shape))
        start_as_keras(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class DenseDiscriminator(nn.Module):
    """Images (N, packing·C, H, W) from -1 to 1 to one logit each (N, 1), by dense layers with LeakyReLU 0.2.

    Args:
        image_shape: (C, H, W).
        hidden: widths of the hidden layers.
        packing: m, how many images it sees at once (`minigen.losses.pack`).
        spectral: divide every weight by its largest singular value.

    >>> import minigen
    >>> DenseDiscriminator((1, 8, 8), hidden=(32, 16), packing=2)(minigen.zeros(3, 2, 8, 8)).shape
    (3, 1)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 64, 64),
        hidden: Sequence[int] = (1024, 512, 256, 128, 64, 32, 16, 8, 4, 2),
        packing: int = 1,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten()]
        n_in = packing * math.prod(image_shape)
        for width in hidden:
            layers += [nn.Linear(n_in, width), nn.LeakyReLU(0.2)]
            n_in = width
        self.layers = nn.Sequential(*layers, nn.Linear(n_in, 1))
        start_as_keras(self)
        if spectral:
            normalize_spectrally(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ConvGenerator64(nn.Module):
    """z (N, latent_dim) to images (N, C, H, W) from -1 to 1: DCGAN's generator (Radford et al. 2016, arXiv 1511.06434).

    Four transposed convolutions 4×4, each of which doubles the side, from 4×4 to 64×64.

    Args:
        image_shape: (C, H, W), H and W multiples of 16.
        width: channels before the last layer; eight times as many at the start. DCGAN takes 64.
        latent_dim: size of z.

    >>> import minigen
    >>> ConvGenerator64(width=2, latent_dim=4)(minigen.zeros(2, 4)).shape
    (2, 3, 64, 64)
    """

    def __init__(self, image_shape: tuple[int, int, int] = (3, 64, 64), width: int = 32, latent_dim: int = 100) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        channels, h, w = image_shape
        features = 8 * width * (h // 16) * (w // 16)
        layers: list[nn.Module] = [
            nn.Linear(latent_dim, features, bias=False),
            nn.BatchNorm1d(features),
            nn.ReLU(),
            nn.Unflatten(1, (8 * width, h // 16, w // 16)),
        ]
        for c in (4 * width, 2 * width, width):  # (N, c, H/8, W/8), then a quarter, then half
            layers += [nn.ConvTranspose2d(2 * c, c, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1), nn.Tanh())
        initialize(self)

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z)


class ConvDiscriminator64(nn.Module):
    """Images (N, packing·C, H, W) from -1 to 1 to one logit each (N, 1): DCGAN's discriminator.

    Batch norm stands after each convolution but the first, so real and generated samples must come in batches of their
    own: in a mixed one, each would change the other's statistics. With spectral normalization there is none (Miyato et
    al. 2018): its scale would undo the bound.

    Args:
        image_shape: (C, H, W), H and W multiples of 16.
        width: channels of the first convolution; eight times as many in the last.
        packing: m, how many images it sees side by side in its channels (`minigen.losses.pack`).
        spectral: divide every weight by its largest singular value.

    >>> import minigen
    >>> ConvDiscriminator64(width=2)(minigen.zeros(2, 3, 64, 64)).shape
    (2, 1)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (3, 64, 64),
        width: int = 32,
        packing: int = 1,
        spectral: bool = False,
    ) -> None:
        super().__init__()
        channels, h, w = image_shape
        layers: list[nn.Module] = [nn.Conv2d(packing * channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for c in (2 * width, 4 * width, 8 * width):  # (N, c, H/4, W/4), then an eighth, then a sixteenth
            layers.append(nn.Conv2d(c // 2, c, 4, stride=2, padding=1, bias=spectral))
            layers += [nn.LeakyReLU(0.2)] if spectral else [nn.BatchNorm2d(c), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(8 * width * (h // 16) * (w // 16), 1))
        initialize(self)
        if spectral:
            normalize_spectrally(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
