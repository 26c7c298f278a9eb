"""PyTorch's side of the comparison: the steps and convolutions of `minigen.bench.cpu.ours`, written in PyTorch.

Networks, passes through them, losses, optimizers and what is differentiated are the same, and so are the names of the
weights: a test carries ours over and compares losses and gradients. It is eager PyTorch as it comes: `torch.optim.Adam`
with its own choice of implementation, nothing compiled. PyTorch is imported by the functions that use it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from minigen.bench.cpu.cases import MODELS, Kernel, Task
from minigen.bench.cpu.torch_networks import (
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
    generator: Network, discriminator: Network, real: Any, latent_dim: int, rates: Sequence[float], betas: Any
) -> Step:
    """As `ours.AdversarialStep`, with z of the given size."""
    from torch.nn.functional import softplus
    from torch.optim import Adam

    (layers_g, g), (layers_d, d) = generator, discriminator
    optimizer_g = Adam(layers_g.parameters(), lr=rates[0], betas=betas)
    optimizer_d = Adam(layers_d.parameters(), lr=rates[1], betas=betas)

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


def variational_step(vae: Network, images: Any) -> Step:
    """As `ours.VariationalStep`."""
    import torch
    from torch.optim import Adam

    layers, model = vae
    optimizer = Adam(layers.parameters(), lr=2e-3)

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


def reconstruction_step(autoencoder: Network, images: Any) -> Step:
    """As `ours.ReconstructionStep`."""
    from torch.nn.functional import mse_loss
    from torch.optim import Adam

    layers, model = autoencoder
    optimizer = Adam(layers.parameters(), lr=1e-3)

    def take(step: Step) -> dict[str, Any]:
        (x,) = step.data
        loss = mse_loss(model(x), x, reduction="sum") / len(x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    return Step(take, {"autoencoder": layers}, [images])


def restoration_step(generator: Network, discriminator: Network, image: Any, damaged: Any) -> Step:
    """As `ours.RestorationStep`."""
    from torch.nn.functional import softplus
    from torch.nn.utils import clip_grad_norm_
    from torch.optim import Adam

    (layers_g, g), (layers_d, d) = generator, discriminator
    optimizer_g = Adam(layers_g.parameters(), lr=1.5e-3, betas=(0.5, 0.999))
    optimizer_d = Adam(layers_d.parameters(), lr=1.5e-3, betas=(0.5, 0.999))

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


def critic_step(critic: Network, real: Any, fake: Any) -> Step:
    """As `ours.CriticStep`."""
    import torch
    from torch.optim import Adam

    layers, d = critic
    optimizer = Adam(layers.parameters(), lr=1e-4)

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


def make_step(model: str, batch: int, shape: Sequence[int], memory_format: str) -> Step:
    """The training step of a model, weights and images in one of PyTorch's memory formats."""
    step = _make_step(model, batch, shape)
    if memory_format != "contiguous_format":
        import torch

        order = getattr(torch, memory_format)
        for module in step.modules.values():
            module.to(memory_format=order)
        step.data = [images.contiguous(memory_format=order) for images in step.data]
    return step


def _make_step(model: str, batch: int, shape: Sequence[int]) -> Step:
    import torch

    first, second = torch.rand(batch, *shape), torch.rand(batch, *shape)
    if model == "dcgan":
        return adversarial_step(
            dcgan_generator(shape), dcgan_discriminator(shape), 2 * first - 1, 100, (1e-4, 1e-4), (0.9, 0.999)
        )
    if model == "gan2d":
        dim = shape[0]
        return adversarial_step(mlp_generator(dim), mlp_discriminator(dim), first, 2, (5e-3, 6e-4), (0.0, 0.99))
    if model == "conv-vae":
        return variational_step(conv_vae(shape), first)
    if model == "dense-autoencoder":
        return reconstruction_step(dense_autoencoder(shape), first)
    if model == "conv-autoencoder":
        return reconstruction_step(conv_autoencoder(shape[0]), first)
    if model == "restoration-gan":
        return restoration_step(unet(shape[0]), patch_discriminator(shape[0]), first, second)
    if model == "critic":
        return critic_step(dcgan_discriminator(shape), 2 * first - 1, 2 * second - 1)
    raise unknown_name("step", model, MODELS)


# ---- kernels ----------------------------------------------------------------------------------------------------


def make_kernel(kernel: Kernel, direction: str, memory_format: str) -> Callable[[], Any]:
    """One convolution in one direction, weights and images in one of PyTorch's memory formats."""
    import torch

    x = torch.randn(kernel.batch, kernel.in_channels, kernel.size, kernel.size)
    w = torch.randn(kernel.out_channels, kernel.in_channels // kernel.groups, kernel.window, kernel.window)
    y = torch.randn(kernel.batch, kernel.out_channels, kernel.out_size, kernel.out_size)
    order = getattr(torch, memory_format)
    return convolution(kernel, direction, *(array.contiguous(memory_format=order) for array in (x, w, y)))


def convolution(kernel: Kernel, direction: str, x: Any, w: Any, y: Any) -> Callable[[], Any]:
    """As `ours.convolution`; of the backward pass, only the gradient that is asked for is computed."""
    import torch

    stride, padding = (kernel.stride, kernel.stride), (kernel.padding, kernel.padding)
    if direction == "forward":
        return lambda: torch.nn.functional.conv2d(x, w, None, stride, padding, 1, kernel.groups)
    mask = [direction == "input gradient", direction == "weight gradient", False]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(y, x, w, None, stride, padding, (1, 1), False, (0, 0), kernel.groups, mask)


def prepare(task: Task) -> Callable[[], Any]:
    """What a task asks for, with its ``memory_format``, ready to be called again and again."""
    import torch

    if "model" in task:
        return make_step(task["model"], task["batch"], task["shape"], task["memory_format"])
    if "kernel" in task:
        return make_kernel(Kernel(*task["kernel"]), task["direction"], task["memory_format"])
    a = torch.randn(task["matmul"], task["matmul"])
    return lambda: a @ a


def start(threads: int) -> None:
    """Set the number of threads of this process."""
    import torch

    torch.set_num_threads(threads)
