"""Every metric that applies to a set of generated samples, in one dictionary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from minigen.errors import ShapeError
from minigen.metrics.arrays import feature_pair
from minigen.metrics.coverage import class_coverage
from minigen.metrics.features import pixel_features
from minigen.metrics.frechet import frechet_distance
from minigen.metrics.inception_score import inception_style_score
from minigen.metrics.kernel import kernel_distance, squared_mmd
from minigen.metrics.manifold import density_coverage, precision_recall
from minigen.metrics.two_sample import nearest_neighbour_accuracy
from minigen.random import Generator

Extractor = Callable[[np.ndarray], np.ndarray]

PRECISION_K, DENSITY_K = 3, 5  # nearest neighbours, the papers' choices
SUBSETS, SUBSET_SIZE = 20, 500  # of the kernel distance


def generation_report(
    real: np.ndarray,
    fake: np.ndarray,
    features: Mapping[str, Extractor] | None = None,
    probabilities: Extractor | None = None,
    max_samples: int = 2000,
    generator: Generator | None = None,
) -> dict[str, Any]:
    """Compare generated samples with real ones.

    For each extractor, under ``"NAME_…"``: `frechet_distance`, `kernel_distance` and its standard deviation,
    `squared_mmd`, `precision_recall`, `density_coverage`, `nearest_neighbour_accuracy`. Of the class probabilities of the
    fakes: `inception_style_score` (over all of them at once) and `class_coverage`. What needs more samples than there
    are is left out.

    Args:
        real, fake: (N, *) and (M, *), images (C, H, W) from 0 to 1 or points.
        features: names of feature spaces and what computes them; None for ``{"pixel": pixel_features}``.
        probabilities: p(class | sample), (M, classes), of samples (M, *); None where there are no classes.
        max_samples: of each set that are looked at, drawn at random from larger ones.
        generator: of what is drawn; None for one that is always the same.

    Raises:
        ShapeError: samples of different shapes, or fewer than two.
        UserError: NaN or infinity.

    >>> draws = Generator(0).normal((300, 2))
    >>> report = generation_report(draws[:150], draws[150:])
    >>> report["real_samples"], report["pixel_precision"] > 0.8
    (150, True)
    """
    if np.shape(real)[1:] != np.shape(fake)[1:]:
        raise ShapeError(
            f"generation_report: real and fake samples have one shape, not {np.shape(real)}, {np.shape(fake)}."
        )
    feature_pair("generation_report", real, fake, (2, 2))
    generator = Generator(0) if generator is None else generator
    real, fake = _at_most(max_samples, np.asarray(real), generator), _at_most(max_samples, np.asarray(fake), generator)
    report: dict[str, Any] = {"real_samples": len(real), "fake_samples": len(fake)}
    for name, extract in ({"pixel": pixel_features} if features is None else features).items():
        measured = _distances(extract(real), extract(fake), generator)
        report |= {f"{name}_{metric}": value for metric, value in measured.items()}
    if probabilities is not None:
        p = probabilities(fake)
        report["inception_style_score"], _ = inception_style_score(p, splits=1)
        report |= class_coverage(p)
    return report


def _distances(real: np.ndarray, fake: np.ndarray, generator: Generator) -> dict[str, float]:
    kernel, deviation = kernel_distance(real, fake, generator, SUBSETS, SUBSET_SIZE)
    result = {
        "frechet_distance": frechet_distance(real, fake),
        "kernel_distance": kernel,
        "squared_mmd": squared_mmd(real, fake),
    }
    if deviation > 0:  # 0 where a subset is the whole
        result["kernel_distance_std"] = deviation
    if min(len(real), len(fake)) > PRECISION_K:
        result["precision"], result["recall"] = precision_recall(real, fake, PRECISION_K)
    if len(real) > DENSITY_K:
        result["density"], result["coverage"] = density_coverage(real, fake, DENSITY_K)
    accuracy = nearest_neighbour_accuracy(real, fake)
    result |= {
        "nearest_neighbour_accuracy": accuracy["overall"],
        "nearest_neighbour_accuracy_real": accuracy["real"],
        "nearest_neighbour_accuracy_fake": accuracy["fake"],
    }
    return result


def _at_most(n: int, samples: np.ndarray, generator: Generator) -> np.ndarray:
    return samples if len(samples) <= n else samples[generator.permutation(len(samples))[:n]]
