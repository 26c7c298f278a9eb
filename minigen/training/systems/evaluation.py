"""How good samples are: every metric that applies to the data they should be like."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.data import DataSource


def judge_samples(source: DataSource, samples: np.ndarray) -> dict[str, Any]:
    """The metrics of `samples` (n, *shape), images from 0 to 1 or points, against the data they should be like."""
    if source.kind == "image" and source.classes:
        return _coverage(source, samples)
    return {}


def _coverage(source: DataSource, samples: np.ndarray) -> dict[str, Any]:
    from minigen.metrics import class_coverage
    from minigen.metrics.classifier import class_probabilities, train_classifier

    images, labels = source.load("train").arrays
    held_out, held_out_labels = source.load("test").arrays
    judge = train_classifier(images, labels)
    accuracy = float((class_probabilities(judge, held_out).argmax(axis=1) == held_out_labels).mean())
    return {"judge_accuracy": accuracy, **class_coverage(class_probabilities(judge, samples))}
