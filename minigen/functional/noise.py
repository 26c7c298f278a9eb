"""Operations that draw random numbers, from an explicit generator."""

from __future__ import annotations

from typing import Any

from minigen.errors import ShapeError, UserError
from minigen.functional._operands import floating
from minigen.functional.arithmetic import where
from minigen.random import Generator, pick
from minigen.tensor import Tensor


def dropout(input: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Each element is 0 with probability p, and otherwise divided by 1 - p (Srivastava et al. 2014).

    Args:
        input: any shape.
        p: probability of dropping an element.
        training: when False, the input is returned as it is.
        generator: where the mask comes from; the default generator unless given.
    """
    x = floating(input)
    return _drop(x, x.shape, p, training, generator, "dropout")


def dropout2d(input: Any, p: float = 0.5, training: bool = True, generator: Generator | None = None) -> Tensor:
    """Each channel of each image is 0 with probability p, and otherwise divided by 1 - p (Tompson et al. 2015).

    Args:
        input: (N, C, H, W) or (C, H, W).
        p, training, generator: as for `dropout`.
    """
    x = floating(input)
    if x.ndim not in (3, 4):
        raise ShapeError(f"dropout2d: needs images (N, C, H, W) or (C, H, W), not shape {x.shape}.")
    return _drop(x, (*x.shape[:-2], 1, 1), p, training, generator, "dropout2d")


def _drop(
    x: Tensor, mask_shape: tuple[int, ...], p: float, training: bool, generator: Generator | None, name: str
) -> Tensor:
    if not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise UserError(f"{name}: p={p!r} must be a probability, from 0 to 1.")
    if not training or p == 0:
        return x
    kept = pick(generator).uniform(mask_shape) >= p
    return where(kept, x * (1 / (1 - p) if p < 1 else 0.0), 0.0)
