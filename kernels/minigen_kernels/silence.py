"""NumPy's warnings of division by zero, overflow and the like, kept quiet where infinity and NaN are the answers wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

import numpy as np


class _OfThread(threading.local):
    """A context in which NumPy warns of nothing: one for each thread, for no two may be in the same at once."""

    def __init__(self) -> None:
        self.context = Context()
        self.context.run(np.seterr, all="ignore")


_of_thread = _OfThread()


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`, of which NumPy says nothing.

    `np.errstate` does the same in 1.5 µs, three times as long as NumPy takes to divide four numbers by four; a context
    is entered in 0.1.
    """
    try:
        return _of_thread.context.run(function, *args)
    except RuntimeError:  # this thread is in its context already: Python has run somebody's finalizer in between
        with np.errstate(all="ignore"):
            return function(*args)
