"""Training data in which some classes are rare, or missing: a test of what a model does with the few.

`"0:0.02,3:0.5"` keeps 2 % of class 0 and half of class 3, and all of the others.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from minigen.errors import UserError

Imbalance = str | Mapping[int | str, float]


def parse_imbalance(imbalance: Imbalance, classes: int, class_names: tuple[str, ...] = ()) -> dict[int, float]:
    """The share of each class to keep, checked.

    Args:
        imbalance: "CLASS:SHARE,…", or a mapping from classes to shares; a class is its number, or its name where the
            data set names its classes
        classes: how many there are; 0 for data without labels
        class_names: what they are called

    Returns:
        For each class that was mentioned, a share from 0 (left out) to 1 (all of it)

    Raises:
        UserError: Text of another form, a class that does not exist or is named twice, a share outside [0, 1], or data
            without labels.

    >>> parse_imbalance("0:0.02, 3:0.5", classes=10)
    {0: 0.02, 3: 0.5}
    >>> parse_imbalance({"cat": 0}, classes=2, class_names=("cat", "dog"))
    {0: 0.0}
    """
    if classes == 0:
        raise UserError("An imbalance needs data with labels, and these have none.")
    shares: dict[int, float] = {}
    for key, value in _pairs(imbalance):
        label = _find_class(key, classes, class_names)
        try:
            share = float(value)
        except (TypeError, ValueError):
            share = -1.0
        if not 0 <= share <= 1:
            raise UserError(f"The share of class {key} must be a number from 0 to 1, not {value}.")
        if label in shares:
            raise UserError(f"The imbalance names class {key} twice; give each class one share.")
        shares[label] = share
    if len(shares) == classes and not any(shares.values()):
        raise UserError("The imbalance leaves out every class, so nothing is left to train on.")
    return shares


def keep_shares(labels: np.ndarray, shares: Mapping[int, float]) -> np.ndarray:
    """Indices of the samples that are kept, in their order.

    Of a class of n samples, round(share·n) stay, and at least one where the share is above 0; they are spread evenly
    over the class, so that the choice is always the same, and no seed changes it.

    >>> keep_shares(np.array([0, 0, 0, 0, 1, 1]), {0: 0.5}).tolist()
    [0, 2, 4, 5]
    """
    keep = np.ones(len(labels), bool)
    for label, share in shares.items():
        members = np.flatnonzero(labels == label)
        count = max(round(share * len(members)), 1 if share > 0 and len(members) else 0)
        keep[members] = False
        keep[members[np.arange(count) * len(members) // max(count, 1)]] = True
    return np.flatnonzero(keep)


def _pairs(imbalance: Imbalance) -> list[tuple[int | str, float | str]]:
    if isinstance(imbalance, Mapping):
        return list(imbalance.items())
    if not isinstance(imbalance, str):
        raise UserError(f"An imbalance is text such as 0:0.02,3:0.5 or a mapping, not {imbalance!r}.")
    pairs: list[tuple[int | str, float | str]] = []
    for part in imbalance.split(","):
        key, colon, share = part.rpartition(":")
        if not (key.strip() and colon and share.strip()):
            raise UserError(f"An imbalance is written CLASS:SHARE,… such as 0:0.02,3:0.5, and {part.strip()!r} is not.")
        pairs.append((key.strip(), share.strip()))
    return pairs


def _find_class(key: int | str, classes: int, class_names: tuple[str, ...]) -> int:
    if key in class_names:
        return class_names.index(str(key))
    number = -1
    if not isinstance(key, bool) and str(key).isdecimal():
        number = int(key)
    if not 0 <= number < classes:
        names = f" ({', '.join(class_names)})" if class_names else ""
        raise UserError(f"There is no class {key} to make rare: the classes are 0 to {classes - 1}{names}.")
    return number
