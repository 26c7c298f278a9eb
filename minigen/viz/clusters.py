"""Clusters: where they lie in the plane beside the classes, and what each holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigen.errors import ShapeError
from minigen.viz.figure import PALE, new_figure, tidy, to_picture
from minigen.viz.grid import BACKGROUND, image_grid
from minigen.viz.picture import Picture, saver

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SHOWN = 12  # images of a cluster
_NOISE = -1


def draw_clusters(
    points: np.ndarray,
    clusters: np.ndarray,
    labels: np.ndarray | None = None,
    images: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
) -> Picture:
    """Draw the points coloured by cluster, by class where there are any, and images of each cluster.

    Args:
        points: (n, 2), n of at least 1
        clusters: (n,) integers, -1 for what is in none
        labels: (n,) integers, the classes
        images: (n, c, h, w) from 0 to 1; of each cluster the first few are shown
        class_names: what the classes are called; their numbers unless given

    Raises:
        ShapeError: Not (n, 2), or not as many of the others.

    >>> picture = draw_clusters(np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0]]), np.array([0, 0, 1]))
    """
    points, clusters = np.asarray(points), np.asarray(clusters)
    labels, images = (None if part is None else np.asarray(part) for part in (labels, images))
    lengths = [len(part) for part in (clusters, labels, images) if part is not None]
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or any(n != len(points) for n in lengths):
        raise ShapeError(f"Clusters are drawn of points (n, 2), n of at least 1, not {points.shape} with {lengths}.")
    panels = 1 + (labels is not None) + (images is not None)
    figure = new_figure(5 * panels, 5)
    axes = list(figure.subplots(1, panels, squeeze=False)[0])
    _scatter(axes.pop(0), "by cluster", points, clusters, {}, "tab10")
    if labels is not None:
        names = dict(enumerate(class_names or ()))
        _scatter(axes.pop(0), "by class", points, labels, names, "tab20b")
    if images is not None:
        _images(axes.pop(0), clusters, images)
    return to_picture(figure)


save_clusters = saver(draw_clusters)


def _scatter(
    axis: Axes, title: str, points: np.ndarray, groups: np.ndarray, names: dict[int, str], palette: str
) -> None:
    for color, group in zip(_palette(groups, palette), np.unique(groups)):
        chosen = points[groups == group]
        label = "none" if group == _NOISE else names.get(int(group), str(group))
        color = PALE if group == _NOISE else color
        axis.scatter(chosen[:, 0], chosen[:, 1], s=12, color=[color], linewidths=0, label=label)
    axis.set_title(title, fontsize=11)
    tidy(axis)
    if len(np.unique(groups)) <= 20:
        below = (0.5, -0.05)  # and not upon the points
        axis.legend(fontsize=7, frameon=False, ncols=5, markerscale=1.5, loc="upper center", bbox_to_anchor=below)


def _images(axis: Axes, clusters: np.ndarray, images: np.ndarray) -> None:
    """A row of images for each cluster, the largest first, and of twenty clusters at most."""
    found, sizes = np.unique(clusters, return_counts=True)
    order = [i for i in np.argsort(-sizes, kind="stable") if found[i] != _NOISE][:20]
    order = order or [0]  # nothing but noise: show some of it
    cells = np.full((len(order) * _SHOWN, *images.shape[1:]), BACKGROUND / 255)
    for row, i in enumerate(order):
        members = images[clusters == found[i]][:_SHOWN]
        cells[row * _SHOWN : row * _SHOWN + len(members)] = members
    grid = image_grid(cells, columns=_SHOWN)
    axis.imshow(grid, cmap="gray", vmin=0, vmax=255)
    height = grid.shape[0] / len(order)
    axis.set_yticks((np.arange(len(order)) + 0.5) * height, [f"{found[i]} ({sizes[i]})" for i in order], fontsize=8)
    axis.set_xticks([])
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    axis.set_title("cluster (how many), and its first images", fontsize=11)


def _palette(groups: np.ndarray, name: str) -> Any:
    """A colour for each group. Those of "tab20b" are none of "tab10": a class is no cluster of its colour."""
    from matplotlib import colormaps

    number = len(np.unique(groups))
    if number <= 20 and name == "tab20b":
        shades = colormaps[name].colors  # type: ignore[attr-defined]  # four of each hue, side by side
        return [shades[i] for start in (0, 2, 1, 3) for i in range(start, 20, 4)]
    if number <= 20:
        return colormaps["tab10" if number <= 10 else "tab20"].colors  # type: ignore[attr-defined]
    return colormaps["turbo"](np.linspace(0, 1, number))
