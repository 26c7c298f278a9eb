"""Page-locked memory of the host, from which a GPU copies by itself, while the host goes on.

From other memory a copy goes through page-locked memory first, and the host does that part itself. The thread of a
`DataLoader(pin_memory=True)` puts batches there beforehand. Such memory must not be given to anything else before the GPU
has copied it: `send` keeps every array until an event behind its copy has come.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from minigen.device import why_unavailable

_in_flight: deque[tuple[Any, np.ndarray]] = deque()  # events, and the arrays that are copied before them


def pinned(array: np.ndarray) -> np.ndarray:
    """A copy in page-locked memory; in any memory where there is no GPU."""
    if why_unavailable("cuda") is not None:
        return np.array(array)
    from cupyx import empty_pinned

    copy = empty_pinned(array.shape, array.dtype)
    copy[...] = array
    return copy


def is_pinned(array: Any) -> bool:
    """Whether a NumPy array lies in page-locked memory that `pinned` has asked CuPy for."""
    while isinstance(array, np.ndarray):
        array = array.base
    return type(array).__name__ == "PinnedMemoryPointer"


def send(cupy: Any, array: np.ndarray) -> Any:
    """A copy of a page-locked, C-contiguous array on the GPU, on CuPy's current stream, and not waited for.

    Until it is done, the array must not be written to.
    """
    while _in_flight and _in_flight[0][0].done:
        _in_flight.popleft()
    stream = cupy.cuda.get_current_stream()
    copy = cupy.empty(array.shape, array.dtype)
    copy.set(array, stream=stream)
    event = cupy.cuda.Event(disable_timing=True)
    event.record(stream)
    _in_flight.append((event, array))
    return copy
