"""How images and weights lie in memory, buffers that threads keep, and how work is cut into tasks."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .addresses import address
from .threads import parallel_for, run_shared
from .tile import CACHE_LINE
from .transposition import contiguous

COPY_BYTES = 1 << 20  # below this, one thread copies faster than two can be told to
PIECE = 16384  # elements of a piece of an elementwise pass: ten microseconds of one core, and whole tiles of `philox`
TASK_FLOPS = 4_000_000  # about 50 microseconds of one core; a smaller task is not worth handing to another thread
_buffers = threading.local()


def channels_last(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) images as a C-contiguous (N, H, W, C) array: a view if they lie that way already, else a copy."""
    view = images.transpose(0, 2, 3, 1)
    if view.flags.c_contiguous and view.flags.aligned:
        return view
    if images.flags.c_contiguous and images.flags.aligned and images.dtype == np.float32:
        return contiguous(view)
    copy = np.empty(view.shape, view.dtype)
    parts = pieces(view.shape[0], least=-(-COPY_BYTES * view.shape[0] // max(1, view.nbytes)))
    parallel_for(lambda i: np.copyto(copy[parts[i]], view[parts[i]]), len(parts))
    return copy


def channels_first(images: np.ndarray) -> np.ndarray:
    """The (N, C, H, W) view of (N, H, W, C) images."""
    return images.transpose(0, 3, 1, 2)


def pack_weight(w: np.ndarray, groups: int) -> np.ndarray:
    """w (O, C/G, KH, KW) as matrices (G, O/G, KH*KW*C/G): a row per output, the channels of a tap side by side."""
    return np.ascontiguousarray(w.transpose(0, 2, 3, 1)).reshape(groups, w.shape[0] // groups, -1)


def mirror_weight(w: np.ndarray, groups: int) -> np.ndarray:
    """w (O, C/G, KH, KW) as the mirrored geometry's weight (C, O/G, KH, KW): turned by half a turn, O and C swapped."""
    o, c, kh, kw = w.shape
    turned = w.reshape(groups, o // groups, c, kh, kw)[..., ::-1, ::-1]
    return turned.swapaxes(1, 2).reshape(groups * c, o // groups, kh, kw)


def read_only(array: np.ndarray) -> np.ndarray:
    """A read-only view. To Numba, whether an array may be written to is part of its type, and each type is compiled."""
    view = array.view()
    view.setflags(False)  # type: ignore[call-arg]  # with the name `write`, it takes twice as long
    return view


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialized array that begins on a cache line: vectors then lie in one line each, and load twice as fast."""
    buffer = np.empty(math.prod(shape) * dtype.itemsize + CACHE_LINE, np.uint8)
    return np.ndarray(shape, dtype, buffer, -address(buffer) % CACHE_LINE)


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialized array that this thread will be given again under the same name: fresh memory is slow memory.

    Kernels that are never at work at once, in one thread, use the same name for the same kind of thing: a Winograd
    convolution and a product by panels both pack their "inputs", and the larger of the two is all the memory it takes.
    """
    size = math.prod(shape) * dtype.itemsize
    return _buffer(name, size)[0][:size].view(dtype).reshape(shape)


def scratch_address(name: str, size: int) -> int:
    """Where `scratch` has so many bytes under this name, for kernels that take addresses."""
    return _buffer(name, size)[1]


def _buffer(name: str, size: int) -> tuple[np.ndarray, int]:
    mine = _buffers.__dict__  # this thread's
    if name not in mine or mine[name][0].nbytes < size:
        mine.pop(name, None)  # first, so that the new one may lie where it did
        memory = aligned((size,), np.dtype(np.uint8))
        mine[name] = memory, address(memory)
    return mine[name]


def pieces(n: int, *, least: int = 1, most: int | None = None, count: int = 8) -> list[slice]:
    """Cuts range(n) evenly into slices: `count` of them, fewer if they were shorter than `least`, or more if they were
    longer than `most`. Never by the number of threads: results would depend on it.

    >>> pieces(10, count=3)
    [slice(0, 3, None), slice(3, 6, None), slice(6, 10, None)]
    """
    k = min(count, n // max(1, least))
    if most is not None:
        k = max(k, -(-n // most))
    k = min(max(1, k), n)
    return [slice(n * i // k, n * (i + 1) // k) for i in range(k)]


def in_pieces(kernel: Callable[..., None], size: int, *arguments: Any) -> None:
    """Runs a kernel (see `share`) on so many elements: piece i begins with element i PIECE."""
    run_shared(kernel, -(-size // PIECE), *arguments)


def steps(part: slice, most: int) -> Iterator[slice]:
    """Cuts a slice into slices of `most` elements and a last one with the rest."""
    for first in range(part.start, part.stop, most):
        yield slice(first, min(first + most, part.stop))
