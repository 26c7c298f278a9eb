"""A deep network of digits that the exhibits on gradients and on initialization train, and what they look at in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.data import load_digits
from minigen.functional import cross_entropy
from minigen.nn import init
from minigen.optim import Optimizer
from minigen.random import Generator, default_generator
from minigen.tensor import Tensor

BATCH = 128
EVERY = 10  # steps between two points of a curve


class Course(NamedTuple):
    """What came of training."""

    steps: list[int]
    losses: list[float]  # on the batch, at these steps; NaN from where it is no longer finite
    accuracy: float  # on held-out digits


class DeepClassifier(nn.Module):
    """Digits to ten logits through `depth` layers of one width, each with an activation, and batch norm if asked for.

    Args:
        depth: layers before the last one.
        width: of each.
        activation: makes one.
        initialize: gives a layer its first weights; biases begin at 0.
        batch_norm: before each activation.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        activation: Callable[[], nn.Module],
        initialize: Callable[[Tensor], Any],
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        widths = [64, *[width] * depth]
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) if batch_norm else nn.Identity() for _ in range(depth))
        self.activation = activation()
        self.last = nn.Linear(width, 10)
        for layer in (*self.linears, self.last):
            initialize(layer.weight)
            init.zeros_(layer.bias)

    def hidden(self, x: Tensor) -> list[Tensor]:
        """The activations of every layer, (N, width) each."""
        found = []
        for linear, norm in zip(self.linears, self.norms):
            x = self.activation(norm(linear(x)))
            found.append(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.hidden(x)[-1])


def digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 64) of mean 0 and standard deviation 1 over the training digits, and labels."""
    images, labels = load_digits(split)
    pixels = images if split == "train" else load_digits("train")[0]
    return ((images - pixels.mean()) / pixels.std()).reshape(-1, 64), labels


def train(network: DeepClassifier, optimizer: Optimizer, steps: int, seed: int = 0) -> Course:
    """Minimize the cross-entropy on random batches; a loss that is no longer finite ends the course."""
    images, labels = digits("train")
    draws = Generator(seed)
    course = Course([], [], 0.0)
    with np.errstate(all="ignore"):
        for step in range(steps):
            chosen = draws.integers(0, len(images), (BATCH,))
            loss = cross_entropy(network.train()(Tensor(images[chosen])), labels[chosen])
            finite = np.isfinite(loss.item())
            if step % EVERY == 0 or step == steps - 1 or not finite:
                course.steps.append(step)
                course.losses.append(loss.item() if finite else np.nan)
            if not finite:
                break
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return course._replace(accuracy=accuracy(network))


@no_grad()
def accuracy(network: DeepClassifier) -> float:
    """The share of held-out digits that are told right."""
    images, labels = digits("test")
    return float((network.eval()(Tensor(images)).numpy().argmax(axis=1) == labels).mean())


@no_grad()
def activation_spreads(network: DeepClassifier) -> list[float]:
    """The standard deviation of every layer's activations on the training digits."""
    images, _ = digits("train")
    with np.errstate(all="ignore"):
        return [float(h.numpy().std(dtype=np.float64)) for h in network.train().hidden(Tensor(images))]


def gradient_norms(network: DeepClassifier) -> list[float]:
    """The norm of the gradient of the loss by every layer's weight, on the training digits."""
    images, labels = digits("train")
    network.zero_grad()
    cross_entropy(network.train()(Tensor(images)), labels).backward()
    norms = [float(np.linalg.norm(layer.weight.grad.numpy().astype(np.float64))) for layer in network.linears]
    network.zero_grad()
    return norms


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Weights made within are those of this seed; the default generator is put back afterwards."""
    before = default_generator.get_state()
    default_generator.manual_seed(seed)
    try:
        yield
    finally:
        default_generator.set_state(before)
