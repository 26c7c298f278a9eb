"""The functions of the simulated GPU's arrays: what the devices' code uses of CuPy, by the same names.

Only what CuPy has is here, with CuPy's arguments (a test compares them): a call that CuPy would refuse fails here too.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from .arrays import Array, change, compute, compute_in_order, order_of, poisoned
from .tape import note

ndarray = Array
float16, float32, float64 = np.float16, np.float32, np.float64
int8, int16, int32, int64 = np.int8, np.int16, np.int32, np.int64
uint8, uint16, uint32, uint64 = np.uint8, np.uint16, np.uint32, np.uint64
bool_, inf, nan, pi, newaxis = np.bool_, np.inf, np.nan, np.pi, np.newaxis


class Ufunc:
    """An elementwise function."""

    def __init__(self, function: np.ufunc) -> None:
        self.function = function

    def __call__(self, *arrays: Any, out: Any = None, dtype: Any = None, casting: str = "same_kind") -> Any:
        return compute(self.function, *arrays, out=out, dtype=dtype, casting=casting)

    def reduce(self, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return compute(self.function.reduce, array, axis=axis, dtype=dtype, out=out, keepdims=keepdims)

    def at(self, array: Array, index: Any, values: Any) -> None:
        change(self.function.at, array, index, values)


UFUNCS = (
    "abs absolute add bitwise_and bitwise_or bitwise_xor cos divide equal exp expm1 floor greater greater_equal invert "
    "isfinite isinf isnan less less_equal log log1p logaddexp logical_and logical_not logical_or maximum minimum multiply "
    "negative not_equal power sign sin sqrt square subtract tanh"
)
for _name in UFUNCS.split():
    globals()[_name] = Ufunc(getattr(np, _name))


# ---- arrays made on the GPU -----------------------------------------------------------------------------------------


def empty(shape: Any, dtype: Any = float, order: Any = "C") -> Array:
    return poisoned(np.empty(shape, dtype, order))


def empty_like(prototype: Array, dtype: Any = None, order: Any = "K", subok: None = None, shape: Any = None) -> Array:
    return poisoned(np.empty_like(prototype._memory, dtype, order, shape=shape))


def full(shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C") -> Any:
    return compute(np.full, shape, fill_value, dtype, order)


def zeros(shape: Any, dtype: Any = float, order: Any = "C") -> Any:
    return compute(np.zeros, shape, dtype, order)


def ones(shape: Any, dtype: Any = float, order: Any = "C") -> Any:
    return compute(np.ones, shape, dtype, order)


def full_like(
    a: Array, fill_value: Any, dtype: Any = None, order: Any = "K", subok: None = None, shape: Any = None
) -> Any:
    return compute_in_order(np.full_like, a, fill_value, dtype, order, shape=shape)


def zeros_like(a: Array, dtype: Any = None, order: Any = "K", subok: None = None, shape: Any = None) -> Any:
    return compute_in_order(np.zeros_like, a, dtype, order, shape=shape)


def ones_like(a: Array, dtype: Any = None, order: Any = "K", subok: None = None, shape: Any = None) -> Any:
    return compute_in_order(np.ones_like, a, dtype, order, shape=shape)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Any:
    return compute(np.arange, *((0, start) if stop is None else (start, stop)), step, dtype)


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None
) -> Any:
    return compute(np.linspace, start, stop, num, endpoint, retstep, dtype)


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = float, order: Any = "C") -> Any:
    return compute(np.eye, N, M, k, dtype, order)


# ---- from the host and back -----------------------------------------------------------------------------------------


def array(obj: Any, dtype: Any = None, copy: bool = True, order: Any = "K") -> Any:
    if isinstance(obj, Array):
        return compute_in_order(np.array, obj, dtype, copy=copy or None, order=order)
    note("to_gpu", "a copy from the host")
    values = np.array(obj, dtype)
    return Array(np.array(values, order=order_of(values) if order in "KA" else order))


def asarray(a: Any, dtype: Any = None, order: Any = None) -> Any:
    return array(a, dtype, copy=False, order=order or "K")


def ascontiguousarray(a: Any, dtype: Any = None) -> Any:
    return array(a, dtype, copy=False, order="C")


def asnumpy(a: Any) -> np.ndarray:
    return a.get() if isinstance(a, Array) else np.asarray(a)


# ---- computed ---------------------------------------------------------------------------------------------------------


def broadcast_to(array: Array, shape: Any) -> Any:
    return compute(np.broadcast_to, array, shape)


def clip(a: Array, a_min: Any, a_max: Any, out: Any = None) -> Any:
    return compute(np.clip, a, a_min, a_max, out=out)


def copyto(dst: Array, src: Any, casting: str = "same_kind") -> None:
    change(np.copyto, dst, src, casting)


def einsum(subscripts: str, *operands: Any, optimize: bool = False) -> Any:
    return compute(np.einsum, subscripts, *operands, optimize=optimize)


def expand_dims(a: Array, axis: Any) -> Any:
    return compute(np.expand_dims, a, axis)


def flip(a: Array, axis: Any = None) -> Any:
    return compute(np.flip, a, axis)


def may_share_memory(a: Array, b: Array, max_work: Any = None) -> bool:
    return np.may_share_memory(a._memory, b._memory)


def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    return condition.nonzero() if x is None and y is None else compute(np.where, condition, x, y)


def _norm(x: Array, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return compute(np.linalg.norm, x, ord, axis, keepdims)


linalg = SimpleNamespace(norm=_norm)
