"""Figures that are drawn into a file, with whatever backend the user has chosen for the screen left as it is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from minigen.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008): told apart by every kind of colour vision.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
PALE = "#dddddd"


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of that size in inches, at 120 pixels an inch."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # not pyplot, which would choose a backend
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def save_figure(path: str | os.PathLike[str], figure: Figure) -> None:
    """Write a figure as a picture (PNG).

    Raises:
        UserError, TrainingError: The path cannot be written, or the disk failed.
    """
    from io import BytesIO

    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    atomic_write(path, buffer.getbuffer())


def tidy(axis: Axes) -> None:
    """Small numbers, and no lines above and to the right."""
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
