"""Recipes for the operations that move elements: all are linear."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import functional as F
from minigen.device import Device, cpu
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample
from minigen.tensor import Tensor

_ELSEWHERE = Device("elsewhere", np, "minigen_kernels.cpu", "scipy.special")  # NumPy too, but another device


def _there_and_back(x: Tensor) -> Tensor:
    return F.to_device(F.to_device(x, _ELSEWHERE), cpu)


def _wider_and_back(x: Tensor) -> Tensor:
    return F.astype(F.astype(x, np.longdouble), np.float64)


def _any_shape(draw: Draw) -> Sample:
    return [draw.normal(draw.shape())], {}


def _reshape(draw: Draw) -> Sample:
    before, after = draw.choice(
        [((2, 3), (3, 2)), ((6,), (2, -1)), ((1,), ()), ((0, 2), (2, 0, 1)), ((2, 2, 3), (-1,))]
    )
    return [draw.normal(before)], {"shape": after}


def _flatten(draw: Draw) -> Sample:
    shape = draw.shape(least=1)
    start = draw.integer(0, len(shape) - 1)
    return [draw.normal(shape)], {"start_dim": start, "end_dim": draw.integer(start, len(shape) - 1)}


def _permute(draw: Draw) -> Sample:
    shape = draw.shape(most=4)
    return [draw.normal(shape)], {"dims": draw.permutation(len(shape))}


def _swap(names: tuple[str, str]) -> Any:
    def recipe(draw: Draw) -> Sample:
        shape = draw.shape(least=1)
        return [draw.normal(shape)], {name: draw.axis(len(shape)) for name in names}

    return recipe


def _squeeze(draw: Draw) -> Sample:
    shape = draw.choice([(1, 2, 1), (2, 1), (1, 1), (3,), (1, 0)])
    return [draw.normal(shape)], {"dim": draw.axes(len(shape))}


def _unsqueeze(draw: Draw) -> Sample:
    shape = draw.shape()
    return [draw.normal(shape)], {"dim": draw.axis(len(shape) + 1)}


def _expand(draw: Draw) -> Sample:
    before, after = draw.choice([((1, 2), (3, 2)), ((2, 1), (3, -1, 2)), ((), (2, 2)), ((1, 3), (0, 3)), ((2,), (2,))])
    return [draw.normal(before)], {"shape": after}


def _sum_to(draw: Draw) -> Sample:
    before, after = draw.choice([((3, 2), (1, 2)), ((3, 2, 2), (2, 1)), ((2, 2), ()), ((0, 3), (1, 3)), ((2,), (2,))])
    return [draw.normal(before)], {"shape": after}


def _flip(draw: Draw) -> Sample:
    shape = draw.shape(least=1)
    return [draw.normal(shape)], {"dims": draw.axes(len(shape))}


def _concatenate(draw: Draw) -> Sample:
    shape = draw.shape(least=1)
    dim = draw.axis(len(shape))
    xs = []
    for _ in range(draw.integer(1, 3)):
        sizes = list(shape)
        sizes[dim] = draw.integer(0, 3)
        xs.append(draw.normal(tuple(sizes)))
    return xs, {"dim": dim}


def _stack(draw: Draw) -> Sample:
    shape = draw.shape(most=2)
    return [draw.normal(shape) for _ in range(draw.integer(1, 3))], {"dim": draw.axis(len(shape) + 1)}


def _split(draw: Draw) -> Sample:
    sections = draw.choice([2, 1, 5, [1, 4], [0, 2, 3]])
    shape, dim = draw.choice([((5, 2), 0), ((2, 5), 1), ((1, 5), -1)])
    return [draw.normal(shape)], {"split_size_or_sections": sections, "dim": dim}


def _chunk(draw: Draw) -> Sample:
    return [draw.normal((2, 5))], {"chunks": draw.integer(1, 6), "dim": draw.choice([0, 1])}


def _pad(mode: str) -> Any:
    least, most = {"constant": (-1, 2), "reflect": (0, 2), "replicate": (-1, 3), "circular": (0, 3)}[mode]

    def recipe(draw: Draw) -> Sample:
        shape = tuple([n + 2 for n in draw.shape(least=1, most=2, side=2, empty=False)])
        widths = [draw.integer(least, most) for _ in range(2 * draw.integer(1, len(shape)))]
        options = {"pad": widths, "mode": mode}
        return [draw.normal(shape)], {**options, "value": 1.5} if mode == "constant" else options

    return recipe


OPERATIONS = [
    Operation("reshape", F.reshape, _reshape, linear=(0,)),
    Operation("flatten", F.flatten, _flatten, linear=(0,)),
    Operation("permute", F.permute, _permute, linear=(0,)),
    Operation("transpose", F.transpose, _swap(("dim0", "dim1")), linear=(0,)),
    Operation("swapaxes", F.swapaxes, _swap(("axis0", "axis1")), linear=(0,)),
    Operation("squeeze", F.squeeze, _squeeze, linear=(0,)),
    Operation("unsqueeze", F.unsqueeze, _unsqueeze, linear=(0,)),
    Operation("expand", F.expand, _expand, linear=(0,)),
    Operation("sum_to", F.sum_to, _sum_to, linear=(0,)),
    Operation("flip", F.flip, _flip, linear=(0,)),
    Operation("concatenate", lambda *xs, dim: F.concatenate(xs, dim), _concatenate, linear=(0,)),
    Operation("stack", lambda *xs, dim: F.stack(xs, dim), _stack, linear=(0,)),
    Operation("split", F.split, _split, linear=(0,)),
    Operation("chunk", F.chunk, _chunk, linear=(0,)),
    *[Operation(f"pad/{m}", F.pad, _pad(m), linear=(0,)) for m in ("constant", "reflect", "replicate", "circular")],
    Operation("clone", F.clone, _any_shape, linear=(0,)),
    Operation("astype", _wider_and_back, _any_shape, linear=(0,)),
    Operation("to_device", _there_and_back, _any_shape, linear=(0,)),
]
