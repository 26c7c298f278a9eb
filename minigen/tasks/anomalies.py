"""Anomalies: what is unlike everything a model was trained on, and how well its scores find a class it never saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minigen.errors import unknown_name
from minigen.metrics.ranking import auroc, average_precision
from minigen.tasks.abilities import ability, in_batches, samples_and_labels
from minigen.training.systems import System

SCORES = {"reconstruction": "anomaly_scores", "latent": "latent_scores"}  # kind of score → the system's method


@dataclass(frozen=True)
class Anomalies:
    """The scores of the held-out samples.

    Attributes:
        scores: (n,), high for what is unlike the training data
        labels: (n,), or None where the data have none
        anomalous: (n,) booleans, True for the classes that were left out of training; None where none was
        auroc: the probability that a sample of those classes scores higher than another one; None where none was
        average_precision: the area under precision over recall; None likewise
    """

    scores: np.ndarray
    labels: np.ndarray | None
    anomalous: np.ndarray | None
    auroc: float | None
    average_precision: float | None


def anomaly_scores(system: System, samples: np.ndarray, score: str = "reconstruction") -> np.ndarray:
    """The scores of samples, high for what is unlike the training data.

    Args:
        system: one that scores anomalies
        samples: images (n, C, H, W) from 0 to 1, or points (n, d)
        score: 'reconstruction' for the model's own score, which for autoencoders is how badly it draws a sample again;
            'latent' for how unlikely the sample's code is, where a model offers it

    Returns:
        (n,) float64

    Raises:
        UserError: no such kind of score, or a model that has none of it.
    """
    if score not in SCORES:
        raise unknown_name("score", score, SCORES)
    known = [kind for kind, method in SCORES.items() if getattr(system, method, None) is not None]
    what = "score anomalies" if not known or score in known else f"score anomalies by {score} (only by {known[0]})"
    method = ability(system, SCORES[score], what)
    return in_batches(method, samples).astype(np.float64)


def held_out_anomalies(system: System, score: str = "reconstruction") -> Anomalies:
    """The scores of all held-out samples, and how well they find the classes that were left out of training.

    Train with ``--imbalance C:0`` to leave class C out: then all held-out samples of C are the anomalies, the held-out
    samples of the other classes are normal, and `auroc` and `average_precision` say how well the scores separate them.

    Args:
        system, score: as for `anomaly_scores`

    Raises:
        UserError: a model that has no such score.

    >>> from minigen.training.runs import load_system
    >>> from minigen.tasks import held_out_anomalies
    >>> system, _ = load_system("runs/ae-1")            # trained with --imbalance 0:0   # doctest: +SKIP
    >>> held_out_anomalies(system).auroc                                                 # doctest: +SKIP
    0.98
    """
    samples, labels = samples_and_labels(system, "test")
    scores = anomaly_scores(system, samples, score)
    left_out = left_out_classes(system)
    if labels is None or not left_out:
        return Anomalies(scores, labels, None, None, None)
    anomalous = np.isin(labels, left_out)
    return Anomalies(scores, labels, anomalous, auroc(scores, anomalous), average_precision(scores, anomalous))


def left_out_classes(system: System) -> list[int]:
    """The classes of which the training split holds nothing, by ``--imbalance C:0``."""
    return sorted(label for label, share in system.source.shares.items() if share == 0)


def share_below(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """For each score, the share of the `reference` scores that are below it: near 1 for an anomaly.

    >>> share_below(np.array([0.5, 9.0]), np.array([0.0, 1.0, 2.0, 3.0])).tolist()
    [0.25, 1.0]
    """
    return np.searchsorted(np.sort(reference), scores, side="left") / len(reference)
