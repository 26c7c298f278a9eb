"""What a discriminator, or any function of the plane, says of every point, with samples on top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.autograd import no_grad
from minigen.errors import ShapeError, UserError
from minigen.nn import Module
from minigen.tensor import Tensor
from minigen.viz.figure import PALE, new_figure, tidy, to_picture
from minigen.viz.picture import Picture

YELLOW = "#F0E442"  # of Okabe & Ito (2008) too: seen on red, blue and white alike
_SIDE = 120  # points a row and a column at which the function is asked
_LEVELS = 12  # steps of colour on either side of the middle
_MOST = 0.98  # share of the values that the colours tell apart; the others have the colour of the end


@no_grad()
def draw_surface(
    function: Callable[[Tensor], Any],
    real: np.ndarray,
    samples: np.ndarray | None = None,
    center: float = 0.0,
    title: str = "",
    label: str = "D(x)",
) -> Picture:
    """Draw a function of the plane in steps of colour, the line where it is `center`, and samples.

    Red is above the centre (for a discriminator: taken for real), blue below it. The frame is that of the real samples
    with a margin. The colours run as far as 98 % of the values lie; beyond them all have the colour of the end. Where a
    value is NaN or infinite, there is no colour. A module is asked in evaluation mode, and put back into the one it was in.

    Args:
        function: points (n, 2) to values (n,) or (n, 1): a discriminator's logits, or `lambda x: sigmoid(D(x))`
        real: (m, 2), m of at least 1
        samples: (n, 2), generated; None for none
        center: of the colours: 0 for logits, 0.5 for probabilities
        title: above the picture
        label: beside the colours

    Raises:
        ShapeError: Samples that are not (n, 2), or values that are not one for each point.
        UserError: Not one value is finite.

    >>> ring = np.array([[0.0, 1.0], [1.0, 0.0], [0.0, -1.0], [-1.0, 0.0]])
    >>> picture = draw_surface(lambda x: 1 - (x * x).sum(1), ring)
    """
    real, samples = np.asarray(real), np.zeros((0, 2)) if samples is None else np.asarray(samples)
    if any(x.ndim != 2 or x.shape[1] != 2 for x in (real, samples)) or not len(real):
        raise ShapeError(f"Samples in the plane have the shapes (n, 2) and (m, 2), not {samples.shape}, {real.shape}.")
    middle = (real.max(axis=0) + real.min(axis=0)) / 2
    half = float(0.65 * np.ptp(real, axis=0).max()) or 1.0
    x, y = (np.linspace(c - half, c + half, _SIDE) for c in middle)
    values = _ask(function, np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)).reshape(_SIDE, _SIDE)
    finite = np.isfinite(values)
    if not finite.any():
        raise UserError("There is no surface to draw: the function is NaN or infinite all over the plane.")
    reach = float(np.quantile(np.abs(values[finite] - center), _MOST)) or 1.0
    levels = center + reach * np.linspace(-1, 1, 2 * _LEVELS + 1)

    figure = new_figure(5.8, 5.2)
    axis = figure.subplots()
    shown = np.ma.masked_invalid(values)
    surface = axis.contourf(x, y, shown, levels=levels, cmap="RdBu_r", extend="both")
    if shown.min() < center < shown.max():
        axis.contour(x, y, shown, levels=[center], colors="black", linewidths=1.2)
    axis.scatter(
        real[:, 0], real[:, 1], s=9, color="white", edgecolors="black", linewidths=0.4, label=f"{len(real)} real"
    )
    if len(samples):
        axis.scatter(
            samples[:, 0],
            samples[:, 1],
            s=12,
            color=YELLOW,
            edgecolors="black",
            linewidths=0.3,
            label=f"{len(samples)} generated",
        )
    axis.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]), aspect="equal", facecolor=PALE)
    tidy(axis)
    axis.set_title(title, fontsize=11)
    axis.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=2, frameon=False, markerscale=1.8)
    bar = figure.colorbar(surface, ax=axis, label=label, shrink=0.8, ticks=levels[::4])
    bar.ax.tick_params(labelsize=8)
    bar.ax.yaxis.set_major_formatter("{x:.3g}")
    return to_picture(figure)


def _ask(function: Callable[[Tensor], Any], points: np.ndarray) -> np.ndarray:
    """The values at points (n, 2): (n,) float64."""
    modules = list(function.modules()) if isinstance(function, Module) else []
    modes = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        values = np.asarray(function(Tensor(points.astype(np.float32))), dtype=np.float64)
    finally:
        for module, mode in zip(modules, modes):
            module.training = mode
    if values.shape not in ((len(points),), (len(points), 1)):
        raise ShapeError(
            f"A surface needs one value for each point: the function gave {values.shape} for points {points.shape}."
        )
    return values.reshape(-1)
