"""Training steps in PyTorch: those of `minigen.bench.steps.ours`.

Networks, passes through them, losses, optimizers and what is differentiated are the same, and so are the names of the
weights: a test carries ours over and compares losses and gradients. It is PyTorch as it comes: `torch.optim.Adam` with its
own choice of implementation. PyTorch is imported by the functions that use it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from minigen.bench.steps import MODELS
from minigen.bench.steps.torch_networks import (
    Network,
    conv_autoencoder,
    conv_vae,
    dcgan_discriminator,
    dcgan_generator,
    dense_autoencoder,
    mlp_discriminator,
    mlp_generator,
    patch_discriminator,
    unet,
)
from minigen.errors import unknown_name


class Step:
    """A training step that can be taken again and again: calling it returns its losses.

    Attributes:
        modules: the layers of the networks, by name.
        data: the batch, one tensor or several.
        randn, rand: where z and other random numbers come from.
    """

    def __init__(self, take: Callable[[Step], dict[str, Any]], modules: dict[str, Any], data: Iterable[Any]) -> None:
        import torch

        self.take, self.modules, self.data = take, modules, list(data)
        self.randn, self.rand = torch.randn, torch.rand

    def __call__(self) -> dict[str, Any]:
        return self.take(self)


def adversarial_step(
    generator: Network, discriminator: Network, optimizer_g: Any, optimizer_d: Any, real: Any, latent_dim: int
) -> Step:
    """As `ours.AdversarialStep`, with z of the given size."""
    from torch.nn.functional import softplus

    (layers_g, g), (layers_d, d) = generator, discriminator

    def take(step: Step) -> dict[str, Any]:
        (real,) = step.data
        fake = g(step.randn(len(real), latent_dim))

        d_loss = softplus(-d(real)).mean() + softplus(d(fake.detach())).mean()
        optimizer_d.zero_grad()
        d_loss.backward()
        optimizer_d.step()

        layers_d.requires_grad_(False)
        g_loss = softplus(-d(fake)).mean()
        optimizer_g.zero_grad()
        g_loss.backward()
        optimizer_g.step()
        layers_d.requires_grad_(True)
        return {"d_loss": d_loss, "g_loss": g_loss}

    return Step(take, {"generator": layers_g, "discriminator": layers_d}, [real])


def variational_step(vae: Network, optimizer: Any, images: Any) -> Step:
    """As `ours.VariationalStep`."""
    import torch

    layers, model = vae

    def take(step: Step) -> dict[str, Any]:
        (x,) = step.data
        decoded, mu, logvar = model(x, step.randn(len(x), 8))
        noise = layers.pixel_logvar
        nll = (((x - decoded).square() * torch.exp(-noise) + noise + math.log(2 * math.pi)) * 0.5).sum() / len(x)
        kl = (mu.square() + torch.exp(logvar) - 1 - logvar).mean(0) * 0.5
        loss = nll + torch.clamp(kl, min=0.0).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    return Step(take, {"vae": layers}, [images])


def reconstruction_step(autoencoder: Network, optimizer: Any, images: Any) -> Step:
    """As `ours.ReconstructionStep`."""
    from torch.nn.functional import mse_loss

    layers, model = autoencoder

    def take(step: Step) -> dict[str, Any]:
        (x,) = step.data
        loss = mse_loss(model(x), x, reduction="sum") / len(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    return Step(take, {"autoencoder": layers}, [images])


def restoration_step(
    generator: Network, discriminator: Network, optimizer_g: Any, optimizer_d: Any, image: Any, damaged: Any
) -> Step:
    """As `ours.RestorationStep`."""
    from torch.nn.functional import softplus
    from torch.nn.utils import clip_grad_norm_

    (layers_g, g), (layers_d, d) = generator, discriminator

    def take(step: Step) -> dict[str, Any]:
        image, damaged = step.data
        restored = g(damaged, step.randn(len(image), 8))

        d_loss = softplus(-d(image, damaged)).mean() + softplus(d(restored.detach(), damaged)).mean()
        optimizer_d.zero_grad()
        d_loss.backward()
        optimizer_d.step()

        layers_d.requires_grad_(False)
        g_loss = softplus(-d(restored, damaged)).mean()
        g_loss = g_loss + 300 / math.prod(image.shape[1:]) * ((restored - image).abs().sum() / len(image))
        optimizer_g.zero_grad()
        g_loss.backward()
        clip_grad_norm_(layers_g.parameters(), 20.0)
        optimizer_g.step()
        layers_d.requires_grad_(True)
        return {"d_loss": d_loss, "g_loss": g_loss}

    return Step(take, {"generator": layers_g, "discriminator": layers_d}, [image, damaged])


def critic_step(critic: Network, optimizer: Any, real: Any, fake: Any) -> Step:
    """As `ours.CriticStep`."""
    import torch

    layers, d = critic

    def take(step: Step) -> dict[str, Any]:
        real, fake = step.data
        d_loss = d(fake).mean() - d(real).mean()
        epsilon = step.rand(len(real), 1, 1, 1)
        mixed = (epsilon * real + (1 - epsilon) * fake).requires_grad_()
        (slope,) = torch.autograd.grad(d(mixed).sum(), mixed, create_graph=True)
        d_loss = d_loss + 10 * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        optimizer.zero_grad()
        d_loss.backward()
        optimizer.step()
        return {"d_loss": d_loss}

    return Step(take, {"critic": layers}, [real, fake])


def make_step(
    model: str,
    batch: int,
    shape: Sequence[int],
    memory_format: str,
    device: str = "cpu",
    compiled: bool = False,
    capturable: bool = False,
) -> Step:
    """The training step of a model.

    Args:
        model, batch, shape: as in `ours.make_step`.
        memory_format: PyTorch's name of that of weights and images.
        device: PyTorch's name of it.
        compiled: pass the networks through `torch.compile`.
        capturable: make optimizers that a CUDA graph may capture.
    """
    import torch

    with torch.device(device):
        step = _make_step(model, batch, shape, torch.compile if compiled else lambda forward: forward, capturable)
    step.randn, step.rand = partial(torch.randn, device=device), partial(torch.rand, device=device)
    if memory_format != "contiguous_format":
        order = getattr(torch, memory_format)
        for module in step.modules.values():
            module.to(memory_format=order)
        step.data = [images.contiguous(memory_format=order) for images in step.data]
    return step


def _make_step(model: str, batch: int, shape: Sequence[int], through: Any, capturable: bool) -> Step:
    import torch

    def network(made: Network) -> Network:
        layers, forward = made
        return layers, through(lambda *inputs: forward(*inputs))

    def adam(layers: Any, lr: float, betas: tuple[float, float] = (0.9, 0.999)) -> Any:
        return torch.optim.Adam(layers.parameters(), lr=lr, betas=betas, capturable=capturable)

    first, second = torch.rand(batch, *shape), torch.rand(batch, *shape)
    if model == "dcgan":
        g, d = network(dcgan_generator(shape)), network(dcgan_discriminator(shape))
        return adversarial_step(g, d, adam(g[0], 1e-4), adam(d[0], 1e-4), 2 * first - 1, 100)
    if model == "gan2d":
        g, d = network(mlp_generator(shape[0])), network(mlp_discriminator(shape[0]))
        return adversarial_step(g, d, adam(g[0], 5e-3, (0.0, 0.99)), adam(d[0], 6e-4, (0.0, 0.99)), first, 2)
    if model == "conv-vae":
        vae = network(conv_vae(shape))
        return variational_step(vae, adam(vae[0], 2e-3), first)
    if model in ("dense-autoencoder", "conv-autoencoder"):
        made = dense_autoencoder(shape) if model == "dense-autoencoder" else conv_autoencoder(shape[0])
        autoencoder = network(made)
        return reconstruction_step(autoencoder, adam(autoencoder[0], 1e-3), first)
    if model == "restoration-gan":
        g, d = network(unet(shape[0])), network(patch_discriminator(shape[0]))
        rates = adam(g[0], 1.5e-3, (0.5, 0.999)), adam(d[0], 1.5e-3, (0.5, 0.999))
        return restoration_step(g, d, *rates, first, second)
    if model == "critic":
        critic = network(dcgan_discriminator(shape))
        return critic_step(critic, adam(critic[0], 1e-4), 2 * first - 1, 2 * second - 1)
    raise unknown_name("step", model, MODELS)
