"""Exponential moving average of weights: what a model would be if it stopped jumping about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from minigen.autograd.modes import no_grad
from minigen.errors import UserError
from minigen.nn.module import Module
from minigen.tensor import Tensor

Source = Module | Iterable[Tensor]


class ExponentialMovingAverage:
    """s ← d·s + (1 - d)·w after every step, for every weight w (Polyak & Juditsky 1992; Karras et al. 2018 for GANs).

    The average starts as a copy of the weights. So that this start is soon forgotten, d is lower at first: at update t,
    min(decay, (1 + t)/(10 + t)); with `use_num_updates=False` it is `decay` from the start, and the first weights
    keep a share of decayᵗ. Buffers (running statistics) are not averaged: the average has those of the last update.

    Args:
        source: a module, whose parameters and buffers are followed; or parameters.
        decay: d, from 0 to 1: an average over about the last 1/(1 - d) steps.
        use_num_updates: start with a lower d.

    >>> import minigen
    >>> w = minigen.tensor([0.0])
    >>> ema = minigen.optim.ExponentialMovingAverage([w], decay=0.5, use_num_updates=False)
    >>> w.data = w.data + 8.0
    >>> ema.update()
    >>> with ema.average_parameters():
    ...     inside = w.item()
    >>> inside, w.item()
    (4.0, 8.0)
    """

    def __init__(self, source: Source, decay: float = 0.999, use_num_updates: bool = True) -> None:
        if not 0 <= decay <= 1:
            raise UserError(f"ExponentialMovingAverage: decay={decay} must be from 0 to 1.")
        self._tensors, self._averaged = _members(source)
        if not self._tensors:
            raise UserError("ExponentialMovingAverage: there are no parameters to average (the list is empty).")
        self.decay, self.use_num_updates, self.num_updates = decay, use_num_updates, 0
        self.shadow = {name: tensor.data.copy() for name, tensor in self._tensors.items()}
        self._originals: dict[str, Any] | None = None  # while the averages are in the model

    def update(self) -> None:
        """Take the weights as they are now into the average: after every step of the optimizer."""
        self._refuse_if_applied("update")
        self.num_updates += 1
        decay = self.decay
        if self.use_num_updates:
            decay = min(decay, (1 + self.num_updates) / (10 + self.num_updates))
        for name, tensor in self._tensors.items():
            average = self.shadow[name]
            if name in self._averaged:
                change = tensor.data - average
                change *= 1 - decay
                average += change
            else:
                average[...] = tensor.data

    def copy_to(self, target: Source) -> None:
        """Write the averages into another module of the same kind, or into as many parameters."""
        tensors, _ = _members(target)
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        if shapes != {name: array.shape for name, array in self.shadow.items()}:
            raise UserError(
                "ExponentialMovingAverage: the target of copy_to has other names or shapes than the source."
            )
        _write(tensors, self.shadow)

    def apply(self) -> None:
        """Put the averages into the model, and keep its own weights aside for `restore`."""
        self._refuse_if_applied("apply")
        self._originals = {name: tensor.data.copy() for name, tensor in self._tensors.items()}
        _write(self._tensors, self.shadow)

    def restore(self) -> None:
        """Put the model's own weights back."""
        if self._originals is None:
            raise UserError("ExponentialMovingAverage: restore() without apply(): the model has its own weights.")
        _write(self._tensors, self._originals)
        self._originals = None

    @contextmanager
    def average_parameters(self) -> Iterator[None]:
        """`apply` for the length of a `with` block."""
        self.apply()
        try:
            yield
        finally:
            self.restore()

    def state_dict(self) -> dict[str, Any]:
        """A copy of everything: ``{"decay": …, "use_num_updates": …, "num_updates": …, "shadow": {name: array}}``."""
        arrays, numbers = self.export_state()
        return {**numbers, "shadow": arrays}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises:
            UserError: other names or shapes than this average follows.
        """
        shadow = {name: np.asarray(array) for name, array in state_dict["shadow"].items()}
        own, given = ({name: array.shape for name, array in arrays.items()} for arrays in (self.shadow, shadow))
        if own != given:
            wrong = sorted(name for name in own.keys() | given.keys() if own.get(name) != given.get(name))
            raise UserError(
                f"ExponentialMovingAverage: the saved averages do not fit this model at {', '.join(map(repr, wrong))}."
            )
        self.decay, self.use_num_updates = float(state_dict["decay"]), bool(state_dict["use_num_updates"])
        self.num_updates = int(state_dict["num_updates"])
        for name, tensor in self._tensors.items():
            self.shadow[name] = tensor.device.asarray(np.array(shadow[name], dtype=tensor.dtype))

    def export_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """The state in the two parts that a checkpoint holds: named arrays, and numbers fit for JSON."""
        arrays = {
            name: Tensor(self.shadow[name], device=tensor.device).numpy().copy()
            for name, tensor in self._tensors.items()
        }
        numbers = {"decay": self.decay, "use_num_updates": self.use_num_updates, "num_updates": self.num_updates}
        return arrays, numbers

    def import_state(self, arrays: Mapping[str, np.ndarray], numbers: Mapping[str, Any]) -> None:
        """Take over what `export_state` returned."""
        self.load_state_dict({**numbers, "shadow": arrays})

    def _refuse_if_applied(self, method: str) -> None:
        if self._originals is not None:
            raise UserError(
                f"ExponentialMovingAverage: {method}() while the averages are in the model; restore() first."
            )


def _members(source: Source) -> tuple[dict[str, Tensor], set[str]]:
    """The tensors of a module or list by name, and the names of those to be averaged."""
    if isinstance(source, Module):
        parameters: dict[str, Tensor] = dict(source.named_parameters())
        return parameters | dict(source.named_buffers()), set(parameters)
    parameters = {str(i): tensor for i, tensor in enumerate(source)}
    return parameters, set(parameters)


def _write(tensors: dict[str, Tensor], arrays: Mapping[str, Any]) -> None:
    with no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(arrays[name])
