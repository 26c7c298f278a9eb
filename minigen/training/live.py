"""The progress of training as one picture in a notebook, drawn anew in its place every few seconds."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from minigen.autograd import no_grad
from minigen.tensor import Tensor

SHARE = 0.02  # of the time may go into drawing
EVERY = 2.0  # seconds between two pictures at least
FIRST = 0.5  # seconds before the first
NORMS = 0.1  # seconds between two looks at the gradients
_KEPT = 400  # points of a curve; where there are more, each is the mean of several

Samples = Any  # an array or a tensor, or a function that gives one


def notebook_display() -> Callable[..., Any] | None:
    """IPython's `display` where this is a notebook, and None elsewhere (IPython in a terminal, plain Python)."""
    if "IPython" not in sys.modules:
        return None
    from IPython import get_ipython
    from IPython.display import display

    shell = get_ipython()
    return display if shell is not None and getattr(shell, "kernel", None) is not None else None


def gradient_norm(parameters: Iterable[Tensor]) -> float:
    """√Σ‖g‖² over the gradients there are, without changing them.

    >>> import minigen
    >>> w = minigen.zeros(2, requires_grad=True)
    >>> (w * minigen.tensor([3.0, 4.0])).sum().backward()
    >>> gradient_norm([w])
    5.0
    """
    gradients = [parameter.grad.data for parameter in parameters if parameter.grad is not None]
    return math.sqrt(sum(float((g * g).sum()) for g in gradients))


class Curve:
    """The values of one metric by step, in bounded memory.

    >>> curve = Curve()
    >>> for step in (1, 2, 3):
    ...     curve.add(step, step / 2)
    >>> curve.points()
    [(1.0, 0.5), (2.0, 1.0), (3.0, 1.5)]
    """

    def __init__(self) -> None:
        self._points: list[tuple[float, float]] = []
        self._together = 1  # values in one point
        self._waiting: list[tuple[float, float]] = []

    def add(self, step: float, value: float) -> None:
        """Take note of a value; one that is not finite leaves a gap."""
        if not math.isfinite(value):
            return
        self._waiting.append((step, value))
        if len(self._waiting) == self._together:
            self._points.append(_mean(self._waiting))
            self._waiting = []
        if len(self._points) == _KEPT:
            self._points = [_mean(self._points[i : i + 2]) for i in range(0, _KEPT, 2)]
            self._together *= 2

    def points(self) -> list[tuple[float, float]]:
        """(step, value) in order."""
        return self._points + ([_mean(self._waiting)] if self._waiting else [])


class LivePicture:
    """One output of a notebook with the curves and the newest samples of a run.

    Drawing takes at most 2 % of the time, so that where one picture takes long the next one waits; only in a loop that is
    over before its first and last picture are 2 % of it do these two take more.

    Args:
        display: IPython's, or one that behaves alike: returns a handle with `update` when called with `display_id=True`.
        every: seconds between two pictures at least.
        value_range: of samples that are images.
        real: points behind samples that are points.
    """

    def __init__(
        self,
        display: Callable[..., Any],
        every: float = EVERY,
        value_range: tuple[float, float] = (0.0, 1.0),
        real: Any = None,
    ) -> None:
        from minigen.viz.dashboard import check_samples, draw_dashboard  # matplotlib is loaded before the clock starts
        from minigen.viz.figure import new_figure

        new_figure(1, 1)
        self._draw, self._check, self._display, self.every = draw_dashboard, check_samples, display, every
        self._value_range, self._real = value_range, None if real is None else np.asarray(real)
        self._curves: dict[str, Curve] = {}
        self._last: dict[str, float] = {}  # the newest value of each
        self._shown_samples: np.ndarray | None = None
        self._handle: Any = None
        self._begun = self._ended = time.monotonic()
        self._spent = self._cost = 0.0  # seconds on all pictures so far; on the newest

    def record(self, step: int, values: Mapping[str, float]) -> None:
        """Take note of the `values` that belong to a step, by name."""
        for name, value in values.items():
            self._last[name] = float(value)
            self._curves.setdefault(name, Curve()).add(step, float(value))

    def due(self) -> bool:
        """Whether it is time for another picture, and there is time for one."""
        now = time.monotonic()
        if self._handle is None:
            return now - self._begun >= FIRST
        reserved = 2 * self._cost  # for this picture and for the last
        return now - self._ended >= self.every and self._spent + reserved <= SHARE * (now - self._begun)

    @no_grad()
    def show(self, title: str, samples: Samples = None) -> None:
        """Draw, whether it is due or not.

        Args:
            title: above the picture
            samples: an array or a tensor, or a function that gives one; those shown last unless given
        """
        before = time.monotonic()
        if samples is not None:
            self._shown_samples = np.array(samples() if callable(samples) else samples)
            self._check(self._shown_samples)
        series = {name: points for name, curve in self._curves.items() if (points := curve.points())}
        lost = [f"{name} is {value}" for name, value in self._last.items() if not math.isfinite(value)]
        title = "   ".join([title, *lost])
        picture = self._draw(series, self._shown_samples, title, self._value_range, self._real)
        if self._handle is None:
            self._handle = self._display(picture, display_id=True)
        else:
            self._handle.update(picture)
        self._ended = time.monotonic()
        self._cost = self._ended - before
        self._spent += self._cost


def _mean(points: list[tuple[float, float]]) -> tuple[float, float]:
    return sum(step for step, _ in points) / len(points), sum(value for _, value in points) / len(points)
