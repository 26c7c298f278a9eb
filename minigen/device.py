"""Where arrays live: which array module, which kernels. This module decides; no operation asks.

cpu      NumPy's arrays, and the compiled loops of `minigen_kernels.cpu`
cuda     CuPy's arrays on a GPU; what `minigen_kernels.cuda.production` has is computed by our own kernels
cudasim  NumPy's arrays; the same kernels in a simulator, thread by thread: how they are tested without a GPU, and slow
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from minigen.errors import DeviceError

NAMES = ("cpu", "cuda", "cudasim")


class Device:
    """A place for tensors: `name`, its array module `xp` and its convolution and matrix kernels `kernels`."""

    def __init__(self, name: str, xp: ModuleType, kernels: str, special: str) -> None:
        self.name = name
        self.xp = xp
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
        """`values` as an array of this device."""
        return self.xp.asarray(values, dtype=dtype)

    def add_at(self, array: Any, index: Any, values: Any) -> None:
        """array[index] += values, in place, once for every time a position occurs in `index`."""
        self.xp.add.at(array, index, values)

    def __repr__(self) -> str:
        return f"device('{self.name}')"

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.name,)


cpu = Device("cpu", np, "minigen_kernels.cpu", "scipy.special")


def device(name: str | Device) -> Device:
    """The device of that name: ``cpu``, ``cuda`` or ``cudasim``.

    Raises:
        DeviceError: an unknown name, or a device that cannot be used here, with the reason.
    """
    if isinstance(name, Device):
        return name
    if name == "cpu":
        return cpu
    if name not in NAMES:
        raise DeviceError(f"There is no device {name!r}: the devices are {', '.join(NAMES)}.")
    return _with_cuda_kernels(name)


@lru_cache
def _with_cuda_kernels(name: str) -> Device:
    reason = why_unavailable(name)
    if reason:
        raise DeviceError(reason)
    if name == "cudasim":
        return Device(name, np, "minigen_kernels.cuda.production", "scipy.special")
    return Device(name, importlib.import_module("cupy"), "minigen_kernels.cuda.production", "cupyx.scipy.special")


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
                f"Device 'cuda' needs {package}, which is not installed: install the extra minigen[cuda12] or "
                f"minigen[cuda13], or use device 'cpu'."
            )
    try:
        count = importlib.import_module("cupy").cuda.runtime.getDeviceCount()
    except Exception as error:  # CuPy's own, or the loader's where a library is missing
        return f"Device 'cuda' needs an NVIDIA GPU, and CuPy finds none ({str(error).strip()}): use device 'cpu'."
    return None if count else "Device 'cuda' needs an NVIDIA GPU, and CuPy finds none: use device 'cpu'."
