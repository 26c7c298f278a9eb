"""Recipes for the elementwise operations."""

from __future__ import annotations

from minigen import functional as F
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Recipe, Sample


def _normal(draw: Draw) -> Sample:
    return [draw.normal(draw.shape())], {}


def _positive(draw: Draw) -> Sample:
    return [draw.positive(draw.shape())], {}


def _distinct(draw: Draw) -> Sample:
    return [draw.distinct(draw.shape())], {}


def _two(draw: Draw) -> Sample:
    return [draw.normal(shape) for shape in draw.broadcastable(2)], {}


def _two_apart(draw: Draw) -> Sample:
    x, y = draw.broadcastable(2)
    return [draw.distinct(x), draw.distinct(y) + 0.015], {}


def _quotient(draw: Draw) -> Sample:
    x, y = draw.broadcastable(2)
    return [draw.normal(x), draw.distinct(y)], {}


def _power(draw: Draw) -> Sample:
    x, y = draw.broadcastable(2)
    return [draw.positive(x), draw.normal(y)], {}


def _power_of_number(draw: Draw) -> Sample:
    return [draw.normal(draw.shape())], {"base": draw.choice([2.0, 0.5, 1.0, 3])}


def _power_by_number(draw: Draw) -> Sample:
    exponent = draw.choice([2, 3, 1, 0, -1, -2, 0.5, 1.5, -0.5])
    shape = draw.shape()
    if exponent != int(exponent):
        return [draw.positive(shape)], {"exponent": exponent}
    return [draw.normal(shape) if exponent >= 0 else draw.distinct(shape)], {"exponent": exponent}


def _with_number(draw: Draw) -> Sample:
    return [draw.distinct(draw.shape())], {"number": draw.choice([2.5, -3, 1])}


def _where(draw: Draw) -> Sample:
    condition, x, y = draw.broadcastable(3)
    return [draw.normal(x), draw.normal(y)], {"condition": draw.mask(condition)}


def _clip(draw: Draw) -> Sample:
    low, high = draw.choice([(-0.45, 0.45), (None, 0.0), (0.0, None), (-10.0, 10.0)])
    return [draw.distinct(draw.shape())], {"min": low, "max": high}


def _clip_by_tensors(draw: Draw) -> Sample:
    x, low, high = draw.broadcastable(3)
    return [draw.distinct(x), draw.uniform(low, -1.39, -1.36), draw.uniform(high, 0.91, 0.94)], {}


def _softplus(draw: Draw) -> Sample:
    options = draw.choice([{}, {"beta": 2.0}, {"beta": 0.5, "threshold": 0.0}])
    return [draw.distinct(draw.shape())], dict(options)


_UNARY: list[tuple[str, Recipe]] = [
    ("abs", _distinct),
    ("sign", _distinct),
    ("exp", _normal),
    ("log", _positive),
    ("log1p", _positive),
    ("expm1", _normal),
    ("sqrt", _positive),
    ("rsqrt", _positive),
    ("reciprocal", _distinct),
    ("square", _normal),
    ("sin", _normal),
    ("cos", _normal),
    ("tanh", _normal),
    ("sigmoid", _normal),
    ("erf", _normal),
]

OPERATIONS = [
    Operation("add", F.add, _two, linear=(0, 1)),
    Operation("add/number", lambda x, number: F.add(number, x), _with_number, linear=(0,)),
    Operation("sub", F.sub, _two, linear=(0, 1)),
    Operation("sub/number", lambda x, number: F.sub(number, x), _with_number, linear=(0,)),
    Operation("mul", F.mul, _two, linear=(0, 1)),
    Operation("mul/number", lambda x, number: F.mul(x, number), _with_number, linear=(0,)),
    Operation("div", F.div, _quotient, linear=(0,)),
    Operation("div/number", lambda x, number: F.div(number, x), _with_number),
    Operation("pow", F.pow, _power),
    Operation("pow/of a number", lambda x, base: F.pow(base, x), _power_of_number),
    Operation("pow/by a number", F.pow, _power_by_number),
    Operation("neg", F.neg, _normal, linear=(0,)),
    *[Operation(name, getattr(F, name), recipe) for name, recipe in _UNARY],
    Operation("softplus", F.softplus, _softplus),
    Operation("maximum", F.maximum, _two_apart),
    Operation("minimum", F.minimum, _two_apart),
    Operation("where", lambda x, y, condition: F.where(condition, x, y), _where, linear=(0, 1)),
    Operation("clip", F.clip, _clip),
    Operation("clip/by tensors", F.clip, _clip_by_tensors),
]
