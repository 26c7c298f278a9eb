"""Mode collapse: a GAN that draws one of eight modes, and the same loss trained well, which draws them all.

On a ring of eight narrow Gaussians the plain GAN with the settings of Srivastava et al. (2017, arXiv 1705.07761) puts all
its samples in one place. Where the discriminator has learnt to tell that place from the data, it moves to another: the
generator is never asked to be in several places at once. Theirs: z of 254 numbers, two layers of 128 against a single one,
data as they are (in batches of 128 here). The cure changes neither loss nor algorithm: z of two numbers, three layers each,
data of unit size, a falling learning rate, noise on what the discriminator sees that fades away, and the running average
of the generator.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigen.autograd import no_grad
from minigen.data.mixtures import ring, ring_centers
from minigen.metrics.modes import mode_report
from minigen.models.mlp_gan import MLPDiscriminator, MLPGenerator
from minigen.optim import Adam, ExponentialMovingAverage, LinearLR, LRScheduler
from minigen.random import Generator, default_generator
from minigen.tensor import Tensor
from minigen.training.gan import falling_noise, train_gan
from minigen.training.rehearsal import Rehearsal

NAME = "mode-collapse"
DESCRIPTION = "a GAN that draws one of eight modes, and one that draws them all"

STEPS = 3000
EVERY = 250  # steps between two looks
SHOWN = (500, 1000, 2000, 3000)
SAMPLES = 2500
STD = 0.01  # within a mode, of the ring of radius 1
UNIT_SIZE = 2**0.5  # what brings the ring to the standard deviation 1


class Look(NamedTuple):
    """What was seen after so many steps."""

    step: int
    samples: np.ndarray  # (2500, 2)
    report: dict[str, Any]  # of `mode_report`


def collapsing(seed: int = 0) -> list[Look]:
    """The plain GAN with the published settings."""
    generator, discriminator = _networks(seed, 254, (128, 128), (128,), "relu")
    return _train(generator, discriminator, seed, beta2=0.999, batch_size=128, average=0.0)


def cured(seed: int = 0) -> list[Look]:
    """The same loss and algorithm, trained well."""
    generator, discriminator = _networks(seed, 2, (128, 128, 128), (128, 128, 128), "leaky-relu")
    return _train(
        generator,
        discriminator,
        seed,
        beta2=0.99,
        batch_size=256,
        average=0.995,
        scale=UNIT_SIZE,
        falling_rate=True,
        instance_noise=0.2,
    )


def run(out: Path, quiet: bool = False) -> Path:
    """Train both, and draw what they make over time.

    Args:
        out: the picture (.png)
        quiet: say nothing on the way

    Returns:
        `out`
    """
    if not quiet:
        print(f"Two GANs of {STEPS} steps each: half a minute.", flush=True)
    save_collapse(out, {"the plain GAN, published settings": collapsing(), "the same loss, trained well": cured()})
    return out


def save_collapse(path: Path, runs: dict[str, list[Look]]) -> None:
    """Write the picture: of each run four moments, and below how many modes it reaches over time."""
    from minigen.viz.figure import COLORS, PALE, new_figure, save_figure, tidy

    centers = ring_centers()
    figure = new_figure(6 * len(runs), 8.6)
    halves = figure.subfigures(1, len(runs), wspace=0.05, squeeze=False)[0]
    for half, (title, looks) in zip(halves, runs.items()):
        axes = half.subplots(3, 2, height_ratios=[1, 1, 0.55])
        last = looks[-1].report
        half.suptitle(
            f"{title}: {last['modes_covered']} of {last['modes']} modes\n"
            f"{last['high_quality_share']:.0%} of the samples hit a mode, {max(last['mode_shares']):.0%} are nearest to one and the same",
            fontsize=10,
        )
        shown = [look for look in looks if look.step in SHOWN]
        for axis, look in zip(axes[:2].ravel(), shown):
            axis.scatter(*centers.T, s=120, color=PALE, linewidths=0)
            axis.scatter(*look.samples.T, s=4, color=COLORS[0], alpha=0.4, linewidths=0)
            axis.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xticks=[], yticks=[])
            axis.set_title(f"after {look.step} steps", fontsize=9)
        steps = [look.step for look in looks]
        axes[2, 0].plot(
            steps, [look.report["modes_covered"] for look in looks], color=COLORS[0], marker="o", markersize=4
        )
        axes[2, 0].set(ylim=(-0.4, len(centers) + 0.4), xlabel="steps")
        axes[2, 0].set_title("modes reached", fontsize=9)
        axes[2, 1].plot(steps, [look.report["reverse_kl"] for look in looks], color=COLORS[1], marker="o", markersize=4)
        axes[2, 1].set(ylim=(-0.1, np.log(len(centers)) + 0.1), xlabel="steps")
        axes[2, 1].set_title("reverse KL (2.08 = log 8: one mode)", fontsize=9)
        for axis in axes[2]:
            tidy(axis)
    save_figure(path, figure)


def _networks(
    seed: int, latent_dim: int, hidden: tuple[int, ...], hidden_d: tuple[int, ...], activation_d: str
) -> tuple[MLPGenerator, MLPDiscriminator]:
    before = default_generator.get_state()
    default_generator.manual_seed(seed)  # for the initial weights; put back, so that nobody else is disturbed
    try:
        return MLPGenerator(2, latent_dim, hidden), MLPDiscriminator(2, hidden_d, activation_d)
    finally:
        default_generator.set_state(before)


def _train(
    generator: MLPGenerator,
    discriminator: MLPDiscriminator,
    seed: int,
    beta2: float,
    batch_size: int,
    average: float,
    scale: float = 1.0,
    falling_rate: bool = False,
    instance_noise: float = 0.0,
) -> list[Look]:
    adam_g, adam_d = (Adam(model.parameters(), lr=1e-3, betas=(0.5, beta2)) for model in (generator, discriminator))
    schedules: list[LRScheduler] = [LinearLR(a, 1.0, 0.0, STEPS) for a in (adam_g, adam_d)] if falling_rate else []
    averaged = ExponentialMovingAverage(generator, average)
    looks: list[Look] = []

    @no_grad()
    def look(step: int) -> None:
        z = Generator(1).normal((SAMPLES, generator.latent_dim))
        samples = averaged.module(Tensor(z)).numpy() / scale
        looks.append(Look(step, samples, mode_report(samples, ring_centers(), STD)))

    draws = Generator(0)
    rehearsal = Rehearsal(lambda: ring(batch_size, draws, std=STD)[0] * scale, STEPS, look, EVERY, schedules)
    fading = falling_noise(instance_noise, STEPS)
    noise = Generator(seed).spawn(1)
    train_gan(generator, discriminator, adam_g, adam_d, rehearsal, noise, averaged, instance_noise=fading)
    return looks
