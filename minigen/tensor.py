"""Tensor: an array, its gradient, and where it came from.

`F` (the operations), `engine` (the backward pass) and `modes` (its switches) are built on Tensor, and so imported at the
end of this file. The operators and the methods that only hand over to `F` are in `tensor_methods`.
"""

from __future__ import annotations

import reprlib
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from minigen.device import Device, device_of
from minigen.device import cpu as CPU
from minigen.device import device as find_device
from minigen.errors import AutogradError, DtypeError, InPlaceError, ShapeError, UserError
from minigen.tensor_methods import TensorMethods

if TYPE_CHECKING:
    from minigen.autograd.function import Function

DEFAULT_DTYPE = np.dtype(np.float32)


class Clock:
    """Ticks when a tensor is changed in place, so that an operation can be seen to have come before that, or after.

    What a gradient needs and was changed after the operation was recorded is not what it was: one comparison of times
    tells, with nothing noted for each tensor.
    """

    def __init__(self) -> None:
        self.now = 0
        self._lock = threading.Lock()

    def tick(self) -> int:
        """The next time."""
        with self._lock:
            self.now += 1
            return self.now


clock = Clock()

# The counter of what an operation made, until somebody writes to it or shares it: most results need none of their own.
NEVER: Any = (0,)
_counters = threading.Lock()


class Tensor(TensorMethods):
    """An array with a gradient.

    Args:
        data: an array, a tensor, a number or nested lists. Arrays are shared, not copied (`minigen.tensor` copies).
            Python numbers become float32, or int64 when all are integers, bool when all are bool.
        requires_grad: make it a leaf whose gradient `backward` collects in `.grad`. Floating point only.
        dtype: convert to this type.
        device: where to put it; the device of `data` unless given.

    Attributes:
        data: the array (NumPy or CuPy). Assigning it counts as a change in place.
        grad: the gradient, a Tensor of the same shape and dtype, or None when none was computed.
        grad_fn: the operation that produced it, or None for a leaf.
        device: where its array lives.

    Raises:
        DtypeError: data that are no numbers, or a gradient asked of integers.

    >>> import minigen
    >>> x = minigen.Tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = (
        "__weakref__",
        "_data",
        "_version",
        "device",
        "grad",
        "grad_fn",
        "hooks",
        "requires_grad",
    )
    __array_ufunc__ = None  # so that ndarray + Tensor asks the Tensor

    _data: Any
    _version: list[int]  # when the array was last changed in place, by the clock; shared with the views of it
    device: Device
    requires_grad: bool
    grad: Tensor | None
    grad_fn: Function | None
    hooks: dict[int, Callable[[Tensor], Tensor | None]] | None

    def __init__(
        self, data: Any, requires_grad: bool = False, dtype: Any = None, device: Device | str | None = None
    ) -> None:
        place = (
            find_device(device) if device is not None else data.device if isinstance(data, Tensor) else device_of(data)
        )
        array = place.asarray(data._data if isinstance(data, Tensor) else _numbers(data, dtype))
        if array.dtype.kind not in "fiub":
            what = array.dtype if hasattr(data, "dtype") else reprlib.repr(data)
            raise DtypeError(f"A tensor holds real numbers, integers or booleans, not {what}.")
        if dtype is not None:
            array = array.astype(real_dtype(dtype), copy=False)
        self._data = array.view()  # an array object of its own: the engine tells tensors apart by it
        self._version = [0]
        self.device = place
        self.grad = None
        self.grad_fn = None
        self.hooks = None
        self.requires_grad = False
        if modes.capturing:
            modes.note_made(self)
        if requires_grad:
            self.requires_grad_()

    @classmethod
    def _wrap(cls, data: Any, device: Device) -> Tensor:
        """A tensor around an array that no other tensor holds, without the checks."""
        self = Tensor.__new__(Tensor)
        self._data = data
        self._version = NEVER
        self.device = device
        self.grad = None
        self.grad_fn = None
        self.hooks = None
        self.requires_grad = False
        if modes.capturing:
            modes.note_made(self)
        return self

    # ---- what it is -------------------------------------------------------------------------------------------

    @property
    def data(self) -> Any:
        """The bare array, which the graph knows nothing of."""
        return self._data

    @data.setter
    def data(self, array: Any) -> None:
        if isinstance(array, Tensor):
            array = array._data
        array = self.device.asarray(array)  # arithmetic on arrays without axes gives bare numbers
        if array.shape != self._data.shape:
            raise ShapeError(f"data: an array of shape {array.shape} cannot replace one of shape {self._data.shape}.")
        if modes.thread.state.steady and array.dtype == self._data.dtype:
            self._data[...] = array  # a graph that is being captured goes on reading the array that there is
        else:
            self._data = array if array is self._data else array.view()
            modes.Replaced.count += 1
        self._count_change()

    def _count_change(self) -> None:
        """The array was changed in place: a backward pass that needs what it was will notice."""
        version = self._counter()
        version[0] = clock.tick()
        if modes.thread.state.capture is not None:
            modes.thread.state.capture.versions.append(version)

    def _counter(self) -> list[int]:
        """`_version`, to be written to or shared."""
        if self._version is NEVER:
            with _counters:  # two threads that both take a view share one
                if self._version is NEVER:
                    self._version = [0]
        return self._version

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of every axis."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype:
        """The type of the numbers, as NumPy's."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._data.ndim

    @property
    def is_leaf(self) -> bool:
        """Whether the user made it (no operation did)."""
        return self.grad_fn is None

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return F.permute(self, tuple(range(self.ndim))[::-1])

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of the axis `dim`.

        Raises:
            ShapeError: there is no such axis.
        """
        if dim is None:
            return self.shape
        if not -self.ndim <= dim < self.ndim:
            raise ShapeError(f"size: dim={dim} is not an axis of a tensor of shape {self.shape}.")
        return self.shape[dim]

    def dim(self) -> int:
        """The number of axes, as `ndim`."""
        return self.ndim

    def numel(self) -> int:
        """The number of elements."""
        return int(self._data.size)

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("A tensor without axes has no length.")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        body = np.array2string(self._host(), separator=", ", prefix="tensor(", precision=4, threshold=200)
        plain = (DEFAULT_DTYPE, np.int64, np.bool_) if self._data.size else (DEFAULT_DTYPE,)  # the numbers show these
        extras = "" if self.dtype in plain else f", dtype={self.dtype}"
        if self.device is not CPU:
            extras += f", device='{self.device}'"
        if 0 in self.shape:
            extras += f", shape={self.shape}"
        if self.grad_fn is not None:
            extras += f", grad_fn={self.grad_fn}"
        elif self.requires_grad:
            extras += ", requires_grad=True"
        return f"tensor({body}{extras})"

    # ---- out of the tensor ------------------------------------------------------------------------------------

    def _host(self) -> np.ndarray:
        return self.device.to_host(self._data)

    def numpy(self) -> np.ndarray:
        """The values as a read-only NumPy array (no copy on a CPU). `.numpy().copy()` may be written to."""
        view = self._host().view()
        view.flags.writeable = False
        return view

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def item(self) -> Any:
        """The only value, as a Python number.

        Raises:
            UserError: there are more values, or none.
        """
        if self._data.size != 1:
            raise UserError(f"item: a tensor of shape {self.shape} has {self._data.size} values, not one.")
        return self._host().item()

    def tolist(self) -> Any:
        """The values as nested lists of Python numbers; one number for a tensor without axes."""
        return self._host().tolist()

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise TypeError(f"Only an integer tensor can be an index, not one of {self.dtype}.")
        return int(self.item())

    def __bool__(self) -> bool:
        if self._data.size != 1:
            raise UserError(f"A tensor of shape {self.shape} is neither true nor false; use .any() or .all().")
        return bool(self.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec and self._data.size == 1 else repr(self)

    # ---- the graph --------------------------------------------------------------------------------------------

    def backward(
        self, gradient: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False
    ) -> None:
        """Add the gradient of this tensor with respect to every leaf to that leaf's `.grad`.

        Args:
            gradient: what it starts from, of this tensor's shape; 1 for a scalar.
            retain_graph: keep the graph, so that `backward` can be called again; as `create_graph` unless given.
            create_graph: record the computation of the gradients, so that they can be differentiated.
        """
        engine.backward(self, gradient, retain_graph, create_graph)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switch the gradient of a leaf on or off.

        Raises:
            DtypeError: integers or booleans, which have no gradient.
        """
        if requires_grad and self.dtype.kind != "f":
            raise DtypeError(f"Only floating-point tensors can require a gradient, not {self.dtype}.")
        if not requires_grad and self.grad_fn is not None:
            raise AutogradError("requires_grad_(False) is for leaves; use .detach() on the result of an operation.")
        self.requires_grad = requires_grad
        return self

    def detach(self) -> Tensor:
        """The same values outside the graph. Memory and version counter are shared."""
        out = Tensor._wrap(self._data.view(), self.device)
        out._version = self._counter()
        return out

    def retain_grad(self) -> Tensor:
        """Let `backward` store the gradient of this tensor too, although it is not a leaf."""
        if self.grad_fn is not None:
            self.grad_fn.retain = weakref.ref(self)
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
        """Call `hook(gradient)` when this tensor's gradient is complete; what it returns, if not None, replaces it.

        Returns a function that removes the hook.

        Raises:
            UserError: a hook that is no function.
            AutogradError: a tensor that requires no gradient, and so never has one.
        """
        if not callable(hook):
            raise UserError(f"register_hook: a hook is a function of the gradient, not {hook!r}.")
        if not self.requires_grad:
            raise AutogradError("register_hook: this tensor does not require a gradient, so it will never have one.")
        owner: Any = self if self.grad_fn is None else self.grad_fn
        if owner.hooks is None:
            owner.hooks = {}
        hooks = owner.hooks
        key = max(hooks, default=0) + 1
        hooks[key] = hook
        return lambda: hooks.pop(key, None) and None

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if self.grad_fn is not None:
            raise AutogradError("Only leaves can be copied with their gradient; use .detach() or .clone() on a result.")
        out = type(self).__new__(type(self))
        memo[id(self)] = out
        out._data = self._data.copy()
        out._version = [0]
        out.device = self.device
        out.grad = None if self.grad is None else self.grad.detach().clone()
        out.grad_fn = None
        out.hooks = None
        out.requires_grad = self.requires_grad
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        if self.grad_fn is not None:
            raise AutogradError("Only leaves can be pickled; use .detach() on the result of an operation.")
        return _rebuild, (type(self), np.array(self._host()), self.requires_grad, self.device.name)

    # ---- changes in place -------------------------------------------------------------------------------------

    def _change(self, name: str, instead: str, write: Callable[[Any], Any], *others: Any) -> Tensor:
        """Run `write` on the array under the version counter, or refuse where a gradient would be wrong."""
        if modes.thread.state.recording and any(isinstance(t, Tensor) and t.requires_grad for t in (self, *others)):
            raise InPlaceError(
                f"{name} would change in place a tensor that takes part in a gradient; write {instead}, or change it "
                "inside `with minigen.no_grad():`."
            )
        if not _is_writeable(self._data):
            raise InPlaceError(f"{name}: this tensor is an expanded or read-only view; change a copy: x = x.clone().")
        try:
            write(self._data)
        except ValueError as error:
            raise ShapeError(f"{name}: a tensor of shape {self.shape} cannot take these values: {error}") from error
        except TypeError as error:
            raise DtypeError(
                f"{name}: a tensor of {self.dtype} cannot hold the result; convert it first, for example x.float()."
            ) from error
        self._count_change()
        return self

    def _combine(self, name: str, instead: str, ufunc: str, other: Any, alpha: float = 1) -> Tensor:
        value = _plain(other, self) if alpha == 1 else _plain(other, self) * alpha
        return self._change(
            name,
            instead,
            lambda x: getattr(self.device.xp, ufunc)(x, value, out=x, casting="same_kind"),
            other,
        )

    def add_(self, other: Any, alpha: float = 1) -> Tensor:
        """x ← x + alpha·other, in place."""
        return self._combine("add_", "x = x + y", "add", other, alpha)

    def sub_(self, other: Any, alpha: float = 1) -> Tensor:
        """x ← x − alpha·other, in place."""
        return self._combine("sub_", "x = x - y", "subtract", other, alpha)

    def mul_(self, other: Any) -> Tensor:
        """x ← x·other, in place."""
        return self._combine("mul_", "x = x * y", "multiply", other)

    def div_(self, other: Any) -> Tensor:
        """x ← x / other, in place."""
        return self._combine("div_", "x = x / y", "divide", other)

    def __iadd__(self, other: Any) -> Tensor:
        return self._combine("x += y", "x = x + y", "add", other)

    def __isub__(self, other: Any) -> Tensor:
        return self._combine("x -= y", "x = x - y", "subtract", other)

    def __imul__(self, other: Any) -> Tensor:
        return self._combine("x *= y", "x = x * y", "multiply", other)

    def __itruediv__(self, other: Any) -> Tensor:
        return self._combine("x /= y", "x = x / y", "divide", other)

    def __setitem__(self, index: Any, value: Any) -> None:
        where, values = F.plain_index(index, self.device), _plain(value, self)
        self._change("x[index] = y", "x = minigen.where(mask, y, x)", lambda x: x.__setitem__(where, values), value)

    def fill_(self, value: float) -> Tensor:
        """x ← value, in place."""
        number = _plain(value, self)
        return self._change("fill_", "x = minigen.full_like(x, value)", lambda x: x.fill(number))

    def zero_(self) -> Tensor:
        """x ← 0, in place."""
        return self.fill_(0)

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """x ← min(max(x, min), max), in place.

        Raises:
            UserError: neither bound is given.
        """
        if min is None and max is None:
            raise UserError("clamp_: give min, max or both.")
        low, high = (bound if bound is None else _plain(bound, self) for bound in (min, max))
        write = lambda x: self.device.xp.clip(x, low, high, out=x)  # noqa: E731
        return self._change("clamp_", "x = x.clamp(min, max)", write, min, max)

    def copy_(self, other: Any) -> Tensor:
        """x ← other (broadcast, converted to x's type), in place."""
        values = self.device.asarray(_plain(other, self))
        return self._change("copy_", "x = y", lambda x: x.__setitem__(..., values), other)


def real_dtype(dtype: Any) -> np.dtype:
    """`dtype` as NumPy's, when a tensor can hold it."""
    try:
        target = np.dtype(dtype)
    except TypeError as error:
        raise DtypeError(f"{dtype!r} is not a type of number; 'float32', 'float64' and 'int64' are.") from error
    if dtype is None or target.kind not in "fiub":
        raise DtypeError(f"A tensor holds real numbers, integers or booleans, not {dtype!r}.")
    return target


def _is_writeable(array: Any) -> bool:
    """Whether each element has memory of its own, and may be written to. CuPy's arrays may, but do not know of copies."""
    if isinstance(array, np.ndarray):
        return array.flags.writeable
    return all(step or n < 2 for step, n in zip(array.strides, array.shape))


def _numbers(data: Any, dtype: Any) -> Any:
    """Python numbers and nested lists as an array, of minigen's default types unless `dtype` is given; arrays as is."""
    if hasattr(data, "__array_interface__") or hasattr(data, "__cuda_array_interface__"):
        return data
    if isinstance(data, (list, tuple)) and any(isinstance(value, Tensor) for value in data):
        if modes.thread.state.recording and any(isinstance(value, Tensor) and value.requires_grad for value in data):
            raise AutogradError(
                "A new tensor from a list of tensors would lose their gradients; write minigen.stack(list), which keeps "
                "them, or give the numbers alone: [x.item() for x in list]."
            )
        data = [np.asarray(value) for value in data]
    elif hasattr(data, "__array__"):
        return np.asarray(data)
    try:
        array = np.array(data)
    except ValueError as error:
        raise UserError(f"These nested lists do not make a tensor: {error}") from error
    if array.dtype.kind == "f" and dtype is None:
        given = [v for v in data if hasattr(v, "dtype")] if isinstance(data, (list, tuple)) else []
        return array if given and all(v.dtype == array.dtype for v in given) else array.astype(DEFAULT_DTYPE)
    return array


def _plain(value: Any, like: Tensor) -> Any:
    """A number or an array of `like`'s device, whatever `value` is."""
    if isinstance(value, Tensor):
        return value._data if value.device is like.device else value.to(like.device)._data
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (int, float)):
        return value
    array = like.device.asarray(value)
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"A tensor holds real numbers, integers or booleans, not {reprlib.repr(value)}.")
    return array


def _rebuild(kind: type[Tensor], array: np.ndarray, requires_grad: bool, device: str) -> Tensor:
    out = Tensor(array, device=device)
    result = kind.__new__(kind)
    for name in ("_data", "_version", "device", "grad", "grad_fn", "hooks"):
        setattr(result, name, getattr(out, name))
    result.requires_grad = requires_grad
    return result


# At the end, because these are built on Tensor.
from minigen import functional as F  # noqa: E402
from minigen import tensor_methods  # noqa: E402
from minigen.autograd import engine, modes  # noqa: E402

tensor_methods.F = F
