"""Recipes for the losses: every reduction, and a gradient for the target where it has one."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import functional as F
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample


def _reduction(draw: Draw) -> dict[str, Any]:
    return {"reduction": draw.choice(["mean", "sum", "none"])}


def _apart(draw: Draw) -> list[np.ndarray]:
    """An input and a target that differ everywhere."""
    shape = draw.shape(empty=False)
    both = draw.distinct((2, *shape))
    return [both[0], both[1]]


def _difference(draw: Draw) -> Sample:
    return _apart(draw), _reduction(draw)


def _any_difference(draw: Draw) -> Sample:
    shape = draw.shape(empty=False)
    return [draw.normal(shape), draw.normal(shape)], _reduction(draw)


def _huber(draw: Draw) -> Sample:
    x, y = _apart(draw)
    delta = draw.choice([1.0, 0.5])
    gap = np.abs(np.abs(x - y) - delta) < 0.02  # at the joint of the two branches
    x = np.where(draw.mask(x.shape), x + 0.05 * gap * np.sign(x - y), y)  # it is smooth where they are equal
    return [x, y], {**_reduction(draw), "delta": delta}


def _weight(draw: Draw, shape: tuple[int, ...], name: str = "weight") -> dict[str, Any]:
    return {name: draw.positive(shape)} if draw.boolean() else {}


def _bce(draw: Draw) -> Sample:
    shape = draw.shape(empty=False)
    inputs = [draw.uniform(shape, 0.05, 0.95), draw.uniform(shape, 0.0, 1.0)]
    return inputs, {**_reduction(draw), **_weight(draw, shape)}


def _bce_with_logits(draw: Draw) -> Sample:
    shape = draw.shape(empty=False)
    inputs = [3 * draw.normal(shape), draw.uniform(shape, 0.0, 1.0)]
    return inputs, {**_reduction(draw), **_weight(draw, shape), **_weight(draw, shape[-1:], "pos_weight")}


def _classes(draw: Draw) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The shapes of the scores and of the targets, and the number of classes."""
    shape = draw.choice([(2, 3), (1, 2), (3,), (2, 3, 2), (1, 3, 2, 1)])
    if len(shape) == 1:
        return shape, (), shape[0]
    return shape, (shape[0], *shape[2:]), shape[1]


def _nll(draw: Draw) -> Sample:
    shape, targets, classes = _classes(draw)
    target = draw.positions(targets, classes, negative=False)
    options = {**_reduction(draw), **_weight(draw, (classes,)), "target": target}
    if target.size > 1 and draw.boolean():
        target.flat[-1] = -100  # the default of ignore_index
    return [draw.normal(shape)], options


def _cross_entropy(draw: Draw) -> Sample:
    inputs, options = _nll(draw)
    return inputs, {**options, "label_smoothing": draw.choice([0.0, 0.1, 1.0])}


def _cross_entropy_of_probabilities(draw: Draw) -> Sample:
    shape, _, classes = _classes(draw)
    options = {**_reduction(draw), **_weight(draw, (classes,)), "label_smoothing": draw.choice([0.0, 0.2])}
    return [draw.normal(shape), draw.uniform(shape, 0.0, 1.0)], options


def _kl_div(draw: Draw) -> Sample:
    shape, log_target = draw.shape(empty=False), draw.boolean()
    target = draw.normal(shape) if log_target else draw.positive(shape)
    reduction = draw.choice(["mean", "sum", "none", "batchmean"])
    return [draw.normal(shape), target], {"reduction": reduction, "log_target": log_target}


OPERATIONS = [
    Operation("mse_loss", F.mse_loss, _any_difference),
    Operation("l1_loss", F.l1_loss, _difference),
    Operation("huber_loss", F.huber_loss, _huber),
    Operation("binary_cross_entropy", F.binary_cross_entropy, _bce, linear=(1,)),
    Operation("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, _bce_with_logits, linear=(1,)),
    Operation("nll_loss", F.nll_loss, _nll, linear=(0,)),
    Operation("cross_entropy", F.cross_entropy, _cross_entropy),
    Operation("cross_entropy/probabilities", F.cross_entropy, _cross_entropy_of_probabilities, linear=(1,)),
    Operation("kl_div", F.kl_div, _kl_div, linear=(0,)),
]
