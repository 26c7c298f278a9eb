"""Batch and instance normalization: those that can keep running statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import functional as F
from minigen.errors import ShapeError
from minigen.functional.normalization import batch_norm_then
from minigen.nn import init
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.random import Generator
from minigen.tensor import DEFAULT_DTYPE, Tensor


class _StatisticsNorm(Module):
    """Weight, bias and running statistics, one of each per channel."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None
    axes: tuple[int, ...]  # how many axes an input may have

    def __init__(
        self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        for name in ("weight", "bias"):
            self.register_parameter(name, Parameter(np.empty(num_features, DEFAULT_DTYPE)) if affine else None)
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, Tensor(np.empty(num_features, DEFAULT_DTYPE)) if track_running_stats else None)
        self.register_buffer("num_batches_tracked", Tensor(np.array(0, np.int64)) if track_running_stats else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0; running mean 0, running variance 1."""
        for tensor, value in (
            (self.weight, 1),
            (self.bias, 0),
            (self.running_mean, 0),
            (self.running_var, 1),
            (self.num_batches_tracked, 0),
        ):
            if tensor is not None:
                init.constant_(tensor, value)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )

    def _check(self, input: Any, channel_axis: int) -> None:
        name = type(self).__name__
        if input.ndim not in self.axes:
            raise ShapeError(
                f"{name}: the input has {input.ndim} axes (shape {input.shape}), and must have "
                f"{' or '.join(map(str, self.axes))}."
            )
        if input.shape[channel_axis] != self.num_features:
            raise ShapeError(
                f"{name}: the input of shape {input.shape} has {input.shape[channel_axis]} channels, and "
                f"num_features={self.num_features}."
            )


class _BatchNorm(_StatisticsNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, input: Tensor) -> Tensor:
        return self.forward_then(input, 1.0, 0.0, None)

    def forward_then(self, input: Tensor, negative_slope: float, p: float, generator: Generator | None) -> Tensor:
        """This layer, then a leaky ReLU (slope 1: none), then dropout (p = 0: none), in one pass where possible."""
        self._check(input, 1)
        tracked = self.num_batches_tracked if self.training else None
        momentum = self.momentum
        if momentum is None:
            momentum = 0.0 if tracked is None else 1 / (int(tracked) + 1)
        batch_statistics = self.training or self.running_mean is None
        output = batch_norm_then(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            batch_statistics,
            momentum,
            self.eps,
            negative_slope,
            p,
            generator,
        )
        if tracked is not None:
            tracked.add_(1)
        return output


class BatchNorm1d(_BatchNorm):
    """y = (x - μ)/√(σ² + eps)·weight + bias, μ and σ² for each channel (Ioffe & Szegedy 2015, arXiv 1502.03167).

    In training they are the batch's, and the running statistics move towards them:
    running ← (1 - momentum)·running + momentum·batch (variance divided by n - 1). In `eval` they are the running ones.

    Args:
        num_features: C.
        eps: added to the variance. Mind the order: ``BatchNorm1d(64, 0.8)`` sets eps to 0.8, not the momentum.
        momentum: how fast the running statistics move; None for the plain mean over all batches.
        affine: whether there are weight and bias, of shape (C,).
        track_running_stats: whether there are running statistics; if not, those of the batch are used in `eval` too.

    Shapes: (N, C) or (N, C, L), output the same.

    >>> import minigen
    >>> norm = minigen.nn.BatchNorm1d(2, eps=0.0)
    >>> norm(minigen.tensor([[1.0, 5.0], [3.0, 9.0]])).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    >>> norm.running_mean  # a tenth of the way from 0 to the batch's means, 2 and 7
    tensor([0.2, 0.7])
    """

    axes = (2, 3)


class BatchNorm2d(_BatchNorm):
    """`BatchNorm1d` for images.

    Args:
        num_features: C.
        eps: added to the variance. Mind the order: ``BatchNorm2d(64, 0.8)`` sets eps to 0.8, not the momentum.
        momentum, affine, track_running_stats: as for `BatchNorm1d`.

    Shapes: (N, C, H, W), output the same.

    >>> import minigen
    >>> minigen.nn.BatchNorm2d(3)
    BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
    """

    axes = (4,)


class InstanceNorm2d(_StatisticsNorm):
    """y = (x - μ)/√(σ² + eps)·weight + bias, μ and σ² for each channel of each image.

    Ulyanov et al. 2016, arXiv 1607.08022.

    Args:
        num_features, eps, momentum: as for `BatchNorm2d`.
        affine: whether there are weight and bias, of shape (C,); False unless given.
        track_running_stats: keep running statistics and use them in `eval`; False unless given.

    Shapes: (N, C, H, W) or (C, H, W), output the same.

    >>> import minigen
    >>> x = minigen.rand(2, 3, 8, 8, generator=minigen.Generator(0))
    >>> bool(minigen.nn.InstanceNorm2d(3)(x).mean((2, 3)).abs().max() < 1e-5)
    True
    """

    axes = (3, 4)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)
        self.momentum: float = momentum

    def forward(self, input: Tensor) -> Tensor:
        self._check(input, -3)
        batch = F.unsqueeze(input, 0) if input.ndim == 3 else input
        own_statistics = self.training or self.running_mean is None
        output = F.instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            own_statistics,
            self.momentum,
            self.eps,
        )
        return F.reshape(output, input.shape)
