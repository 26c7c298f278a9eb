"""Stacks of layers that several networks are made of."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from minigen import nn


def dense_stack(widths: Sequence[int]) -> list[nn.Module]:
    """Linear layers through the widths, with a ReLU between each two."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.ReLU()]
    return layers[:-1]


def halving_stacks(
    image_shape: tuple[int, int, int], width: int
) -> tuple[list[nn.Module], list[nn.Module], tuple[int, int, int]]:
    """Convolutions that halve an image as often as `halved_sizes` says, and transposed ones that undo it.

    Kernel 4, stride 2, padding 1, ReLU between; channels double each time, from `width`.

    Args:
        image_shape: (C, H, W).
        width: channels after the first convolution.

    Returns:
        the way down, which ends in a ReLU; the way up, which begins with one; and the shape between them
    """
    sizes = halved_sizes(image_shape[1], image_shape[2])
    channels = [image_shape[0], *(width * 2**i for i in range(len(sizes) - 1))]
    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for i, (large, small) in enumerate(pairwise(sizes)):
        down += [nn.Conv2d(channels[i], channels[i + 1], 4, stride=2, padding=1), nn.ReLU()]
        odd = (large[0] - 2 * small[0], large[1] - 2 * small[1])
        double = nn.ConvTranspose2d(channels[i + 1], channels[i], 4, stride=2, padding=1, output_padding=odd)
        up = [nn.ReLU(), double, *up]
    return down, up, (channels[-1], *sizes[-1])


def halved_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """The sizes (`height`, `width`) that a stack of halving convolutions gives an image, twice or until no side is above 8.

    An odd side loses half a pixel, which the way back has to add; a side of one pixel cannot be halved.

    >>> halved_sizes(28, 28)
    [(28, 28), (14, 14), (7, 7)]
    >>> halved_sizes(5, 30)
    [(5, 30), (2, 15), (1, 7)]
    """
    sizes = [(height, width)]
    while min(sizes[-1]) > 1 and (len(sizes) <= 2 or max(sizes[-1]) > 8):
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes
