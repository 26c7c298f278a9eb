"""Losses with PyTorch's names: compare a prediction with a target. `reduction` is ``'mean'``, ``'sum'`` or ``'none'``."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.autograd import modes
from minigen.autograd.function import Function
from minigen.errors import ShapeError, UserError
from minigen.functional import fused
from minigen.functional._operands import floating, may_look, tensor
from minigen.functional.activation import log_softmax
from minigen.functional.arithmetic import abs, clip, exp, log, sigmoid, softplus, square, where
from minigen.functional.indexing import _positions, gather
from minigen.functional.reduction import mean, sum
from minigen.functional.shape import reshape
from minigen.tensor import Tensor


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """(input - target)², of equal shapes.

    Args:
        input, target: any shape, the same for both.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``, over all elements. The first two need both tensors unchanged
            until the gradient has been computed.

    >>> import minigen
    >>> minigen.functional.mse_loss(minigen.tensor([1.0, 2.0]), minigen.tensor([1.0, 4.0])).item()
    2.0
    """
    x, y = _same("mse_loss", input, target)
    if reduction not in ("mean", "sum") or x.dtype != y.dtype:
        return _reduce(square(x - y), reduction, "mse_loss")
    total = SquaredError.apply(x, y)
    return total if reduction == "sum" else total / x.data.size


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """|input - target|, of equal shapes.

    Args:
        input, target, reduction: as for `mse_loss`.

    >>> import minigen
    >>> minigen.functional.l1_loss(minigen.tensor([1.0, 2.0]), minigen.tensor([1.0, 4.0]), reduction="none")
    tensor([0., 2.])
    """
    x, y = _same("l1_loss", input, target)
    return _reduce(abs(x - y), reduction, "l1_loss")


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """½d² where |d| ≤ δ, else δ(|d| - ½δ), with d = input - target (Huber 1964).

    Args:
        input, target, reduction: as for `mse_loss`.
        delta: δ, where the square turns into a line.

    Raises:
        UserError: a delta that is not positive.

    >>> import minigen
    >>> minigen.functional.huber_loss(minigen.tensor([0.5, 10.0]), minigen.zeros(2), reduction="none")
    tensor([0.125, 9.5  ])
    """
    if delta <= 0:
        raise UserError(f"huber_loss: delta must be positive, not {delta}.")
    x, y = _same("huber_loss", input, target)
    d = x - y
    inside = clip(d, -delta, delta)  # ½·inside² + δ·(|d| - |inside|) is both branches at once
    return _reduce(square(inside) * 0.5 + (abs(d) - abs(inside)) * delta, reduction, "huber_loss")


class SquaredError(Function):
    """z = Σ (x - y)²;  x̄ = 2g·(x - y), ȳ = -x̄. Where the device has a kernel for it, one pass each."""

    takes_arrays = True

    def forward(self, x: Any, y: Any) -> Any:
        self.save_for_backward(x, y)
        own, rows = self._kernel("squared_error"), _alike(x, y)
        if own is not None and rows is not None:
            return own(*rows[0])
        difference = x - y
        return (difference * difference).sum()

    def backward(self, g: Tensor) -> tuple[Tensor, Tensor | None]:
        x, y = self.saved_tensors
        own, rows = (self._kernel("squared_error_grad"), _alike(x, y)) if self.on_arrays else (None, None)
        if own is not None and rows is not None:
            gx = rows[1](own(g, *rows[0]))
        else:
            gx = (x - y) * (g + g)
        return gx, -gx if self.needs_input_grad[1] else None

    def _kernel(self, name: str) -> Any:
        return getattr(getattr(self.device.kernels, "loss", None), name, None)


def _alike(x: Any, y: Any) -> tuple[tuple[Any, Any], Callable[[Any], Any]] | None:
    """Views of two arrays in which both lie in memory one after another, and what undoes the view; None if there are none,
    or the numbers are not of a type that kernels take.
    """
    if x.dtype not in fused.DTYPES:
        return None
    of_x, undo = fused.in_some_order(x)
    of_y = y if of_x is x else fused.in_order(y)
    return ((of_x, of_y), undo) if of_x.flags.c_contiguous and of_y.flags.c_contiguous else None


class BinaryCrossEntropy(Function):
    """z = -(y ln p + (1 - y) ln(1 - p)), logarithms kept above -100;  p̄ = g·(p - y)/(p(1 - p)), ȳ = g·(ln(1 - p) - ln p).

    Where p is 0 or 1, p(1 - p) is taken as 10⁻¹²: the gradient still points away from a wrong certainty.
    """

    def forward(self, p: Any, y: Any) -> Any:
        self.save_for_backward(p, y)
        xp = self.device.xp
        with np.errstate(divide="ignore"):
            return -(y * xp.maximum(xp.log(p), -100) + (1 - y) * xp.maximum(xp.log1p(-p), -100))

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        p, y = self.saved_tensors
        gp = gy = None
        if self.needs_input_grad[0]:
            gp = g * (p - y) / clip(p * (1 - p), min=1e-12)
        if self.needs_input_grad[1]:
            gy = g * (_log_above(1 - p) - _log_above(p))
        return gp, gy


class BinaryCrossEntropyWithLogits(Function):
    """z = y·softplus(-x) + (1 - y)·softplus(x);  x̄ = g·((1 - y)·σ(x) - y·σ(-x)), ȳ = -g·x. One pass each in float32."""

    def forward(self, x: Any, y: Any) -> Any:
        self.save_for_backward(x, y)
        rows = fused.in_order(x), self._like_x(y)
        return fused.as_shaped(self.device.kernels.loss.bce_with_logits(*rows))

    def backward(self, g: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, y = self.saved_tensors
        gx = None
        if self.needs_input_grad[0] and modes.thread.state.recording:
            gx = g * ((1 - y) * sigmoid(x) - y * sigmoid(-x))
        elif self.needs_input_grad[0]:
            rows = self._like_x(g.data), fused.in_order(x.data), self._like_x(y.data)
            gx = Tensor._wrap(fused.as_shaped(self.device.kernels.loss.bce_with_logits_grad(*rows)), self.device)
        return gx, -g * x if self.needs_input_grad[1] else None

    def _like_x(self, array: Any) -> Any:
        """In the order in memory that x has."""
        return fused.contiguous(fused.in_order(array), self.device)


def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Tensor:
    """-(y ln p + (1 - y) ln(1 - p)) of probabilities p; logarithms are kept above -100, as in PyTorch.

    Prefer `binary_cross_entropy_with_logits`, which loses nothing near 0 and 1.

    Args:
        input: p from 0 to 1, of any shape.
        target: y from 0 to 1, of the same shape.
        weight: multiplies the loss of each element.
        reduction: as for `mse_loss`.

    Raises:
        UserError: a p outside [0, 1].

    >>> import minigen
    >>> minigen.functional.binary_cross_entropy(minigen.tensor([0.5, 0.0]), minigen.tensor([1.0, 1.0]), reduction="none")
    tensor([  0.6931, 100.    ])
    """
    p, y = _same("binary_cross_entropy", input, target)
    if p.data.size and may_look(p.device) and not bool(((p.data >= 0) & (p.data <= 1)).all()):
        raise UserError(
            "binary_cross_entropy: the input must be probabilities from 0 to 1; for logits use "
            "binary_cross_entropy_with_logits."
        )
    loss = BinaryCrossEntropy.apply(p, y)
    return _reduce(loss if weight is None else loss * weight, reduction, "binary_cross_entropy")


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: str = "mean", pos_weight: Any = None
) -> Tensor:
    """-(y ln σ(x) + (1 - y) ln(1 - σ(x))), computed as y·softplus(-x) + (1 - y)·softplus(x).

    Neither term overflows or cancels, so that the gradient of a confident prediction keeps its digits.

    Args:
        input: logits x.
        target: y from 0 to 1, of the same shape.
        weight: multiplies the loss of each element.
        pos_weight: multiplies the term of the positive class.
        reduction: as for `mse_loss`.

    >>> import minigen
    >>> loss = minigen.functional.binary_cross_entropy_with_logits
    >>> loss(minigen.tensor([0.0, -200.0]), minigen.tensor([1.0, 1.0]), reduction="none")
    tensor([  0.6931, 200.    ])
    """
    x, y = _same("binary_cross_entropy_with_logits", input, target)
    if pos_weight is None and x.dtype == y.dtype and fused.applies(x):
        loss = BinaryCrossEntropyWithLogits.apply(x, y)
    else:
        positive = y if pos_weight is None else y * pos_weight
        loss = softplus(-x, threshold=math.inf) * positive + softplus(x, threshold=math.inf) * (1 - y)
    return _reduce(loss if weight is None else loss * weight, reduction, "binary_cross_entropy_with_logits")


def nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """-input at the target class: the negative log-likelihood when `input` holds log-probabilities.

    Args:
        input: (N, C) or (N, C, *), or (C,) for one sample.
        target: classes from 0 to C - 1, (N,) or (N, *), or one number.
        weight: (C,), how much each class counts; the mean is divided by the sum of the weights.
        ignore_index: targets with this value do not count.
        reduction: as for `mse_loss`.

    Raises:
        ShapeError: sizes of input, target and weight that do not fit.

    >>> import minigen
    >>> logp = minigen.tensor([[0.5, 0.5], [0.9, 0.1]]).log()
    >>> minigen.functional.nll_loss(logp, minigen.tensor([0, 1]), reduction="none")
    tensor([0.6931, 2.3026])
    """
    x = floating(input)
    y = tensor(target, x.device)
    if x.ndim == 0 or ((x.shape[0], *x.shape[2:]) != y.shape and not (x.ndim == 1 and y.ndim == 0)):
        raise ShapeError(f"nll_loss: input (N, C, ...) of shape {x.shape} does not fit a target of shape {y.shape}.")
    dim = 0 if x.ndim == 1 else 1
    counted = y.data != ignore_index
    targets = Tensor._wrap(x.device.xp.where(counted, y.data, 0), x.device)
    classes = _positions(x, targets, x.shape[dim], "nll_loss: target", least=0)
    picked = gather(x, dim, Tensor._wrap(x.device.xp.expand_dims(classes, dim), x.device))
    importance: Any = counted.astype(x.dtype)
    if weight is not None:
        weight = tensor(weight, x.device)
        if weight.shape != (x.shape[dim],):
            raise ShapeError(f"nll_loss: weight has shape {weight.shape}, but there are {x.shape[dim]} classes.")
        importance = weight[classes] * Tensor(importance, device=x.device)
    else:
        importance = Tensor(importance, device=x.device)
    loss = where(counted, -reshape(picked, y.shape), 0.0) * importance
    return sum(loss) / sum(importance) if reduction == "mean" else _reduce(loss, reduction, "nll_loss")


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-ln softmax(input) at the target class.

    Args:
        input: logits, (N, C) or (N, C, *), or (C,) for one sample.
        target: classes, (N,) or (N, *); or probabilities, of the input's shape.
        weight, ignore_index: as for `nll_loss`.
        label_smoothing: this share of every target is spread evenly over the classes.
        reduction: as for `mse_loss`.

    Raises:
        ShapeError: sizes that do not fit.
        UserError: a label_smoothing outside [0, 1].

    >>> import minigen
    >>> logits = minigen.tensor([[0.0, 0.0], [5.0, 0.0]])
    >>> minigen.functional.cross_entropy(logits, minigen.tensor([0, 0]), reduction="none")
    tensor([0.6931, 0.0067])
    """
    x = floating(input)
    y = tensor(target, x.device)
    if not 0 <= label_smoothing <= 1:
        raise UserError(f"cross_entropy: label_smoothing must be from 0 to 1, not {label_smoothing}.")
    dim = 0 if x.ndim == 1 else 1
    logp = log_softmax(x, dim)
    if y.dtype.kind == "f":
        if y.shape != x.shape:
            raise ShapeError(f"cross_entropy: probabilities of shape {y.shape} do not fit logits of shape {x.shape}.")
        y = y * (1 - label_smoothing) + label_smoothing / x.shape[dim]
        scaled = logp if weight is None else logp * _by_class(weight, x, dim)
        loss = -sum(scaled * y, dim)
        n = loss.numel() if x.ndim > 1 else 1
        return sum(loss) / n if reduction == "mean" else _reduce(loss, reduction, "cross_entropy")
    hard = nll_loss(logp, y, weight, ignore_index, reduction)
    if label_smoothing == 0:
        return hard
    counted = y.data != ignore_index
    even = where(counted, -sum(logp if weight is None else logp * _by_class(weight, x, dim), dim), 0.0)
    if reduction == "mean":
        counts = Tensor(counted.astype(x.dtype), device=x.device)
        if weight is not None:
            counts = counts * tensor(weight, x.device)[x.device.xp.where(counted, y.data, 0)]
        smooth = sum(even) / sum(counts)
    else:
        smooth = _reduce(even, reduction, "cross_entropy")
    return hard * (1 - label_smoothing) + smooth * (label_smoothing / x.shape[dim])


def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:
    """t·(ln t - input), the terms of KL(target ‖ exp(input)); `input` holds log-probabilities, as in PyTorch.

    Args:
        input: log-probabilities, of any shape.
        target: probabilities t, of the same shape.
        reduction: ``'batchmean'`` divides the sum by the size of the first axis, and is the divergence; ``'mean'``, ``'sum'``
            and ``'none'`` are as for `mse_loss`.
        log_target: the target holds ln t.

    >>> import minigen
    >>> p, t = minigen.tensor([[0.5, 0.5]]), minigen.tensor([[0.75, 0.25]])
    >>> minigen.functional.kl_div(p.log(), t, reduction="batchmean")  # 0.75 ln 1.5 + 0.25 ln 0.5
    tensor(0.1308)
    """
    x, t = _same("kl_div", input, target)
    if log_target:
        loss = exp(t) * (t - x)
    else:
        nothing = t.data == 0  # there t ln t is 0
        loss = where(nothing, 0.0, t * log(where(nothing, 1.0, t))) - t * x
    if reduction == "batchmean":
        return sum(loss) / (x.shape[0] if x.ndim else 1)
    return _reduce(loss, reduction, "kl_div")


def _same(name: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    x = floating(input)
    y = floating(tensor(target, x.device))
    if x.shape != y.shape:
        raise ShapeError(f"{name}: input {x.shape} and target {y.shape} must have equal shapes; reshape or expand one.")
    return x, y


def _reduce(loss: Tensor, reduction: str, name: str) -> Tensor:
    if reduction == "mean":
        return mean(loss)
    if reduction == "sum":
        return sum(loss)
    if reduction == "none":
        return loss
    raise UserError(f"{name}: reduction {reduction!r} is not known; use 'mean', 'sum' or 'none'.")


def _log_above(p: Tensor) -> Tensor:
    """ln p, and the constant -100 (with gradient 0) where ln p is smaller."""
    tiny = p.data < math.exp(-100)
    return where(tiny, -100.0, log(where(tiny, 1.0, p)))


def _by_class(weight: Any, x: Tensor, dim: int) -> Tensor:
    return reshape(tensor(weight, x.device), [-1 if i == dim else 1 for i in range(x.ndim)])
