"""The chain of small operations that both sides compute: their tensors have the same operators and methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def chain_of(w: Any, length: int, backward: bool) -> Callable[[], Any]:
    """y ← y·w, so many times, from y = w on; with the gradient of the sum where backward is wanted."""

    def run() -> Any:
        y = w
        for _ in range(length):
            y = y * w
        if backward:
            w.grad = None
            y.sum().backward()
        return y

    return run
