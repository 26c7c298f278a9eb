"""A training run at one glance: its curves side by side, and its newest samples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from minigen.errors import ShapeError
from minigen.viz.curves import Points, group_metrics, plot_metrics
from minigen.viz.figure import COLORS, PALE, new_figure, tidy, to_picture
from minigen.viz.grid import image_grid
from minigen.viz.picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WIDTH, _HEIGHT = 3.5, 2.7  # of a panel, inches
_DPI = 100
_IMAGES = 36  # shown at most


def draw_dashboard(
    series: Mapping[str, Points],
    samples: np.ndarray | None = None,
    title: str = "",
    value_range: tuple[float, float] = (0.0, 1.0),
    real: np.ndarray | None = None,
) -> Picture:
    """Draw curves in panels, as `draw_curves` groups them, and samples in the last one.

    The places are fixed and not fitted to what stands in them, which makes it a few times faster than `draw_curves`.

    Args:
        series: name → (step, value), each finite and at least one
        samples: images (n, 1 or 3, h, w) or points (n, 2 or more), of which the first two coordinates are drawn
        title: above all
        value_range: of images: the values shown as black and as full light
        real: (m, 2 or more), real points behind the samples

    Raises:
        ShapeError: Samples of another shape.
    """
    panels = group_metrics(series)
    count = max(1, len(panels) + (samples is not None))
    columns = count if count <= 3 else 2 if count == 4 else 3
    rows = math.ceil(count / columns)
    height = _HEIGHT * rows + 0.3
    figure = new_figure(_WIDTH * columns, height, _DPI, fitted=False)
    figure.subplots_adjust(
        0.42 / columns / _WIDTH, 0.45 / height, 1 - 0.1 / columns / _WIDTH, 1 - 0.6 / height, 0.2, 0.4
    )
    figure.suptitle(title, fontsize=10, x=0.01, y=1 - 0.05 / height, ha="left", va="top")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axis, (name, members) in zip(axes, panels.items()):
        plot_metrics(axis, name, {member: series[member] for member in members})
        axis.locator_params("x", nbins=3)
        axis.locator_params("y", **({"numticks": 4} if axis.get_yscale() == "log" else {"nbins": 4}))
        axis.minorticks_off()
    if samples is not None:
        _samples(axes[len(panels)], np.asarray(samples), value_range, real)
    for axis in axes[len(panels) + (samples is not None) :]:
        axis.set_axis_off()
    return to_picture(figure)


def check_samples(samples: np.ndarray) -> None:
    """Refuse what is neither images nor points.

    Raises:
        ShapeError: Not (n, 1 or 3, h, w) and not (n, 2 or more).
    """
    shape = samples.shape
    is_images = len(shape) == 4 and shape[1] in (1, 3)
    is_points = len(shape) == 2 and shape[1] >= 2
    if not (is_images or is_points) or 0 in shape:
        raise ShapeError(f"Samples are images (n, 1 or 3, h, w) or points (n, 2 or more), at least one, not {shape}.")


def _samples(axis: Axes, samples: np.ndarray, value_range: tuple[float, float], real: np.ndarray | None) -> None:
    check_samples(samples)
    axis.set_title("samples", fontsize=11)
    if samples.ndim == 2:
        if real is not None:
            frame = np.asarray(real)[:, :2]
            axis.scatter(frame[:, 0], frame[:, 1], s=20, color=PALE, linewidths=0)
        else:
            finite = samples[np.isfinite(samples).all(axis=1), :2]
            frame = finite if len(finite) else np.zeros((1, 2))
        axis.scatter(samples[:, 0], samples[:, 1], s=4, color=COLORS[0], alpha=0.6, linewidths=0)
        middle, half = (frame.max(axis=0) + frame.min(axis=0)) / 2, float(0.65 * np.ptp(frame, axis=0).max()) or 1.0
        axis.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), aspect="equal")
        tidy(axis)
        return
    axis.set_axis_off()
    images = samples[:_IMAGES]
    lost = int(np.isnan(images).sum())
    if lost:
        axis.text(0.5, 0.5, f"{lost} of {images.size} values are NaN", ha="center", transform=axis.transAxes)
        return
    axis.imshow(image_grid(images, value_range=value_range), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
