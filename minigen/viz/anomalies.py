"""Scores of anomalies: how they are spread, and what scores highest and lowest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from minigen.errors import ShapeError
from minigen.viz.figure import COLORS, new_figure, tidy, to_picture
from minigen.viz.grid import image_grid
from minigen.viz.picture import Picture, saver

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = 10  # images at each end
_BINS = 40


def draw_anomalies(
    scores: np.ndarray,
    images: np.ndarray | None = None,
    anomalous: np.ndarray | None = None,
    reference: np.ndarray | None = None,
    title: str = "",
) -> Picture:
    """Draw a histogram of the scores, and below it the images of the highest and the lowest scores.

    Args:
        scores: (n,), n of at least 1
        images: (n, c, h, w) from 0 to 1, in the same order; None for none
        anomalous: (n,) booleans: those that are known to be anomalies are drawn apart
        reference: (m,) scores of held-out samples; then the histogram is of them, and `scores` are lines in it
        title: above the histogram

    Raises:
        ShapeError: No scores, or images or booleans that are not as many.

    >>> picture = draw_anomalies(np.array([0.1, 0.2, 3.0]), anomalous=np.array([False, False, True]))
    """
    scores = np.asarray(scores, dtype=np.float64)
    images = None if images is None else np.asarray(images)
    lengths = [len(part) for part in (images, anomalous) if part is not None]
    if scores.ndim != 1 or not len(scores) or any(length != len(scores) for length in lengths):
        raise ShapeError(
            f"Scores have the shape (n,), n of at least 1, and as many images, not {scores.shape}, {lengths}."
        )
    figure = new_figure(8, 3 if images is None else 5.4)
    if images is None:
        axes = [figure.subplots()]
    else:
        axes = list(figure.subplots(3, 1, height_ratios=[3, 1.2, 1.2]))
    if reference is None:
        _histogram(axes[0], scores, anomalous)
    else:
        _histogram(axes[0], reference, None)
        for number, value in enumerate(scores):
            axes[0].axvline(value, color=COLORS[1], linewidth=1, label=None if number else f"{len(scores)} given")
    axes[0].legend(fontsize=8, frameon=False)
    axes[0].set_title(title, fontsize=11)
    if images is not None:
        order = np.argsort(scores, kind="stable")
        _ends(axes[1], "highest scores", order[::-1][:_SHOWN], scores, images, anomalous)
        _ends(axes[2], "lowest scores", order[:_SHOWN], scores, images, anomalous)
    return to_picture(figure)


save_anomalies = saver(draw_anomalies)


def _histogram(axis: Axes, scores: np.ndarray, anomalous: np.ndarray | None) -> None:
    finite = scores[np.isfinite(scores)]
    bins = np.histogram_bin_edges(finite if len(finite) else np.zeros(1), _BINS).tolist()
    if anomalous is None:
        kinds = {f"{len(scores)} held out": np.ones(len(scores), bool)}
    else:
        kinds = {
            f"{int((~anomalous).sum())} of the classes it was trained on": ~anomalous,
            f"{int(anomalous.sum())} of what was left out": anomalous,
        }
    for color, (label, chosen) in zip(COLORS, kinds.items()):
        axis.hist(scores[chosen], bins, density=True, color=color, alpha=0.6, label=label)
    axis.set_xlabel("score", fontsize=9)
    axis.set_yticks([])
    tidy(axis)


def _ends(
    axis: Axes, title: str, chosen: np.ndarray, scores: np.ndarray, images: np.ndarray, anomalous: np.ndarray | None
) -> None:
    """A row of images with the score below each, in another colour for known anomalies."""
    grid = image_grid(images[chosen], columns=len(chosen))
    width = grid.shape[1] / len(chosen)
    axis.imshow(grid, cmap="gray", vmin=0, vmax=255)
    axis.set_title(title, fontsize=9, loc="left")
    axis.set_xticks((np.arange(len(chosen)) + 0.5) * width, [f"{scores[i]:.3g}" for i in chosen], fontsize=8)
    axis.set_yticks([])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    for tick, i in zip(axis.get_xticklabels(), chosen):
        tick.set_color(COLORS[0] if anomalous is None or not anomalous[i] else COLORS[1])
