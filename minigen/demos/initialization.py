"""Initialization: the same network from five kinds of first weights, three of which it cannot learn from.

Ten ReLU layers. With zeros all units of a layer are one and the same, and no gradient passes. With weights too small
each layer shrinks what it is given, with weights too large each enlarges it, until nothing or nothing finite is left
after ten. Glorot & Bengio (2010) keep the variance the same from layer to layer for units that are linear near 0, and
He et al. (2015) double it, because a ReLU passes half.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigen import nn
from minigen.demos.deep_classifier import Course, DeepClassifier, activation_spreads, seeded, train
from minigen.nn import init
from minigen.optim import SGD
from minigen.tensor import Tensor

NAME = "initialization"
DESCRIPTION = "a network that learns or does not, by its first weights alone"

STEPS = 400
DEPTH, WIDTH, LR = 10, 100, 0.02

STARTS: dict[str, Callable[[Tensor], Any]] = {
    "zeros": init.zeros_,
    "too small (std 0.01)": partial(init.normal_, std=0.01),
    "too large (std 0.5)": partial(init.normal_, std=0.5),
    "Xavier": init.xavier_normal_,
    "He": partial(init.kaiming_normal_, nonlinearity="relu"),
}


class Trial(NamedTuple):
    """What one kind of first weights led to."""

    spreads: list[float]  # of the activations, by layer, before training
    course: Course


def compare(steps: int = STEPS, seed: int = 0) -> dict[str, Trial]:
    """Train the network from each kind of first weights, on the same batches."""
    trials = {}
    for name, fill in STARTS.items():
        with seeded(seed):
            network = DeepClassifier(DEPTH, WIDTH, nn.ReLU, fill)
        spreads = activation_spreads(network)
        trials[name] = Trial(spreads, train(network, SGD(network.parameters(), lr=LR, momentum=0.9), steps, seed))
    return trials


def run(out: Path, quiet: bool = False, steps: int = STEPS) -> Path:
    """Train from all of them, and draw what the layers pass on and what is learnt.

    Args:
        out: the picture (.png)
        quiet: say nothing on the way
        steps: of training

    Returns:
        `out`
    """
    if not quiet:
        print(f"{len(STARTS)} networks of {DEPTH} layers, {steps} steps each: some seconds.", flush=True)
    save_trials(out, compare(steps))
    return out


def save_trials(path: Path, trials: dict[str, Trial]) -> None:
    """Write the picture: what each layer passes on before training, and the course of the loss."""
    from minigen.viz.figure import COLORS, new_figure, save_figure, tidy

    figure = new_figure(12, 5)
    worst = min(trial.course.accuracy for trial in trials.values())
    figure.suptitle(
        f"{DEPTH} ReLU layers of {WIDTH}, held-out accuracy from {worst:.0%} to {trials['He'].course.accuracy:.0%} "
        "by the first weights alone"
    )
    left, right = figure.subplots(1, 2)
    for color, (name, (spreads, course)) in zip(COLORS, trials.items()):
        layers = np.arange(1, len(spreads) + 1)
        left.plot(layers, np.maximum(spreads, 1e-20), color=color, marker="o", markersize=4, label=name)
        end = f", infinite at step {course.steps[-1]}" if np.isnan(course.losses[-1]) else ""
        right.plot(course.steps, course.losses, color=color, label=f"{name}: {course.accuracy:.0%} right{end}")
    left.set_yscale("log")
    left.set(xlabel="layer", ylabel="standard deviation (0 drawn at 1e-20)")
    left.set_title("what the layers pass on before training", fontsize=10)
    right.set(xlabel="step", ylabel="cross-entropy", ylim=(-0.1, 4))
    right.axhline(np.log(10), color="#999999", linestyle=":", linewidth=1)
    right.set_title(f"training by SGD, rate {LR}, momentum 0.9 (dotted: guessing)", fontsize=10)
    for axis in (left, right):
        tidy(axis)
        axis.legend(fontsize=8, frameon=False)
    save_figure(path, figure)
