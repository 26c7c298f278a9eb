"""Our networks written in PyTorch: the layers, constants and names of weights of `minigen.models`.

PyTorch is imported by the functions that use it: this file can be imported where it is not installed. That is why a
network here is not a class, but a container of layers and the function that applies them. Where 'same' padding puts one
row more below than above, the image is padded first, and what a transposed convolution draws too much is cut off, as a
view.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

Network = tuple[Any, Callable[..., Any]]  # the layers (a torch.nn.Module), and the forward pass


def apply_same(layers: Any, x: Any) -> Any:
    """Layers one after another; 5×5 convolutions of stride 2 have padding 'same', 1 above and left, 2 below and right."""
    from torch import nn
    from torch.nn.functional import pad

    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            x = layer(pad(x, (1, 2, 1, 2)))
        elif isinstance(layer, nn.ConvTranspose2d) and layer.stride == (2, 2):
            x = layer(x)[:, :, :-1, :-1]  # with padding 1 it has one row and one column too many, the last
        else:
            x = layer(x)
    return x


def dcgan_generator(shape: Sequence[int]) -> Network:
    """As `minigen.models.dcgan.DCGANGenerator`."""
    from torch import nn

    channels, h, w = shape
    features = 256 * (h // 4) * (w // 4)
    layers = nn.Sequential(
        nn.Linear(100, features, bias=False),
        nn.BatchNorm1d(features, eps=1e-3, momentum=0.01),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.Unflatten(1, (256, h // 4, w // 4)),
        nn.ConvTranspose2d(256, 128, 5, stride=1, padding=2, bias=False),
        nn.BatchNorm2d(128, eps=1e-3, momentum=0.01),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.ConvTranspose2d(128, 64, 5, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(64, eps=1e-3, momentum=0.01),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.ConvTranspose2d(64, channels, 5, stride=2, padding=1, bias=False),
        nn.Tanh(),
    )
    return nn.ModuleDict({"layers": layers}), partial(apply_same, layers)


def dcgan_discriminator(shape: Sequence[int]) -> Network:
    """As `minigen.models.dcgan.DCGANDiscriminator`."""
    from torch import nn

    channels, h, w = shape
    layers = nn.Sequential(
        nn.Conv2d(channels, 64, 5, stride=2),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.Conv2d(64, 128, 5, stride=2),
        nn.LeakyReLU(0.3),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(128 * (h // 4) * (w // 4), 1, bias=False),
    )
    return nn.ModuleDict({"layers": layers}), partial(apply_same, layers)


def dense_stack(widths: Sequence[int], activation: Callable[[], Any]) -> Any:
    """Linear layers through the widths, an activation between each two."""
    from torch import nn

    pairs = pairwise(widths)
    return nn.Sequential(*[layer for pair in pairs for layer in (nn.Linear(*pair), activation())][:-1])


def mlp_generator(dim: int) -> Network:
    """As `minigen.models.mlp_gan.MLPGenerator`, for z of 2 numbers."""
    from torch import nn

    layers = dense_stack([2, 128, 128, 128, dim], nn.ReLU)
    return nn.ModuleDict({"layers": layers}), layers


def mlp_discriminator(dim: int) -> Network:
    """As `minigen.models.mlp_gan.MLPDiscriminator`."""
    import torch
    from torch import nn

    layers = dense_stack([dim, 128, 128, 128, 1], partial(nn.LeakyReLU, 0.2))
    proportions = torch.ones(dim)
    return nn.ModuleDict({"layers": layers}), lambda x: layers(x * proportions)


def conv_vae(shape: Sequence[int]) -> Network:
    """As `minigen.models.vae.ConvVAE`, for sides that are halved twice, such as 28×28.

    The forward pass is from x and noise to means, μ and log σ².
    """
    import torch
    from torch import nn

    channels, h, w = shape
    features = 64 * (h // 4) * (w // 4)
    vae: Any = nn.ModuleDict(
        {
            "encoder": nn.Sequential(
                nn.Conv2d(channels, 32, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Conv2d(32, 64, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.Flatten(),
                nn.Linear(features, 128),
                nn.ReLU(),
            ),
            "decoder": nn.Sequential(
                nn.Linear(8, 128),
                nn.ReLU(),
                nn.Linear(128, features),
                nn.Unflatten(1, (64, h // 4, w // 4)),
                nn.ReLU(),
                nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
                nn.ReLU(),
                nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
            ),
            "mu": nn.Linear(128, 8),
            "logvar": nn.Linear(128, 8),
        }
    )
    vae.register_parameter("pixel_logvar", nn.Parameter(torch.tensor(-2.0)))

    def forward(x: Any, noise: Any) -> Any:
        encoded = vae["encoder"](x)
        mu, logvar = vae["mu"](encoded), vae["logvar"](encoded)
        return vae["decoder"](mu + torch.exp(logvar * 0.5) * noise), mu, logvar

    return vae, forward


def dense_autoencoder(shape: Sequence[int]) -> Network:
    """As `ours.dense_autoencoder`."""
    from torch import nn

    pixels = math.prod(shape)
    model = nn.Sequential()
    model.add_module("encoder", nn.Sequential(nn.Flatten(), *dense_stack([pixels, 256, 256], nn.ReLU)))
    model.add_module("code", nn.ReLU())
    model.add_module("decoder", nn.Sequential(nn.Linear(256, pixels), nn.Sigmoid(), nn.Unflatten(1, tuple(shape))))
    return model, model


def conv_autoencoder(channels: int) -> Network:
    """As `ours.conv_autoencoder`."""
    from torch import nn

    model = nn.Sequential(
        nn.Conv2d(channels, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(32, channels, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )
    return model, model


def unet(channels: int, widths: Sequence[int] = (16, 32, 64, 128), latent_dim: int = 8) -> Network:
    """As `minigen.models.unet.UNet`, for sides that are multiples of 8, without a mask.

    The forward pass is from damaged images and z to restored ones.
    """
    from torch import nn
    from torch.nn.functional import relu

    def block(width: int) -> Any:
        pair = {name: nn.Conv2d(width, width, 3, padding=1, bias=False) for name in ("first", "second")}
        return nn.ModuleList([nn.ModuleDict(pair)])

    pairs = list(pairwise(widths))
    net: Any = nn.ModuleDict(
        {
            "head": nn.Conv2d(channels, widths[0], 3, padding=1, bias=False),
            "encoder": nn.ModuleList([block(width) for width in widths[:-1]]),
            "down": nn.ModuleList([nn.Conv2d(a, b, 2, stride=2, bias=False) for a, b in pairs]),
            "middle": block(widths[-1]),
            "up": nn.ModuleList([nn.ConvTranspose2d(b, a, 2, stride=2, bias=False) for a, b in pairs]),
            "decoder": nn.ModuleList([block(width) for width in widths[:-1]]),
            "tail": nn.Conv2d(widths[0], channels, 3, padding=1, bias=False),
            "latent": nn.Linear(latent_dim, widths[-1], bias=False),
        }
    )

    def residual(blocks: Any, x: Any) -> Any:
        for layers in blocks:
            x = x + layers["second"](relu(layers["first"](x)))
        return x

    def forward(damaged: Any, z: Any) -> Any:
        x = net["head"](damaged - damaged.mean((1, 2, 3), keepdim=True))
        skipped = []
        for blocks, down in zip(net["encoder"], net["down"]):
            x = residual(blocks, x)
            skipped.append(x)
            x = down(x)
        x = residual(net["middle"], x + net["latent"](z)[:, :, None, None])
        for blocks, up in zip(reversed(net["decoder"]), reversed(net["up"])):
            x = residual(blocks, up(x) + skipped.pop())
        return damaged + net["tail"](x)

    return net, forward


def patch_discriminator(channels: int, width: int = 32) -> Network:
    """As `minigen.models.patch_discriminator.PatchDiscriminator`, conditional, for sides that are multiples of 4.

    The forward pass is from images and the damaged ones beside them to logits.
    """
    import torch
    from torch import nn

    layers = nn.Sequential(
        nn.Conv2d(2 * channels, width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(2 * width, 4 * width, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4 * width, 1, 3, padding=1),
    )
    return nn.ModuleDict({"layers": layers}), lambda images, damaged: layers(torch.cat([images, damaged], 1))
