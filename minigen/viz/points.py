"""Samples in the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigen.errors import ShapeError
from minigen.viz.figure import COLORS, PALE, new_figure, tidy, to_picture
from minigen.viz.picture import Picture, saver
from minigen.viz.titled import Titled, titled

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_points(samples: np.ndarray, real: np.ndarray) -> Picture:
    """Draw generated samples over real ones, such as those of `minigen.data.mixtures`.

    The frame is that of the real samples with a margin; how many generated ones fall outside it is said below.

    Args:
        samples: (n, 2), generated
        real: (m, 2), m of at least 1

    Raises:
        ShapeError: Not (n, 2) and (m, 2).

    >>> ring = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]])
    >>> picture = draw_points(ring * 1.1, ring)
    """
    samples, real = np.asarray(samples), np.asarray(real)
    if samples.ndim != 2 or samples.shape[1] != 2 or real.ndim != 2 or real.shape[1] != 2 or not len(real):
        raise ShapeError(f"Samples in the plane have the shapes (n, 2) and (m, 2), not {samples.shape}, {real.shape}.")
    figure = new_figure(5, 5.2)
    axis = figure.subplots()
    center, half = _frame(axis, real)
    outside = int((~(np.abs(samples - center) <= half).all(axis=1)).sum())  # a sample that is NaN is outside too
    axis.scatter(real[:, 0], real[:, 1], s=60, color=PALE, linewidths=0, label=f"{len(real)} real")
    axis.scatter(
        samples[:, 0], samples[:, 1], s=5, color=COLORS[0], alpha=0.6, linewidths=0, label=f"{len(samples)} generated"
    )
    axis.set_xlabel(f"{outside} of the {len(samples)} generated lie outside" if outside else "", fontsize=9)
    axis.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 1.08), ncols=2, frameon=False, markerscale=1.5)
    return to_picture(figure)


save_points = saver(draw_points)


def draw_paths(panels: Titled, real: np.ndarray) -> Picture:
    """Draw lines in the plane, such as walks between latents, over real samples.

    Args:
        panels: title → lines, each (steps, 2), as a dictionary or pairs; the panels stand side by side
        real: (m, 2), m of at least 1

    Raises:
        ShapeError: A line that is not (steps, 2), or real samples that are not (m, 2).
        UserError: Panels without titles.

    >>> ring = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]])
    >>> picture = draw_paths({"across": [np.array([[0.0, 1.0], [0.0, -1.0]])]}, ring)
    """
    real = np.asarray(real)
    columns = titled("panels", panels)
    shapes = [np.shape(line) for _, lines in columns for line in lines]
    wrong = [shape for shape in (*shapes, real.shape) if len(shape) != 2 or shape[1] != 2]
    if wrong or not len(real):
        raise ShapeError(f"Lines and samples in the plane have the shape (n, 2), not {(wrong or [real.shape])[0]}.")
    figure = new_figure(5 * len(columns), 5.2)
    axes = figure.subplots(1, len(columns), squeeze=False)[0]
    for axis, (title, lines) in zip(axes, columns):
        _frame(axis, real)
        axis.scatter(real[:, 0], real[:, 1], s=60, color=PALE, linewidths=0)
        for number, line in enumerate(map(np.asarray, lines)):
            color = COLORS[number % len(COLORS)]
            axis.plot(line[:, 0], line[:, 1], color=color, linewidth=1, marker="o", markersize=3, alpha=0.8)
        axis.set_title(title, fontsize=11)
    return to_picture(figure)


save_paths = saver(draw_paths)


def _frame(axis: Axes, real: np.ndarray) -> tuple[np.ndarray, float]:
    """Make an axis show what lies around the real samples, whatever else is drawn; its centre and half its side."""
    center, half = (real.max(axis=0) + real.min(axis=0)) / 2, float(0.65 * np.ptp(real, axis=0).max()) or 1.0
    axis.set(xlim=(center[0] - half, center[0] + half), ylim=(center[1] - half, center[1] + half), aspect="equal")
    tidy(axis)
    return center, half
