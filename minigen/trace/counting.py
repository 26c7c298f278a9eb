"""What an operation costs on paper: multiply-adds, and bytes that go in and come out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minigen.autograd.function import Function, _Output
from minigen.functional.convolution import Conv2d, Conv2dWeightGrad, ConvTranspose2d
from minigen.functional.fused import LinearThenActivate
from minigen.functional.indexing import GetItem, TakeAlong
from minigen.functional.linalg import Einsum, Linear, MatMul, MatVec, VecMat
from minigen.tensor import Tensor


def multiply_adds(operation: type[Function], arrays: list[Any], params: dict[str, Any], out: Any) -> int:
    """Products that are each added to a sum; 0 for operations that are not sums of products.

    Convolutions count every tap of every output, those on the padding included, so that the three of the family cost
    the same for the same sizes; biases are not counted. An einsum of several operands is taken pair by pair.
    """
    if issubclass(operation, (MatMul, MatVec, VecMat)):
        return out.size * arrays[0].shape[-1]
    if issubclass(operation, (Linear, LinearThenActivate)):
        return out.size * arrays[1].shape[1]
    if issubclass(operation, Conv2d):
        return out.size * math.prod(arrays[1].shape[1:])
    if issubclass(operation, ConvTranspose2d):
        return arrays[0].size * math.prod(arrays[1].shape[1:])
    if issubclass(operation, Conv2dWeightGrad):
        return arrays[1].size * math.prod(out.shape[1:])
    if issubclass(operation, Einsum):
        return _einsum(params["letters"], params["out"], arrays)
    return 0


def moved_bytes(operation: type[Function], arrays: list[Any], params: dict[str, Any], out: Any, xp: Any) -> int:
    """Every array that goes in, and the one that comes out, once; 0 for a view, which moves nothing."""
    given = [a for a in arrays if hasattr(a, "strides")]
    indices = sum(_stored(a) for value in params.values() for a in _inside(value))
    if operation.is_view and xp.may_share_memory(out, given[0]):
        return 0
    if issubclass(operation, (GetItem, TakeAlong)):  # reads only what it picks
        return 2 * _stored(out) + indices
    return sum(_stored(a) for a in given) + indices + _stored(out)


def saved_arrays(node: Function) -> list[Any]:
    """What a node has kept for its gradient."""
    return [
        v._data if isinstance(v, (Tensor, _Output)) else v
        for v in node._kept
        if isinstance(v, (Tensor, _Output)) or hasattr(v, "strides")
    ]


def stored_bytes(arrays: list[Any]) -> int:
    """The bytes of several arrays."""
    return sum(_stored(a) for a in arrays)


def _stored(array: Any) -> int:
    """The bytes of an array; what is repeated without a copy, once."""
    return array.dtype.itemsize * math.prod(n for n, step in zip(array.shape, array.strides) if step or not n)


def _inside(value: Any) -> Iterator[Any]:
    """The arrays among the parameters of an operation, or in a tuple of them (an index)."""
    for part in value if isinstance(value, tuple) else (value,):
        if hasattr(part, "strides"):
            yield part


def _einsum(letters: list[str], out: str, arrays: list[Any]) -> int:
    sizes = {letter: n for own, a in zip(letters, arrays) for letter, n in zip(own, a.shape)}
    stand_ins = [np.broadcast_to(np.float32(0), a.shape) for a in arrays]
    path, _ = np.einsum_path(f"{','.join(letters)}->{out}", *stand_ins, optimize="greedy")
    rest, total = list(letters), 0
    for pair in path[1:]:
        taken = [rest.pop(i) for i in sorted(pair, reverse=True)]
        touched = set("".join(taken))
        total += (len(taken) - 1) * math.prod(sizes[letter] for letter in touched)
        rest.append("".join(sorted(touched & set(out + "".join(rest)))))
    return total
