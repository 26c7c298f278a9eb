"""Recipes for the activations."""

from __future__ import annotations

from minigen import functional as F
from minigen.functional.noise import activate_and_drop
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample
from minigen.random import Generator
from minigen.tensor import Tensor


def _away_from_0(draw: Draw) -> Sample:
    return [draw.distinct(draw.shape())], {}


def _leaky_relu(draw: Draw) -> Sample:
    return [draw.distinct(draw.shape())], {"negative_slope": draw.choice([0.01, 0.2, -0.5])}


def _away_from_0_with_dropout(draw: Draw) -> Sample:
    chain = {"negative_slope": draw.choice([0.0, 0.2, 1.5]), "p": draw.choice([0.3, 1.0]), "seed": draw.integer(0, 999)}
    return [draw.distinct(draw.shape())], chain


def _then_dropout(x: Tensor, negative_slope: float, p: float, seed: int) -> Tensor:
    return activate_and_drop(x, negative_slope, p, Generator(seed))


def _elu(draw: Draw) -> Sample:
    return [draw.distinct(draw.shape())], {"alpha": draw.choice([1.0, 0.3, 2.0])}


def _gelu(draw: Draw) -> Sample:
    return [draw.normal(draw.shape())], {"approximate": draw.choice(["none", "tanh"])}


def _hardtanh(draw: Draw) -> Sample:
    low, high = draw.choice([(-0.75, 0.75), (0.0, 0.45)])
    x = draw.distinct(draw.shape())
    return [x + 0.02 * (abs(abs(x) - 0.75) < 0.01)], {"min_val": low, "max_val": high}


def _over_axes(draw: Draw) -> Sample:
    shape = draw.shape(least=1, empty=False)
    dim = draw.axis(len(shape)) if draw.boolean() else draw.axes(len(shape))
    return [draw.normal(shape)], {"dim": dim}


OPERATIONS = [
    Operation("relu", F.relu, _away_from_0),
    Operation("leaky_relu", F.leaky_relu, _leaky_relu),
    Operation("leaky_relu/then dropout", _then_dropout, _away_from_0_with_dropout),
    Operation("elu", F.elu, _elu),
    Operation("selu", F.selu, _away_from_0),
    Operation("gelu", F.gelu, _gelu),
    Operation("silu", F.silu, lambda draw: ([draw.normal(draw.shape())], {})),
    Operation("hardtanh", F.hardtanh, _hardtanh),
    Operation("softmax", F.softmax, _over_axes),
    Operation("log_softmax", F.log_softmax, _over_axes),
]
