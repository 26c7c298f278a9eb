"""NumPy's warnings of division by zero, overflow and the like, kept quiet where infinity and NaN are the answers wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

import numpy as np


class _OfThread(threading.local):
    """A context in which NumPy warns of nothing, where it is not in use. Each thread has its own: no two may be in the same
    one at once.
    """

    def __init__(self) -> None:
        context = Context()
        context.run(np.seterr, all="ignore")
        self.idle = [context]


_of_thread = _OfThread()


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`, of which NumPy says nothing.

    `np.errstate` does the same in 1.5 µs, three times as long as NumPy takes to divide four numbers by four; a context
    is entered in 0.1. It cannot be entered twice: what is called within, or by a finalizer that Python runs meanwhile, takes
    `np.errstate`.
    """
    idle = _of_thread.idle
    if not idle:
        with np.errstate(all="ignore"):
            return function(*args)
    context = idle.pop()
    try:
        return context.run(function, *args)
    finally:
        idle.append(context)
