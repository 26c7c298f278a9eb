"""Learning-rate schedules: call `step()` after every epoch (or every batch, where that is the unit you count in).

Each schedule is one formula for the rate after t steps, with r the rate that the optimizer was given. The formulas are
closed: the rate depends on t alone, never on the rate before.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from minigen.autograd import modes
from minigen.errors import GraphError, UserError
from minigen.optim.optimizer import Optimizer


class LRScheduler:
    """The base of the schedules: counts steps and writes the rate into every group of the optimizer.

    Attributes:
        last_epoch: t, the number of steps.
        base_lrs: r for each group.

    A subclass gives one formula, `rate`:

    >>> import minigen
    >>> class InverseRoot(minigen.optim.LRScheduler):
    ...     '''r/√(1 + t).'''
    ...     def rate(self, base_lr, epoch):
    ...         return base_lr / (1 + epoch) ** 0.5
    >>> optimizer = minigen.optim.SGD([minigen.zeros(1)], lr=1.0)
    >>> schedule = InverseRoot(optimizer)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base_lrs = [group.setdefault("initial_lr", group["lr"]) for group in optimizer.param_groups]
        self.last_epoch = 0
        self._write()

    def rate(self, base_lr: float, epoch: int) -> float:
        """The learning rate after `epoch` steps, where it was `base_lr` at first."""
        raise NotImplementedError

    def step(self) -> None:
        """Go on to the next rate."""
        _check_not_captured(self)
        self.last_epoch += 1
        self._write()

    def get_last_lr(self) -> list[float]:
        """The rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule is, fit for JSON. Its arguments are not in it: make it anew with the same."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned; the optimizer's rates are set accordingly.

        Raises:
            UserError: a state of another number of groups.
        """
        base_lrs = [float(lr) for lr in state_dict["base_lrs"]]
        if len(base_lrs) != len(self.base_lrs):
            raise UserError(
                f"{type(self).__name__}: the saved state is for {len(base_lrs)} parameter groups, and the optimizer has "
                f"{len(self.base_lrs)}."
            )
        self.last_epoch, self.base_lrs = int(state_dict["last_epoch"]), base_lrs
        for group, base_lr in zip(self.optimizer.param_groups, base_lrs):
            group["initial_lr"] = base_lr
        self._write()

    def _write(self) -> None:
        for group, base_lr in zip(self.optimizer.param_groups, self.base_lrs):
            group["lr"] = self.rate(base_lr, self.last_epoch)


class StepLR(LRScheduler):
    """r·gamma^⌊t/step_size⌋: a drop every `step_size` steps.

    Args:
        optimizer: whose rates r are changed.
        step_size: steps between drops, at least 1.
        gamma: the factor of a drop.

    Raises:
        UserError: a step_size below 1.

    >>> import minigen
    >>> optimizer = minigen.optim.SGD([minigen.zeros(1)], lr=1.0)
    >>> schedule = minigen.optim.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        if step_size < 1:
            raise UserError(f"StepLR: step_size={step_size} must be at least 1.")
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer)

    def rate(self, base_lr: float, epoch: int) -> float:
        return base_lr * self.gamma ** (epoch // self.step_size)


class ExponentialLR(LRScheduler):
    """r·gammaᵗ after t steps.

    Args:
        optimizer: whose rates r are changed.
        gamma: the factor of a step.

    >>> import minigen
    >>> optimizer = minigen.optim.SGD([minigen.zeros(1)], lr=1.0)
    >>> schedule = minigen.optim.ExponentialLR(optimizer, gamma=0.5)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> optimizer.param_groups[0]["lr"]
    0.125
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = gamma
        super().__init__(optimizer)

    def rate(self, base_lr: float, epoch: int) -> float:
        return base_lr * self.gamma**epoch


class CosineAnnealingLR(LRScheduler):
    """eta_min + (r - eta_min)·(1 + cos(πt/T_max))/2: from r down to `eta_min` in `T_max` steps.

    Loshchilov & Hutter 2017, arXiv 1608.03983. Stepped further, it goes up again as the cosine does.

    Args:
        optimizer: whose rates r are changed.
        T_max: steps, at least 1.
        eta_min: the lowest rate.

    Raises:
        UserError: a T_max that is not positive.

    >>> import minigen
    >>> optimizer = minigen.optim.SGD([minigen.zeros(1)], lr=1.0)
    >>> schedule = minigen.optim.CosineAnnealingLR(optimizer, T_max=4)
    >>> [round(schedule.rate(1.0, t), 3) for t in range(5)]
    [1.0, 0.854, 0.5, 0.146, 0.0]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        if T_max < 1:
            raise UserError(f"CosineAnnealingLR: T_max={T_max} must be at least 1.")
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer)

    def rate(self, base_lr: float, epoch: int) -> float:
        return self.eta_min + (base_lr - self.eta_min) * (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class LinearLR(LRScheduler):
    """r times a factor that goes in a straight line from `start_factor` to `end_factor` in `total_iters` steps: warm-up.

    Args:
        optimizer: whose rates r are changed.
        start_factor, end_factor: of r, at first and at the end.
        total_iters: steps between the two.

    Raises:
        UserError: factors or a number of steps that cannot be.

    >>> import minigen
    >>> optimizer = minigen.optim.SGD([minigen.zeros(1)], lr=1.0)
    >>> schedule = minigen.optim.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> [schedule.rate(1.0, t) for t in range(4)]
    [0.5, 0.75, 1.0, 1.0]
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise UserError(
                f"LinearLR: start_factor={start_factor} and end_factor={end_factor} must be from 0 to 1, and the first "
                "above 0."
            )
        if total_iters < 1:
            raise UserError(f"LinearLR: total_iters={total_iters} must be at least 1.")
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer)

    def rate(self, base_lr: float, epoch: int) -> float:
        progress = min(epoch, self.total_iters) / self.total_iters
        return base_lr * (self.start_factor + (self.end_factor - self.start_factor) * progress)


class SequentialLR(LRScheduler):
    """One schedule after another: the i-th from step milestones[i - 1] on, counting from 0 there.

    Args:
        optimizer: the one that all the schedules were made for.
        schedulers: the schedules. Only this one is to be stepped.
        milestones: when each but the first begins, rising.

    Raises:
        UserError: schedules of another optimizer, or milestones that do not rise or are not one fewer.

    >>> import minigen
    >>> from minigen.optim import CosineAnnealingLR, LinearLR, SequentialLR
    >>> optimizer = minigen.optim.SGD([minigen.zeros(1)], lr=1.0)
    >>> warm_up, cosine = LinearLR(optimizer, start_factor=0.5, total_iters=2), CosineAnnealingLR(optimizer, T_max=4)
    >>> schedule = SequentialLR(optimizer, [warm_up, cosine], milestones=[2])
    >>> rates = [optimizer.param_groups[0]["lr"]]
    >>> for _ in range(4):
    ...     schedule.step()
    ...     rates.append(round(optimizer.param_groups[0]["lr"], 3))
    >>> rates
    [0.5, 0.75, 1.0, 0.854, 0.5]
    """

    def __init__(self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int]) -> None:
        if not schedulers or len(milestones) != len(schedulers) - 1 or list(milestones) != sorted(set(milestones)):
            raise UserError(
                f"SequentialLR: {len(schedulers)} schedules need {max(len(schedulers) - 1, 0)} rising milestones, not "
                f"{list(milestones)}."
            )
        if any(schedule.optimizer is not optimizer for schedule in schedulers):
            raise UserError("SequentialLR: all schedules must have been made for this optimizer.")
        self.schedulers, self.milestones = list(schedulers), list(milestones)
        super().__init__(optimizer)

    def rate(self, base_lr: float, epoch: int) -> float:
        i = bisect_right(self.milestones, epoch)
        return self.schedulers[i].rate(base_lr, epoch - (self.milestones[i - 1] if i else 0))


class ReduceLROnPlateau:
    """The rate is multiplied by `factor` when a metric has not improved for more than `patience` steps.

    Args:
        optimizer: whose rate it is.
        mode: ``'min'`` when lower is better, ``'max'`` when higher is.
        factor: below 1.
        patience: steps without improvement that are let pass.
        threshold: how much better counts: by this part of the best (``'rel'``), or by this amount (``'abs'``).
        threshold_mode: ``'rel'`` or ``'abs'``.
        cooldown: steps after a reduction in which nothing is counted.
        min_lr: the lowest rate, one for all groups or one for each.
        eps: a smaller change of the rate is not made.

    Raises:
        UserError: a mode, a factor or a list of rates that cannot be.

    >>> import minigen
    >>> optimizer = minigen.optim.SGD([minigen.zeros(1)], lr=1.0)
    >>> schedule = minigen.optim.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> optimizer.param_groups[0]["lr"]
    0.1
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise UserError(
                f"ReduceLROnPlateau: mode must be 'min' or 'max' and threshold_mode 'rel' or 'abs', not {mode!r} and "
                f"{threshold_mode!r}."
            )
        if not factor < 1:
            raise UserError(f"ReduceLROnPlateau: factor={factor} must be below 1.")
        groups = len(optimizer.param_groups)
        self.min_lrs = list(min_lr) if isinstance(min_lr, Sequence) else [min_lr] * groups
        if len(self.min_lrs) != groups:
            raise UserError(f"ReduceLROnPlateau: {len(self.min_lrs)} values of min_lr for {groups} parameter groups.")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown, self.eps = threshold, threshold_mode, cooldown, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.last_epoch = self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: Any) -> None:
        """Tell the metric of the epoch that has ended."""
        _check_not_captured(self)
        value = float(metrics)
        self.last_epoch += 1
        if self._is_better(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs):
                lr = max(group["lr"] * self.factor, least)
                if group["lr"] - lr > self.eps:
                    group["lr"] = lr
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def get_last_lr(self) -> list[float]:
        """The rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Where the schedule is, fit for JSON; the rates themselves are in the optimizer's state."""
        return {name: getattr(self, name) for name in ("best", "last_epoch", "num_bad_epochs", "cooldown_counter")}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.best = float(state_dict["best"])
        for name in ("last_epoch", "num_bad_epochs", "cooldown_counter"):
            setattr(self, name, int(state_dict[name]))

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "rel":
            return sign * value < sign * self.best * (1 - sign * self.threshold)
        return sign * value < sign * self.best - self.threshold


def _check_not_captured(schedule: Any) -> None:
    if modes.thread.state.capture is not None:
        raise GraphError(
            f"{type(schedule).__name__}: a graph would not go on to another rate in its replays; call the schedule's step() "
            f"after the graph, and not in the step that is captured."
        )
