"""Layers that drop a random part of their input in training."""

from __future__ import annotations

from minigen import functional as F
from minigen.errors import UserError
from minigen.nn.module import Module
from minigen.random import Generator
from minigen.tensor import Tensor


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False, generator: Generator | None = None) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise UserError(f"{type(self).__name__}: p={p} must be a probability, from 0 to 1.")
        self.p, self.inplace, self.generator = p, inplace, generator

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, each element is 0 with probability p, and otherwise divided by 1 - p (Srivastava et al. 2014).

    Args:
        p: probability of dropping an element.
        inplace: taken as PyTorch takes it; the result is a new tensor all the same.
        generator: where the masks come from; the default generator unless given.

    Shapes: any, output the same.

    >>> import minigen
    >>> layer = minigen.nn.Dropout(0.5, generator=minigen.Generator(0))
    >>> sorted(set(layer(minigen.ones(100)).tolist())), set(layer.eval()(minigen.ones(100)).tolist())
    ([0.0, 2.0], {1.0})
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.generator)


class Dropout2d(_Dropout):
    """In training, each channel of each image is 0 with probability p, and otherwise divided by 1 - p.

    Tompson et al. 2015, arXiv 1411.4280.

    Args:
        p, inplace, generator: as for `Dropout`.

    Shapes: (N, C, H, W) or (C, H, W), output the same.

    >>> import minigen
    >>> layer = minigen.nn.Dropout2d(0.5, generator=minigen.Generator(0))
    >>> layer(minigen.ones(2, 3, 4, 4)).mean((2, 3)).tolist()
    [[2.0, 0.0, 2.0], [0.0, 0.0, 0.0]]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.generator)
