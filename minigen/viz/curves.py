"""Training curves: every number that was recorded against the epoch or step, what belongs together in one panel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

from minigen.errors import UserError
from minigen.viz.figure import COLORS, PALE, new_figure, tidy, to_picture
from minigen.viz.picture import Picture, saver

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SPLITS = ("train", "test", "val", "valid", "validation")
_AXES = ("epoch", "step")  # what the curves are drawn against, and its kin
_LAST = ("lr", "seconds", "time")  # of less interest than what is learnt
_MANY = 200  # points from which on a curve is drawn pale, and its average over
_WORDS = {"d_real": "D(x)", "d_fake": "D(G(z))"}  # what the loops of GANs record, as it is written
_GRADIENTS = "grad_"  # how the names of gradient norms begin
_DECADES = 2  # a panel of positive values that span more is drawn on a logarithmic axis


Records = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[float]]
Points = list[tuple[float, float]]


def draw_curves(records: Records) -> Picture:
    """Draw every numeric metric of the records against its epoch or step.

    `train_x` and `test_x` share a panel, and so do the losses (of generator and discriminator, say) and metrics with
    one first word (`d_real`, `d_fake`). Values that are missing, null or not finite are left out. A panel of positive
    values over more than two decades has a logarithmic axis. `d_real` and `d_fake`, as the loops of GANs record them, are
    called D(x) and D(G(z)), and what begins with `grad_` is the norm of a gradient. A curve of more than 200 points is
    drawn pale, with its exponential average, over a fortieth of the points, on top.

    Args:
        records: one dict an epoch (or a step), with "epoch" (or "step") and any metrics, as `RunFolder.records()` gives
            them; or for each metric the list of its values, step by step

    Raises:
        UserError: No record holds a number, or the records are neither dicts nor lists by name.

    >>> picture = draw_curves({"train_loss": [3.0, 2.0, 1.5], "test_loss": [3.1, 2.4, 2.2]})
    """
    if isinstance(records, Mapping):
        lists = records
        bare = [name for name, values in lists.items() if not hasattr(values, "__len__") or isinstance(values, str)]
        if bare:
            raise UserError(f"Of each metric draw_curves wants the list of its values: {bare[0]!r} has none.")
        longest = max((len(values) for values in lists.values()), default=0)
        records = [
            {"step": i + 1} | {name: float(values[i]) for name, values in lists.items() if i < len(values)}
            for i in range(longest)
        ]
    elif not all(isinstance(record, Mapping) for record in records):
        raise UserError(
            "draw_curves wants names: one dictionary a step, [{'loss': 1.0}, …], or lists by name, {'loss': [1.0, …]}."
        )
    along = "step" if records and "epoch" not in records[0] and "step" in records[0] else "epoch"
    series = _series(records, along)
    panels = group_metrics(series)
    if not panels:
        raise UserError("There are no numbers to draw: the records hold no metric besides their epoch.")
    columns = min(len(panels), 2 if len(panels) in (2, 4) else 3)
    rows = math.ceil(len(panels) / columns)
    figure = new_figure(4.4 * columns, 3.2 * rows)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (title, names) in zip(axes, panels.items()):
        plot_metrics(axis, title, {name: series[name] for name in names})
        axis.set_xlabel(along, fontsize=9)
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


def _series(records: Sequence[Mapping[str, Any]], along: str) -> dict[str, Points]:
    """For each metric, its (epoch or step, value) in order, where it has a finite value."""
    series: dict[str, Points] = {}
    for number, record in enumerate(records, 1):
        for name, value in record.items():
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            if name not in _AXES and is_number and math.isfinite(float(value)):
                series.setdefault(name, []).append((record.get(along, number), float(value)))
    return series


def _label(name: str) -> str:
    return _WORDS.get(name, name.removeprefix(_GRADIENTS))


def _average(values: Sequence[float]) -> list[float]:
    """The exponential average over about a fortieth of the values, at each of them, without a slow start."""
    keep = 1 - 40 / len(values)
    total = weight = 0.0
    averages = []
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        averages.append(total / weight)
    return averages


def plot_metrics(axis: Axes, title: str, series: Mapping[str, Points]) -> None:
    """Draw the metrics of one panel, each with at least one (epoch or step, value)."""
    from matplotlib.ticker import MaxNLocator

    for color, (name, points) in zip(COLORS * len(series), series.items()):
        split = _words(name)[0] if _base(name) != name else None
        along, drawn = zip(*points)
        if len(points) > _MANY:
            axis.plot(along, drawn, color=color, linewidth=0.6, alpha=0.3)
            drawn = tuple(_average(drawn))
        axis.plot(
            along,
            drawn,
            color=color,
            label=_label(name) if split is None else split,
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
    if title == f"{_GRADIENTS}*" or (len(series) == 1 and title.startswith(_GRADIENTS)):
        title = "norms of the gradients"
    elif title.endswith("_*") and len(series) <= 3:
        title = ", ".join(map(_label, series))
    axis.set_title(title, fontsize=11)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    axis.grid(True, color=PALE, linewidth=0.6)
    axis.set_axisbelow(True)
    tidy(axis)
    if [title] != list(map(_label, series)):
        axis.legend(fontsize=8, frameon=False)
