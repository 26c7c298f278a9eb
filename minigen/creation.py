"""Making tensors: from data, filled, spaced and random. PyTorch's names; float32 unless `dtype` says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.device import Device
from minigen.device import device as find_device
from minigen.errors import DtypeError, UserError
from minigen.random import Generator, pick
from minigen.tensor import DEFAULT_DTYPE, Tensor, real_dtype

Place = Device | str


def tensor(data: Any, dtype: Any = None, device: Place | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of `data`: a number, nested lists, an array or a tensor.

    Python numbers become float32 (int64 when all are integers, bool when all are bool); arrays keep their type.

    >>> import minigen
    >>> minigen.tensor([[1.0, 2.0]]).shape
    (1, 2)
    """
    source = Tensor(data, dtype=dtype, device=device)
    return Tensor(source.data.copy(), requires_grad=requires_grad, device=source.device)


def as_tensor(data: Any, dtype: Any = None, device: Place | None = None) -> Tensor:
    """`data` as a tensor, sharing its memory where that is possible."""
    if isinstance(data, Tensor) and dtype is None and device is None:
        return data
    return Tensor(data, dtype=dtype, device=device)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array. Changes made through the array are not tracked."""
    return Tensor(array)


def full(size: Any, fill_value: Any, dtype: Any = None, device: Place = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor of shape `size` filled with one value."""
    place = find_device(device)
    fill_value = fill_value.item() if isinstance(fill_value, (Tensor, np.generic)) else fill_value
    if not isinstance(fill_value, (bool, int, float)):
        raise DtypeError(f"full: fill_value must be a number, not {fill_value!r}.")
    if dtype is None:
        dtype = DEFAULT_DTYPE if isinstance(fill_value, float) else np.asarray(fill_value).dtype
    return Tensor(place.xp.full(_shape(size), fill_value, real_dtype(dtype)), requires_grad, device=place)


def zeros(*size: Any, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu", requires_grad: bool = False) -> Tensor:
    """Zeros of the shape given as integers or as one tuple."""
    return full(_unpack(size), 0.0, dtype, device, requires_grad)


def ones(*size: Any, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu", requires_grad: bool = False) -> Tensor:
    """Ones of the shape given as integers or as one tuple."""
    return full(_unpack(size), 1.0, dtype, device, requires_grad)


def empty(*size: Any, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor whose values are whatever the memory held."""
    place = find_device(device)
    return Tensor(place.xp.empty(_shape(_unpack(size)), real_dtype(dtype)), requires_grad, device=place)


def full_like(input: Tensor, fill_value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """One value in the shape, type and device of `input`."""
    input = as_tensor(input)
    dtype = input.dtype if dtype is None else real_dtype(dtype)
    return Tensor(input.device.xp.full_like(input.data, fill_value, dtype), requires_grad, device=input.device)


def zeros_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape, type and device of `input`."""
    return full_like(input, 0, dtype, requires_grad)


def ones_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape, type and device of `input`."""
    return full_like(input, 1, dtype, requires_grad)


def eye(n: int, m: int | None = None, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu") -> Tensor:
    """The n × m matrix with ones on the diagonal (m is n unless given)."""
    place = find_device(device)
    rows, columns = _shape((n, n if m is None else m))
    return Tensor(place.xp.eye(rows, columns, dtype=real_dtype(dtype)), device=place)


def arange(start: Any, end: Any = None, step: Any = 1, dtype: Any = None, device: Place = "cpu") -> Tensor:
    """start, start + step, … below end; from 0 when only one bound is given. int64 when all are integers."""
    start, end = (0, start) if end is None else (start, end)
    if not all(isinstance(v, (int, float, np.number)) for v in (start, end, step)) or step == 0:
        raise UserError(f"arange: needs numbers, and a step other than 0, not {start!r}, {end!r}, {step!r}.")
    if dtype is None:
        dtype = np.int64 if all(isinstance(v, (int, np.integer)) for v in (start, end, step)) else DEFAULT_DTYPE
    place = find_device(device)
    values = place.xp.arange(start, end, step)  # in float64 or int64: float32 would add up the rounding of the step
    return Tensor(values, dtype=dtype, device=place)


def linspace(start: float, end: float, steps: int, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu") -> Tensor:
    """`steps` values evenly spaced from start to end, both included."""
    place = find_device(device)
    (count,) = _shape(steps)
    if not all(isinstance(v, (int, float, np.number)) for v in (start, end)):
        raise UserError(f"linspace: the ends must be numbers, not {start!r} and {end!r}.")
    return Tensor(place.xp.linspace(start, end, count), dtype=dtype, device=place)


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = DEFAULT_DTYPE,
    device: Place = "cpu",
    requires_grad: bool = False,
) -> Tensor:
    """Uniform on [0, 1), from `generator` (the default one unless given)."""
    shape = _shape(_unpack(size))
    return _drawn(device, lambda: pick(generator).uniform(shape, dtype=dtype), requires_grad)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = DEFAULT_DTYPE,
    device: Place = "cpu",
    requires_grad: bool = False,
) -> Tensor:
    """Gaussian with mean 0 and variance 1, from `generator` (the default one unless given)."""
    shape = _shape(_unpack(size))
    return _drawn(device, lambda: pick(generator).normal(shape, dtype=dtype), requires_grad)


def randint(low: int, high: int, size: Any, generator: Generator | None = None, device: Place = "cpu") -> Tensor:
    """Integers on {low, …, high - 1}, from `generator` (the default one unless given)."""
    shape = _shape(size)
    return _drawn(device, lambda: pick(generator).integers(low, high, shape))


def randperm(n: int, generator: Generator | None = None, device: Place = "cpu") -> Tensor:
    """0, …, n - 1 in random order, from `generator` (the default one unless given)."""
    (count,) = _shape(n)
    return _drawn(device, lambda: pick(generator).permutation(count))


def _drawn(device: Place, draw: Callable[[], np.ndarray], requires_grad: bool = False) -> Tensor:
    """What `draw` makes on the host, as a tensor of the device; a captured graph draws anew for every replay."""
    place = find_device(device)
    return Tensor(place.fresh(draw), requires_grad, device=place)


def _unpack(size: tuple[Any, ...]) -> Any:
    return size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size


def _shape(size: Any) -> tuple[int, ...]:
    shape: tuple[Any, ...] = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in shape):
        raise UserError(f"A shape is made of non-negative integers, not {tuple(shape)!r}.")
    return tuple(int(n) for n in shape)
