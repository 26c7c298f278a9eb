"""Making tensors: from data, filled, spaced and random. PyTorch's names; float32 unless `dtype` says otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.device import Device
from minigen.device import device as find_device
from minigen.errors import DtypeError, UserError
from minigen.random import Generator, pick, shape_of
from minigen.tensor import DEFAULT_DTYPE, Tensor, real_dtype

Place = Device | str


def tensor(data: Any, dtype: Any = None, device: Place | None = None, requires_grad: bool = False) -> Tensor:
    """A new tensor with a copy of `data`: a number, nested lists, an array or a tensor.

    Python numbers become float32 (int64 when all are integers, bool when all are bool); arrays keep their type.

    Args:
        data: the values.
        dtype: another type.
        device: where to put it; where `data` is unless given.
        requires_grad: make it a leaf that collects a gradient.

    >>> import minigen
    >>> minigen.tensor([[1.0, 2.0]]).shape
    (1, 2)
    """
    source = Tensor(data, dtype=dtype, device=device)
    return Tensor(source.data.copy(), requires_grad=requires_grad, device=source.device)


def as_tensor(data: Any, dtype: Any = None, device: Place | None = None) -> Tensor:
    """`data` as a tensor, sharing its memory where that is possible: where neither `dtype` nor `device` asks for another.

    >>> import minigen
    >>> x = minigen.ones(2)
    >>> minigen.as_tensor(x) is x
    True
    """
    if isinstance(data, Tensor) and dtype is None and device is None:
        return data
    return Tensor(data, dtype=dtype, device=device)


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor that shares the memory of a NumPy array. Changes made through the array are not tracked.

    >>> import minigen
    >>> array = np.zeros(2, "float32")
    >>> x = minigen.from_numpy(array)
    >>> array[0] = 5
    >>> x
    tensor([5., 0.])
    """
    return Tensor(array)


def full(size: Any, fill_value: Any, dtype: Any = None, device: Place = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor of shape `size` filled with one value.

    Args:
        size: the shape.
        fill_value: the number.
        dtype: its type unless given: float32, int64 or bool.
        device, requires_grad: as for `tensor`.

    Raises:
        DtypeError: a value that is no number.

    >>> import minigen
    >>> minigen.full((2, 2), 7.0)
    tensor([[7., 7.],
            [7., 7.]])
    """
    place = find_device(device)
    fill_value = fill_value.item() if isinstance(fill_value, (Tensor, np.generic)) else fill_value
    if not isinstance(fill_value, (bool, int, float)):
        raise DtypeError(f"full: fill_value must be a number, not {fill_value!r}.")
    if dtype is None:
        dtype = DEFAULT_DTYPE if isinstance(fill_value, float) else np.asarray(fill_value).dtype
    return Tensor(place.xp.full(shape_of(size), fill_value, real_dtype(dtype)), requires_grad, device=place)


def zeros(*size: Any, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu", requires_grad: bool = False) -> Tensor:
    """Zeros of the shape `size`, given as integers or as one tuple.

    Args:
        size: the shape.
        dtype, device, requires_grad: as for `tensor`.

    >>> import minigen
    >>> minigen.zeros(2, 3).shape, minigen.zeros((2, 3)).shape
    ((2, 3), (2, 3))
    """
    return full(_unpack(size), 0.0, dtype, device, requires_grad)


def ones(*size: Any, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu", requires_grad: bool = False) -> Tensor:
    """Ones of the shape `size`, given as integers or as one tuple.

    Args:
        size: the shape.
        dtype, device, requires_grad: as for `tensor`.

    >>> import minigen
    >>> minigen.ones(3)
    tensor([1., 1., 1.])
    """
    return full(_unpack(size), 1.0, dtype, device, requires_grad)


def empty(*size: Any, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu", requires_grad: bool = False) -> Tensor:
    """A tensor of shape `size` whose values are whatever the memory held.

    Args:
        size: integers, or one tuple.
        dtype, device, requires_grad: as for `tensor`.

    >>> import minigen
    >>> minigen.empty(2, 3).shape
    (2, 3)
    """
    place = find_device(device)
    return Tensor(place.xp.empty(shape_of(_unpack(size)), real_dtype(dtype)), requires_grad, device=place)


def full_like(input: Tensor, fill_value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """The number `fill_value` in the shape, type and device of `input`; another `dtype`, `requires_grad` as for `tensor`.

    >>> import minigen
    >>> minigen.full_like(minigen.zeros(2), 3.0)
    tensor([3., 3.])
    """
    input = as_tensor(input)
    dtype = input.dtype if dtype is None else real_dtype(dtype)
    return Tensor(input.device.xp.full_like(input.data, fill_value, dtype), requires_grad, device=input.device)


def zeros_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape, type and device of `input`; another `dtype`, `requires_grad` as for `tensor`.

    >>> import minigen
    >>> minigen.zeros_like(minigen.tensor([1, 2])).dtype
    dtype('int64')
    """
    return full_like(input, 0, dtype, requires_grad)


def ones_like(input: Tensor, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape, type and device of `input`; another `dtype`, `requires_grad` as for `tensor`.

    >>> import minigen
    >>> minigen.ones_like(minigen.tensor([[1.0, 2.0]]))
    tensor([[1., 1.]])
    """
    return full_like(input, 1, dtype, requires_grad)


def eye(n: int, m: int | None = None, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu") -> Tensor:
    """The n × m matrix with ones on the diagonal (m is n unless given); `dtype` and `device` as for `tensor`.

    >>> import minigen
    >>> minigen.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    place = find_device(device)
    rows, columns = shape_of((n, n if m is None else m))
    return Tensor(place.xp.eye(rows, columns, dtype=real_dtype(dtype)), device=place)


def arange(start: Any, end: Any = None, step: Any = 1, dtype: Any = None, device: Place = "cpu") -> Tensor:
    """start, start + step, … below end; from 0 when only one bound is given. int64 when all are integers.

    Args:
        start, end, step: numbers; `end` is not reached.
        dtype, device: as for `tensor`.

    Raises:
        UserError: no numbers, or a step of 0.

    >>> import minigen
    >>> minigen.arange(4).tolist(), minigen.arange(1.0, 0.0, -0.25).tolist()
    ([0, 1, 2, 3], [1.0, 0.75, 0.5, 0.25])
    """
    start, end = (0, start) if end is None else (start, end)
    if not all(isinstance(v, (int, float, np.number)) for v in (start, end, step)) or step == 0:
        raise UserError(f"arange: needs numbers, and a step other than 0, not {start!r}, {end!r}, {step!r}.")
    if dtype is None:
        dtype = np.int64 if all(isinstance(v, (int, np.integer)) for v in (start, end, step)) else DEFAULT_DTYPE
    place = find_device(device)
    values = place.xp.arange(start, end, step)  # in float64 or int64: float32 would add up the rounding of the step
    return Tensor(values, dtype=dtype, device=place)


def linspace(start: float, end: float, steps: int, dtype: Any = DEFAULT_DTYPE, device: Place = "cpu") -> Tensor:
    """`steps` values evenly spaced from start to end, both included; `dtype` and `device` as for `tensor`.

    Raises:
        UserError: ends that are no numbers.

    >>> import minigen
    >>> minigen.linspace(0.0, 1.0, 5)
    tensor([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    place = find_device(device)
    (count,) = shape_of(steps)
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
    """Uniform on [0, 1), from `generator` (the default one unless given).

    Args:
        size: the shape, integers or one tuple.
        generator: where the numbers come from.
        dtype, device, requires_grad: as for `tensor`.

    >>> import minigen
    >>> x = minigen.rand(10_000, generator=minigen.Generator(0))
    >>> bool(x.min() >= 0 and x.max() < 1), round(x.mean().item(), 2)
    (True, 0.5)
    """
    shape = shape_of(_unpack(size))
    return _drawn(device, lambda: pick(generator).uniform(shape, dtype=dtype), requires_grad)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = DEFAULT_DTYPE,
    device: Place = "cpu",
    requires_grad: bool = False,
) -> Tensor:
    """Gaussian with mean 0 and variance 1, from `generator` (the default one unless given).

    Args:
        size, generator, dtype, device, requires_grad: as for `rand`.

    >>> import minigen
    >>> a, b = (minigen.randn(2, 3, generator=minigen.Generator(seed)) for seed in (7, 7))
    >>> bool((a == b).all())  # one seed, one sequence
    True
    """
    shape = shape_of(_unpack(size))
    return _drawn(device, lambda: pick(generator).normal(shape, dtype=dtype), requires_grad)


def randint(low: int, high: int, size: Any, generator: Generator | None = None, device: Place = "cpu") -> Tensor:
    """Integers on {low, …, high - 1}, from `generator` (the default one unless given); `size` and `device` as for `rand`.

    >>> import minigen
    >>> sorted(set(minigen.randint(0, 3, (100,), generator=minigen.Generator(0)).tolist()))
    [0, 1, 2]
    """
    shape = shape_of(size)
    return _drawn(device, lambda: pick(generator).integers(low, high, shape))


def randperm(n: int, generator: Generator | None = None, device: Place = "cpu") -> Tensor:
    """0, …, n - 1 in random order, from `generator` (the default one unless given), on `device`.

    >>> import minigen
    >>> sorted(minigen.randperm(5, generator=minigen.Generator(0)).tolist())
    [0, 1, 2, 3, 4]
    """
    (count,) = shape_of(n)
    return _drawn(device, lambda: pick(generator).permutation(count))


def _drawn(device: Place, draw: Callable[[], np.ndarray], requires_grad: bool = False) -> Tensor:
    """What `draw` makes on the host, as a tensor of the device; a captured graph draws anew for every replay."""
    place = find_device(device)
    return Tensor(place.fresh(draw), requires_grad, device=place)


def _unpack(size: tuple[Any, ...]) -> Any:
    return size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
