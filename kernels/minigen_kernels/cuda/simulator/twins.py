"""Which Python function stands in for which GPU instruction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TWINS: dict[Any, Callable[..., Any]] = {}


def twin_of(instruction: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator for the twin of an intrinsic: the simulator calls it where the compiler would put the instruction.

    A twin takes the same arguments and returns the same. If all lanes of a warp take part, it is a generator (see
    `threads.exchange`); the simulator then lets the threads wait for each other.
    """

    def register(twin: Callable[..., Any]) -> Callable[..., Any]:
        TWINS[instruction] = twin
        return twin

    return register
