"""Layers that only give their input another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minigen import functional as F
from minigen.errors import ShapeError
from minigen.nn.module import Module
from minigen.tensor import Tensor


class Flatten(Module):
    """The axes from `start_dim` to `end_dim`, both included, become one.

    >>> import minigen
    >>> minigen.nn.Flatten()(minigen.ones(2, 3, 4, 4)).shape
    (2, 48)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """The axis `dim` becomes several, of the sizes `unflattened_size`, one of which may be -1 for what is left.

    >>> import minigen
    >>> minigen.nn.Unflatten(1, (3, 4, 4))(minigen.ones(2, 48)).shape
    (2, 3, 4, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        if not -input.ndim <= self.dim < input.ndim:
            raise ShapeError(f"Unflatten: dim={self.dim} is not an axis of an input of shape {input.shape}.")
        axis = self.dim % input.ndim
        length, sizes = input.shape[axis], self.unflattened_size
        known = math.prod(n for n in sizes if n != -1)
        if sizes.count(-1) == 1 and known and length % known == 0:
            sizes = tuple(length // known if n == -1 else n for n in sizes)
        if math.prod(sizes) != length or min(sizes, default=0) < 0:
            raise ShapeError(
                f"Unflatten: axis {axis} of an input of shape {input.shape} has size {length}, which does not split "
                f"into {self.unflattened_size}."
            )
        return F.reshape(input, (*input.shape[:axis], *sizes, *input.shape[axis + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
