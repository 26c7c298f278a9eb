"""The patch discriminator: one logit for each overlapping patch of an image, not one for the whole."""

from __future__ import annotations

from minigen import nn
from minigen.errors import ShapeError, UserError
from minigen.functional import cat
from minigen.nn.utils import spectral_norm
from minigen.random import Generator
from minigen.tensor import Tensor


class PatchDiscriminator(nn.Module):
    """Images (N, C, H, W) to logits (N, 1, h, w), each for a patch of the image: positive for clean, negative for restored.

    Strided 4×4 convolutions with LeakyReLU halve the image `depth` times; a last one makes the logits (Isola et al. 2017,
    arXiv 1611.07004, without its batch norm). A patch is 12, 26, 54 pixels wide for a depth of 1, 2, 3,
    so texture is judged, and what the image shows is left to the loss that ties it to its target. It works on images of
    any size.

    Args:
        channels: C of the images.
        width: channels of the first convolution; twice as many after each further one.
        depth: how often the image is halved.
        conditional: whether the damaged image is shown beside the other.
        spectral: divide each weight by its largest singular value (Miyato et al. 2018, arXiv 1802.05957), which keeps
            the discriminator from changing faster than the generator can follow.
        generator: where the first vectors of that come from.

    Raises:
        UserError: a size below 1.

    >>> import minigen
    >>> PatchDiscriminator(1, width=4)(minigen.zeros(2, 1, 32, 32)).shape
    (2, 1, 8, 8)
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 32,
        depth: int = 2,
        conditional: bool = False,
        spectral: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        if min(channels, width, depth) < 1:
            raise UserError(
                f"PatchDiscriminator: channels={channels}, width={width} and depth={depth} must be at least 1."
            )
        self.conditional = conditional
        layers: list[nn.Module] = []
        n_in = 2 * channels if conditional else channels
        for i in range(depth):
            layers += [nn.Conv2d(n_in, width * 2**i, 4, stride=2, padding="same"), nn.LeakyReLU(0.2)]  # H ← ⌈H/2⌉
            n_in = width * 2**i
        layers += [nn.Conv2d(n_in, 2 * n_in, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(2 * n_in, 1, 3, padding=1)]
        self.layers = nn.Sequential(*layers)
        if spectral:
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer, generator=generator)

    def forward(self, images: Tensor, damaged: Tensor | None = None) -> Tensor:
        """Logits (N, 1, ⌈H/2^depth⌉, ⌈W/2^depth⌉) of images (N, C, H, W), which belong to these damaged ones."""
        if (damaged is not None) != self.conditional:
            raise ShapeError(
                f"PatchDiscriminator: it {'is' if self.conditional else 'is not'} conditional, so it takes "
                f"{'the damaged images too' if self.conditional else 'images alone'}."
            )
        return self.layers(images if damaged is None else cat([images, damaged], 1))
