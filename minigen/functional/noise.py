"""Operations that draw random numbers, from an explicit generator.

A mask takes one number from the generator, the key of a stream of its own, and which word of that stream decides over
an element depends on the element's place alone (`minigen.functional.fused.in_order`, `minigen_kernels.philox`).
"""

from __future__ import annotations

import math
from typing import Any

from minigen_kernels import philox

from minigen.errors import ShapeError, UserError
from minigen.functional import fused
from minigen.functional._operands import floating
from minigen.functional.activation import leaky_relu, relu
from minigen.functional.arithmetic import where
from minigen.random import Generator, pick
from minigen.tensor import Tensor


def dropout(input: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Each element is 0 with probability p, and otherwise divided by 1 - p (Srivastava et al. 2014, JMLR 15).

    Args:
        input: any shape.
        p: probability of dropping an element.
        training: when False, the input is returned as it is.
        generator: where the mask comes from; the default generator unless given.

    >>> import minigen
    >>> y = minigen.functional.dropout(minigen.ones(10_000), p=0.2, generator=minigen.Generator(0))
    >>> sorted(set(y.tolist())), round((y == 0).float().mean().item(), 2)
    ([0.0, 1.25], 0.2)
    """
    x = floating(input)
    _check_probability("dropout", p)
    if not training or p == 0:
        return x
    key = x.device.key(pick(generator))
    if fused.applies(x):
        return fused.ActivateAndDrop.apply(x, slope=1.0, p=float(p), key=key)
    return _drop(x, x.shape, p, key)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Each channel of each image is 0 with probability p, else divided by 1 - p (Tompson et al. 2015, arXiv 1411.4280).

    Args:
        input: (N, C, H, W) or (C, H, W).
        p, training, generator: as for `dropout`.

    Raises:
        ShapeError: another number of axes.

    >>> import minigen
    >>> y = minigen.functional.dropout2d(minigen.ones(2, 3, 4, 4), generator=minigen.Generator(0))
    >>> y.mean((2, 3)).tolist()
    [[2.0, 0.0, 2.0], [0.0, 0.0, 0.0]]
    """
    x = floating(input)
    if x.ndim not in (3, 4):
        raise ShapeError(f"dropout2d: needs images (N, C, H, W) or (C, H, W), not shape {x.shape}.")
    _check_probability("dropout2d", p)
    if not training or p == 0:
        return x
    return _drop(x, (*x.shape[:-2], 1, 1), p, x.device.key(pick(generator)))


def activate_and_drop(input: Any, negative_slope: float, p: float, generator: Generator | None = None) -> Tensor:
    """A leaky ReLU, then dropout, in one pass where the device can (see `minigen.functional.fused`).

    Args:
        input: any shape.
        negative_slope: at least 0; 0 for a ReLU, 1 for no activation.
        p, generator: as for `dropout`; 0 for none.
    """
    x = floating(input)
    if p > 0 and fused.applies(x):
        return fused.ActivateAndDrop.apply(x, slope=negative_slope, p=p, key=x.device.key(pick(generator)))
    if negative_slope != 1:
        x = relu(x) if negative_slope == 0 else leaky_relu(x, negative_slope)
    return dropout(x, p, True, generator)


def _drop(x: Tensor, mask_shape: tuple[int, ...], p: float, key: Any) -> Tensor:
    """0 where the mask of that shape, broadcast, drops, and x/(1 - p) where it keeps."""
    count, xp = math.prod(mask_shape), x.device.xp
    bits = x.device.kernels.philox.random_bits(key, count, xp)
    counted = fused.in_order(xp.empty(mask_shape, bool)).shape
    kept = fused.as_shaped((bits >= philox.dropout_threshold(p)).reshape(counted))
    return where(kept, x * (1 / (1 - p) if p < 1 else 0.0), 0.0)


def _check_probability(name: str, p: Any) -> None:
    if not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise UserError(f"{name}: p={p!r} must be a probability, from 0 to 1.")
