"""A training loop tried out: as much of a `Session` as the loop needs, and nothing on the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from minigen.device import Device, device
from minigen.errors import UserError
from minigen.optim import LRScheduler
from minigen.tensor import Tensor


class Rehearsal:
    """In place of a `Session`, for a notebook or a demonstration: batches from a function, and losses kept in lists.

        rehearsal = Rehearsal(lambda: ring(128, generator)[0], steps=2000)
        train_gan(generator, discriminator, adam_g, adam_d, rehearsal, noise, average)
        minigen.viz.draw_curves(rehearsal.history)

    Args:
        batch: gives the next batch, an array, each time it is called.
        steps: how many batches in all.
        look: called with the number of steps done, after every `every` of them and at the end.
        every: steps between two looks, an epoch to the loop; all of them unless given.
        schedules: of the optimizers' learning rates, in steps.
        place: the device that the batches go to.

    Attributes:
        step: batches done.
        history: for each name that the loop logged, its values one by one.

    Raises:
        UserError: steps, or steps between two looks, below 1.
    """

    def __init__(
        self,
        batch: Callable[[], np.ndarray],
        steps: int,
        look: Callable[[int], None] = lambda step: None,
        every: int | None = None,
        schedules: Sequence[LRScheduler] = (),
        place: str | Device = "cpu",
    ) -> None:
        self.steps, self.every = steps, steps if every is None else every
        if min(self.steps, self.every) < 1:
            raise UserError(f"A rehearsal takes 1 step or more, and looks after 1 or more, not {steps} and {every}.")
        self.batch, self.look, self.schedules = batch, look, schedules
        self.device = device(place)
        self.step = 0
        self.history: dict[str, list[float]] = {}

    def epochs(self) -> Iterator[int]:
        """The numbers of the stretches between two looks, from 1."""
        yield from range(1, -(-self.steps // self.every) + 1)

    def batches(self) -> Iterator[Tensor]:
        """The batches up to the next look."""
        for _ in range(min(self.every, self.steps - self.step)):
            yield Tensor(self.batch(), device=self.device)
            self.step += 1
            for schedule in self.schedules:
                schedule.step()

    def log(self, **values: Any) -> None:
        """Keep what the loop says of a step."""
        for name, value in values.items():
            self.history.setdefault(name, []).append(float(value))

    def end_epoch(self, **metrics: Any) -> None:
        """Look, and keep what the loop has measured."""
        self.log(**metrics)
        self.look(self.step)
