"""Normalizations: subtract a mean, divide by a standard deviation, over one set of axes or another.

    batch norm      over N, H, W   one statistic for each channel
    layer norm      over the last axes   one for each sample
    instance norm   over H, W   one for each sample and channel
    group norm      over H, W and the channels of a group

All are the same composition of mean, square and root, so every derivative follows from theirs: gradients of any order
flow through the statistics. Batch norm in training has kernels beside it, which do it in few passes over memory, alone
or with the activation and the dropout behind it (`fused`); there too, a gradient that is to be differentiated is
computed from the input, not from statistics that were kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigen.errors import ShapeError, UserError
from minigen.functional import fused
from minigen.functional._operands import floating, tensor
from minigen.functional.arithmetic import rsqrt, square
from minigen.functional.noise import activate_and_drop
from minigen.functional.reduction import mean
from minigen.functional.shape import reshape
from minigen.random import Generator, pick
from minigen.tensor import Tensor


def batch_norm(
    input: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - μ)/√(σ² + eps)·weight + bias, μ and σ² for each channel (Ioffe & Szegedy 2015, arXiv 1502.03167).

    Training takes μ and σ² (divided by n) from the batch, and moves the running statistics towards them, in place:
    running ← (1 - momentum)·running + momentum·batch, where the variance is divided by n - 1. Otherwise μ and σ² are
    the running statistics, or the batch's when there are none.

    Args:
        input: (N, C) or (N, C, *).
        running_mean, running_var: (C,), or None.
        weight, bias: (C,), or None.
        training: take the statistics from the batch, and move the running ones.
        momentum: the share of the batch in the running statistics.
        eps: keeps the divisor from 0.

    >>> import minigen
    >>> x = minigen.tensor([[1.0, 10.0], [3.0, 30.0]])
    >>> mean, var = minigen.zeros(2), minigen.ones(2)
    >>> minigen.functional.batch_norm(x, mean, var, training=True)
    tensor([[-1., -1.],
            [ 1.,  1.]])
    >>> mean
    tensor([0.2, 2. ])
    """
    return batch_norm_then(input, running_mean, running_var, weight, bias, training, momentum, eps)


def batch_norm_then(
    input: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any,
    bias: Any,
    training: bool,
    momentum: float,
    eps: float,
    negative_slope: float = 1.0,
    p: float = 0.0,
    generator: Generator | None = None,
) -> Tensor:
    """`batch_norm`, then a leaky ReLU and dropout, in one pass where the device can (see `minigen.functional.fused`).

    Args:
        input, running_mean, running_var, weight, bias, training, momentum, eps: as for `batch_norm`.
        negative_slope: at least 0; 0 for a ReLU, 1 for no activation.
        p, generator: as for `dropout`; 0 for none.
    """
    x = floating(input)
    if x.ndim < 2:
        raise ShapeError(f"batch_norm: needs an input (N, C, ...), not shape {x.shape}.")
    channels = (1, x.shape[1]) + (1,) * (x.ndim - 2)
    _check_channels("batch_norm", x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if training or running_mean is None or running_var is None:
        n = x.numel() // max(x.shape[1], 1)
        if training and n < 2:
            raise UserError(
                f"batch_norm: training needs more than one value per channel, but the input has shape {x.shape}; use a "
                "larger batch, or .eval()."
            )
        moved = (running_mean, running_var) if training and running_mean is not None and running_var is not None else ()
        w, b = (t if t is None else tensor(t) for t in (weight, bias))
        if n > 0 and x.ndim in (2, 4) and fused.applies(x) and all(t is None or t.dtype == x.dtype for t in (w, b)):
            mu, variance = fused.moments(x)
            _move(moved, mu, variance, n, momentum)
            key = x.device.key(pick(generator)) if p > 0 else 0
            return fused.BatchNorm.apply(x, w, b, mu, variance, eps=eps, slope=negative_slope, p=p, key=key)
        dims = (0, *range(2, x.ndim))
        mu = mean(x, dims, keepdim=True)
        centred = x - mu
        variance = mean(square(centred), dims, keepdim=True)
        _move(moved, mu.data.reshape(-1), variance.data.reshape(-1), n, momentum)
    else:
        centred = x - reshape(running_mean, channels)
        variance = reshape(running_var, channels)
    return activate_and_drop(
        _scale(centred * rsqrt(variance + eps), weight, bias, channels), negative_slope, p, generator
    )


def layer_norm(
    input: Any, normalized_shape: int | Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """y = (x - μ)/√(σ² + eps)·weight + bias, μ and σ² over the last axes, of sizes `normalized_shape`.

    Ba et al. 2016, arXiv 1607.06450.

    Args:
        input: (*, *normalized_shape).
        weight, bias: of shape `normalized_shape`, or None.
        eps: keeps the divisor from 0.

    Raises:
        ShapeError: last axes, weight or bias that are not `normalized_shape`.

    >>> import minigen
    >>> minigen.functional.layer_norm(minigen.tensor([[1.0, 3.0], [10.0, 30.0]]), 2)
    tensor([[-1.,  1.],
            [-1.,  1.]])
    """
    x = floating(input)
    shape = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ShapeError(f"layer_norm: the last axes of the input {x.shape} must be normalized_shape {shape}.")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and tensor(t).shape != shape:
            raise ShapeError(f"layer_norm: {name} has shape {tensor(t).shape}, not normalized_shape {shape}.")
    return _scale(_standardized(x, tuple(range(-len(shape), 0)), eps), weight, bias, shape)


def instance_norm(
    input: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """y = (x - μ)/√(σ² + eps)·weight + bias, μ and σ² for each sample and channel.

    Ulyanov et al. 2016, arXiv 1607.08022.

    With running statistics, these are moved towards the mean over the batch; without `use_input_stats` they are used.

    Args:
        input: (N, C, *) with at least one more axis.
        running_mean, running_var, weight, bias: (C,), or None.
        use_input_stats: normalize by the statistics of the input; False by the running ones.
        momentum, eps: as for `batch_norm`.

    Raises:
        ShapeError: fewer than three axes.
        UserError: one value a channel, or running statistics that are asked for and missing.

    >>> import minigen
    >>> x = minigen.tensor([[[1.0, 3.0], [10.0, 30.0]]])
    >>> minigen.functional.instance_norm(x)
    tensor([[[-1.,  1.],
             [-1.,  1.]]])
    """
    x = floating(input)
    if x.ndim < 3:
        raise ShapeError(f"instance_norm: needs an input (N, C, ...) with at least three axes, not shape {x.shape}.")
    channels = (1, x.shape[1]) + (1,) * (x.ndim - 2)
    _check_channels("instance_norm", x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise UserError("instance_norm: use_input_stats=False needs running_mean and running_var.")
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    n = x.numel() // max(x.shape[0] * x.shape[1], 1)
    if n < 2:
        raise UserError(f"instance_norm: needs more than one value per channel, but the input has shape {x.shape}.")
    dims = tuple(range(2, x.ndim))
    if running_mean is not None and running_var is not None:
        batch = x.data.mean(axis=dims).mean(axis=0), x.data.var(axis=dims).mean(axis=0)
        _move((running_mean, running_var), *batch, n, momentum)
    return _scale(_standardized(x, dims, eps), weight, bias, channels)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """y = (x - μ)/√(σ² + eps)·weight + bias, μ and σ² for each sample and group of channels.

    Wu & He 2018, arXiv 1803.08494.

    Args:
        input: (N, C, *).
        num_groups: a divisor of C.
        weight, bias: (C,), or None.
        eps: keeps the divisor from 0.

    Raises:
        ShapeError: channels that cannot be split into so many groups.

    >>> import minigen
    >>> x = minigen.tensor([[1.0, 3.0, 10.0, 30.0]])
    >>> minigen.functional.group_norm(x, 2)
    tensor([[-1.,  1., -1.,  1.]])
    """
    x = floating(input)
    if not isinstance(num_groups, (int, np.integer)) or x.ndim < 2 or num_groups < 1 or x.shape[1] % num_groups:
        raise ShapeError(f"group_norm: the channels of the input {x.shape} cannot be split into {num_groups!r} groups.")
    _check_channels("group_norm", x, weight=weight, bias=bias)
    grouped = reshape(x, (x.shape[0], num_groups, x.numel() // max(x.shape[0] * num_groups, 1)))
    y = reshape(_standardized(grouped, (2,), eps), x.shape)
    return _scale(y, weight, bias, (1, x.shape[1]) + (1,) * (x.ndim - 2))


def _check_channels(name: str, x: Tensor, **given: Any) -> None:
    """Every tensor that is given has one element for each channel of x (N, C, *)."""
    for what, t in given.items():
        if t is not None and tensor(t).shape != (x.shape[1],):
            raise ShapeError(
                f"{name}: {what} has shape {tensor(t).shape}, but the input {x.shape} has {x.shape[1]} channels."
            )


def _standardized(x: Tensor, dims: tuple[int, ...], eps: float) -> Tensor:
    """(x - μ)/√(σ² + eps) over the axes."""
    centred = x - mean(x, dims, keepdim=True)
    return centred * rsqrt(mean(square(centred), dims, keepdim=True) + eps)


def _scale(y: Tensor, weight: Any, bias: Any, shape: tuple[int, ...]) -> Tensor:
    """y·weight + bias, both in a shape that broadcasts; either may be None."""
    if weight is not None:
        y = y * reshape(weight, shape)
    return y if bias is None else y + reshape(bias, shape)


def _move(running: tuple[Tensor, ...], mean: Any, variance: Any, n: int, momentum: float) -> None:
    """running ← (1 - momentum)·running + momentum·batch, in place: mean and variance, which here is divided by n - 1."""
    for statistic, batch in zip(running, (mean, variance * (n / max(n - 1, 1)))):
        if not isinstance(statistic, Tensor):
            raise UserError(
                f"Running statistics are updated in place, so they must be tensors, not {type(statistic).__name__}."
            )
        statistic.copy_(Tensor._wrap((1 - momentum) * statistic.data + momentum * batch, statistic.device))
