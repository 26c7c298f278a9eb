"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigen.errors import UserError
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

    def update(self, parameter: Tensor, gradient: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        direction = gradient
        if group["weight_decay"] != 0:
            direction = gradient + group["weight_decay"] * parameter.data
        momentum = group["momentum"]
        if momentum != 0:
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = parameter.device.xp.array(direction)
            else:
                state["momentum_buffer"] *= momentum
                state["momentum_buffer"] += (1 - group["dampening"]) * direction
            buffer = state["momentum_buffer"]
            direction = direction + momentum * buffer if group["nesterov"] else buffer
        parameter.sub_(group["lr"] * direction)
