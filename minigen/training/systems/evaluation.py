"""How good samples are: every metric that applies to the data they should be like."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minigen.data import DataSource
from minigen.metrics import (
    class_coverage,
    class_probabilities,
    classifier_features,
    generation_report,
    inception_features,
    inception_style_score,
    mode_radius,
    mode_report,
    pixel_features,
    train_classifier,
)
from minigen.metrics.distances import squared_distances
from minigen.random import Generator

Draw = Callable[[int, Generator], np.ndarray]

JUDGED = {"image": 1000, "point": 2500}  # samples; 2,500 is how many VEEGAN and PacGAN judge modes by
COMPARED = 2000  # held-out samples at most, and as many generated ones, between which distances are measured
TRAINING = 10_000  # training samples at most, among which the nearest one is sought
CALLED = {"inception_frechet_distance": "fid", "inception_kernel_distance": "kid"}  # only these features give these


def judge_samples(source: DataSource, draw: Draw, inception: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """The metrics of samples against the held-out data they should be like.

    Everything of `minigen.metrics.generation_report`, between as many samples as held-out ones (2,000 at most), in
    pixels (or, for points, in their coordinates) and, for images with labels, in the features of a classifier that is
    trained on the real training images; with labels also `class_coverage` and `inception_style_score` of 1,000 samples;
    for a mixture of Gaussians `mode_report` of 2,500. Under ``reference`` the same distances of training samples in
    place of generated ones: what perfect samples would score.

    ``nearest_training_distance`` is the median distance in pixels from a sample to the nearest training sample, and
    ``copying_ratio`` that over the same of held-out samples: near 1 when samples are as new as real ones are to each
    other, and far below where the model repeats what it was trained on.

    Args:
        source: the data
        draw: n and a generator to n samples: images from 0 to 1, or points
        inception: the weights of the Inception network (`minigen.metrics.inception`), which add ``fid`` and ``kid``
    """
    samples = draw(JUDGED[source.kind], Generator(0))
    real = _some(source, "test", COMPARED)
    training = _some(source, "train", TRAINING)
    result: dict[str, Any] = {}
    features: dict[str, Callable[[np.ndarray], np.ndarray]] = {source.kind.replace("image", "pixel"): pixel_features}
    if source.kind == "image" and source.classes:
        images, labels = source.load("train").arrays
        judge = train_classifier(images, labels)
        features["classifier"] = partial(classifier_features, judge)
        held_out, truth = source.load("test").arrays
        right = class_probabilities(judge, held_out).argmax(axis=1) == truth
        p = class_probabilities(judge, samples)
        result |= {"judge_accuracy": float(right.mean()), **class_coverage(p)}
        result["inception_style_score"] = inception_style_score(p, splits=1)[0]
    if inception is not None and source.kind == "image":
        features["inception"] = partial(inception_features, weights_path=inception)
    if source.centers is not None and source.std is not None:
        radius = mode_radius(source.std, source.intrinsic_dim or samples.shape[1])
        result |= mode_report(samples, source.centers, source.std, radius)
    n = min(len(real), len(samples))
    if min(n, len(training)) > 1:
        result |= _named(generation_report(real, samples[:n], features))
        others = training[np.arange(min(n, len(training))) * len(training) // min(n, len(training))]
        result["reference"] = _named(generation_report(real, others, features))
    distance, usual = (float(np.median(nearest_training(x[:n], training)[1])) for x in (samples, real))
    result["nearest_training_distance"] = distance
    if usual > 0:
        result["copying_ratio"] = distance / usual
    return result


def nearest_training(samples: np.ndarray, training: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The training sample nearest to each sample, by its index, and how far it is: (n,) int64 and (n,) float64.

    >>> nearest_training(np.array([[0.0], [5.0]]), np.array([[4.0], [1.0]]))
    (array([1, 0]), array([1., 1.]))
    """
    x, y = (part.reshape(len(part), -1).astype(np.float64) for part in (samples, training))
    d = np.concatenate([squared_distances(x[i : i + 256], y) for i in range(0, len(x), 256)])
    return d.argmin(axis=1), np.sqrt(d.min(axis=1))


def _some(source: DataSource, split: str, at_most: int) -> np.ndarray:
    """Samples of a split: all of them, or `at_most`, evenly spaced."""
    data = source.load(split)
    count = min(len(data), at_most)
    return data[np.arange(count) * len(data) // max(count, 1)][0]


def _named(report: dict[str, Any]) -> dict[str, Any]:
    """A report in which what is measured in Inception's features has the names that belong to them alone."""
    return {CALLED.get(name, name): value for name, value in report.items()}
