"""Figures that become pictures, with whatever backend the user has chosen for the screen left as it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from minigen.viz.picture import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008): told apart by every kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
PALE = "#dddddd"


def new_figure(width: float, height: float, dpi: int = 120, fitted: bool = True) -> Figure:
    """An empty white figure of that size in inches, whose parts are `fitted` to what stands in them, which takes time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # not pyplot, which would choose a backend
    from matplotlib.figure import Figure

    layout: Any = "constrained" if fitted else "none"  # not even where the user's style fits all figures
    figure = Figure(figsize=(width, height), dpi=dpi, layout=layout, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def to_picture(figure: Figure) -> Picture:
    """The figure as it is now."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = cast(FigureCanvasAgg, figure.canvas)
    if figure.get_layout_engine() is not None:
        figure.draw_without_rendering()  # fits the parts, which is done when the figure is drawn again
    canvas.draw()
    return Picture(np.asarray(canvas.buffer_rgba())[:, :, :3].copy())


def save_figure(path: str | os.PathLike[str], figure: Figure) -> None:
    """Write a figure as a picture, in the format that the file's name ends in.

    Raises:
        UserError, TrainingError: The path cannot be written, or the disk failed.
    """
    to_picture(figure).save(path)


def tidy(axis: Axes) -> None:
    """Small numbers, and no lines above and to the right."""
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
