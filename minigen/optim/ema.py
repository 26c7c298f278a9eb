"""Exponential moving average of weights: what a model would be if it stopped jumping about."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any, Self

import numpy as np

from minigen.autograd.modes import no_grad
from minigen.errors import UserError
from minigen.nn.module import Module
from minigen.optim.one_pass import Numbers, OnePass
from minigen.tensor import Tensor


class ExponentialMovingAverage(Module):
    """s ← d·s + (1 - d)·w after every step, for every weight w (Polyak & Juditsky 1992; Karras et al. 2018 for GANs).

    The average lives in `module`, a copy of the model in `eval` that learns nothing by itself, and starts at the
    model's weights. So that this start is soon forgotten, d is lower at first: at update t, min(decay, (1 + t)/(10 + t)).
    With `use_num_updates=False` it is `decay` throughout, and the start keeps a share of decayᵗ. Buffers (running
    statistics) are not averaged but copied.

    It is a module itself, so that its `state_dict` holds everything needed to go on: the averages and t.

    Args:
        model: whose weights to follow.
        decay: d, from 0 to 1: an average over about the last 1/(1 - d) steps.
        use_num_updates: start with a lower d.

    Raises:
        UserError: a decay outside [0, 1].

    >>> import minigen
    >>> model = minigen.nn.Linear(1, 1)
    >>> average = minigen.optim.ExponentialMovingAverage(model, decay=0.5, use_num_updates=False)
    >>> before = model.weight.item()
    >>> model.weight.data = model.weight.data + 8.0  # in place of an optimizer's step
    >>> average.update()
    >>> round(average.module.weight.item() - before, 5)
    4.0
    """

    def __init__(self, model: Module, decay: float = 0.999, use_num_updates: bool = True) -> None:
        super().__init__()
        if not isinstance(model, Module):
            raise UserError(f"ExponentialMovingAverage: follows a module, not a {type(model).__name__}.")
        if not 0 <= decay <= 1:
            raise UserError(f"ExponentialMovingAverage: decay={decay} must be from 0 to 1.")
        self.decay, self.use_num_updates = decay, use_num_updates
        self.__dict__["model"] = model  # not registered: its weights are not part of the average
        self.module = copy.deepcopy(model).requires_grad_(False).eval()
        self.module.zero_grad()
        self.register_buffer("num_updates", Tensor(np.array(0, np.int64)))

    def to(self, *targets: Any, device: Any = None, dtype: Any = None) -> Self:
        """Move or convert the averages, as `Module.to` does. The count of updates stays on the host, which reads it.

        Args:
            targets, device, dtype: as for `Tensor.to`.
        """
        self.module.to(*targets, device=device, dtype=dtype)
        return self

    def update(self) -> None:
        """Take the weights as they are now into the average: after every step of the optimizer."""
        now = self._next_share()
        # for every further step of a graph that is replayed, the next share
        numbers = chain([now], iter(self._next_share, None)).__next__
        one_pass = OnePass("average")
        with no_grad():
            for average, weight in zip(self.module.parameters(), self.model.parameters()):
                if not one_pass.takes(average, (weight.data,), numbers):
                    average.add_((weight.detach() - average) * now[0])
            one_pass.run()
            for copied, buffer in zip(self.module.buffers(), self.model.buffers()):
                copied.copy_(buffer)

    def _next_share(self) -> Numbers:
        """Count one more update; the share of the weights in it is 1 - d."""
        self.num_updates.add_(1)
        t, decay = int(self.num_updates), self.decay
        return (1 - (min(decay, (1 + t) / (10 + t)) if self.use_num_updates else decay),)

    def copy_to(self, model: Module) -> None:
        """Write the averages into a model of the same kind (to go on training from them, for example)."""
        model.load_state_dict(self.module.state_dict())

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model makes of the arguments."""
        return self.module(*args, **kwargs)
