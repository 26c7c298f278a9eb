"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigen.errors import UserError
from minigen.optim.one_pass import Arrays, GiveNumbers, Numbers
from minigen.optim.optimizer import Optimizer
from minigen.tensor import Tensor


class SGD(Optimizer):
    """w ← w - lr·d, where d is the gradient g, or with momentum a running sum b of gradients.

        g ← g + weight_decay·w
        b ← momentum·b + (1 - dampening)·g     (b = g at the first step)
        d = g + momentum·b with nesterov, else b

    Polyak (1964); Nesterov (1983) as written by Sutskever et al. (2013). These are PyTorch's forms, with lr outside b.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        momentum: 0 for none; usually 0.9.
        dampening: how much less of each gradient than all of it goes into the sum.
        weight_decay: λ of the penalty ½λ‖w‖².
        nesterov: look ahead by the momentum.

    >>> import minigen
    >>> w = minigen.tensor([1.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> minigen.optim.SGD([w], lr=0.25).step()
    >>> w.item()
    0.5
    """

    loop = "sgd"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
    ) -> None:
        options = {"lr": lr, "momentum": momentum, "dampening": dampening}
        super().__init__(params, {**options, "weight_decay": weight_decay, "nesterov": nesterov})

    def check(self, group: dict[str, Any]) -> None:
        self._at_least_zero(group, "lr", "weight_decay", "momentum")
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            raise UserError("SGD: nesterov=True needs a momentum above 0 and no dampening.")

    def operands(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> tuple[Arrays, GiveNumbers]:
        first, buffer = False, None
        if group["momentum"] != 0:
            first = "momentum_buffer" not in state
            if first:
                state["momentum_buffer"] = parameter.device.xp.zeros_like(parameter.data)
            buffer = state["momentum_buffer"]

        def numbers() -> Numbers:
            nonlocal first
            fresh, first = 1 if first else 1 - group["dampening"], False  # b = g at the first step
            return group["lr"], group["weight_decay"], group["momentum"], fresh, group["nesterov"]

        return (buffer,), numbers

    def formula(self, parameter: Tensor, gradient: Any, arrays: Arrays, numbers: Numbers) -> None:
        (buffer,), (rate, decay, momentum, fresh, nesterov) = arrays, numbers
        direction = gradient
        if decay != 0:
            direction = gradient + decay * parameter.data
        if buffer is not None:
            buffer *= momentum
            buffer += fresh * direction
            direction = direction + momentum * buffer if nesterov else buffer
        parameter.sub_(rate * direction)
