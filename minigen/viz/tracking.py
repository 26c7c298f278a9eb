"""The live view of a training loop that is written by hand: `live` and what it returns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sized
from typing import Any, TypeVar

import numpy as np

from minigen.autograd import no_grad
from minigen.errors import ShapeError, UserError
from minigen.nn import Module
from minigen.training.live import EVERY, NORMS, Curve, LivePicture, gradient_norm, notebook_display
from minigen.training.progress import Progress
from minigen.viz.dashboard import check_samples

T = TypeVar("T")


class LiveView:
    """Made by `live`, which says what it shows; `every`, `value_range` and `real` as for `live`."""

    def __init__(self, every: float, value_range: tuple[float, float], real: Any) -> None:
        if real is not None:
            real = np.asarray(real)
            if real.ndim != 2 or real.shape[1] < 2 or not len(real):
                raise ShapeError(f"live: real points are (m, 2 or more), m of at least 1, not {real.shape}.")
        self._value_range, self._real = value_range, real
        self._curves: dict[str, Curve] = {}
        display = notebook_display()
        self._picture = None if display is None else LivePicture(display, every, value_range, real)
        self._values: dict[str, float] = {}  # of the step at hand
        self._step = 0
        self._samples: Any = None
        self._norms_at = 0.0
        self._done, self._total = 0, 0

    def track(self, iterable: Iterable[T]) -> Iterator[T]:
        """Yield the items of an iterable, and show how many have been and what was logged.

        Put it around the outermost loop. A step is an item, or, where several are logged in one item, each of them. However the loop ends, by its end, `break`, an error or Ctrl-C, the last picture
        is of its last step.
        """
        self._done, self._total = 0, len(iterable) if isinstance(iterable, Sized) else 0
        if self._picture is None:
            with Progress(1, self._total) as progress:
                try:
                    for item in iterable:
                        yield item
                        self._done += 1
                        progress.step(self._values)
                        self._end_step()
                finally:
                    self._end_step()
                    progress.finish()
            return
        try:
            for item in iterable:
                yield item
                self._done += 1
                self._end_step()
                self._refresh(self._picture)
        finally:
            self._end_step()
            self._picture.show(self._title(), self._samples)

    def log(self, samples: Any = None, gradients: Mapping[str, Module] | None = None, **values: Any) -> None:
        """Take note of what the loop has come to. A name that comes again begins the next step.

        Args:
            samples: images (n, 1 or 3, h, w) or points (n, 2 or more); or a function that gives them, which is called
                without a graph, and only when they are drawn
            gradients: modules by name, the norms of whose gradients are drawn, taken ten times a second at most; log them
                between `backward` and `zero_grad`
            **values: numbers, or tensors of one number; `d_real` and `d_fake` are shown as D(x) and D(G(z))

        Raises:
            ShapeError: Samples of another shape.
            UserError: A value that is not one number, or has no name.
        """
        if isinstance(samples, str) or not (gradients is None or isinstance(gradients, Mapping)):
            raise UserError("log: give each number its name, log(loss=0.5), and modules as gradients={'G': generator}.")
        numbers = {name: _number(name, value) for name, value in values.items()}
        now = time.monotonic()
        if gradients is not None and self._picture is not None and now - self._norms_at >= NORMS:
            self._norms_at = now
            numbers |= {f"grad_{name}": gradient_norm(module.parameters()) for name, module in gradients.items()}
        if samples is not None:
            if not callable(samples):
                samples = np.asarray(samples)
                check_samples(samples)
            self._samples = samples
        if self._values.keys() & numbers.keys():
            self._end_step()
            if self._picture is not None:
                self._refresh(self._picture)
        self._values |= numbers

    def _end_step(self) -> None:
        if not self._values:
            return
        self._step = max(self._step + 1, self._done)
        if self._picture is not None:
            self._picture.record(self._step, self._values)
        for name, value in self._values.items():
            self._curves.setdefault(name, Curve()).add(self._step, value)
        self._values = {}

    def _refresh(self, picture: LivePicture) -> None:
        if picture.due():
            picture.show(self._title(), self._samples)

    def _title(self) -> str:
        if not self._done:
            return f"step {self._step}"
        return f"{self._done} of {self._total}" if self._total else f"{self._done} so far"

    @no_grad()
    def _repr_png_(self) -> bytes | None:
        """What has been logged so far as a picture, where the view is the last line of a notebook's cell."""
        from minigen.viz.dashboard import draw_dashboard

        self._end_step()
        series = {name: points for name, curve in self._curves.items() if (points := curve.points())}
        samples = self._samples() if callable(self._samples) else self._samples
        if not series and samples is None:
            return None
        return draw_dashboard(
            series, None if samples is None else np.asarray(samples), self._title(), self._value_range, self._real
        )._repr_png_()

    def __repr__(self) -> str:
        self._end_step()
        last = "".join(
            f"  {name} {curve.points()[-1][1]:.4g}" for name, curve in self._curves.items() if curve.points()
        )
        return f"<LiveView, {self._title()}{last}>"


def live(every: float = EVERY, value_range: tuple[float, float] = (0.0, 1.0), real: Any = None) -> LiveView:
    """A view of a training loop: its curves, its newest samples, D(x) and D(G(z)), the norms of its gradients.

    In a notebook it is one picture, drawn anew in its place every few seconds, as far as 2 % of the time allow; the last
    one is what stays when the notebook is stored. In a terminal it is a progress bar with
    the losses, and elsewhere a line a minute. It is drawn while it goes through `track`; without that, the view as the last
    line of a cell shows what has been logged.

        view = minigen.viz.live(value_range=(-1, 1))
        for step in view.track(range(2000)):
            ...
            view.log(d_loss=d_loss, g_loss=g_loss, d_real=sigmoid(real_logits).mean(), d_fake=sigmoid(fake_logits).mean())
            view.log(gradients={"G": generator, "D": discriminator}, samples=lambda: generator(z))

    Args:
        every: seconds between two pictures at least
        value_range: of samples that are images: the values shown as black and as full light
        real: (m, 2 or more), real points to draw behind samples that are points

    Raises:
        ShapeError: Real points of another shape.

    >>> view = live()
    >>> for step in view.track(range(3)):
    ...     view.log(loss=1.0 / (step + 1))
    """
    return LiveView(every, value_range, real)


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        shape = f" {np.shape(value)}" if hasattr(value, "shape") else ""
        raise UserError(f"log: {name} must be one number, not {type(value).__name__}{shape}.") from error
