"""How far a training run is: a bar in a terminal, a picture in a notebook, one line an epoch elsewhere, or nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from minigen.training.live import NORMS, LivePicture, gradient_norm, notebook_display

if TYPE_CHECKING:
    import rich.progress

    from minigen.nn import Module

_SMOOTHING = 0.9  # a loss is shown as its exponential average over about ten batches
_REDRAW = 0.1  # seconds
_SILENCE = 60.0  # seconds without a line that are too many, where there is no bar
_LONG = 10.0  # seconds of an epoch after which a notebook is shown something before its end


class Progress:
    """The progress of a training loop.

    In a terminal: a bar over the whole run with the epoch, the batch, the smoothed losses, batches a second and the
    time left; about twenty epochs of the run leave a line above it. In a notebook: a picture of the curves, the norms of
    the gradients and the newest samples, drawn anew every few seconds. Elsewhere (a file, a pipe): one plain line an
    epoch, and in long epochs one a minute, without control characters.

    Args:
        total_epochs, batches_per_epoch: the length of the run
        start_epoch: epochs that were done before, where a run is resumed
        quiet: print nothing
        file: where to; stderr, or the notebook, unless given
        samples: gives samples of what is trained; asked in notebooks alone, at the end of an epoch
        modules: what is trained, by name; the norms of their gradients are shown in notebooks

    >>> import sys
    >>> with Progress(total_epochs=2, batches_per_epoch=1, file=sys.stdout) as progress:
    ...     for epoch in (1, 2):
    ...         progress.step({"loss": 0.5 / epoch})
    ...         progress.epoch_done(epoch, {"epoch": epoch, "loss": 0.5 / epoch})  # doctest: +ELLIPSIS
    epoch 1/2  loss 0.5  (... s)
    epoch 2/2  loss 0.25  (... s)
    """

    def __init__(
        self,
        total_epochs: int,
        batches_per_epoch: int,
        start_epoch: int = 0,
        quiet: bool = False,
        file: TextIO | None = None,
        samples: Callable[[], Any] | None = None,
        modules: Mapping[str, Module] | None = None,
    ) -> None:
        self.total_epochs = total_epochs
        self.batches_per_epoch = batches_per_epoch
        self.quiet = quiet
        self.display = notebook_display() if file is None and not quiet else None
        self.file = sys.stderr if file is None else file
        self.samples, self.modules = samples, modules or {}
        self._live: LivePicture | None = None
        self._norms_at = 0.0
        self._epoch = start_epoch  # epochs done
        self._batch = 0  # batches done of the one that runs
        self._average: dict[str, tuple[float, float]] = {}  # per loss: weighted sum of its values, sum of the weights
        self._bar: rich.progress.Progress | None = None
        self._task: Any = None
        self._drawn = self._epoch_start = time.monotonic()

    def __enter__(self) -> Progress:
        self._epoch_start = time.monotonic()
        if self.display is not None:
            self._live = LivePicture(self.display)
        elif not self.quiet and self.file.isatty() and os.environ.get("TERM") != "dumb":
            self._bar = _make_bar(self.file)
            total = self.total_epochs * self.batches_per_epoch or None
            self._task = self._bar.add_task("", total=total, completed=self._epoch * self.batches_per_epoch, text="")
            self._draw()
            self._bar.start()
        return self

    def step(self, losses: Mapping[str, float]) -> None:
        """One batch is done, with these losses."""
        self._batch += 1
        for name, value in losses.items():
            total, weight = self._average.get(name, (0.0, 0.0))
            self._average[name] = (_SMOOTHING * total + float(value), _SMOOTHING * weight + 1.0)
        if self._live is not None:
            self._step_in_notebook(self._live, losses)
            return
        silent = time.monotonic() - self._drawn
        if self._bar is not None and silent >= _REDRAW:
            self._draw()
        elif self._bar is None and silent >= _SILENCE and not self.quiet:
            self._drawn = time.monotonic()
            print(f"{self._where()}  {self._losses()}", file=self.file, flush=True)

    def epoch_done(self, epoch: int, record: Mapping[str, Any]) -> None:
        """Epoch number `epoch` (1 for the first) is done; the numbers of `record` are what is said of it."""
        seconds = time.monotonic() - self._epoch_start
        self._epoch, self._batch = epoch, 0
        self._epoch_start = time.monotonic()
        if self.quiet:
            return
        if self._live is not None:
            measured = {name: value for name, value in _floats(record).items() if name not in (*self._average, "step")}
            self._live.record(epoch * self.batches_per_epoch, measured)
            if self._live.due():
                self._live.show(self._where(), self.samples)
            return
        line = f"epoch {epoch}/{self.total_epochs}  {_numbers(record)}  ({seconds:.1f} s)"
        if self._bar is None:
            self._drawn = time.monotonic()
            print(line, file=self.file, flush=True)
            return
        every = max(1, self.total_epochs // 20)
        if epoch % every == 0 or epoch == self.total_epochs:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        self._draw()

    def stopping(self) -> None:
        """Say that the loop ends after the batch at hand. Fit for a signal's handler, in which print could fail."""
        if self.quiet or self._live is not None:
            return
        with suppress(OSError, AttributeError):  # a file without a descriptor
            os.write(
                self.file.fileno(), b"\nStopping after this batch, and saving; press Ctrl-C again to stop at once.\n"
            )

    def finish(self) -> None:
        """Where there is no bar, and no epoch whose end is told, say how it ended."""
        if self._bar is None and not self.quiet and self._batch:
            print(f"{self._where()}  {self._losses()}".rstrip(), file=self.file, flush=True)

    def _step_in_notebook(self, live: LivePicture, losses: Mapping[str, float]) -> None:
        now = time.monotonic()
        values = dict(losses)
        if now - self._norms_at >= NORMS:
            self._norms_at = now
            norms = {f"grad_{name}": gradient_norm(module.parameters()) for name, module in self.modules.items()}
            values |= {name: norm for name, norm in norms.items() if norm}  # 0: nothing of it is trained
        live.record(self._epoch * self.batches_per_epoch + self._batch, values)
        if (self.samples is None or now - self._epoch_start >= _LONG) and live.due():
            live.show(self._where())

    def _draw(self) -> None:
        if self._bar is None:
            return
        self._drawn = time.monotonic()
        self._bar.update(
            self._task,
            completed=self._epoch * self.batches_per_epoch + self._batch,
            description=self._where(),
            text=self._losses(),
        )

    def _where(self) -> str:
        running = min(self._epoch + 1, self.total_epochs)
        batch = self._batch if self._epoch < self.total_epochs else self.batches_per_epoch
        width = len(str(self.batches_per_epoch))
        if self.total_epochs == 1:
            return f"step {batch:{width}}" + (f"/{self.batches_per_epoch}" if self.batches_per_epoch else "")
        return f"epoch {running}/{self.total_epochs} batch {batch:{width}}/{self.batches_per_epoch}"

    def _losses(self) -> str:
        """The smoothed losses."""
        return _numbers({name: total / weight for name, (total, weight) in self._average.items()})

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            if self._average:
                self._live.show(self._where(), self.samples if kind is None else None)
            self._live = None
        if self._bar is not None:
            self._draw()
            self._bar.stop()  # gives the cursor back, after an exception or Ctrl-C too
            self._bar = None


def _make_bar(file: TextIO) -> rich.progress.Progress:
    from rich.console import Console
    from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: rich.progress.Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else f"{speed:.3g} it/s", style="dim", no_wrap=True)

    return Bar(
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=12),
        TextColumn("{task.fields[text]}", style="cyan", table_column=Column(no_wrap=True, overflow="ellipsis")),
        Speed(table_column=Column(no_wrap=True)),
        TimeRemainingColumn(elapsed_when_finished=True, table_column=Column(no_wrap=True, min_width=7)),
        console=Console(file=file, force_terminal=True),
    )


def _numbers(record: Mapping[str, Any]) -> str:
    """`loss 0.123  kl 4.5`: the numbers of a record but its epoch and time, to four digits.

    >>> _numbers({"epoch": 3, "loss": 0.123456, "note": "x", "kl": 4.5})
    'loss 0.1235  kl 4.5'
    """
    return "  ".join(f"{name} {value:.4g}" for name, value in _floats(record).items())


def _floats(record: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a record but its epoch and time."""
    return {
        name: float(value)
        for name, value in record.items()
        if name not in ("epoch", "seconds") and not isinstance(value, (str, bool)) and hasattr(value, "__float__")
    }
