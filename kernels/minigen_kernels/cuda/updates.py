"""Steps of optimizers on CUDA: one launch for all parameters. `cpu.updates` has the twins, and the formulas.

A network has a hundred parameters, most of them so small that launching a kernel takes longer than running it. So one
kernel gets a table of the addresses of all arrays, and a list of tasks: each block of threads has a piece of one parameter,
reads each element of a weight, its gradient and its running means once and writes it once.

Parameters share a launch that have the same type, the same arrays and the same numbers, such as the learning rate: all
those of a group that were trained from the start. The numbers are read from memory: they change from step to step, and a
graph that is replayed can put others there.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numba import cuda

from .intrinsics import narrow
from .kernel import Kernel
from .memory import LARGEST
from .quads import number_of
from .running import Place, fresh, place, run, upload

THREADS = 256
TASK_ELEMENTS = 8 * THREADS
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
Arrays = tuple[Any, ...]


class Loop(NamedTuple):
    """What is done with every element.

    Attributes:
        kernel: for a type, and which of the arrays there are, the kernel's function. Its arguments are the table of
            arrays, the tasks (three integers each: which parameter, from which element to which), and the numbers.
        numbers: the kernel's numbers, from those of `cpu.updates`. What would lose digits in float32 is computed here.
    """

    kernel: Callable[[str, tuple[bool, ...]], Any]
    numbers: Callable[..., tuple[float, ...]]


def vectors(first: Any, *others: Any) -> Arrays | None:
    """The arrays as vectors of the same memory. None unless they are writeable, C-contiguous and of one shape and type,
    float32 or float64. An array that is None (a running mean which this optimizer does without) stays None.
    """
    dtype, shape = first.dtype, first.shape
    if dtype not in DTYPES or first.size > LARGEST:
        return None
    flat: list[Any] = []
    for array in (first, *others):
        if array is None:
            flat.append(None)
        elif _is_plain(array) and array.dtype == dtype and array.shape == shape:
            flat.append(array.reshape(-1))
        else:
            return None
    return tuple(flat)


def _is_plain(array: Any) -> bool:
    return array.flags.carray if isinstance(array, np.ndarray) else array.flags.c_contiguous


def in_one_pass(loop: Loop, updates: Sequence[tuple[Arrays, Callable[[], Sequence[float]]]]) -> None:
    """Does a step of every parameter, in one launch for all that have the same numbers.

    Args:
        loop: one of this module's.
        updates: for each, the `vectors` of the loop's twin in `cpu.updates`, and what gives its numbers: called once for
            every step, also where several share it. What one update writes, no other may touch.
    """
    found = {numbers: tuple(numbers()) for numbers in dict.fromkeys([numbers for _, numbers in updates])}
    alike: dict[Any, list[tuple[Arrays, Callable[[], Sequence[float]]]]] = {}
    for arrays, numbers in updates:
        values = found[numbers]
        if arrays[0].size:
            given = tuple([array is not None for array in arrays])
            alike.setdefault((str(arrays[0].dtype), given, values), []).append((arrays, numbers))
    for (dtype, given, values), group in alike.items():
        vectors, sources = zip(*group)
        where = place(vectors[0][0])
        tasks = _tasks(tuple([arrays[0].size for arrays in vectors]), TASK_ELEMENTS, where)
        table = tuple([arrays[0] if array is None else array for arrays in vectors for array in arrays])
        numbers = fresh(_vector(loop, dtype, values), partial(_next, loop, dtype, sources), where)
        run(kernel_of(loop, dtype, given, tasks.size // 3), (table, tasks, numbers))


def _next(loop: Loop, dtype: str, sources: Sequence[Callable[[], Sequence[float]]]) -> np.ndarray:
    """The numbers of the next step of parameters that share a launch."""
    values, *others = [tuple(source()) for source in dict.fromkeys(sources)]
    if any(other != values for other in others):
        raise ValueError(
            f"parameters that had the same numbers when a graph was captured, and so share a launch, now have different "
            f"ones, {values} and {next(other for other in others if other != values)}: capture the step anew."
        )
    return _vector(loop, dtype, values)


def _vector(loop: Loop, dtype: str, values: Sequence[float]) -> np.ndarray:
    return np.array(loop.numbers(*values), dtype)


def kernel_of(loop: Loop, dtype: str, given: tuple[bool, ...], tasks: int) -> Kernel:
    """The kernel of a loop for a type, the arrays that are given, and so many tasks."""
    return Kernel(loop.kernel(dtype, given), (f"{dtype}**", "int32*", f"{dtype}*"), (tasks, 1, 1), (THREADS, 1, 1))


@lru_cache(64)
def _tasks(sizes: tuple[int, ...], most: int, where: Place) -> Any:
    tasks = [
        (parameter, begin, min(begin + most, size))
        for parameter, size in enumerate(sizes)
        for begin in range(0, size, most)
    ]
    return upload(np.array(tasks, np.int32).reshape(-1), where)


@cuda.jit(device=True, inline="always")
def piece(tasks):
    """Of this thread's task: the parameter, the thread's first element and the end; its elements are THREADS apart."""
    task = narrow(3 * cuda.blockIdx.x)
    return tasks[task], narrow(tasks[task + 1] + cuda.threadIdx.x), tasks[task + 2]


@lru_cache
def _adam(dtype: str, given: tuple[bool, ...]) -> Any:
    number = number_of(dtype)

    def adam(table, tasks, numbers):
        parameter, begin, end = piece(tasks)
        beta1, fresh1, beta2, fresh2 = numbers[0], numbers[1], numbers[2], numbers[3]
        rate, root, eps, decay, keep = numbers[4], numbers[5], numbers[6], numbers[7], numbers[8]
        w = table[4 * parameter]
        g = table[4 * parameter + 1]
        m = table[4 * parameter + 2]
        v = table[4 * parameter + 3]
        for i in range(begin, end, THREADS):
            x = w[i] * keep
            d = g[i]
            if decay != number(0):
                d = d + decay * x
            mean = beta1 * m[i] + fresh1 * d
            square = beta2 * v[i] + fresh2 * (d * d)
            m[i] = mean
            v[i] = square
            w[i] = x - rate * (mean / (number(math.sqrt(square)) * root + eps))

    return adam


@lru_cache
def _rmsprop(dtype: str, given: tuple[bool, ...]) -> Any:
    number = number_of(dtype)
    CENTRED, MOVES = given[3:]

    def rmsprop(table, tasks, numbers):
        parameter, begin, end = piece(tasks)
        alpha, fresh, rate = numbers[0], numbers[1], numbers[2]
        eps, decay, momentum = numbers[3], numbers[4], numbers[5]
        w = table[5 * parameter]
        g = table[5 * parameter + 1]
        v = table[5 * parameter + 2]
        a = table[5 * parameter + 3]
        b = table[5 * parameter + 4]
        for i in range(begin, end, THREADS):
            d = g[i]
            if decay != number(0):
                d = d + decay * w[i]
            square = alpha * v[i] + fresh * (d * d)
            v[i] = square
            if CENTRED:
                mean = alpha * a[i] + fresh * d
                a[i] = mean
                square = square - mean * mean
            step = d / (number(math.sqrt(square)) + eps)
            if MOVES:
                step = momentum * b[i] + step
                b[i] = step
            w[i] -= rate * step

    return rmsprop


@lru_cache
def _sgd(dtype: str, given: tuple[bool, ...]) -> Any:
    number = number_of(dtype)
    MOVES = given[2]

    def sgd(table, tasks, numbers):
        parameter, begin, end = piece(tasks)
        rate, decay, momentum, fresh, nesterov = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
        w = table[3 * parameter]
        g = table[3 * parameter + 1]
        b = table[3 * parameter + 2]
        for i in range(begin, end, THREADS):
            step = g[i]
            if decay != number(0):
                step = step + decay * w[i]
            if MOVES:
                total = momentum * b[i] + fresh * step
                b[i] = total
                step = step + momentum * total if nesterov != number(0) else total
            w[i] -= rate * step

    return sgd


@lru_cache
def _average(dtype: str, given: tuple[bool, ...]) -> Any:
    def average(table, tasks, numbers):
        parameter, begin, end = piece(tasks)
        share = numbers[0]
        s = table[2 * parameter]
        w = table[2 * parameter + 1]
        for i in range(begin, end, THREADS):
            s[i] += (w[i] - s[i]) * share

    return average


def _numbers_of_adam(
    beta1: float, beta2: float, rate: float, root: float, eps: float, decay: float, keep: float
) -> tuple[float, ...]:
    return beta1, 1 - beta1, beta2, 1 - beta2, rate, root, eps, decay, keep


def _numbers_of_rmsprop(alpha: float, *others: float) -> tuple[float, ...]:
    return alpha, 1 - alpha, *others


def _as_they_are(*numbers: float) -> tuple[float, ...]:
    return numbers


adam = Loop(_adam, _numbers_of_adam)
rmsprop = Loop(_rmsprop, _numbers_of_rmsprop)
sgd = Loop(_sgd, _as_they_are)
average = Loop(_average, _as_they_are)
