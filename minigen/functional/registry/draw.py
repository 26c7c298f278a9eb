"""Draw: where a recipe gets its shapes, options and numbers from.

Everything is drawn through one function, integer(low, high). A seeded generator can be that function (`from_generator`,
for the command line), and so can Hypothesis (in the tests), which then makes a failing example small by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from minigen.random import Generator

T = TypeVar("T")
Shape = tuple[int, ...]


class Draw:
    """Random choices for one example.

    Args:
        integer: integer(low, high) gives an integer from `low` to `high`, both included.
    """

    def __init__(self, integer: Callable[[int, int], int]) -> None:
        self.integer = integer

    def choice(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.integer(0, len(options) - 1)]

    def boolean(self) -> bool:
        """True or false."""
        return bool(self.integer(0, 1))

    def pair(self, low: int, high: int) -> Any:
        """An integer, or two: what strides, dilations and kernels may be."""
        return self.integer(low, high) if self.boolean() else (self.integer(low, high), self.integer(low, high))

    def shape(self, least: int = 0, most: int = 3, side: int = 3, empty: bool = True) -> Shape:
        """From `least` to `most` axes, each of size 1 to `side`; one time in eight an axis is empty."""
        sizes = [self.integer(1, side) for _ in range(self.integer(least, most))]
        if empty and sizes and self.integer(0, 7) == 7:
            sizes[self.integer(0, len(sizes) - 1)] = 0
        return tuple(sizes)

    def broadcastable(self, count: int) -> list[Shape]:
        """Shapes that broadcast to one: some axes have size 1, some leading axes are missing."""
        full = self.shape()
        shapes = []
        for _ in range(count):
            start = self.integer(0, len(full)) if self.boolean() else 0
            shapes.append(tuple([1 if self.integer(0, 3) == 3 else n for n in full[start:]]))
        return shapes

    def axis(self, ndim: int) -> int:
        """An axis, counted from the front or the back."""
        return self.integer(-ndim, ndim - 1)

    def axes(self, ndim: int) -> Any:
        """What `dim` may be: None, one axis, or several in any order."""
        kind = self.integer(0, 2)
        if kind == 0:
            return None
        if kind == 1:
            return self.axis(ndim)
        some = [d for d in self.permutation(ndim) if self.boolean()] or [0]
        return tuple([d - ndim if self.boolean() else d for d in some])

    def permutation(self, n: int) -> list[int]:
        """0, …, n - 1 in any order."""
        return [int(i) for i in self.generator().permutation(n)]

    def generator(self) -> Generator:
        """A generator for many numbers at once, its seed drawn here."""
        return Generator(self.integer(0, 2**31 - 1))

    def normal(self, shape: Shape) -> np.ndarray:
        """Gaussian numbers, or small integers: zeros, ones and ties are nothing special to a smooth operation."""
        generator = self.generator()
        if self.integer(0, 3) == 3:
            return generator.integers(-2, 3, shape).astype(np.float64)
        return generator.normal(shape, dtype=np.float64)

    def uniform(self, shape: Shape, low: float, high: float) -> np.ndarray:
        """Numbers from `low` to `high`, float64 of that shape."""
        return self.generator().uniform(shape, low, high, np.float64)

    def positive(self, shape: Shape) -> np.ndarray:
        """Numbers well above 0."""
        return self.uniform(shape, 0.4, 2.0)

    def distinct(self, shape: Shape) -> np.ndarray:
        """Positive and negative numbers at least 0.1 apart and 0.1 from 0: no ties, no kink at 0."""
        n, generator = int(np.prod(shape)), self.generator()
        places = generator.permutation(n) - (n - 1) // 2 - 0.5
        return (0.3 * (places + generator.uniform((n,), -0.3, 0.3, np.float64))).reshape(shape)

    def positions(self, shape: Shape, size: int, negative: bool = True) -> np.ndarray:
        """Positions of that shape in an axis of `size`, repeated and, with `negative`, counted from the end too."""
        return self.generator().integers(-size if negative else 0, size, shape)

    def mask(self, shape: Shape) -> np.ndarray:
        """Booleans."""
        return self.generator().integers(0, 2, shape).astype(bool)


def from_generator(generator: Generator) -> Draw:
    """A source of examples from a seeded generator.

    >>> draw = from_generator(Generator(0))
    >>> draw.uniform((2, 3), 0.0, 1.0).shape
    (2, 3)
    """
    return Draw(lambda low, high: int(generator.integers(low, high + 1, ())))
