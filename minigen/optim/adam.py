"""Adam: a step for each element, scaled by its gradients' recent size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from minigen.optim.one_pass import Arrays, GiveNumbers, Numbers
from minigen.optim.optimizer import Optimizer
from minigen.tensor import Tensor


class Adam(Optimizer):
    """w ← w - lr·m̂/(√v̂ + eps), with m̂ and v̂ the running means of the gradient and of its square.

    Kingma & Ba 2015, arXiv 1412.6980.

        g ← g + weight_decay·w
        m ← β₁m + (1 - β₁)g        m̂ = m/(1 - β₁ᵗ)
        v ← β₂v + (1 - β₂)g²       v̂ = v/(1 - β₂ᵗ)

    m and v start at 0; the division undoes the pull towards that start, t counting steps from 1.

    Args:
        params: parameters, or groups of them.
        lr: learning rate.
        betas: β₁ and β₂. GANs often take β₁ = 0.5 or 0.
        eps: keeps the division finite.
        weight_decay: λ of the penalty ½λ‖w‖², whose gradient is scaled like the rest; `AdamW` does better.

    >>> import minigen
    >>> w = minigen.tensor([1.0, -1.0], requires_grad=True)
    >>> (w * minigen.tensor([100.0, 0.01])).sum().backward()
    >>> minigen.optim.Adam([w], lr=0.5).step()  # the first step has length lr, whatever the gradient
    >>> w
    tensor([ 0.5, -1.5], requires_grad=True)
    """

    loop = "adam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay})

    def check(self, group: dict[str, Any]) -> None:
        self._at_least_zero(group, "lr", "eps", "weight_decay")
        self._below_one(group, "betas", group["betas"])

    def decays(self, group: dict[str, Any]) -> tuple[float, float]:
        """How much of the weight is added to the gradient, and what the weight itself is multiplied by before."""
        return group["weight_decay"], 1.0

    def operands(self, parameter: Tensor, state: dict[str, Any], group: dict[str, Any]) -> tuple[Arrays, GiveNumbers]:
        if not state:
            state["step"] = 0
            state["exp_avg"] = parameter.device.xp.zeros_like(parameter.data)
            state["exp_avg_sq"] = parameter.device.xp.zeros_like(parameter.data)

        def numbers() -> Numbers:
            state["step"] += 1
            beta1, beta2 = group["betas"]
            # lr·m̂/(√v̂ + eps) = rate·m/(root·√v + eps)
            rate = group["lr"] / (1 - beta1 ** state["step"])
            root = 1 / math.sqrt(1 - beta2 ** state["step"])
            return beta1, beta2, rate, root, group["eps"], *self.decays(group)

        return (state["exp_avg"], state["exp_avg_sq"]), numbers

    def formula(self, parameter: Tensor, gradient: Any, arrays: Arrays, numbers: Numbers) -> None:
        (m, v), (beta1, beta2, rate, root, eps, decay, keep) = arrays, numbers
        xp = parameter.device.xp
        if keep != 1:
            parameter.mul_(keep)
        if decay != 0:
            gradient = gradient + decay * parameter.data
        work = xp.multiply(gradient, 1 - beta1, out=xp.empty_like(m))
        m *= beta1
        m += work
        xp.multiply(gradient, gradient, out=work)
        work *= 1 - beta2
        v *= beta2
        v += work
        # rate·m/(root·√v + eps), in the one spare array
        xp.sqrt(v, out=work)
        work *= root
        work += eps
        xp.divide(m, work, out=work)
        work *= rate
        parameter.sub_(work)
