"""The chains of small operations that both sides compute: their tensors have the same operators and methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Link(NamedTuple):
    """What a chain does again and again."""

    operations: int
    next: Callable[[Any, Any], Any]  # of y and w, as many numbers as y


LINKS = {
    "y·w": Link(1, lambda y, w: y * w),
    "tanh(y·w + 0.1) - y/2": Link(5, lambda y, w: (y * w + 0.1).tanh() - y / 2),
    "relu(y·w + w)": Link(3, lambda y, w: (y * w + w).relu()),
    "w·Σ y/4": Link(3, lambda y, w: w * (y / 4).sum()),
    "y as a 2×2 matrix, transposed, as a vector": Link(3, lambda y, w: y.reshape(2, 2).transpose(0, 1).reshape(4)),
}


def chain_of(w: Any, link: str, length: int, backward: bool) -> Callable[[], Any]:
    """y ← a link of y and w, so many times, from y = w on; with the gradient of the sum where backward is wanted."""
    step = LINKS[link].next

    def run() -> Any:
        y = w
        for _ in range(length):
            y = step(y, w)
        if backward:
            w.grad = None
            y.sum().backward()
        return y

    return run
