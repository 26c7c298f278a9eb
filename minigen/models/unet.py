"""The U-Net: a restored image from a damaged one, seen at several resolutions at once.

The way down halves the image and widens the channels; the way up comes back, and adds at each resolution what the way
down had there (Ronneberger et al. 2015, arXiv 1505.04597). Each resolution is worked on by residual blocks without
normalization, x + conv(relu(conv(x))), as in DRUNet (Zhang et al. 2021, arXiv 2008.13751): a normalization would make
the restored brightness depend on the rest of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from minigen import nn
from minigen.errors import ShapeError, UserError
from minigen.functional import cat, pad, relu, reshape
from minigen.tensor import Tensor


class UNet(nn.Module):
    """x̂ = x̃ + f(x̃, z): damaged images to restored ones of the same size, any size from one pixel.

    The layers draw only the difference f, and start near f = 0, where the restored image is the damaged one: training
    begins from there, not from noise. Which pixels are missing is one more channel of the input; what stands in
    them is where the network begins there. Images are continued by their mirror image until
    their sides are multiples of 2^(levels - 1), and the result is cut back.

    The layers have no biases, and see the image less its mean. So without mask and z, G(a·x̃ + b) = a·G(x̃) + b for a > 0:
    what is learnt at one strength of noise and one brightness carries over to others (Mohan et al. 2020, arXiv 1906.05478;
    Herbreteau et al. 2023, arXiv 2306.05037).

    Args:
        channels: C of the images.
        widths: channels at each resolution, the image's own first; each next has half the rows and columns.
        blocks: residual blocks at each resolution, on the way down and on the way up.
        mask: whether the network is told which pixels are known.
        keep_known: with a mask, give known pixels back as they came, and restore only the others.
        latent_dim: size of z, which reaches the lowest resolution; 0 for a network without.

    Raises:
        UserError: a size below 1, or keep_known without a mask.

    >>> import minigen
    >>> network = UNet(1, widths=(4, 8))
    >>> x = minigen.rand(2, 1, 13, 9, generator=minigen.Generator(0))
    >>> network(x).shape
    (2, 1, 13, 9)
    """

    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (16, 32, 64, 128),
        blocks: int = 1,
        mask: bool = False,
        keep_known: bool = False,
        latent_dim: int = 0,
    ) -> None:
        super().__init__()
        if not widths or min(*widths, blocks, channels) < 1:
            raise UserError(
                f"UNet: channels={channels}, every one of the widths {list(widths)} and blocks={blocks} must be at least 1."
            )
        if keep_known and not mask:
            raise UserError("UNet: keep_known=True needs mask=True, which says what is known.")
        self.channels, self.mask, self.keep_known, self.latent_dim = channels, mask, keep_known, latent_dim
        self.multiple = 2 ** (len(widths) - 1)
        self.head = nn.Conv2d(channels + mask, widths[0], 3, padding=1, bias=False)
        self.encoder = nn.ModuleList([_blocks(width, blocks) for width in widths[:-1]])
        self.down = nn.ModuleList([nn.Conv2d(a, b, 2, stride=2, bias=False) for a, b in pairwise(widths)])
        self.middle = _blocks(widths[-1], blocks)
        self.up = nn.ModuleList([nn.ConvTranspose2d(b, a, 2, stride=2, bias=False) for a, b in pairwise(widths)])
        self.decoder = nn.ModuleList([_blocks(width, blocks) for width in widths[:-1]])
        self.tail = nn.Conv2d(widths[0], channels, 3, padding=1, bias=False)
        self.tail.weight.data = self.tail.weight.data * 0.1  # f is small at first
        self.latent = nn.Linear(latent_dim, widths[-1], bias=False) if latent_dim else None

    def forward(self, damaged: Tensor, mask: Tensor | None = None, z: Tensor | None = None) -> Tensor:
        """Restore images.

        Args:
            damaged: x̃ (N, C, H, W).
            mask: (N, 1, H, W), 1 where a pixel is known; for networks made with `mask`.
            z: (N, latent_dim); zeros where it is left out.

        Returns:
            (N, C, H, W); nothing keeps it within 0 and 1.

        Raises:
            ShapeError: another number of channels, or a mask where there should be none, or none where there should.
        """
        if damaged.ndim != 4 or damaged.shape[1] != self.channels or (mask is not None) != self.mask:
            raise ShapeError(
                f"UNet: takes images (N, {self.channels}, H, W) {'with' if self.mask else 'without'} a mask, not "
                f"{damaged.shape} {'without' if mask is None else 'with'} one."
            )
        h, w = damaged.shape[2:]
        x = damaged - damaged.mean((1, 2, 3), keepdim=True)
        x = x if mask is None else cat([x, 1 - mask], 1)
        x = self.head(mirror(x, -h % self.multiple, -w % self.multiple))
        skipped = []
        for block, down in zip(self.encoder, self.down):
            x = block(x)
            skipped.append(x)
            x = down(x)
        if self.latent is not None and z is not None:
            x = x + reshape(self.latent(z), (x.shape[0], -1, 1, 1))
        x = self.middle(x)
        for block, up in zip(reversed(list(self.decoder)), reversed(list(self.up))):
            x = block(up(x) + skipped.pop())
        difference = self.tail(x)[:, :, :h, :w]
        return damaged + (difference * (1 - mask) if self.keep_known and mask is not None else difference)


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3×3; the second convolution starts at 0, so that the block does nothing at first.

    Blocks that all start at random make the features grow from one to the next, and training then needs a much lower
    learning rate (Zhang et al. 2019, arXiv 1901.09321).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(relu(self.first(x)))


def mirror(images: Tensor, rows: int, columns: int) -> Tensor:
    """Images with so many rows below and columns at the right, the mirror image of what is there, as often as it takes.

    One row has nothing to be mirrored, and is repeated.

    Args:
        images: (N, C, H, W).
        rows, columns: how many to add.

    Returns:
        (N, C, H + rows, W + columns).

    >>> import minigen
    >>> mirror(minigen.tensor([[[[1.0, 2.0, 3.0]]]]), 0, 3)[0, 0]
    tensor([[1., 2., 3., 2., 1., 2.]])
    """
    while rows or columns:
        h, w = images.shape[2:]
        below, right = min(rows, max(h - 1, 1)), min(columns, max(w - 1, 1))
        images = pad(images, (0, 0, 0, below), "reflect" if h > 1 else "replicate") if below else images
        images = pad(images, (0, right), "reflect" if w > 1 else "replicate") if right else images
        rows, columns = rows - below, columns - right
    return images


def _blocks(width: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(blocks)))
