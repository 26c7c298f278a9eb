"""Where arrays live: which array module, which kernels. This module decides; no operation asks.

cpu      NumPy's arrays, and the compiled loops of `minigen_kernels.cpu`
cuda     CuPy's arrays on a GPU; what `minigen_kernels.cuda.production` has is computed by our own kernels
cudasim  arrays that are used as CuPy's are; the same kernels in a simulator, thread by thread: how all this is tested
         without a GPU, and slow

Values pass between the host and a device through `Device.asarray` and `Device.to_host` alone.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from minigen_kernels import silence

from minigen.errors import DeviceError, DtypeError

if TYPE_CHECKING:
    from minigen.random import Generator

NAMES = ("cpu", "cuda", "cudasim")
INT64 = np.dtype(np.int64)
SIMULATOR = "minigen_kernels.cuda.simulator"


class Device:
    """A place for tensors: `name`, its array module `xp` and its convolution and matrix kernels `kernels`.

    Args:
        name: as users write it.
        xp: NumPy, CuPy, or what behaves alike; `ndarray` is its arrays' class.
        kernels, special: names of the modules that the attributes of those names load at first use.
    """

    def __init__(self, name: str, xp: ModuleType, kernels: str, special: str) -> None:
        self.name = name
        self.xp = xp
        self.ndarray = xp.ndarray
        self._modules = {"kernels": kernels, "special": special}

    @cached_property
    def kernels(self) -> ModuleType:
        """The package with `conv2d`, `conv_transpose2d`, `conv2d_weight_grad`, `matmul`; loaded at first use."""
        return importlib.import_module(self._modules["kernels"])

    @cached_property
    def special(self) -> ModuleType:
        """The module with `erf`; loaded at first use."""
        return importlib.import_module(self._modules["special"])

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        """`values`, numbers or an array of any device, as an array of this device. Axes lie in memory in the same order.

        A single number is not copied to a GPU but written there by a kernel, which need not wait.

        Args:
            values: what is to be an array.
            dtype: its type; that of the values unless given.
        """
        if isinstance(values, self.ndarray):
            return self.xp.asarray(values, dtype=dtype)
        host = np.asarray(device_of(values).to_host(values) if hasattr(values, "shape") else values, dtype=dtype)
        if self is cpu:
            return host
        if host.ndim == 0:
            return self.xp.full((), host.item(), host.dtype)
        return _in_memory_order(host, lambda packed: self.send(np.asarray(packed, order="C")))

    def quietly(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """`function(*arrays)`, a function of the array module, without warnings: infinity and NaN are what it is to give."""
        with np.errstate(all="ignore"):  # the simulation is NumPy's in the end
            return function(*arrays)

    def sum(self, array: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
        """Σ over the axes, as an array; of integers and booleans, as int64. With `keepdims`, each of the axes stays, of size 1."""
        return array.sum(axis=axes, keepdims=keepdims, dtype=None if array.dtype.kind == "f" else "int64")

    def repeated(self, array: Any, shape: tuple[int, ...]) -> Any:
        """An array broadcast to a shape, without a copy; not to be written to."""
        return self.xp.broadcast_to(array, shape)

    def send(self, array: np.ndarray) -> Any:
        """A C-contiguous array of the host's on this device."""
        return self.xp.asarray(array)

    def to_host(self, array: Any) -> Any:
        """An array of this device as NumPy's: itself on a CPU, else a copy, for which the GPU is waited for."""
        return (
            array
            if isinstance(array, (np.ndarray, np.generic))
            else _in_memory_order(array, lambda packed: packed.get())
        )

    def constant(self, values: np.ndarray) -> Any:
        """Values that shapes alone decide, such as the pixels under a window, on this device: sent once, and kept there."""
        return values

    def fresh(self, compute: Callable[[], Any]) -> Any:
        """What `compute` returns, a NumPy array that is another in every step (random numbers, say), on this device.

        A graph that is being captured (`minigen.cuda.graph`) calls `compute` again before every replay.
        """
        return self.asarray(compute())

    def key(self, generator: Generator) -> Any:
        """The next key of a generator (`Generator.key`), as this device's kernels take it."""
        return generator.key()

    def concatenate(self, arrays: Sequence[Any], axis: int) -> Any:
        """The arrays, all of one type, one after another along an axis."""
        return self.xp.concatenate(arrays, axis=axis)

    def add_at(self, array: Any, index: Any, values: Any) -> None:
        """array[index] += values, in place, once for every time a position occurs in `index`."""
        self.xp.add.at(array, index, values)

    def __repr__(self) -> str:
        return f"device('{self.name}')"

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.name,)


def _in_memory_order(array: Any, copy: Callable[[Any], Any]) -> Any:
    """copy(array), but called with the axes in the order in which they lie in memory. CuPy's copies know C order alone."""
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    if order == list(range(array.ndim)):
        return copy(array)
    return copy(array.transpose(order)).transpose(sorted(range(array.ndim), key=order.__getitem__))


class Cpu(Device):
    """NumPy's arrays. Of a few numbers, NumPy's own ways to do these things cost more than the doing."""

    quietly = staticmethod(silence.quietly)

    def sum(self, array: Any, axes: tuple[int, ...], keepdims: bool = False) -> Any:
        dtype = array.dtype
        if dtype.kind != "f":
            dtype = INT64
        elif not dtype.isnative:
            dtype = dtype.newbyteorder("=")
        one = array.ndim == 0 or (len(axes) == array.ndim and not keepdims)
        out: Any = np.empty((), dtype) if one else None  # NumPy would return a bare number
        return np.add.reduce(array, axes, dtype, out=out, keepdims=keepdims)

    def repeated(self, array: Any, shape: tuple[int, ...]) -> Any:
        if array.ndim == 0:
            strides = (0,) * len(shape)
        elif array.flags.c_contiguous:
            strides = _strides_repeated(array.strides, array.shape, shape)
        else:
            return np.broadcast_to(array, shape)  # which takes five times as long to do the same
        out: np.ndarray = np.ndarray(shape, array.dtype, array, 0, strides)
        out.setflags(False)  # type: ignore[call-arg]  # with the name `write`, it takes twice as long
        return out


@lru_cache
def _strides_repeated(strides: tuple[int, ...], small: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of an array, broadcast to a shape: 0 along the axes where it is repeated."""
    lead = len(shape) - len(small)
    return (0,) * lead + tuple([s if n == m else 0 for s, n, m in zip(strides, small, shape[lead:])])


cpu = Cpu("cpu", np, "minigen_kernels.cpu", "scipy.special")


def device_of(array: Any) -> Device:
    """Where an array lives."""
    package = type(array).__module__.partition(".")[0]
    return device({"cupy": "cuda", "minigen_kernels": "cudasim"}.get(package, "cpu"))


class DeviceWithCudaKernels(Device):
    """A GPU, or the simulation of one."""

    def send(self, array: np.ndarray) -> Any:
        from minigen.cuda import pinned

        return pinned.send(self.xp, array) if pinned.is_pinned(array) else self.xp.asarray(array)

    def asarray(self, values: Any, dtype: Any = None) -> Any:
        if not isinstance(values, self.ndarray) and np.ndim(values):
            self._capture.refuse("to_gpu", "a copy from the host")
        return super().asarray(values, dtype)

    def to_host(self, array: Any) -> Any:
        self._capture.refuse("to_host", "a copy to the host")
        return super().to_host(array)

    def concatenate(self, arrays: Sequence[Any], axis: int) -> Any:
        # CuPy's own sends a table of addresses to the GPU where there are many arrays, which no graph can hold.
        shape = list(arrays[0].shape)
        shape[axis] = sum(array.shape[axis] for array in arrays)
        out, begin = self.xp.empty(shape, arrays[0].dtype), 0
        for array in arrays:
            end = begin + array.shape[axis]
            out[(*[slice(None)] * (axis % array.ndim), slice(begin, end))] = array
            begin = end
        return out

    def constant(self, values: np.ndarray) -> Any:
        return self._capture.kept(_constant(self, values.tobytes(), values.dtype.str, values.shape))

    def fresh(self, compute: Callable[[], Any]) -> Any:
        from minigen_kernels.cuda import running

        return running.fresh(compute(), compute, running.place(self.xp.empty(0)))

    @cached_property
    def _capture(self) -> ModuleType:
        return importlib.import_module("minigen_kernels.cuda.capture")

    def key(self, generator: Generator) -> Any:
        return self.fresh(lambda: self.kernels.philox.words(generator.key()))


@lru_cache(256)
def _constant(place: Device, values: bytes, dtype: str, shape: tuple[int, ...]) -> Any:
    from minigen_kernels.cuda import running

    return running.upload(np.ndarray(shape, dtype, values), running.place(place.xp.empty(0)))


def device(name: str | Device) -> Device:
    """The device of that name: ``cpu``, ``cuda`` or ``cudasim``.

    Raises:
        DeviceError: an unknown name, or a device that cannot be used here, with the reason.

    >>> import minigen
    >>> minigen.device("cpu").name, minigen.ones(2, device="cudasim").device
    ('cpu', device('cudasim'))
    """
    if isinstance(name, Device):
        return name
    if name == "cpu":
        return cpu
    if name not in NAMES:
        raise DeviceError(f"There is no device {name!r}: the devices are {', '.join(NAMES)}.")
    return _with_cuda_kernels(name)


def means_device(target: Any) -> bool:
    """Whether what `.to` is given is a device; otherwise it is a type of numbers.

    Raises:
        DtypeError: a word that is neither.

    >>> [means_device(target) for target in ("cuda", "float32", np.float64)]
    [True, False, False]
    """
    if not isinstance(target, str) or target in NAMES:
        return isinstance(target, (str, Device))
    try:
        np.dtype(target)
    except TypeError as error:
        raise DtypeError(
            f"{target!r} is neither a device ({', '.join(NAMES)}) nor a type of numbers, such as 'float32'."
        ) from error
    return False


@lru_cache
def _with_cuda_kernels(name: str) -> Device:
    reason = why_unavailable(name)
    if reason:
        raise DeviceError(reason)
    if name == "cudasim":
        arrays = importlib.import_module(f"{SIMULATOR}.array_module")
        return DeviceWithCudaKernels(name, arrays, "minigen_kernels.cuda.production", f"{SIMULATOR}.special")
    cupy = importlib.import_module("cupy")
    importlib.import_module("minigen.cuda.memory").watch(cupy)
    return DeviceWithCudaKernels(name, cupy, "minigen_kernels.cuda.production", "cupyx.scipy.special")


def why_unavailable(name: str) -> str | None:
    """One sentence that says why `cuda` or `cudasim` cannot be used here, or None for a device that can."""
    if name == "cpu":
        return None
    if importlib.util.find_spec("numba.cuda") is None:
        return f"Device {name!r} needs Numba's CUDA target: install numba-cuda, or use device 'cpu'."
    if name == "cudasim":
        return None
    for package, module in (("CuPy", "cupy"), ("numba-cuda", "numba_cuda")):
        if importlib.util.find_spec(module) is None:
            return (
                f"Device 'cuda' needs {package}, which is not installed: pip install '.[cuda13]' (or '.[cuda12]') in the "
                f"clone, or use device 'cpu'."
            )
    try:
        count = importlib.import_module("cupy").cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy's own, or the loader's where a library is missing
        return f"Device 'cuda' needs an NVIDIA GPU, and CuPy finds none ({str(error).strip()}): use device 'cpu'."
    return None if count else "Device 'cuda' needs an NVIDIA GPU, and CuPy finds none: use device 'cpu'."
