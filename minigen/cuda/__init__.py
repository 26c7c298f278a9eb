"""What only a GPU has, by PyTorch's names: is there one, its memory, waiting for it, and training steps captured as graphs.

>>> import minigen
>>> minigen.cuda.is_available() == (minigen.cuda.device_count() > 0)
True
"""

from __future__ import annotations

from minigen.cuda.graph import graph
from minigen.cuda.memory import (
    empty_cache,
    max_memory_allocated,
    memory_allocated,
    memory_reserved,
    memory_summary,
    reset_peak_memory_stats,
)
from minigen.device import device, why_unavailable
from minigen.errors import OutOfMemoryError

__all__ = [
    "OutOfMemoryError",
    "device_count",
    "empty_cache",
    "get_device_name",
    "graph",
    "is_available",
    "max_memory_allocated",
    "memory_allocated",
    "memory_reserved",
    "memory_summary",
    "reset_peak_memory_stats",
    "synchronize",
]


def is_available() -> bool:
    """Whether the device ``cuda`` can be used here: a GPU, CuPy and numba-cuda."""
    return why_unavailable("cuda") is None


def device_count() -> int:
    """The number of GPUs that can be used here. minigen computes on CuPy's current one, the first unless it is told otherwise."""
    return device("cuda").xp.cuda.runtime.getDeviceCount() if is_available() else 0


def get_device_name(index: int | None = None) -> str:
    """What a GPU is called: the current one unless its number is given.

    Raises:
        DeviceError: there is none, with the reason.
    """
    runtime = device("cuda").xp.cuda.runtime
    return runtime.getDeviceProperties(runtime.getDevice() if index is None else index)["name"].decode()


def synchronize() -> None:
    """Wait until the GPU has done all that it was asked to do: before and after what is to be timed.

    Raises:
        DeviceError: there is none, with the reason.
    """
    device("cuda").xp.cuda.runtime.deviceSynchronize()
