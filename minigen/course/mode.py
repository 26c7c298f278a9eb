"""How a notebook runs: in full or shortened, and how its plots look."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

VARIABLE = "MINIGEN_COURSE_SHORT"  # the tests set it


def short(full: T, brief: T) -> T:
    """`full`, or `brief` where the environment variable MINIGEN_COURSE_SHORT is set (and is not "0").

    Notebooks take the numbers of steps, points and epochs from it, so that tests can run every cell in seconds.

    >>> steps = short(2000, 20)
    """
    return brief if os.environ.get(VARIABLE, "0") not in ("", "0") else full


def use_style() -> None:
    """Give the plots of a notebook the colours of `minigen.viz`, a moderate size, and no lines that say nothing."""
    import matplotlib
    from cycler import cycler

    from minigen.viz.figure import COLORS, PALE

    matplotlib.rcParams.update(
        {
            "figure.figsize": (7.0, 3.2),
            "figure.dpi": 90,
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "axes.prop_cycle": cycler(color=COLORS),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "axes.axisbelow": True,
            "grid.color": PALE,
            "legend.frameon": False,
            "legend.fontsize": 9,
        }
    )
