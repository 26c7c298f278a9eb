"""Runs the threads of a kernel one after another, and lets them wait for each other where the kernel says so."""

from __future__ import annotations

import itertools
import linecache
import random
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import index
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..kernel import Kernel
from .memory import KernelFault, Memory, SharedMemory
from .rewriting import rewritten
from .stand_in import cuda
from .threads import Block, Dim3, Thread
from .traffic import CountedMemory, Traffic
from .twins import TWINS

Order = Literal["forward", "reverse"] | int
Arrange = Callable[[list[Any]], Iterable[Any]]
HERE = str(Path(__file__).parent)
POINTER_ALIGNMENT = 256  # bytes; what an allocation on a GPU is aligned to, at least


def simulate(
    kernel: Kernel, arguments: Sequence[Any], order: Order = "forward", traffic: Traffic | None = None
) -> None:
    """Runs a kernel over its whole grid, one thread after another, each from one barrier to the next.

    Args:
        kernel: the kernel.
        arguments: for each pointer a C-contiguous NumPy array of its type, which the kernel may change; for each
            number a number.
        order: in which order the blocks run, and the threads of a block between two barriers: "forward", "reverse",
            or the seed of a new shuffle each time. A correct kernel gives the same result in every order.
        traffic: counts what the threads ask of memory, if given (slower).

    Raises:
        KernelFault: at the first thing that a kernel must not do: an index out of bounds, a misaligned vector, a race
            (see `memory.SharedMemory`), threads that do not all reach the same barrier, an exception. The message has
            the line and the thread.
        TypeError: an argument is not what the kernel's parameter says.
    """
    if len(arguments) != len(kernel.parameters):
        raise TypeError(f"kernel {kernel.name} takes {len(kernel.parameters)} arguments, not {len(arguments)}.")
    memories: dict[int, SharedMemory] = {}
    memory: Callable[..., SharedMemory] = SharedMemory if traffic is None else partial(CountedMemory, traffic=traffic)
    taken = _arguments(kernel, arguments, memories, memory)
    function = rewritten(kernel.function, True)
    arrange = _arrangement(order)
    grid, dim = Dim3(*kernel.grid), Dim3(*kernel.block)
    with np.errstate(all="ignore"):  # a GPU computes on with infinity and NaN
        for place in arrange(_points(grid)):
            block = Block(place, dim, kernel.shared_bytes, memory)
            threads = [Thread(block, point) for point in _points(dim)]
            for thread in threads:
                thread.steps = function(*taken)
            _run_block(kernel, threads, grid, arrange)
    arrays = [array for argument in arguments for array in (argument if isinstance(argument, tuple) else (argument,))]
    for array in arrays:
        if isinstance(array, np.ndarray):
            kept = memories[array.ctypes.data]
            after = np.array(kept.values, array.dtype).reshape(array.shape)
            if array.flags.writeable:
                array[...] = after
            elif after.tobytes() != array.tobytes():
                raise KernelFault(f"{kernel.name}: {kept.name} is written to, but the array is read-only")


def _arguments(
    kernel: Kernel, values: Sequence[Any], memories: dict[int, SharedMemory], make: Callable[..., SharedMemory]
) -> list[Any]:
    """What the kernel gets: numbers, and a memory for each array, the same one where two arguments are one array.

    The memories are put into the dictionary, under the addresses of their arrays.
    """
    names = kernel.function.__code__.co_varnames
    arguments: list[Any] = []
    for name, kind, value in zip(names, kernel.parameters, values):
        scalar = np.dtype(kind.rstrip("*")).type
        if not kind.endswith("*"):
            arguments.append(int(scalar(index(value))) if issubclass(scalar, np.integer) else scalar(value))
            continue
        if kind.endswith("**"):
            pointed = [_memory(kernel, f"{name}[{k}]", scalar, array, memories, make) for k, array in enumerate(value)]
            arguments.append(Memory(name, pointed, np.uint64, (len(pointed),), POINTER_ALIGNMENT))
        else:
            arguments.append(_memory(kernel, name, scalar, value, memories, make))
    return arguments


def _memory(
    kernel: Kernel,
    name: str,
    scalar: type[np.generic],
    value: Any,
    memories: dict[int, SharedMemory],
    make: Callable[..., SharedMemory],
) -> SharedMemory:
    if not isinstance(value, np.ndarray) or value.dtype != scalar or not value.flags.c_contiguous:
        found = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
        wanted = np.dtype(scalar).name
        raise TypeError(
            f"kernel {kernel.name}: {name} must be a C-contiguous NumPy array of {wanted}, not this {found}; "
            f"use np.ascontiguousarray(a, np.{wanted})."
        )
    start = value.ctypes.data
    if start not in memories:
        memories[start] = make(name, list(value.ravel()), scalar, (value.size,), POINTER_ALIGNMENT)
    return memories[start]


def _points(dim: Dim3) -> list[Dim3]:
    """All indices, x fastest, as the hardware numbers them."""
    return [Dim3(x, y, z) for z, y, x in itertools.product(*map(range, reversed(dim)))]


def _arrangement(order: Order) -> Arrange:
    if order == "forward":
        return lambda items: items
    if order == "reverse":
        return lambda items: items[::-1]
    if not isinstance(order, int):
        raise ValueError(f"order must be 'forward', 'reverse' or a seed, not {order!r}.")
    shuffled = random.Random(order)
    return lambda items: shuffled.sample(items, len(items))


def _run_block(kernel: Kernel, threads: list[Thread], grid: Dim3, arrange: Arrange) -> None:
    alive = threads
    while alive:
        ended = set()
        for thread in arrange(alive):
            if thread.wait is None:
                cuda.enter(thread, grid)
                try:
                    thread.wait = thread.steps.send(thread.answer)
                except StopIteration:
                    ended.add(thread)
                except Exception as error:
                    raise KernelFault(f"{kernel.name}, {_line(error)}, {_who(thread)}: {error}") from error
        if ended:
            alive = [thread for thread in alive if thread not in ended]
        _open_barriers(kernel, alive, len(threads))


def _open_barriers(kernel: Kernel, alive: list[Thread], count: int) -> None:
    """Lets the threads go on that wait at barriers which all have reached; a fault if there are none."""
    if alive and all(thread.wait is not None and thread.wait.lanes is None for thread in alive):
        if len(alive) < count:
            raise KernelFault(
                f"{kernel.name}, {_place(alive[0])}: {len(alive)} of the block's {count} threads wait at this barrier, "
                f"the others have returned"
            )
        alive[0].block.next_epoch()
        return _open(kernel, alive, [thread.number for thread in alive])
    warps = defaultdict(list)
    for thread in alive:
        if thread.wait is not None and thread.wait.lanes is not None:
            warps[thread.warp, thread.wait.lanes].append(thread)
    opened = False
    for (warp, lanes), waiting in warps.items():
        expected = [thread for thread in alive if thread.warp == warp and lanes >> thread.lane & 1]
        if any(thread not in expected for thread in waiting):
            raise KernelFault(f"{kernel.name}, {_place(waiting[0])}: a lane is not in its own mask {lanes:#x}")
        if waiting == expected:
            _open(kernel, waiting, [thread.lane for thread in waiting])
            opened = True
    if alive and not opened and all(thread.wait is not None for thread in alive):
        places = {_place(thread): thread for thread in alive}
        reached = "; ".join(f"{_who(thread)} waits at {place}" for place, thread in places.items())
        raise KernelFault(f"{kernel.name}: the threads wait for each other at different barriers: {reached}")
    return None


def _open(kernel: Kernel, waiting: list[Thread], numbers: list[int]) -> None:
    places = {_lines(thread): thread for thread in waiting}
    if len(places) > 1:
        reached = "; ".join(f"{_who(thread)} at {_place(thread)}" for thread in places.values())
        raise KernelFault(f"{kernel.name}: threads meet at different barriers: {reached}")
    waits = [thread.wait for thread in waiting if thread.wait is not None]
    try:
        answer = waits[0].combine({number: wait.value for number, wait in zip(numbers, waits)})
    except Exception as error:
        raise KernelFault(f"{kernel.name}, {_place(waiting[0])}, {_who(waiting[0])}: {error}") from error
    for thread, wait in zip(waiting, waits):
        thread.answer, thread.wait = answer, None
        if wait.orders_memory:
            thread.phase += 1
            thread.make_stamp()


def _lines(thread: Thread) -> tuple[int, ...]:
    """The line of the kernel where a thread waits, and the lines of the functions called there."""
    lines: list[int] = []
    steps: Any = thread.steps
    while hasattr(steps, "gi_frame"):
        lines.append(steps.gi_frame.f_lineno)
        steps = steps.gi_yieldfrom
    return tuple(lines)


def _place(thread: Thread) -> str:
    steps: Any = thread.steps
    return _said(steps.gi_code.co_filename, steps.gi_frame.f_lineno)


def _line(error: Exception) -> str:
    """The innermost line of a kernel that an error passed through."""
    twins = {(twin.__code__.co_filename, twin.__name__) for twin in TWINS.values()}
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(HERE) and (frame.filename, frame.name) not in twins
    ]
    return _said(frames[-1].filename, frames[-1].lineno) if frames else "unknown line"


def _said(file: str, number: int | None) -> str:
    """A line of a source with what stands there. The file of a notebook's cell has a name of digits that nobody knows."""
    path, line = Path(file), linecache.getline(file, number or 0).strip()
    in_cell = path.parent.name.startswith("ipykernel_") or path.name.startswith("<ipython-input")
    name = "the cell's" if in_cell else path.name
    return f"{name} line {number}" + (f", `{line}`" if line else "")


def _who(thread: Thread) -> str:
    return f"thread {tuple(thread.place)} of block {tuple(thread.block.index)}"
