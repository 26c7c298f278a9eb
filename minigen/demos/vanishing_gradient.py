"""The vanishing gradient, twice: in a deep network of sigmoids, and in a GAN whose discriminator is too good.

Through a sigmoid a gradient is multiplied by σ' ≤ ¼ and by the weights; through twelve of them, with small weights, next
to nothing reaches the first layers (Hochreiter 1991, Bengio et al. 1994). ReLUs with the weights of He et al. (2015) pass
it on whole, and so do the same sigmoids with batch norm before each (Ioffe & Szegedy 2015, arXiv 1502.03167).

The generator's minimax loss log(1 - D(G(z))) is flat where the discriminator is sure, D(G(z)) ≈ 0: its derivative by the
logit is -D(G(z)). Goodfellow et al. (2014) therefore minimize -log D(G(z)), whose derivative there is -(1 - D(G(z))).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigen import nn
from minigen.data.mixtures import ring
from minigen.demos.deep_classifier import Course, DeepClassifier, gradient_norms, seeded, train
from minigen.functional import sigmoid
from minigen.losses.adversarial import discriminator_loss, generator_loss, generator_loss_minimax
from minigen.models.mlp_gan import MLPDiscriminator, MLPGenerator
from minigen.nn import init
from minigen.nn.utils import clip_grad_norm_
from minigen.optim import Adam
from minigen.random import Generator
from minigen.tensor import Tensor

NAME = "vanishing-gradient"
DESCRIPTION = "sigmoids that pass no gradient on, and a discriminator that leaves its generator none"

STEPS = 500  # of the classifiers
DEPTH, WIDTH, LR = 12, 64, 2e-3
GAN_STEPS = 300  # of the discriminator alone
GAN_EVERY = 10


class Trial(NamedTuple):
    """What one network did."""

    norms: list[float]  # of the gradient by each layer's weights, before training
    course: Course


class Contest(NamedTuple):
    """A discriminator that learns while the generator stands still, and the gradients it would get."""

    steps: list[int]
    fooled: list[float]  # the mean of D(G(z))
    minimax: list[float]  # the norm of the gradient of the generator's loss by its weights
    non_saturating: list[float]


def compare_networks(steps: int = STEPS, seed: int = 0) -> dict[str, Trial]:
    """Train the three networks on the same batches by the same Adam."""

    def small(weight: Tensor) -> None:
        bound = 1 / weight.shape[1] ** 0.5
        init.uniform_(weight, -bound, bound)

    he = partial(init.kaiming_normal_, nonlinearity="relu")
    kinds: dict[str, tuple[Callable[[], nn.Module], Callable[[Tensor], Any], bool]] = {
        "sigmoid, small uniform weights": (nn.Sigmoid, small, False),
        "the same with batch norm": (nn.Sigmoid, small, True),
        "ReLU, He's weights": (nn.ReLU, he, False),
    }
    trials = {}
    for name, (activation, initialize, batch_norm) in kinds.items():
        with seeded(seed):
            network = DeepClassifier(DEPTH, WIDTH, activation, initialize, batch_norm)
        norms = gradient_norms(network)
        trials[name] = Trial(norms, train(network, Adam(network.parameters(), lr=LR), steps, seed))
    return trials


def contest(steps: int = GAN_STEPS, seed: int = 0) -> Contest:
    """Train a discriminator of the ring against a generator that stands still, and measure what it would teach it."""
    with seeded(seed):
        generator, discriminator = MLPGenerator(), MLPDiscriminator()
    adam, noise = Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.999)), Generator(seed)
    weights = list(generator.parameters())
    found = Contest([], [], [], [])
    z = Tensor(Generator(seed).spawn(1).normal((512, generator.latent_dim)))
    for step in range(steps + 1):
        if step % GAN_EVERY == 0:
            logits = discriminator(generator(z))
            found.steps.append(step)
            found.fooled.append(sigmoid(logits).mean().item())
            for loss, norms in ((generator_loss_minimax, found.minimax), (generator_loss, found.non_saturating)):
                generator.zero_grad()
                loss(None, discriminator(generator(z))).backward()
                norms.append(clip_grad_norm_(weights, math.inf).item())
        real = Tensor(ring(256, noise)[0])
        fake = generator(Tensor(noise.normal((256, generator.latent_dim)))).detach()
        d_loss = discriminator_loss(discriminator(real), discriminator(fake))
        adam.zero_grad()
        d_loss.backward()
        adam.step()
    return found


def run(out: Path, quiet: bool = False, steps: int = STEPS, gan_steps: int = GAN_STEPS) -> Path:
    """Train the networks and the discriminator, and draw what gradients reach.

    Args:
        out: the picture (.png)
        quiet: say nothing on the way
        steps, gan_steps: of the classifiers, and of the discriminator

    Returns:
        `out`
    """
    if not quiet:
        print(f"Three networks of {DEPTH} layers, {steps} steps each, and a discriminator: some seconds.", flush=True)
    save_gradients(out, compare_networks(steps), contest(gan_steps))
    return out


def save_gradients(path: Path, trials: dict[str, Trial], gan: Contest) -> None:
    """Write the picture: gradients by layer and courses of the loss above, the generator's gradients below."""
    from minigen.viz.figure import COLORS, new_figure, save_figure, tidy

    figure = new_figure(12, 9)
    (by_layer, courses), (fooled, reaching) = figure.subplots(2, 2)
    failure, *_, cure = trials.values()
    figure.suptitle(
        f"{DEPTH} sigmoids: the first layer gets {failure.norms[0] / failure.norms[-1]:.0e} of the last one's gradient, and "
        f"{failure.course.accuracy:.0%} of held-out digits are told right; ReLUs: {cure.norms[0] / cure.norms[-1]:.2g}, "
        f"{cure.course.accuracy:.0%}\n"
        f"a sure discriminator (D(G(z)) = {gan.fooled[-1]:.0e}) leaves the minimax loss a gradient of "
        f"{gan.minimax[-1]:.0e}, the non-saturating one {gan.non_saturating[-1]:.2g}",
        fontsize=11,
    )
    for color, (name, (norms, course)) in zip(COLORS[1:], trials.items()):
        by_layer.plot(range(1, len(norms) + 1), norms, color=color, marker="o", markersize=4, label=name)
        courses.plot(course.steps, course.losses, color=color, label=f"{name}: {course.accuracy:.0%} right")
    by_layer.set(yscale="log", xlabel="layer", ylabel="norm of the gradient by its weights")
    by_layer.set_title("what gradient reaches each layer before training", fontsize=10)
    courses.set(xlabel="step", ylabel="cross-entropy")
    courses.axhline(np.log(10), color="#999999", linestyle=":", linewidth=1)
    courses.set_title(f"training by Adam, rate {LR} (dotted: guessing)", fontsize=10)
    fooled.plot(gan.steps, gan.fooled, color=COLORS[0])
    fooled.set(yscale="log", xlabel="steps of the discriminator alone", ylabel="mean of D(G(z))")
    fooled.set_title("how much the discriminator believes the generator", fontsize=10)
    reaching.plot(gan.steps, gan.minimax, color=COLORS[1], label="minimax, log(1 - D(G(z)))")
    reaching.plot(gan.steps, gan.non_saturating, color=COLORS[2], label="non-saturating, -log D(G(z))")
    reaching.set(yscale="log", xlabel="steps of the discriminator alone", ylabel="norm of the generator's gradient")
    reaching.set_title("what gradient reaches the generator", fontsize=10)
    for axis in (by_layer, courses, fooled, reaching):
        tidy(axis)
    for axis in (by_layer, courses, reaching):
        axis.legend(fontsize=8, frameon=False)
    save_figure(path, figure)
