"""Samples in the plane."""

from __future__ import annotations

import os

import numpy as np

from minigen.errors import ShapeError
from minigen.files import atomic_write


def save_points(path: str | os.PathLike[str], samples: np.ndarray, real: np.ndarray) -> None:
    """Write a picture (PNG) of generated samples over real ones, such as those of `minigen.data.mixtures`.

    The frame is that of the real samples with a margin; how many generated ones fall outside it is said below.

    Args:
        path: where to, for example `samples.png`
        samples: (n, 2), generated
        real: (m, 2), m of at least 1

    Raises:
        ShapeError: Not (n, 2) and (m, 2).
        UserError, TrainingError: The path cannot be written, or the disk failed.
    """
    from io import BytesIO

    from matplotlib.backends.backend_agg import FigureCanvasAgg  # not pyplot: the user's backend stays as it is
    from matplotlib.figure import Figure

    samples, real = np.asarray(samples), np.asarray(real)
    if samples.ndim != 2 or samples.shape[1] != 2 or real.ndim != 2 or real.shape[1] != 2 or not len(real):
        raise ShapeError(f"Samples in the plane have the shapes (n, 2) and (m, 2), not {samples.shape}, {real.shape}.")
    center, half = (real.max(axis=0) + real.min(axis=0)) / 2, 0.65 * np.ptp(real, axis=0).max() or 1.0
    outside = int((~(np.abs(samples - center) <= half).all(axis=1)).sum())  # a sample that is NaN is outside too

    figure = Figure(figsize=(5, 5.2), dpi=120, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.scatter(real[:, 0], real[:, 1], s=60, color="#dddddd", linewidths=0, label=f"{len(real)} real")
    axis.scatter(
        samples[:, 0], samples[:, 1], s=5, color="#0072B2", alpha=0.6, linewidths=0, label=f"{len(samples)} generated"
    )
    axis.set(xlim=(center[0] - half, center[0] + half), ylim=(center[1] - half, center[1] + half), aspect="equal")
    axis.set_xlabel(f"{outside} of the {len(samples)} generated lie outside" if outside else "", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, 1.08), ncols=2, frameon=False, markerscale=1.5)
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    atomic_write(path, buffer.getbuffer())
