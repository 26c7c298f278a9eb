"""Where arrays live: which array module, which kernels. This module decides; no operation asks.

`cpu` is NumPy with the compiled loops of `minigen_kernels.cpu`. `cuda` and `cudasim` need CUDA kernels, which this
version does not have yet: asking for them raises a `DeviceError` that says so.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cached_property
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
        np.add.at(array, index, values)

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
    if name in NAMES:
        raise DeviceError(why_unavailable(name))
    raise DeviceError(f"There is no device {name!r}: the devices are {', '.join(NAMES)}.")


def why_unavailable(name: str) -> str | None:
    """One sentence that says why `cuda` or `cudasim` cannot be used here, or None for a device that can."""
    if name == "cpu":
        return None
    if name == "cuda" and importlib.util.find_spec("cupy") is None:
        return (
            "Device 'cuda' needs CuPy, which is not installed (the extras minigen[cuda12] and minigen[cuda13] bring it), "
            "and CUDA kernels, which this version of minigen does not have yet: use device 'cpu'."
        )
    return f"Device {name!r} needs CUDA kernels, which this version of minigen does not have yet: use device 'cpu'."
