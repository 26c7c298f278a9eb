"""Steps of optimizers: one pass over the memory of all parameters.

Written as array operations, a step of Adam goes through memory a dozen times. Here each element of a weight, of its
gradient and of its running means is read once and written once. The loops do what `minigen.optim` writes as array
operations, in the same order and precision, so that both give the same bits. An element depends on no other: how the
work is cut does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from .compiled import compiled
from .layout import pieces
from .memory import keep_freed_memory
from .threads import parallel_for

TASK_ELEMENTS = 1 << 16  # 20 to 50 microseconds of one core
DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
Arrays = tuple[np.ndarray | None, ...]


def vectors(first: np.ndarray, *others: np.ndarray | None) -> Arrays | None:
    """The arrays as vectors of the same memory. None unless they are writeable, C-contiguous and of one shape and type,
    float32 or float64. An array that is None (a running mean which this optimizer does without) stays None.
    """
    dtype, shape = first.dtype, first.shape
    if dtype not in DTYPES:
        return None
    flat: list[np.ndarray | None] = []
    for array in (first, *others):
        if array is None:
            flat.append(None)
        elif array.flags.carray and array.dtype == dtype and array.shape == shape:
            flat.append(array.ravel())  # a view, where the memory is contiguous
        else:
            return None
    return tuple(flat)


def in_one_pass(loop: Callable[..., None], updates: Sequence[tuple[Arrays, Callable[[], Sequence[float]]]]) -> None:
    """Calls loop(*arrays, *numbers()) for every update, all of them in one `parallel_for`.

    From the first call on, this process keeps what it frees: it is training (see `memory`).

    Args:
        loop: one of this module's.
        updates: for each, the `vectors` that the loop takes, and then what gives its numbers, called once also where several
            share it. Large vectors are cut into several
            tasks, and many small ones make one. What one update writes, no other may touch.
    """
    keep_freed_memory()
    tasks: list[list[tuple[Arrays, tuple[float, ...]]]] = []
    small: list[tuple[Arrays, tuple[float, ...]]] = []  # the last task of small vectors
    room = 0  # left in it
    found = {give: give() for give in dict.fromkeys([give for _, give in updates])}
    for arrays, give in updates:
        numbers = tuple(map(float, found[give]))  # an integer among them would be another signature to compile
        size = arrays[0].size  # type: ignore[union-attr]
        if size > TASK_ELEMENTS:
            parts = pieces(size, most=TASK_ELEMENTS, count=1)
            tasks += [[(tuple([a if a is None else a[part] for a in arrays]), numbers)] for part in parts]
        elif size <= room:
            small.append((arrays, numbers))
            room -= size
        else:
            small = [(arrays, numbers)]
            tasks.append(small)
            room = TASK_ELEMENTS - size

    def run(i: int) -> None:
        for arrays, numbers in tasks[i]:
            loop(*arrays, *numbers)

    parallel_for(run, len(tasks))


@compiled()
def adam(w, g, m, v, beta1, beta2, rate, root, eps, decay, keep):
    """m <- beta1 m + (1 - beta1) d,  v <- beta2 v + (1 - beta2) d^2,  w <- keep w - rate m / (root sqrt(v) + eps).

    d = g + decay keep w. Adam has keep = 1, AdamW decay = 0.
    """
    real = w.dtype.type
    beta1, fresh1, beta2, fresh2 = real(beta1), real(1 - beta1), real(beta2), real(1 - beta2)
    rate, root, eps, decay, keep = real(rate), real(root), real(eps), real(decay), real(keep)
    for i in range(w.size):
        x = w[i] * keep
        d = g[i]
        if decay != 0:
            d = d + decay * x
        mean = beta1 * m[i] + fresh1 * d
        square = beta2 * v[i] + fresh2 * (d * d)
        m[i] = mean
        v[i] = square
        w[i] = x - rate * (mean / (math.sqrt(square) * root + eps))


@compiled()
def rmsprop(w, g, v, a, b, alpha, rate, eps, decay, momentum):
    """v <- alpha v + (1 - alpha) d^2,  w <- w - rate s  with d = g + decay w and s = d / (sqrt(v) + eps).

    With a: a <- alpha a + (1 - alpha) d, and s takes the root of v - a^2. With b: b <- momentum b + s is the step.
    """
    real = w.dtype.type
    alpha, fresh, rate = real(alpha), real(1 - alpha), real(rate)
    eps, decay, momentum = real(eps), real(decay), real(momentum)
    for i in range(w.size):
        d = g[i]
        if decay != 0:
            d = d + decay * w[i]
        square = alpha * v[i] + fresh * (d * d)
        v[i] = square
        if a is not None:
            mean = alpha * a[i] + fresh * d
            a[i] = mean
            square = square - mean * mean
        step = d / (math.sqrt(square) + eps)
        if b is not None:
            step = momentum * b[i] + step
            b[i] = step
        w[i] -= rate * step


@compiled()
def sgd(w, g, b, rate, decay, momentum, fresh, nesterov):
    """w <- w - rate d,  d = g + decay w.

    With b: b <- momentum b + fresh d is the step, or d + momentum b with nesterov.
    """
    real = w.dtype.type
    rate, decay, momentum, fresh = real(rate), real(decay), real(momentum), real(fresh)
    for i in range(w.size):
        step = g[i]
        if decay != 0:
            step = step + decay * w[i]
        if b is not None:
            total = momentum * b[i] + fresh * step
            b[i] = total
            step = step + momentum * total if nesterov != 0 else total
        w[i] -= rate * step


@compiled()
def average(s, w, share):
    """s <- s + share (w - s)."""
    share = s.dtype.type(share)
    for i in range(s.size):
        s[i] += (w[i] - s[i]) * share
