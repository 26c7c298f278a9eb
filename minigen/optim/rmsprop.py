"""RMSprop: a step for each element, scaled by the root mean square of its recent gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigen.optim.one_pass import Arrays, GiveNumbers, Numbers
from minigen.optim.optimizer import Optimizer
from minigen.tensor import Tensor


class RMSprop(Optimizer):
    """w ← w - lr·g/(√v + eps), with v a running mean of g² (Tieleman & Hinton 2012, lecture 6e).

        g ← g + weight_decay·w
        v ← αv + (1 - α)g²
        centered:  a ← αa + (1 - α)g, and v - a² in place of v (Graves 2013)
        momentum:  b ← momentum·b + g/(√v + eps), w ← w - lr·b

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        alpha: α, how slowly the means move.
        eps: keeps the division finite; outside the root, as in PyTorch.
        weight_decay: λ of the penalty ½λ‖w‖².
        momentum: 0 for none.
        centered: divide by an estimate of the standard deviation instead.

    >>> import minigen
    >>> w = minigen.tensor([1.0], requires_grad=True)
    >>> (w * 8.0).sum().backward()
    >>> minigen.optim.RMSprop([w], lr=0.05, alpha=0.99).step()  # v = 0.01·g² after one step: lr·g/(0.1·g) is 10 lr
    >>> round(w.item(), 4)
    0.5
    """

    loop = "rmsprop"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
    ) -> None:
        options = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**options, "momentum": momentum, "centered": centered})

    def check(self, group: dict[str, Any]) -> None:
        self._at_least_zero(group, "lr", "eps", "weight_decay", "momentum")
        self._below_one(group, "alpha", [group["alpha"]])

    def operands(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> tuple[Arrays, GiveNumbers]:
        state.setdefault("step", 0)
        for name in ("square_avg", *["momentum_buffer"] * (group["momentum"] > 0), *["grad_avg"] * group["centered"]):
            if name not in state:
                state[name] = parameter.device.xp.zeros_like(parameter.data)
        mean = state["grad_avg"] if group["centered"] else None
        buffer = state["momentum_buffer"] if group["momentum"] > 0 else None

        def numbers() -> Numbers:
            state["step"] += 1
            return group["alpha"], group["lr"], group["eps"], group["weight_decay"], group["momentum"]

        return (state["square_avg"], mean, buffer), numbers

    def formula(self, parameter: Tensor, gradient: Any, arrays: Arrays, numbers: Numbers) -> None:
        (v, mean, buffer), (alpha, rate, eps, decay, momentum) = arrays, numbers
        xp = parameter.device.xp
        if decay != 0:
            gradient = gradient + decay * parameter.data
        work = xp.multiply(gradient, gradient, out=xp.empty_like(v))
        work *= 1 - alpha
        v *= alpha
        v += work
        if mean is None:
            xp.sqrt(v, out=work)
        else:
            xp.multiply(gradient, 1 - alpha, out=work)
            mean *= alpha
            mean += work
            xp.multiply(mean, mean, out=work)
            xp.subtract(v, work, out=work)
            xp.sqrt(work, out=work)
        work += eps
        xp.divide(gradient, work, out=work)
        if buffer is not None:
            buffer *= momentum
            buffer += work
            xp.copyto(work, buffer)
        work *= rate
        parameter.sub_(work)
