"""How images and weights lie in memory, buffers that threads keep, and how work is cut into tasks."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator

import numpy as np

from ..geometry import ConvGeometry
from .threads import parallel_for

COPY_BYTES = 1 << 20  # below this, one thread copies faster than two can be told to
SCRATCH_BYTES = 2 << 20  # what a thread works on at a time: large enough for BLAS, small enough for the caches
TASK_FLOPS = 4_000_000  # about 50 microseconds of one core; a smaller task is not worth handing to another thread
_buffers = threading.local()


def channels_last(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) images as a C-contiguous (N, H, W, C) array: a view if they lie that way already, else a copy."""
    view = images.transpose(0, 2, 3, 1)
    if view.flags.c_contiguous and view.flags.aligned:
        return view
    copy = np.empty(view.shape, view.dtype)
    n = view.shape[0]
    pieces = max(1, min(n, view.nbytes // COPY_BYTES))

    def task(i: int) -> None:
        part = slice(n * i // pieces, n * (i + 1) // pieces)
        np.copyto(copy[part], view[part])

    parallel_for(task, pieces)
    return copy


def channels_first(images: np.ndarray) -> np.ndarray:
    """The (N, C, H, W) view of (N, H, W, C) images."""
    return images.transpose(0, 3, 1, 2)


def pack_weight(w: np.ndarray, groups: int) -> np.ndarray:
    """w (O, C/G, KH, KW) as matrices (G, O/G, KH*KW*C/G): a row per output, the channels of a tap side by side."""
    return np.ascontiguousarray(w.transpose(0, 2, 3, 1)).reshape(groups, w.shape[0] // groups, -1)


def mirror_weight(w: np.ndarray, groups: int) -> np.ndarray:
    """w (O, C/G, KH, KW) as the weight (C, O/G, KH, KW) of the mirrored geometry: turned by half a turn, O and C swapped."""
    o, c, kh, kw = w.shape
    turned = w.reshape(groups, o // groups, c, kh, kw)[..., ::-1, ::-1]
    return turned.swapaxes(1, 2).reshape(groups * c, o // groups, kh, kw)


def read_only(array: np.ndarray) -> np.ndarray:
    """A read-only view. Numba compiles once for each type, and whether an array may be written to is part of its type."""
    view = array.view()
    view.flags.writeable = False
    return view


def scratch(name: str, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialized array that this thread will be given again under the same name: fresh memory is slow memory."""
    size = math.prod(shape) * dtype.itemsize
    buffer: np.ndarray | None = getattr(_buffers, name, None)
    if buffer is None or buffer.nbytes < size:
        buffer = np.empty(max(size, SCRATCH_BYTES), np.uint8)
        setattr(_buffers, name, buffer)
    return buffer[:size].view(dtype).reshape(shape)


def pieces(n: int, most: int, least: int = 1, count: int = 8) -> list[tuple[int, int]]:
    """Cuts range(n) evenly into [begin, end): into `count` pieces, or more so that none has over `most` elements, or
    fewer so that none has under `least` (which gives way to `most`)."""
    k = max(1, -(-n // most), min(count, n // max(1, least)))
    k = min(k, n)
    return [(n * i // k, n * (i + 1) // k) for i in range(k)]


def steps(begin: int, end: int, most: int) -> Iterator[tuple[int, int]]:
    """Cuts [begin, end) into pieces of `most` elements and a last one with the rest."""
    for first in range(begin, end, most):
        yield first, min(first + most, end)


def pixels(geometry: ConvGeometry) -> int:
    """The number of output pixels, N*OH*OW: the rows of y as a matrix."""
    return geometry.batch * math.prod(geometry.out_size)
