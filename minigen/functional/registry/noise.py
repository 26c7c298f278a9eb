"""Recipes for the operations that draw random numbers: seeded anew in every call, so that each is one function."""

from __future__ import annotations

from typing import Any

from minigen import functional as F
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample
from minigen.random import Generator


def _seeded(function: Any) -> Any:
    return lambda x, seed, **options: function(x, generator=Generator(seed), **options)


def _options(draw: Draw) -> dict[str, Any]:
    return {"p": draw.choice([0.5, 0.2, 0.0, 1.0]), "training": draw.integer(0, 3) > 0, "seed": draw.integer(0, 999)}


def _dropout(draw: Draw) -> Sample:
    return [draw.normal(draw.shape())], _options(draw)


def _dropout2d(draw: Draw) -> Sample:
    return [draw.normal(draw.shape(least=3, most=4))], _options(draw)


OPERATIONS = [
    Operation("dropout", _seeded(F.dropout), _dropout, linear=(0,)),
    Operation("dropout2d", _seeded(F.dropout2d), _dropout2d, linear=(0,)),
]
