"""What a training loop needs besides its algorithm: epochs, batches, records, checkpoints, and an orderly stop.

The loops in this folder are the algorithms; a `Session` keeps everything else out of them:

    for epoch in session.epochs():
        for x in session.batches():
            loss = ...
            session.log(loss=loss)      # stops the run if it is not finite (on a CPU, before any weight has changed)
            ...
        session.end_epoch(test_loss=...)

A checkpoint holds the whole state of a run: weights, optimizer slots, generators, the position within the epoch. It
is saved at the end of every epoch, about once a minute within a long one, and when Ctrl-C asks for a stop. A run that
goes on from one ends with the same bits as one that was never stopped.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import Any

import numpy as np

from minigen import nn
from minigen.data import DataLoader
from minigen.device import Device
from minigen.device import cpu as CPU
from minigen.errors import TrainingError
from minigen.functional import stack
from minigen.optim import LRScheduler, Optimizer
from minigen.random import Generator, default_generator
from minigen.tensor import Tensor
from minigen.training.checkpoint import Checkpoint, save_checkpoint
from minigen.training.progress import Progress
from minigen.training.run_folder import RunFolder

SAVE_EVERY = 60.0  # seconds between checkpoints within an epoch
READ_EVERY = 0.25  # seconds between looks at what was logged on a GPU, which the host waits for


class Interrupted(Exception):
    """Ctrl-C was pressed; the run has been saved and can go on."""


class Session:
    """The state of one run while it trains.

    Args:
        run: its folder, open for writing.
        modules, optimizers, generators: everything with a state, by name. minigen's default generator is added.
        loader: batches whose first array are the inputs.
        epochs: train until this many are done.
        device: where the batches go.
        schedules: of the optimizers' learning rates, in steps.
        quiet: show no progress.
        samples: gives samples of what is trained, shown in a notebook at the end of an epoch now and then.
    """

    def __init__(
        self,
        run: RunFolder,
        modules: Mapping[str, nn.Module],
        optimizers: Mapping[str, Optimizer],
        generators: Mapping[str, Generator],
        loader: DataLoader,
        epochs: int,
        device: Device,
        schedules: Sequence[LRScheduler] = (),
        quiet: bool = False,
        samples: Callable[[], Any] | None = None,
    ) -> None:
        self.run, self.modules, self.optimizers, self.loader = run, modules, optimizers, loader
        self.samples = samples
        self.generators = {**generators, "default": default_generator}
        self.total_epochs, self.device, self.schedules, self.quiet = epochs, device, schedules, quiet
        self.epoch = 0  # epochs done
        self.step = 0  # batches done, in all epochs
        self._sums: dict[str, float] = {}  # of what was logged in this epoch
        self._counts: dict[str, int] = {}
        self._latest: dict[str, float] = {}  # what was logged last
        self._unread: list[tuple[str, Tensor]] = []  # what was logged on a GPU, and not looked at yet
        self._read_at = 0.0
        self.saved_step = self._saved_epoch = -1  # of the newest checkpoint
        self._saved_at = self._epoch_start = time.monotonic()
        self._stop = False

    def epochs(self) -> Iterator[int]:
        """The numbers of the epochs that are left, the first being 1, with progress shown and Ctrl-C minded."""
        length = self.total_epochs, len(self.loader), self.epoch
        self._progress = Progress(*length, self.quiet, samples=self.samples, modules=self.modules)
        before = _on_interrupt(self._ask_to_stop)
        try:
            self.save()  # so that there is a checkpoint to fall back on from the first batch
            with self._progress:
                while self.epoch < self.total_epochs:
                    self._epoch_start = time.monotonic()
                    yield self.epoch + 1
        finally:
            _on_interrupt(before)

    def batches(self, device: Device | None = None) -> Iterator[Tensor]:
        """The inputs of the batches that are left of this epoch, as tensors on the run's device or on another one."""
        for module in self.modules.values():
            module.train()
        for batch in self.loader:
            yield Tensor(batch[0], device=device or self.device)
            if self._unread and time.monotonic() - self._read_at > READ_EVERY:
                self._read()
            self.step += 1
            for schedule in self.schedules:
                schedule.step()
            self._progress.step(self._latest)
            if self._stop:
                self.save()
                raise Interrupted
            if time.monotonic() - self._saved_at > SAVE_EVERY:
                self.save()

    def log(self, **losses: Tensor | float) -> None:
        """Take note of losses of the batch at hand; call it before the step that they lead to.

        The host does not wait for losses on a GPU, but looks at them a few times a second, and before anything is saved.

        Raises:
            TrainingError: one of them is NaN or infinite.
        """
        for name, value in losses.items():
            if isinstance(value, Tensor) and value.device is not CPU:
                self._unread.append((name, value.detach()))
            else:
                self._note(name, float(value))

    def _read(self) -> None:
        """Look at the losses on the GPU, all in one copy."""
        if self._unread:
            names, losses = zip(*self._unread)
            self._unread = []
            for name, value in zip(names, stack([loss.reshape(()) for loss in losses]).tolist()):
                self._note(name, value)
        self._read_at = time.monotonic()

    def _note(self, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise self._failed(f"{name} became {'NaN' if math.isnan(value) else 'infinite'}")
        self._sums[name] = self._sums.get(name, 0.0) + value
        self._counts[name] = self._counts.get(name, 0) + 1
        self._latest[name] = value

    def end_epoch(self, **measured: float) -> None:
        """Close the epoch: write the means of what was logged, and `measured`, to the record, and save."""
        self._read()
        self.epoch += 1
        means = {name: total / self._counts[name] for name, total in self._sums.items()}
        seconds = round(time.monotonic() - self._epoch_start, 3)
        record = {"epoch": self.epoch, "step": self.step, **means, **measured, "seconds": seconds}
        self._sums, self._counts = {}, {}
        self._check_weights()
        self.run.append(record)  # before the checkpoint: killed in between, the epoch is repeated and this removed
        self.save()
        self._progress.epoch_done(self.epoch, record)
        if self._stop:
            raise Interrupted

    def save(self) -> None:
        """Write a checkpoint of this moment.

        Raises:
            TrainingError: a weight is not finite, or the disk is full; the checkpoints before are untouched.
        """
        if (self.step, self.epoch) == (self.saved_step, self._saved_epoch):
            return
        self._read()
        self._check_weights()
        arrays: dict[str, np.ndarray] = {}
        for name, module in self.modules.items():
            arrays |= {f"model.{name}.{key}": value.cpu().numpy() for key, value in module.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            arrays |= {f"optimizer.{name}.{key}": value for key, value in optimizer.state_arrays().items()}
        meta = {
            "epoch": self.epoch,
            "optimizers": {name: optimizer.state_numbers() for name, optimizer in self.optimizers.items()},
            "generators": {name: generator.get_state() for name, generator in self.generators.items()},
            "loader": self.loader.state_dict(),
            "sums": self._sums,
            "counts": self._counts,
        }
        save_checkpoint(self.run.checkpoints, self.step, arrays, meta)
        self.saved_step, self._saved_epoch, self._saved_at = self.step, self.epoch, time.monotonic()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Be where `save` was called; records of later epochs are removed from the run."""
        load_weights(self.modules, checkpoint)
        for name, optimizer in self.optimizers.items():
            arrays = _under(f"optimizer.{name}.", checkpoint.arrays)
            optimizer.load_state(arrays, checkpoint.meta["optimizers"][name])
        for name, generator in self.generators.items():
            generator.set_state(checkpoint.meta["generators"][name])
        self.loader.load_state_dict(checkpoint.meta["loader"])
        self.epoch, self.step = checkpoint.meta["epoch"], checkpoint.step
        for schedule in self.schedules:
            schedule.load_state_dict({"last_epoch": self.step, "base_lrs": schedule.base_lrs})
        self._sums, self._counts = dict(checkpoint.meta["sums"]), dict(checkpoint.meta["counts"])
        self.saved_step, self._saved_epoch = self.step, self.epoch
        self.run.rewind(self.epoch)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        if self._stop:  # asked twice: at once
            raise KeyboardInterrupt
        self._stop = True
        self._progress.stopping()

    def _check_weights(self) -> None:
        for name, module in self.modules.items():
            for key, weight in module.named_parameters():
                if not bool(weight.device.xp.isfinite(weight.data).all()):
                    raise self._failed(f"the weight {name}.{key} is no longer finite")

    def _failed(self, what: str) -> TrainingError:
        last = f"step {self.saved_step}" if self.saved_step >= 0 else "none"
        return TrainingError(
            f"At step {self.step + 1} (epoch {self.epoch + 1}) {what}, and the run has stopped; the last good checkpoint "
            f"({last}) is kept in {self.run.checkpoints}. Begin a new run with a lower --lr or a larger --batch-size."
        )


def load_weights(modules: Mapping[str, nn.Module], checkpoint: Checkpoint) -> None:
    """Put the weights and buffers of a checkpoint into the modules."""
    for name, module in modules.items():
        module.load_state_dict(_under(f"model.{name}.", checkpoint.arrays))


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def _on_interrupt(handler: Any) -> Any:
    """Set what Ctrl-C does, and return what it did; threads other than the main one may not, and do nothing."""
    try:
        return signal.signal(signal.SIGINT, handler)
    except ValueError:
        return signal.SIG_DFL
