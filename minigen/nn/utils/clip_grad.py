"""Keeping gradients from growing too large. Both change the gradients in place, between `backward` and the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from minigen.autograd.modes import no_grad
from minigen.device import device_of
from minigen.errors import TrainingError, UserError
from minigen.tensor import Tensor


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Scale all gradients together so that their norm is at most `max_norm` (Pascanu et al. 2013, arXiv 1211.5063).

    The norm is that of all gradients as one long vector; each is multiplied by min(1, max_norm/(norm + 10⁻⁶)).

    Args:
        parameters: a tensor or several; those without a gradient are passed over.
        max_norm: the largest norm allowed.
        norm_type: p of the p-norm, ≥ 1; infinity for the largest absolute value.
        error_if_nonfinite: raise when the norm is NaN or infinite. Otherwise, as in PyTorch, a norm of NaN makes all
            gradients NaN, and an infinite one makes them 0, and NaN where they were infinite.

    Returns:
        The norm before clipping, a tensor without axes.

    Raises:
        TrainingError: a norm that is not finite, when `error_if_nonfinite`.
        UserError: a negative max_norm, or a norm_type below 1.

    >>> import minigen
    >>> w = minigen.zeros(2, requires_grad=True)
    >>> (w * minigen.tensor([3.0, 4.0])).sum().backward()
    >>> minigen.nn.utils.clip_grad_norm_([w], max_norm=1.0).item(), w.grad
    (5.0, tensor([0.6, 0.8]))
    """
    gradients = _gradients(parameters)
    if not max_norm >= 0 or not norm_type >= 1:
        raise UserError(f"clip_grad_norm_: needs max_norm ≥ 0 and norm_type ≥ 1, not {max_norm} and {norm_type}.")
    if not gradients:
        return Tensor(0.0)
    device = gradients[0].device
    with np.errstate(invalid="ignore"):
        total = _norm(device.concatenate([_norm(g.data, norm_type).reshape(1) for g in gradients], 0), norm_type)
        if error_if_nonfinite and not math.isfinite(float(total)):  # a GPU is waited for
            raise TrainingError(
                f"clip_grad_norm_: the norm of the gradients is {total}; lower the learning rate, or find the first "
                "operation that made it with `minigen.detect_anomaly()`."
            )
        scale = device.xp.minimum(max_norm / (total + 1e-6), 1.0)
        with no_grad():
            for gradient in gradients:
                gradient.mul_(Tensor(scale, dtype=gradient.dtype))
    return Tensor(total, dtype=gradients[0].dtype)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Bring every element of every gradient into [-clip_value, clip_value]; NaN stays.

    Args:
        parameters: a tensor or several, of any shape; those without a gradient are passed over.
        clip_value: at least 0.

    Raises:
        UserError: a negative clip_value.

    >>> import minigen
    >>> w = minigen.zeros(2, requires_grad=True)
    >>> (w * minigen.tensor([3.0, -0.5])).sum().backward()
    >>> minigen.nn.utils.clip_grad_value_([w], 1.0)
    >>> w.grad
    tensor([ 1. , -0.5])
    """
    if not clip_value >= 0:
        raise UserError(f"clip_grad_value_: clip_value={clip_value} must be at least 0.")
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-clip_value, clip_value)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in tensors if p.grad is not None]


def _norm(array: Any, p: float) -> Any:
    """The p-norm as a float64 array without axes, of elements scaled to at most 1, so that their powers do not overflow."""
    xp = device_of(array).xp
    if array.size == 0:
        return xp.zeros((), "float64")
    size = xp.abs(array).reshape(-1)
    largest = size.max()
    if math.isinf(p):
        return largest.astype("float64")
    scale = xp.where(xp.isfinite(largest) & (largest > 0), largest, xp.ones((), size.dtype))
    return scale.astype("float64") * xp.linalg.norm(size / scale, p)
