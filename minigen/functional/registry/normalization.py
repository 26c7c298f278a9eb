"""Recipes for the normalizations. Statistics are over three values at least: over two they hardly depend on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import functional as F
from minigen.functional.normalization import batch_norm_then
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample
from minigen.random import Generator
from minigen.tensor import Tensor


def _affine(draw: Draw, shape: tuple[int, ...]) -> list[np.ndarray]:
    """A weight and a bias, the weight alone, or neither."""
    count = draw.integer(0, 2)
    return [draw.normal(shape) for _ in range(count)]


def _eps(draw: Draw) -> float:
    return draw.choice([1e-5, 0.1])


def _running(draw: Draw, channels: int) -> dict[str, Any]:
    return {"running_mean": draw.normal((channels,)), "running_var": draw.positive((channels,))}


def _with_running(function: Any) -> Any:
    """`function` of (x, weight, bias), with running statistics of its own in every call: it may move them."""

    def call(x: Tensor, *affine: Tensor, running_mean: Any = None, running_var: Any = None, **options: Any) -> Tensor:
        statistics = [None if r is None else Tensor(r.copy(), device=x.device) for r in (running_mean, running_var)]
        return function(x, *statistics, *affine, **options)

    return call


def _batch_norm_training(draw: Draw) -> Sample:
    shape = draw.choice([(3, 2), (4, 1), (2, 2, 2), (2, 2, 2, 1), (1, 2, 2, 2)])
    running = draw.choice([{}, _running(draw, shape[1])])
    return [draw.normal(shape), *_affine(draw, shape[1:2])], {**running, "training": True, "eps": _eps(draw)}


def _batch_norm_then(draw: Draw) -> Sample:
    shape = draw.choice([(4, 2), (3, 1), (2, 2, 2), (1, 2, 1, 3), (2, 2, 1, 2)])  # in one pass, and one after another
    chain = {"negative_slope": draw.choice([0.3, 0.0, 1.0]), "p": draw.choice([0.0, 0.4]), "seed": draw.integer(0, 999)}
    inputs = [draw.normal(shape), *_affine(draw, shape[1:2])]
    return inputs, {**chain, "training": True, "momentum": 0.1, "eps": 0.1}


def _batch_norm_evaluation(draw: Draw) -> Sample:
    shape = draw.choice([(3, 2), (1, 3), (2, 2, 3), (1, 2, 2, 2), (0, 2)])
    options = {**_running(draw, shape[1]), "training": False, "eps": _eps(draw)}
    return [draw.normal(shape), *_affine(draw, shape[1:2])], options


def _batch_norm_statistics(draw: Draw) -> Sample:
    shape = draw.choice([(3, 2), (1, 2, 2, 2)])
    return [draw.normal(shape), draw.normal((2,)), draw.positive((2,))], {"eps": _eps(draw)}


def _layer_norm(draw: Draw) -> Sample:
    shape = draw.choice([(2, 4), (3, 3), (2, 2, 3), (3,), (0, 3)])
    last = shape[-1:] if len(shape) < 3 else draw.choice([shape[-1:], shape[-2:]])
    normalized_shape = last[0] if len(last) == 1 and draw.boolean() else last
    return [draw.normal(shape), *_affine(draw, last)], {"normalized_shape": normalized_shape, "eps": _eps(draw)}


def _instance_norm(draw: Draw) -> Sample:
    shape = draw.choice([(2, 2, 3), (1, 2, 2, 2), (2, 1, 3, 1)])
    running = draw.choice([{}, _running(draw, shape[1])])
    use_input = not running or draw.boolean()
    options = {**running, "use_input_stats": use_input, "eps": _eps(draw)}
    return [draw.normal(shape), *_affine(draw, shape[1:2])], options


def _group_norm(draw: Draw) -> Sample:
    shape, groups = draw.choice([((2, 4, 2), 2), ((1, 3, 2, 2), 3), ((2, 6), 2), ((1, 2, 3), 1), ((2, 3), 1)])
    return [draw.normal(shape), *_affine(draw, shape[1:2])], {"num_groups": groups, "eps": _eps(draw)}


def _chained(x: Tensor, *affine: Tensor, seed: int, **options: Any) -> Tensor:
    weight, bias = (*affine, None, None)[:2]
    return batch_norm_then(x, None, None, weight, bias, generator=Generator(seed), **options)


def _layer_normed(x: Tensor, *affine: Tensor, normalized_shape: Any, eps: float) -> Tensor:
    weight, bias = (*affine, None, None)[:2]
    return F.layer_norm(x, normalized_shape, weight, bias, eps)


def _group_normed(x: Tensor, *affine: Tensor, num_groups: int, eps: float) -> Tensor:
    weight, bias = (*affine, None, None)[:2]
    return F.group_norm(x, num_groups, weight, bias, eps)


OPERATIONS = [
    Operation("batch_norm/training", _with_running(F.batch_norm), _batch_norm_training),
    Operation("batch_norm/then activation and dropout", _chained, _batch_norm_then),
    Operation("batch_norm/evaluation", _with_running(F.batch_norm), _batch_norm_evaluation, linear=(0,)),
    Operation("batch_norm/of its statistics", F.batch_norm, _batch_norm_statistics, linear=(0, 1)),
    Operation("layer_norm", _layer_normed, _layer_norm),
    Operation("instance_norm", _with_running(F.instance_norm), _instance_norm),
    Operation("group_norm", _group_normed, _group_norm),
]
