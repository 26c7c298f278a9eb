"""Where a kernel runs: on the GPU if its arrays are CuPy's, else in the simulator.

A launch is asynchronous, on CuPy's current stream, so that kernels keep their place among CuPy's own, and legal while a
graph is captured, once the kernel has been loaded. The kernel's machine code is built once (see `build`) and loaded once;
from then on a launch looks it up and hands addresses and numbers to the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .build import build
from .capture import being_captured
from .kernel import NUMBERS as KINDS
from .kernel import STATIC_LIMIT, Kernel
from .simulator import simulate
from .simulator.arrays import Array, change, renewed
from .simulator.tape import note

Place = tuple[int, ...] | None
SIMULATED = (-1,)  # the place of the simulated GPU's arrays
NUMBERS = {kind: np.dtype(kind).type for kind in KINDS}


def run(kernel: Kernel, arguments: Sequence[Any]) -> None:
    """Runs a kernel.

    Args:
        kernel: the kernel.
        arguments: for each pointer a C-contiguous array of its type, all of them NumPy's, all CuPy's or all the simulated
            GPU's; for a table a tuple of them; numbers. The first is an array or a table.
    """
    first = arguments[0]
    array = first[0] if isinstance(first, tuple) else first
    if isinstance(array, np.ndarray):
        simulate(kernel, arguments)
    elif isinstance(array, Array):
        for argument in arguments:
            if isinstance(argument, tuple):
                _table(tuple([each.data.ptr for each in argument]), SIMULATED)
        change(lambda *given: simulate(kernel, given), *arguments)
    else:
        launch(kernel, arguments)


def launch(kernel: Kernel, arguments: Sequence[Any]) -> None:
    """Starts a kernel on CuPy's current stream, and does not wait for it."""
    current_stream, current_device, start = _driver()

    def given(kind: str, argument: Any) -> Any:
        if kind[-2:] == "**":
            return _table(tuple([array.data.ptr for array in argument]), place(argument[0])).data.ptr
        return argument.data.ptr if kind[-1] == "*" else NUMBERS[kind](argument)

    config, loaded = _prepared(kernel, current_device())
    taken = [given(kind, argument) for kind, argument in zip(kernel.parameters, arguments)]
    start(_stream(current_stream().ptr), config, loaded, *taken)


@lru_cache
def _driver() -> tuple[Any, Any, Any]:
    """What gives CuPy's current stream and GPU, and what launches: looked up once, which every launch would pay for."""
    from cuda.core import launch as start
    from cupy.cuda import get_current_stream, runtime

    return get_current_stream, runtime.getDevice, start


@lru_cache(4096)
def _prepared(kernel: Kernel, device: int) -> tuple[Any, Any]:
    """A kernel's grid for the driver, and the driver's handle of it."""
    from cuda.core import LaunchConfig

    config = LaunchConfig(grid=kernel.grid, block=kernel.block, shmem_size=kernel.shared_bytes)
    parts = kernel.function, kernel.parameters, kernel.block, kernel.shared_bytes, kernel.blocks_per_sm, kernel.oldest
    return config, _loaded(*parts, device)


def place(like: Any) -> Place:
    """Where an array is: None in the host's memory, else the number of the GPU, its current stream, and the graph that is being
    captured. What is kept for a place is used there alone.
    """
    if isinstance(like, np.ndarray):
        return None
    if isinstance(like, Array):
        return SIMULATED
    from cupy.cuda import get_current_stream

    graph = being_captured()
    return _device(), get_current_stream().ptr, 0 if graph is None else graph.number


def upload(values: np.ndarray, where: Place) -> Any:
    """The values at a `place`: themselves in the host's memory, else a copy on the current GPU, which is not waited for."""
    if where is None:
        return values
    if where == SIMULATED:
        note("constants", "a table sent with a kernel")
        return Array(values)
    graph = being_captured()
    if graph is not None:
        return graph.constant(values)
    from cupy import asarray

    return asarray(values)


def fresh(values: np.ndarray, again: Callable[[], np.ndarray], where: Place) -> Any:
    """Values that the host computes anew in every step, at a `place`: random numbers, say, or an optimizer's rates.

    A graph that is being captured calls `again` before every replay, for the values of that step.
    """
    if where == SIMULATED:
        return renewed(values, again)
    graph = being_captured()
    return upload(values, where) if graph is None else graph.renewed(values, again)


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
def _loaded(
    function: Any, parameters: Any, block: Any, shared_bytes: int, blocks_per_sm: int, oldest: Any, device: int
) -> Any:
    """The driver's handle of a kernel. Its grid, which changes with the batch, decides nothing here."""
    from cuda.core import Device, ObjectCode

    kernel = Kernel(function, parameters, (1, 1, 1), block, shared_bytes, blocks_per_sm, oldest)
    architecture = Device(device).compute_capability
    cubin = build(kernel, (architecture.major, architecture.minor))
    handle = ObjectCode.from_cubin(cubin.code).get_kernel(cubin.name)
    if shared_bytes > STATIC_LIMIT:
        handle.attributes[device].max_dynamic_shared_size_bytes = shared_bytes
    return handle
