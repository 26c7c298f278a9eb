"""AdamW: Adam with weight decay beside the gradient's step, not in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigen.optim.adam import Adam


class AdamW(Adam):
    """w ← (1 - lr·weight_decay)·w, then Adam's step with the bare gradient.

    Loshchilov & Hutter 2019, arXiv 1711.05101.

    In `Adam` the penalty's gradient is divided by √v̂ like the rest, so that weights with large gradients hardly decay.

    Args:
        params, lr, betas, eps: as for `Adam`.
        weight_decay: the part of the weight, per unit of lr, that is lost at each step.

    >>> import minigen
    >>> w = minigen.tensor([1.0], requires_grad=True)
    >>> w.grad = minigen.zeros(1)
    >>> minigen.optim.AdamW([w], lr=0.1, weight_decay=0.5).step()  # nothing but decay
    >>> w
    tensor([0.95], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def decays(self, group: dict[str, Any]) -> tuple[float, float]:
        return 0.0, 1 - group["lr"] * group["weight_decay"]
