"""More labelled training samples out of a model, and what they are worth to a classifier."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from minigen.errors import UserError
from minigen.metrics.classifier import class_probabilities, train_classifier
from minigen.random import Generator
from minigen.tasks.abilities import in_batches, samples_and_labels
from minigen.training.systems import System

STEP = 0.5  # of a code, in units of the spread within classes
CONFIDENCE = 0.95  # with which a classifier must recognize a sample to label it
ROUNDS = 20  # of sampling, until a class that a generator never makes is given up
SEEDS = 3  # classifiers trained on each set


@dataclass(frozen=True)
class Augmentation:
    """New labelled samples.

    Attributes:
        images: (n, C, H, W) float32 from 0 to 1
        labels: (n,) int64, rising
        method: how they were made, in a sentence
    """

    images: np.ndarray
    labels: np.ndarray
    method: str


def augment(system: System, n: int = 100, generator: Generator | None = None) -> Augmentation:
    """n new samples of each class of the training data.

    A model that encodes (f) and decodes (g) makes them out of real ones. An image x of the class, drawn at random, has
    the code z = f(x); it is moved to z' = z + ½ε, ε ~ N(0, Σ), and the new image is x + g(z') - g(z), clipped to 0 to 1.
    Σ is the covariance of codes within classes, pooled over all of them, so that a class of three images varies as the
    others do (after DeVries & Taylor 2017, 1702.05538, who move features of one class by its own variation). A whole ε
    was measured to serve classifiers of the digits less well than half of it. The difference of two decoded images is
    added, and not g(z') itself taken, because what a decoder draws is smoother than a real image: a classifier trained
    on such does worse on real ones. A class with no image in training gets none.

    A model that can only draw samples makes them without a class, and a classifier trained on the same training data
    labels those that it recognizes with 95 % confidence; the others are thrown away. Classes it makes too rarely may
    get fewer than n.

    Args:
        system: of images with labels
        n: of each class
        generator: `Generator(0)` unless given

    Raises:
        UserError: data without labels, or a model that neither encodes and decodes nor samples.

    >>> from minigen.training.runs import load_system
    >>> from minigen.tasks import augment
    >>> system, _ = load_system("runs/vae-1")                  # doctest: +SKIP
    >>> augment(system, n=5).images.shape                      # doctest: +SKIP
    (50, 1, 8, 8)
    """
    generator = generator or Generator(0)
    if system.encode is not None and system.decode is not None:
        method = "real images, each changed by what a step of its code within the classes' spread changes"
        images, labels = _varied(system, n, generator)
    elif system.can_sample:
        method = f"samples that a classifier of the training data recognizes with {CONFIDENCE:.0%} confidence"
        images, labels = _recognized(system, n, generator)
    else:
        raise system.cannot("make new samples of a class: it neither decodes codes nor samples")
    return Augmentation(np.clip(images, 0, 1).astype(np.float32), labels, method)


def measure_augmentation(system: System, augmentation: Augmentation, seeds: int = SEEDS) -> list[dict[str, Any]]:
    """What new samples are worth: the accuracy on held-out images of classifiers trained without and with them.

    Three rows: the training data alone; with as many repetitions of its own images of the same classes, which is what
    new images have to beat; and with the new images. Every classifier takes as many steps as the others, and each row
    is the mean over `seeds` of them, with its standard error.

    Returns:
        rows of ``trained_on``, ``images``, ``accuracy``, ``error`` (standard error of the mean over seeds) and
        ``class_accuracy``, a list with the share of each class that is recognized

    Args:
        system: of images with labels.
        augmentation: what `augment` made.
        seeds: classifiers for each row.
    """
    images, labels = _labelled(system, "train")
    held_out, truth = _labelled(system, "test")
    repeated = same_class(labels, augmentation.labels, Generator(0))
    sets = {
        "training data": (images, labels),
        "with repeats": (np.concatenate([images, images[repeated]]), np.concatenate([labels, labels[repeated]])),
        "with new images": (
            np.concatenate([images, augmentation.images]),
            np.concatenate([labels, augmentation.labels]),
        ),
    }
    rows = []
    for name, (x, y) in sets.items():
        right = []  # (seeds, held-out images)
        for seed in range(seeds):
            judge = train_classifier(x, y, seed=seed)
            right.append(class_probabilities(judge, held_out).argmax(axis=1) == truth)
        by_seed = np.mean(right, axis=1)
        by_image = np.mean(right, axis=0)
        error = float(by_seed.std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else float("nan")
        by_class = [float(by_image[truth == label].mean()) for label in np.unique(truth)]
        rows.append(
            {
                "trained_on": name,
                "images": len(x),
                "accuracy": float(by_seed.mean()),
                "error": error,
                "class_accuracy": by_class,
            }
        )
    return rows


def _labelled(system: System, split: str) -> tuple[np.ndarray, np.ndarray]:
    samples, labels = samples_and_labels(system, split)
    if system.source.kind != "image" or labels is None:
        raise UserError(
            f"New labelled images are made for images with labels, and {system.source.name!r} is no such data; train on digits."
        )
    return samples, labels


def _varied(system: System, n: int, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
    images, labels = _labelled(system, "train")
    codes = in_batches(system.encode, images).astype(np.float64)  # type: ignore[arg-type] # the caller has looked
    classes = np.unique(labels)
    wanted = np.repeat(classes, n)
    chosen = same_class(labels, wanted, generator)
    root = covariance_root(within_classes(codes, labels))
    moved = codes[chosen] + STEP * generator.normal((len(chosen), codes.shape[1]), dtype=np.float64) @ root
    before, after = (
        in_batches(system.decode, z.astype(np.float32))  # type: ignore[arg-type]
        for z in (codes[chosen], moved)
    )
    return images[chosen] + (after - before), wanted


def within_classes(codes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The covariance of codes (n, d) about the mean of their class, Σ (z - μ)(z - μ)ᵀ / (n - classes), (d, d)."""
    classes = np.unique(labels)
    centred = np.concatenate([codes[labels == label] - codes[labels == label].mean(axis=0) for label in classes])
    return centred.T @ centred / max(len(codes) - len(classes), 1)


def covariance_root(covariance: np.ndarray) -> np.ndarray:
    """A matrix A with AᵀA = Σ, which may be singular: rows ε of N(0, I) make rows εA of N(0, Σ)."""
    values, axes = np.linalg.eigh(covariance)
    return np.sqrt(values.clip(0))[:, None] * axes.T


def same_class(labels: np.ndarray, wanted: np.ndarray, generator: Generator) -> np.ndarray:
    """For each of the labels `wanted`, the index of a sample that has it, drawn at random."""
    chosen = np.empty(len(wanted), np.int64)
    for label in np.unique(wanted):
        members, places = np.flatnonzero(labels == label), np.flatnonzero(wanted == label)
        chosen[places] = members[generator.integers(0, len(members), (len(places),))]
    return chosen


def _recognized(system: System, n: int, generator: Generator) -> tuple[np.ndarray, np.ndarray]:
    images, labels = _labelled(system, "train")
    judge = train_classifier(images, labels)
    classes = np.unique(labels)
    found: dict[int, list[np.ndarray]] = {int(label): [] for label in classes}
    for _ in range(ROUNDS):
        samples = np.clip(system.sample(n * len(classes), generator), 0, 1)
        p = class_probabilities(judge, samples)
        for label, kept in found.items():
            sure = (p.argmax(axis=1) == label) & (p.max(axis=1) >= CONFIDENCE)
            kept.extend(samples[sure][: n - len(kept)])
        if all(len(kept) == n for kept in found.values()):
            break
    counts = [len(kept) for kept in found.values()]
    everything = [image for kept in found.values() for image in kept]
    if not everything:
        raise UserError("No sample of this run is recognized as any class: train it for longer.")
    return np.stack(everything), np.repeat(classes, counts)
