"""Seven operations for exercise 02.4, five of them with a bug in `backward`. Do not read on before you have found them.

Each is a function of the tensors that `example` gives for its letter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import functional as F
from minigen.autograd import Function
from minigen.random import Generator
from minigen.tensor import Tensor

KINDS = ("right", "sign", "factor", "only for ones", "broadcasting", "second order")


class _A(Function):
    """y = ln cosh x."""

    def forward(self, x: Any) -> Any:
        self.save_for_backward(x)
        return np.logaddexp(x, -x) - np.log(2)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        return g * F.tanh(x)


class _B(Function):
    """y = mean of x² over the last axis."""

    def forward(self, x: Any) -> Any:
        self.save_for_backward(x)
        return (x * x).mean(axis=-1)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        return 2 * x * F.unsqueeze(g, -1)


class _C(Function):
    """y = x - ln Σ eˣ over the last axis."""

    def forward(self, x: Any) -> Any:
        y = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
        self.save_for_backward(y)
        return y

    def backward(self, g: Tensor) -> Tensor:
        (y,) = self.saved_tensors
        return g * (1 - y.shape[-1] * F.exp(y))


class _D(Function):
    """y = x·w, x (n, m), w (m,) or (n, m)."""

    def forward(self, x: Any, w: Any) -> Any:
        self.save_for_backward(x, w)
        return x * w

    def backward(self, g: Tensor) -> tuple[Tensor, Tensor]:
        x, w = self.saved_tensors
        product = g * x
        return g * w, product if w.ndim == x.ndim else F.mean(product, 0)


class _E(Function):
    """y = x·arctan x."""

    def forward(self, x: Any) -> Any:
        self.save_for_backward(x)
        return x * np.arctan(x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        slope = np.arctan(x.data) + x.data / (1 + x.data**2)
        return g * Tensor(slope)


class _F(Function):
    """y = x·σ(x)."""

    def forward(self, x: Any) -> Any:
        self.save_for_backward(x)
        return x / (1 + np.exp(-x))

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        s = F.sigmoid(x)
        return g * s * (1 + x * (1 - s))


class _G(Function):
    """y = 1/(1 + x²)."""

    def forward(self, x: Any) -> Any:
        self.save_for_backward(x)
        return 1 / (1 + x * x)

    def backward(self, g: Tensor) -> Tensor:
        (x,) = self.saved_tensors
        return 2 * g * x / F.square(1 + x * x)


OPERATIONS = {c.__name__[1:]: c.apply for c in (_A, _B, _C, _D, _E, _F, _G)}
SHAPES = {"D": ((3, 4), (4,))}
TRUTH = {"A": 0, "B": 2, "C": 3, "D": 4, "E": 5, "F": 0, "G": 1}  # places in KINDS


def example(letter: str) -> list[Tensor]:
    """Inputs for an operation: float64 leaves that require a gradient."""
    generator = Generator(ord(letter))
    shapes = SHAPES.get(letter, ((2, 3),))
    return [Tensor(generator.normal(shape, dtype=np.float64), requires_grad=True) for shape in shapes]
