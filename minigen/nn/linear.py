"""The fully connected layer, and the one that does nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen import functional as F
from minigen.errors import UserError
from minigen.nn import init
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.tensor import DEFAULT_DTYPE, Tensor


class Identity(Module):
    """Returns what it is given. Any arguments are ignored, so that it can stand in for another layer.

    >>> import minigen
    >>> minigen.nn.Identity(54, unused=True)(minigen.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        return input


class Linear(Module):
    """y = xWᵀ + b.

    Args:
        in_features, out_features: sizes of the last axis of input and output.
        bias: whether there is a b.

    Shapes: input (*, in_features), output (*, out_features), weight (out_features, in_features), bias (out_features,).
    Both start uniform on ±1/√in_features, as in PyTorch.

    Raises:
        UserError: a negative size.

    >>> import minigen
    >>> minigen.nn.Linear(3, 2)(minigen.ones(5, 3)).shape
    (5, 2)
    """

    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        if min(in_features, out_features) < 0:
            raise UserError(f"Linear: the sizes {in_features} and {out_features} must not be negative.")
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(np.empty((out_features, in_features), DEFAULT_DTYPE))
        self.register_parameter("bias", Parameter(np.empty(out_features, DEFAULT_DTYPE)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the starting values anew."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))  # this gain makes the bound 1/√fan_in
        if self.bias is not None:
            bound = 1 / math.sqrt(max(self.in_features, 1))
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"
