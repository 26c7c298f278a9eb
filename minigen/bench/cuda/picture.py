"""The roofline: what memory and arithmetic allow at each intensity, and how near to it each rung of the ladder comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minigen.bench.cuda.cases import LADDER, PRECISIONS, RUNGS
from minigen.bench.cuda.report import Found
from minigen.bench.cuda.roofline import attainable, intensity

BELOW, ABOVE = 1.0, 4.0  # how far the axis goes beyond the least intensity, down to one, and the largest


def points_of(found: Found) -> list[tuple[str, float, float]]:
    """(who, FLOP/byte, FLOP/s) of every rung, and of cuDNN, on every shape of the ladder that was measured."""
    names = [*RUNGS, *(f"cuDNN {word}" for word in PRECISIONS.values())]
    points = []
    for kernel in LADDER:
        for name in names:
            best = found.best("ladder", str(kernel), name)
            if best is not None:
                points.append((name, intensity(kernel), kernel.flops / best.value))
    return points


def save_picture(path: str | Path, content: dict[str, Any]) -> bool:
    """Draw the roofline and write it (PNG).

    Returns:
        False, and nothing is written, where rungs, bandwidth or the GPU's peak are not known.
    """
    from matplotlib import colormaps

    from minigen.viz.figure import new_figure, save_figure, tidy

    found = Found(content)
    points, peak, bandwidth = points_of(found), found.peak(), found.bandwidth()
    if not points or peak is None or bandwidth is None:
        return False
    figure = new_figure(9, 6)
    axis = figure.subplots()
    largest = ABOVE * max(max(i for _, i, _ in points), peak / bandwidth)
    ends = [BELOW, peak / bandwidth, largest]
    roof = [attainable(i, peak, bandwidth) / 1e9 for i in ends]
    axis.plot(ends, roof, color="black", linewidth=1.5)
    axis.annotate(
        f"{bandwidth / 1e9:.0f} GB/s, measured",
        (ends[0], roof[0]),
        fontsize=8,
        xytext=(4, 12),
        textcoords="offset points",
    )
    axis.annotate(
        f"FP32 peak, {peak / 1e12:.1f} TFLOP/s",
        (ends[1], roof[1]),
        fontsize=8,
        xytext=(0, 5),
        textcoords="offset points",
    )
    colors = colormaps["viridis"]
    for i, name in enumerate(dict.fromkeys(who for who, _, _ in points)):
        mine = [(x, y / 1e9) for who, x, y in points if who == name]
        rung = name in RUNGS
        color: Any = colors(RUNGS.index(name) / (len(RUNGS) - 1)) if rung else "#D55E00"
        marker = "o" if rung else "x" if name.endswith("FP32") else "+"
        label = f"{i + 1} {name}" if rung else name
        axis.plot(*zip(*mine), marker, color=color, label=label, markersize=6)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.set_xlabel("arithmetic intensity, FLOP/byte", fontsize=9)
    axis.set_ylabel("GFLOP/s", fontsize=9)
    axis.set_title(f"The ladder under the roofline of {content['settings']['gpu']}", fontsize=9, loc="left")
    axis.legend(fontsize=7, frameon=False, loc="lower right")
    tidy(axis)
    save_figure(path, figure)
    return True
