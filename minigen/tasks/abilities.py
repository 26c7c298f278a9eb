"""What the tasks ask of a trained system: its abilities, one batch at a time, or an error that says what it lacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.training.systems import System

BATCH = 256  # images that go through a network at once


def ability(system: System, name: str, what: str) -> Callable[..., Any]:
    """The method `name` of a system.

    Raises:
        UserError: the model has none; `what` says in the sentence what it therefore cannot do.
    """
    method = getattr(system, name, None)
    if method is None:
        raise system.cannot(what)
    return method


def in_batches(method: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, batch: int = BATCH) -> np.ndarray:
    """``method(inputs)``, some rows at a time, so that memory does not grow with their number.

    >>> in_batches(lambda x: 2 * x, np.arange(5), batch=2).tolist()
    [0, 2, 4, 6, 8]
    """
    parts = [method(inputs[start : start + batch]) for start in range(0, max(len(inputs), 1), batch)]
    return np.concatenate(parts)


def samples_and_labels(system: System, split: str, at_most: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """The samples of a split (images from 0 to 1), and their labels (n,), or None where the data have none.

    Args:
        system: whose data are meant
        split: 'train' or 'test'
        at_most: this many, evenly spaced, where there are more; None for all
    """
    data = system.source.load(split)
    count = len(data) if at_most is None else min(len(data), at_most)
    samples, labels = data[np.arange(count) * len(data) // max(count, 1)][:2]
    return samples, labels if system.source.classes else None


def class_name(system: System, label: int) -> str:
    """What a class is called: its name, where the data have names, or its number."""
    names = system.source.class_names
    return names[label] if names else str(label)
