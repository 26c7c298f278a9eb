"""Normalizations of each sample by itself: layer and group norm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minigen import functional as F
from minigen.errors import ShapeError, UserError
from minigen.nn import init
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.tensor import DEFAULT_DTYPE, Tensor


class LayerNorm(Module):
    """y = (x - μ)/√(σ² + eps)·weight + bias, μ and σ² over the last axes of each sample.

    Ba et al. 2016, arXiv 1607.06450.

    Args:
        normalized_shape: the sizes of those axes: an integer for the last one alone, or several.
        eps: added to the variance.
        elementwise_affine: whether there are weight and bias, of shape `normalized_shape`.
        bias: whether there is a bias beside the weight.

    Shapes: (*, *normalized_shape), output the same.

    >>> import minigen
    >>> minigen.nn.LayerNorm(2)(minigen.tensor([[1.0, 3.0], [10.0, 30.0]]))
    tensor([[-1.,  1.],
            [-1.,  1.]], grad_fn=<Add>)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = (normalized_shape,) if isinstance(normalized_shape, (int, np.integer)) else tuple(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        for name, there in (("weight", elementwise_affine), ("bias", elementwise_affine and bias)):
            self.register_parameter(name, Parameter(np.empty(shape, DEFAULT_DTYPE)) if there else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _reset(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        words = f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        return words + (", bias=False" if self.elementwise_affine and self.bias is None else "")


class GroupNorm(Module):
    """y = (x - μ)/√(σ² + eps)·weight + bias, μ and σ² over each sample's groups of channels.

    Wu & He 2018, arXiv 1803.08494.

    Args:
        num_groups: how many groups; a divisor of `num_channels`.
        num_channels: C.
        eps: added to the variance.
        affine: whether there are weight and bias, of shape (C,).

    Shapes: (N, C, *), output the same.

    Raises:
        UserError: channels that do not split into so many groups.

    >>> import minigen
    >>> minigen.nn.GroupNorm(2, 4)(minigen.tensor([[1.0, 3.0, 10.0, 30.0]]))
    tensor([[-1.,  1., -1.,  1.]], grad_fn=<Add>)
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__()
        if num_groups < 1 or num_channels % num_groups:
            raise UserError(f"GroupNorm: {num_channels} channels cannot be split into {num_groups} equal groups.")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        for name in ("weight", "bias"):
            self.register_parameter(name, Parameter(np.empty(num_channels, DEFAULT_DTYPE)) if affine else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0."""
        _reset(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            raise ShapeError(f"GroupNorm: needs an input (N, {self.num_channels}, ...), not shape {input.shape}.")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


def _reset(weight: Parameter | None, bias: Parameter | None) -> None:
    if weight is not None:
        init.ones_(weight)
    if bias is not None:
        init.zeros_(bias)
