"""Class imbalance: what a model does with a class that it has seldom seen, and what showing it as often as the others does.

Of the 0s among the training digits 2 % are kept: three. A loss that is a mean over images hardly feels them: an
autoencoder draws a 0 as something else, and a classifier calls it something else, while the mean over all images looks
as well as ever. Drawn by resampling, with every class as often in the batches (the same in expectation as weighing each
image by 1 over its class's count), the three count for as much as any other class. What they do not show, no weight can
teach: the classifier recovers, the autoencoder in part.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.data import load
from minigen.demos.deep_classifier import seeded
from minigen.functional import cross_entropy
from minigen.losses.reconstruction import squared_error
from minigen.models.autoencoder import DenseAutoencoder
from minigen.optim import Adam
from minigen.random import Generator
from minigen.tensor import Tensor

NAME = "imbalance"
DESCRIPTION = (
    "a class with three images that is neither recognized nor drawn, and batches that show it as often as others"
)

STEPS = 2000  # of each autoencoder; a third as many of each classifier
RARE, SHARE = 0, 0.02
BATCH = 64
SHOWN = 12  # held-out images of the rare class


class Trial(NamedTuple):
    """What came of one way to draw batches, on held-out digits."""

    counts: np.ndarray  # training images of each class
    errors: np.ndarray  # mean of ‖x - x̂‖² for each class
    recalls: np.ndarray  # share of each class that is told right
    reconstructions: np.ndarray  # of the first held-out images of the rare class


def compare(steps: int = STEPS, seed: int = 0) -> dict[str, Trial]:
    """Train on all digits, on few of the rare class, and on the same few drawn as often as the others."""
    return {
        "all digits": trial(load("digits", "train").arrays, False, steps, seed),
        "few 0s": trial(_few(), False, steps, seed),
        "few 0s, resampled": trial(_few(), True, steps, seed),
    }


def trial(data: tuple[np.ndarray, ...], resample: bool, steps: int, seed: int) -> Trial:
    """Train an autoencoder and a classifier, and measure both for each class.

    Args:
        data: images and labels.
        resample: draw every class as often as the others.
        steps: of the autoencoder.
        seed: of weights and batches.
    """
    images, labels = data
    counts = np.bincount(labels, minlength=10)
    p = 1 / counts[labels] if resample else np.ones(len(labels))
    cumulated = (p / p.sum()).cumsum()

    def draw(generator: Generator) -> np.ndarray:
        found = np.searchsorted(cumulated, generator.uniform((BATCH,), dtype=np.float64), side="right")
        return found.clip(max=len(labels) - 1)

    with seeded(seed):
        autoencoder = DenseAutoencoder()
        classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    adam, draws = Adam(autoencoder.parameters()), Generator(seed)
    for _ in range(steps):
        x = Tensor(images[draw(draws)])
        _step(adam, squared_error(autoencoder(x), x))
    adam, draws = Adam(classifier.parameters(), lr=2e-3), Generator(seed)
    for _ in range(steps // 3):
        chosen = draw(draws)
        _step(adam, cross_entropy(classifier(Tensor(images[chosen])), labels[chosen]))
    return Trial(counts, *_measure(autoencoder, classifier))


def run(out: Path, quiet: bool = False, steps: int = STEPS) -> Path:
    """Train, and draw what each class comes to.

    Args:
        out: the picture (.png)
        quiet: say nothing on the way
        steps: of each autoencoder

    Returns:
        `out`
    """
    if not quiet:
        print(f"Three autoencoders of {steps} steps and three classifiers: some seconds.", flush=True)
    save_trials(out, compare(steps))
    return out


def save_trials(path: Path, trials: dict[str, Trial]) -> None:
    """Write the picture: errors and recalls by class, and the held-out images of the rare one with what is made of them."""
    from minigen.viz.figure import COLORS, new_figure, save_figure, tidy
    from minigen.viz.grid import image_grid

    full, failure, cure = trials.values()
    figure = new_figure(12, 9)
    figure.suptitle(
        f"with {failure.counts[RARE]} training images of {RARE} instead of {full.counts[RARE]}: {RARE} recognized "
        f"{failure.recalls[RARE]:.0%} of the time instead of {full.recalls[RARE]:.0%}, drawn with an error of "
        f"{failure.errors[RARE]:.2f} instead of {full.errors[RARE]:.2f}\n"
        f"the same {cure.counts[RARE]} shown as often as the other classes: {cure.recalls[RARE]:.0%}, "
        f"{cure.errors[RARE]:.2f}; the mean over all classes moves from {failure.recalls.mean():.0%} to "
        f"{cure.recalls.mean():.0%}",
        fontsize=11,
    )
    charts, pictures = figure.subfigures(1, 2, width_ratios=[1.2, 1], squeeze=False)[0]
    above, below = charts.subplots(2, 1)
    classes = np.arange(10)
    for i, (color, (name, one)) in enumerate(zip(("#999999", COLORS[1], COLORS[2]), trials.items())):
        above.bar(classes + 0.27 * (i - 1), one.recalls, 0.25, color=color, label=name)
        below.bar(classes + 0.27 * (i - 1), one.errors, 0.25, color=color, label=name)
    above.set(ylim=(0, 1.05), xlabel="digit", xticks=classes)
    above.set_title("classifier: share of the held-out digits that are told right", fontsize=10)
    below.set(xlabel="digit", xticks=classes)
    below.set_title("autoencoder: squared error on held-out digits", fontsize=10)
    for axis in (above, below):
        tidy(axis)
    below.legend(fontsize=8, frameon=False)
    images, labels = load("digits", "test").arrays
    rows = {
        "held-out 0s": images[labels == RARE][:SHOWN],
        **{name: one.reconstructions for name, one in trials.items()},
    }
    for axis, (name, row) in zip(pictures.subplots(len(rows), 1), rows.items()):
        axis.imshow(image_grid(row, columns=SHOWN // 2), cmap="gray", vmin=0, vmax=255)
        axis.set_title(name if row is rows["held-out 0s"] else f"drawn again by: {name}", fontsize=9)
        axis.set_axis_off()
    save_figure(path, figure)


def _few() -> tuple[np.ndarray, ...]:
    return load("digits", "train", imbalance=f"{RARE}:{SHARE}").arrays


def _step(optimizer: Adam, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@no_grad()
def _measure(autoencoder: DenseAutoencoder, classifier: nn.Module) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    images, labels = load("digits", "test").arrays
    made = autoencoder(Tensor(images)).numpy()
    errors = ((made - images) ** 2).sum(axis=(1, 2, 3))
    right = classifier(Tensor(images)).numpy().argmax(axis=1) == labels
    by_class = [labels == c for c in range(10)]
    return (
        np.array([errors[c].mean() for c in by_class]),
        np.array([right[c].mean() for c in by_class]),
        made[labels == RARE][:SHOWN],
    )
