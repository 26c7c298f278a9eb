"""Parameter: a tensor that a module learns."""

from __future__ import annotations

from typing import Any

from minigen.tensor import Tensor


class Parameter(Tensor):
    """A tensor that belongs to a module: assigned to an attribute, it is found by `module.parameters()`.

    Args:
        data: an array or tensor, which is shared, not copied; or numbers.
        requires_grad: whether `backward` collects its gradient.

    >>> import minigen
    >>> minigen.nn.Parameter([1.0, 2.0])
    Parameter containing:
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data, requires_grad=requires_grad)

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"
