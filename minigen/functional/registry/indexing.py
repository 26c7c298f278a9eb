"""Recipes for picking elements: every kind of index, positions repeated, all linear."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import functional as F
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample
from minigen.tensor import Tensor


def _basic(draw: Draw) -> Sample:
    shape = (3, 2, 4)
    index: Any = draw.choice(
        [
            1,
            -1,
            slice(None, None, 2),
            slice(None, None, -1),
            slice(2, 2),
            ...,
            None,
            (slice(1, None), 0),
            (..., slice(3, None, -2)),
            (None, 0, ..., None, -1),
            (1, 1, 2),
            (),
        ]
    )
    return [draw.normal(shape)], {"index": index}


def _advanced(draw: Draw) -> Sample:
    shape = (3, 2, 4)
    rows, columns = draw.positions((3,), 3), draw.positions((3,), 4)
    index: Any = draw.choice(
        [
            rows,
            Tensor(rows),
            rows.tolist(),
            rows.reshape(3, 1),
            (rows, slice(None), columns),
            (slice(None), 0, columns),
            (rows, ..., None, columns),
            (slice(None), slice(None), columns),
            (rows[:, None], 1, columns),
            np.zeros(0, int),
            np.array(2),
        ]
    )
    return [draw.normal(shape)], {"index": index}


def _mask(draw: Draw) -> Sample:
    shape = (3, 2, 4)
    whole, rows, last = draw.mask(shape), draw.mask((3,)), draw.mask((4,))
    index: Any = draw.choice(
        [whole, Tensor(whole), rows, (slice(None), 1, last), (..., last), (rows, 0), whole[:, :, 0]]
    )
    return [draw.normal(shape)], {"index": index}


def _gather(draw: Draw) -> Sample:
    shape = draw.shape(least=1, empty=False)
    dim = draw.axis(len(shape))
    sizes = [draw.integer(1, n) for n in shape]
    sizes[dim] = draw.integer(0, 4)
    return [draw.normal(shape)], {"dim": dim, "index": draw.positions(tuple(sizes), shape[dim])}


def _take_along_axis(draw: Draw) -> Sample:
    shape = draw.shape(least=1, empty=False)
    axis = draw.axis(len(shape))
    sizes = [draw.choice([1, n]) for n in shape]
    sizes[axis] = draw.integer(0, 4)
    thin = [draw.choice([1, n]) if m != 1 else n for n, m in zip(shape, sizes)]
    thin[axis] = shape[axis]
    return [draw.normal(tuple(thin))], {"indices": draw.positions(tuple(sizes), shape[axis]), "axis": axis}


def _index_select(draw: Draw) -> Sample:
    shape = draw.shape(least=1, empty=False)
    dim = draw.axis(len(shape))
    index = draw.positions(draw.choice([(4,), (1,), (0,), ()]), shape[dim])
    return [draw.normal(shape)], {"dim": dim, "index": index}


def _embedding(draw: Draw) -> Sample:
    """The row `padding_idx` gets no gradient although the result depends on it: it is not picked here."""
    index = draw.positions(draw.shape(), 3, negative=False)
    return [draw.normal((4, 2))], {"index": index, "padding_idx": draw.choice([None, 3, -1])}


def _embed(weight: Tensor, index: np.ndarray, padding_idx: int | None) -> Tensor:
    return F.embedding(index, weight, padding_idx)


OPERATIONS = [
    Operation("getitem/basic", F.getitem, _basic, linear=(0,)),
    Operation("getitem/advanced", F.getitem, _advanced, linear=(0,)),
    Operation("getitem/mask", F.getitem, _mask, linear=(0,)),
    Operation("gather", F.gather, _gather, linear=(0,)),
    Operation("take_along_axis", F.take_along_axis, _take_along_axis, linear=(0,)),
    Operation("index_select", F.index_select, _index_select, linear=(0,)),
    Operation("embedding", _embed, _embedding, linear=(0,)),
]
