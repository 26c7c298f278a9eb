"""Arrays of a simulated GPU. Their memory is NumPy's, and kept from NumPy: they behave as CuPy's do.

What NumPy's arrays allow and CuPy's do not is an error here too: to become a NumPy array by themselves, to be mixed with
one. What reads a value, such as `float(x)` or `if x.any():`, is counted as a transfer to the host. Reductions return
arrays without axes, never numbers. Memory that nobody has written holds no number. See `array_module` for the functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from .memory import POISON
from .tape import keep, note


class Pointer:
    """Where an array begins: CuPy's `array.data`."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


class Flags:
    """How an array lies in memory. CuPy's flags know nothing of writing: every array can be written to."""

    def __init__(self, flags: Any, owndata: bool) -> None:
        self.c_contiguous: bool = flags.c_contiguous
        self.f_contiguous: bool = flags.f_contiguous
        self.owndata = owndata


class Array:
    """An array on the simulated GPU.

    Args:
        memory: NumPy's array with its values, which becomes this one's own.
        base: the array whose memory this is a view of, or None.
    """

    __slots__ = ("__weakref__", "_memory", "base")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, memory: np.ndarray, base: Array | None = None) -> None:
        self._memory = memory
        self.base = base

    # ---- what it is -------------------------------------------------------------------------------------------

    shape = property(lambda self: self._memory.shape)
    dtype = property(lambda self: self._memory.dtype)
    ndim = property(lambda self: self._memory.ndim)
    size = property(lambda self: self._memory.size)
    nbytes = property(lambda self: self._memory.nbytes)
    itemsize = property(lambda self: self._memory.itemsize)
    strides = property(lambda self: self._memory.strides)

    @property
    def flags(self) -> Flags:
        return Flags(self._memory.flags, self.base is None)

    @property
    def data(self) -> Pointer:
        return Pointer(self._memory.ctypes.data)

    @property
    def T(self) -> Array:
        return compute(np.transpose, self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        host = self._memory.__array_interface__
        return {name: host[name] for name in ("shape", "typestr", "strides", "descr")} | {
            "data": (self._memory.ctypes.data, False),
            "version": 3,
        }

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[Array]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    # ---- to the host and from it ------------------------------------------------------------------------------

    def get(self) -> np.ndarray:
        return self._read("a copy to the host").copy(order=order_of(self._memory))

    def set(self, values: np.ndarray) -> None:
        note("to_gpu", "a copy from the host")
        if self.shape != values.shape:
            raise ValueError(f"Shape mismatch. Old shape: {self.shape}, new shape: {values.shape}")
        self._memory[...] = values

    def item(self) -> Any:
        return self._read("a number read by .item()").item()

    def tolist(self) -> Any:
        return self._read("numbers read by .tolist()").tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array "
            "explicitly."
        )

    def __float__(self) -> float:
        return float(self._read("a number read by float()"))

    def __int__(self) -> int:
        return int(self._read("a number read by int()"))

    def __index__(self) -> int:
        return self._read("a number read as an index").__index__()

    def __bool__(self) -> bool:
        return bool(self._read("a number read by bool()"))

    def __complex__(self) -> complex:
        return complex(self._read("a number read by complex()"))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    def __repr__(self) -> str:
        return repr(self._read("numbers printed"))

    def __str__(self) -> str:
        return str(self._read("numbers printed"))

    def __format__(self, spec: str) -> str:
        return format(self._read("numbers printed"), spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return _on_gpu, (self.get(),)

    def _read(self, what: str) -> np.ndarray:
        note("to_host", what)
        return self._memory

    # ---- NumPy's functions, given such arrays -------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        from . import array_module

        function = getattr(array_module, ufunc.__name__, None)
        if function is None or any(_is_host_array(value) for value in inputs):
            return NotImplemented
        if "out" in options:
            (options["out"],) = options["out"]
        return (function if method == "__call__" else getattr(function, method))(*inputs, **options)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        from . import array_module

        ours = getattr(array_module, function.__name__, None)
        if ours is None or not all(issubclass(kind, Array) for kind in types):
            return NotImplemented
        return ours(*arguments, **options)

    # ---- elements -------------------------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        index = _plain_index(index)
        if _has_mask(index):
            note("synchronizations", "a pick by a mask, whose count decides the size")
        return compute(lambda memory, index: memory[index], self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        index = _plain_index(index)
        if _has_mask(index) and isinstance(value, Array) and value.ndim:
            note("synchronizations", "several values set by a mask, which have to be counted")
        change(_set, self, index, value)

    def fill(self, value: Any) -> None:
        change(_set, self, ..., value)

    def nonzero(self) -> Any:
        note("synchronizations", "nonzero, whose count decides the size")
        return tuple(Array(positions) for positions in self._memory.nonzero())

    # ---- operators --------------------------------------------------------------------------------------------------

    def __neg__(self) -> Any:
        return compute(np.negative, self)

    def __pos__(self) -> Any:
        return compute(np.positive, self)

    def __invert__(self) -> Any:
        return compute(np.invert, self)

    def __abs__(self) -> Any:
        return compute(np.absolute, self)


def _set(memory: np.ndarray, index: Any, value: Any) -> None:
    memory[index] = value


def compute(function: Any, *arguments: Any, **options: Any) -> Any:
    """The result of a function of NumPy's on the memory of arrays, as an array; and on the tape, if there is one.

    A result that shares memory with an argument is a view, and nothing was computed; unless it is the argument `out`. What
    was computed lies in C order, in whatever order the arguments lie: so it is with CuPy.
    """
    return _computed("C", function, arguments, options)


def compute_in_order(function: Any, *arguments: Any, **options: Any) -> Any:
    """As `compute`, for functions with an argument `order`."""
    return _computed("K", function, arguments, options)


def _computed(order: Literal["C", "K"], function: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    arrays: list[Array] = []
    given = [_memory(argument, arrays) for argument in arguments]
    named = {name: _memory(value, arrays) for name, value in options.items()}
    result = function(*given, **named)
    if not isinstance(result, (np.ndarray, np.generic)):
        return result
    if options.get("out") is not None:
        keep(lambda: function(*given, **named))
        return options["out"]
    for array in arrays:
        if result is array._memory:
            return array
        if result.size and np.may_share_memory(result, array._memory):
            return Array(result, array if array.base is None else array.base)  # type: ignore[arg-type]
    memory = np.asarray(result, order=order)
    keep(lambda: np.copyto(memory, function(*given, **named)))
    return Array(memory)


def change(function: Any, *arguments: Any, **options: Any) -> None:
    """Calls a function that changes memory in place, and puts that on the tape, if there is one."""
    arrays: list[Array] = []
    given = [_memory(argument, arrays) for argument in arguments]
    named = {name: _memory(value, arrays) for name, value in options.items()}
    function(*given, **named)
    keep(lambda: function(*given, **named))


def renewed(values: np.ndarray, again: Callable[[], np.ndarray]) -> Array:
    """A copy of the host's values on the GPU, into which every replay of a recording puts those that `again` then gives."""
    note("to_gpu", "a copy from the host", again=True)
    array = Array(values.copy())
    keep(lambda: np.copyto(array._memory, again()))
    return array


def order_of(array: np.ndarray) -> Literal["C", "F"]:
    """The order that CuPy gives a copy between the host and the GPU."""
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def poisoned(memory: np.ndarray) -> Array:
    """An array on memory that was not written yet: no number, or an integer that nobody means."""
    memory.fill(np.nan if memory.dtype.kind in "fc" else POISON % 251 if memory.itemsize == 1 else POISON)
    return Array(memory)


def _memory(value: Any, arrays: list[Array]) -> Any:
    """The value with NumPy's memory in place of arrays, which are added to the list."""
    if isinstance(value, Array):
        arrays.append(value)
        return value._memory
    if isinstance(value, (tuple, list)):
        return type(value)([_memory(part, arrays) for part in value])
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return value


def _is_host_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _plain_index(index: Any) -> Any:
    """The index with arrays of the GPU in place of the host's, which are copied there, and of lists."""
    if isinstance(index, tuple):
        return tuple([_plain_index(part) for part in index])
    if isinstance(index, (list, np.ndarray)):
        note("to_gpu", "an index copied from the host")
        return Array(np.array(index, dtype=None if len(np.atleast_1d(index)) else np.int32))
    return index


def _has_mask(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, Array) and part.dtype.kind == "b" for part in parts)


def _on_gpu(values: np.ndarray) -> Array:
    note("to_gpu", "a copy from the host")
    return Array(values)


def _operator(function: np.ufunc) -> tuple[Any, Any, Any]:
    """The methods of x + y, y + x and x += y for NumPy's function of + and its like."""

    def forward(self: Array, other: Any) -> Any:
        return NotImplemented if _comes_first(other) else compute(function, self, other)

    def backward(self: Array, other: Any) -> Any:
        return NotImplemented if _comes_first(other) else compute(function, other, self)

    def in_place(self: Array, other: Any) -> Any:
        return NotImplemented if _comes_first(other) else compute(function, self, other, out=self)

    return forward, backward, in_place


def _comes_first(other: Any) -> bool:
    """Whether the other operand answers for both, as a tensor does."""
    return getattr(other, "__array_ufunc__", True) is None


def _method(name: str) -> Any:
    """A method of arrays that is NumPy's, on the memory."""
    run = compute_in_order if name in ("astype", "copy") else compute

    def method(self: Array, *arguments: Any, **options: Any) -> Any:
        return run(lambda memory, *a, **o: getattr(memory, name)(*a, **o), self, *arguments, **options)

    method.__name__ = name
    return method


OPERATORS = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "truediv": np.true_divide,
    "floordiv": np.floor_divide,
    "mod": np.remainder,
    "pow": np.power,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "lshift": np.left_shift,
    "rshift": np.right_shift,
}
RELATIONS = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
METHODS = (  # whose arguments are CuPy's too
    "all any argmax argmin astype clip copy cumprod cumsum diagonal flatten max mean min prod ravel repeat reshape round "
    "squeeze std sum swapaxes take trace transpose var view"
)

for _name, _function in OPERATORS.items():
    for _prefix, _form in zip(("", "r", "i"), _operator(_function)):
        setattr(Array, f"__{_prefix}{_name}__", _form)
for _name, _function in RELATIONS.items():
    setattr(Array, f"__{_name}__", _operator(_function)[0])
for _name in METHODS.split():
    setattr(Array, _name, _method(_name))
