"""Training curves: every number of metrics.jsonl against the epoch, what belongs together in one panel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minigen.errors import UserError
from minigen.viz.figure import COLORS, PALE, new_figure, tidy, to_picture
from minigen.viz.picture import Picture, saver

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPLITS = ("train", "test", "val", "valid", "validation")
_AXES = ("epoch", "step")  # what the curves are drawn against, and its kin
_LAST = ("lr", "seconds", "time")  # of less interest than what is learnt
_DECADES = 2  # a panel of positive values that span more is drawn on a logarithmic axis


def draw_curves(records: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw every numeric metric of the records against its epoch.

    `train_x` and `test_x` share a panel, and so do the losses (of generator and discriminator, say) and metrics with
    one first word (`d_real`, `d_fake`). Values that are missing, null or not finite are left out. A panel of positive
    values over more than two decades has a logarithmic axis.

    Args:
        records: one dict an epoch, with "epoch" and any metrics, as `RunFolder.records()` gives them

    Raises:
        UserError: No record holds a number.
    """
    series = _series(records)
    panels = group_metrics(series)
    if not panels:
        raise UserError("There are no numbers to draw: the records hold no metric besides their epoch.")
    columns = min(len(panels), 2 if len(panels) in (2, 4) else 3)
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(4.4 * columns, 3.2 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (title, names) in zip(axes, panels.items()):
        _draw(axis, title, {name: series[name] for name in names})
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    return to_picture(figure)


save_curves = saver(draw_curves)


def group_metrics(names: Iterable[str]) -> dict[str, list[str]]:
    """Which metrics share a panel: title → names, both in the order in which they first came.

    >>> group_metrics(["d_loss", "g_loss", "d_real", "d_fake", "seconds", "test_fd"])
    {'losses': ['d_loss', 'g_loss'], 'd_*': ['d_real', 'd_fake'], 'fd': ['test_fd'], 'seconds': ['seconds']}
    >>> group_metrics(["train_loss", "train_kl", "test_loss", "test_kl"])
    {'loss': ['train_loss', 'test_loss'], 'kl': ['train_kl', 'test_kl']}
    """
    names = list(names)
    by_base: dict[str, list[str]] = {}
    for name in names:
        by_base.setdefault(_base(name), []).append(name)
    alone = [base for base, members in by_base.items() if len(members) == 1]
    panels: dict[str, list[str]] = {}
    for base, members in by_base.items():
        title = base
        if base in alone:
            word, is_loss = _words(base)[0], "loss" in _words(base)
            kin = [other for other in alone if ("loss" in _words(other)) == is_loss]
            if is_loss and len(kin) > 1:
                title = "losses"
            elif not is_loss and sum(_words(other)[0] == word for other in kin) > 1:
                title = f"{word}_*"
        panels.setdefault(title, []).extend(members)
    return dict(sorted(panels.items(), key=lambda panel: _words(panel[0])[0] in _LAST))


def _words(name: str) -> list[str]:
    return name.replace("/", "_").split("_")


def _base(name: str) -> str:
    """The metric without the split that it was measured on: `test_loss` → `loss`."""
    first, *rest = _words(name)
    return "_".join(rest) if first in _SPLITS and rest else name


def _series(records: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """For each metric, its (epoch, value) in order, where it has a finite value."""
    series: dict[str, list[tuple[float, float]]] = {}
    for number, record in enumerate(records, 1):
        for name, value in record.items():
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if name not in _AXES and is_number and math.isfinite(value):
                series.setdefault(name, []).append((record.get("epoch", number), value))
    return series


def _draw(axis: Axes, title: str, series: Mapping[str, list[tuple[float, float]]]) -> None:
    from matplotlib.ticker import MaxNLocator

    for color, (name, points) in zip(COLORS * len(series), series.items()):
        split = _words(name)[0] if _base(name) != name else None
        axis.plot(
            *zip(*points),
            color=color,
            label=name if split is None else split,
            linewidth=1.6,
            linestyle="-" if split in (None, "train") else "--",
            marker="o" if len(points) <= 15 else None,
            markersize=4,
        )
    values = [value for points in series.values() for _, value in points]
    if min(values) > 0 and math.log10(max(values) / min(values)) > _DECADES:
        axis.set_yscale("log")
    else:
        axis.ticklabel_format(axis="y", scilimits=(-3, 4), useOffset=False)
    epochs = {epoch for points in series.values() for epoch, _ in points}
    if len(epochs) == 1:
        axis.set_xlim(min(epochs) - 1, min(epochs) + 1)
    title = ", ".join(series) if title.endswith("_*") and len(series) <= 3 else title
    axis.set_title(title, fontsize=11)
    axis.set_xlabel("epoch", fontsize=9)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.grid(True, color=PALE, linewidth=0.6)
    axis.set_axisbelow(True)
    tidy(axis)
    if [title] != list(series):
        axis.legend(fontsize=8, frameon=False)
