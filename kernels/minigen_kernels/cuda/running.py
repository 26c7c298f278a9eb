"""Where a kernel runs: on the GPU if its arrays are there, else in the simulator.

A launch is asynchronous, on CuPy's current stream, so that kernels keep their place among CuPy's own, and legal while a
graph is captured, once the kernel has been loaded. The kernel's machine code is built once (see `build`) and loaded once;
from then on a launch looks it up and hands addresses and numbers to the driver.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .build import build
from .kernel import Kernel
from .simulator import simulate

Place = tuple[int, int] | None
STATIC_LIMIT = 48 << 10  # bytes of dynamic shared memory that a kernel gets without asking for more


def run(kernel: Kernel, arguments: Sequence[Any]) -> None:
    """Runs a kernel.

    Args:
        kernel: the kernel.
        arguments: for each pointer a C-contiguous array of its type, all of them NumPy's or all CuPy's; for a table a
            tuple of them; numbers. The first is an array or a table.
    """
    first = arguments[0]
    if isinstance(first[0] if isinstance(first, tuple) else first, np.ndarray):
        simulate(kernel, arguments)
    else:
        launch(kernel, arguments)


def launch(kernel: Kernel, arguments: Sequence[Any]) -> None:
    """Starts a kernel on CuPy's current stream, and does not wait for it."""
    from cuda.core import LaunchConfig
    from cuda.core import launch as start
    from cupy.cuda import get_current_stream

    def given(kind: str, argument: Any) -> Any:
        if kind.endswith("**"):
            return _table(tuple([array.data.ptr for array in argument]), place(argument[0])).data.ptr
        return argument.data.ptr if kind.endswith("*") else np.dtype(kind).type(argument)

    taken = [given(kind, argument) for kind, argument in zip(kernel.parameters, arguments)]
    config = LaunchConfig(grid=kernel.grid, block=kernel.block, shmem_size=kernel.shared_bytes)
    loaded = _loaded(
        kernel.function, kernel.parameters, kernel.block, kernel.shared_bytes, kernel.blocks_per_sm, _device()
    )
    start(_stream(get_current_stream().ptr), config, loaded, *taken)


def place(like: Any) -> Place:
    """Where an array is: None in the host's memory, else the number of the GPU and its current stream."""
    if isinstance(like, np.ndarray):
        return None
    from cupy.cuda import get_current_stream

    return _device(), get_current_stream().ptr


def upload(values: np.ndarray, where: Place) -> Any:
    """The values at a `place`: themselves in the host's memory, else a copy on the current GPU, which is not waited for."""
    if where is None:
        return values
    from cupy import asarray

    return asarray(values)


@lru_cache(256)
def _table(addresses: tuple[int, ...], where: Place) -> Any:
    """The addresses on the GPU. CuPy's pool gives a step the memory of the step before, so most are found here again."""
    return upload(np.array(addresses, np.uint64), where)


@lru_cache(32)
def _stream(handle: int) -> Any:
    from cuda.core import Stream

    return Stream.from_handle(handle)


def _device() -> int:
    from cupy.cuda import runtime

    return runtime.getDevice()


@lru_cache(4096)
def _loaded(function: Any, parameters: Any, block: Any, shared_bytes: int, blocks_per_sm: int, device: int) -> Any:
    """The driver's handle of a kernel. Its grid, which changes with the batch, decides nothing here."""
    from cuda.core import Device, ObjectCode

    kernel = Kernel(function, parameters, (1, 1, 1), block, shared_bytes, blocks_per_sm)
    architecture = Device(device).compute_capability
    cubin = build(kernel, (architecture.major, architecture.minor))
    handle = ObjectCode.from_cubin(cubin.code).get_kernel(cubin.name)
    if shared_bytes > STATIC_LIMIT:
        handle.attributes[device].max_dynamic_shared_size_bytes = shared_bytes
    return handle
