"""Recipes for the reductions: every form of `dim`, with and without `keepdim`."""

from __future__ import annotations

import math

from minigen import functional as F
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample


def _options(draw: Draw, ndim: int) -> dict:
    return {"dim": draw.axes(ndim), "keepdim": draw.boolean()}


def _any_shape(draw: Draw) -> Sample:
    shape = draw.shape(least=1)
    return [draw.normal(shape)], _options(draw, len(shape))


def _scalar_too(draw: Draw) -> Sample:
    shape = draw.shape(empty=False)
    return [draw.normal(shape)], _options(draw, len(shape)) if shape else {}


def _filled(draw: Draw) -> Sample:
    shape = draw.shape(least=1, empty=False)
    return [draw.distinct(shape)], _options(draw, len(shape))


def _deviations(draw: Draw) -> Sample:
    shape = tuple([n + 2 for n in draw.shape(least=1, most=2, side=2, empty=False)])
    options = _options(draw, len(shape))
    options.update(draw.choice([{}, {"unbiased": False}, {"correction": 1.5}]))
    return [draw.normal(shape)], options


def _product(draw: Draw) -> Sample:
    shape = draw.shape(least=1)
    return [draw.distinct(shape)], _options(draw, len(shape))


def _product_with_zeros(draw: Draw) -> Sample:
    shape = draw.shape(least=1)
    return [draw.distinct(shape) * draw.mask(shape)], _options(draw, len(shape))


def _cumsum(draw: Draw) -> Sample:
    shape = draw.shape(least=1)
    return [draw.normal(shape)], {"dim": draw.axis(len(shape))}


def _euclidean(draw: Draw) -> Sample:
    inputs, options = _scalar_too(draw)
    return inputs, {"p": draw.choice([2, "fro"]), **options}


def _norm(draw: Draw) -> Sample:
    inputs, options = _filled(draw)
    return inputs, {"p": draw.choice([1, 3, 1.5, math.inf, -math.inf, 0]), **options}


OPERATIONS = [
    Operation("sum", F.sum, _any_shape, linear=(0,)),
    Operation("mean", F.mean, _scalar_too, linear=(0,)),
    Operation("var", F.var, _deviations),
    Operation("std", F.std, _deviations),
    Operation("amax", F.amax, _filled),
    Operation("amin", F.amin, _filled),
    Operation("max", F.max, _filled),
    Operation("min", F.min, _filled),
    Operation("prod", F.prod, _product),
    Operation("prod/with zeros", F.prod, _product_with_zeros),
    Operation("logsumexp", F.logsumexp, _scalar_too),
    Operation("cumsum", F.cumsum, _cumsum, linear=(0,)),
    Operation("norm/2", F.norm, _euclidean),
    Operation("norm/p", F.norm, _norm),
]
