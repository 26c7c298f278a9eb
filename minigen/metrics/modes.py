"""Mode collapse counted on a mixture of Gaussians whose modes are known, such as those of `minigen.data.mixtures`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen.errors import UserError
from minigen.metrics.arrays import feature_pair
from minigen.metrics.distances import row_blocks, squared_distances

WITHIN = 1 - math.exp(-4.5)  # of a Gaussian in the plane, what lies within 3 standard deviations: 98.9 %


def mode_radius(std: float, dimensions: int) -> float:
    """How far from its mode a sample may lie: the radius that holds 98.9 % of N(0, std²·I).

    In the plane that is 3·std. In d dimensions a true sample is about std·√d away, so no fixed number of standard
    deviations will do; the radius is std times the root of the χ² quantile with d degrees of freedom. True samples
    score 98.9 % in any number of dimensions.

    Args:
        std: the standard deviation within a mode, along each axis.
        dimensions: in which a mode spreads. For a mixture of 700 dimensions laid into 1,200 (VEEGAN), 700.

    Raises:
        UserError: a std that is not positive, or no dimensions.

    >>> round(mode_radius(0.01, 2), 6), round(mode_radius(1.0, 700), 2)
    (0.03, 28.08)
    """
    from scipy.stats import chi2

    if not 0 < std < math.inf or dimensions < 1:
        raise UserError(f"mode_radius: takes a positive std and 1 dimension or more, not {std!r} and {dimensions!r}.")
    return std * math.sqrt(chi2.ppf(WITHIN, dimensions))


def mode_report(samples: Any, centers: Any, std: float, radius: float | None = None) -> dict[str, Any]:
    """Which modes of a mixture do samples reach, how many of them belong to it, and how evenly do they spread?

    The protocol of VEEGAN (Srivastava et al. 2017) and PacGAN (Lin et al. 2018, arXiv 1712.04086), who judge 2,500
    samples. A sample belongs to its nearest mode; it is of high quality when it lies within `radius` of it.

    Args:
        samples: (N, d).
        centers: the means of the modes, (K, d); their weights are taken to be equal.
        std: the standard deviation within a mode.
        radius: of high quality, in place of ``mode_radius(std, d)``, which in the plane is 3·std.

    Returns:
        ``modes``: K.
        ``modes_covered``: those with at least one sample of high quality.
        ``high_quality_share``: of all samples; true ones score 0.989, and more means that the modes have shrunk.
        ``reverse_kl``: KL(p ‖ uniform) = Σ pₖ log(K·pₖ), from 0 to log K, p the shares of the modes. Every sample counts
        for its nearest mode, good or not. (PacGAN's published program counts those of high quality alone: no
        different for a generator that makes few others, and undefined for one that makes nothing else.)
        ``mode_shares``: p.

    Raises:
        ShapeError: no samples, or centers of another dimension.
        UserError: NaN or infinity, a std or a radius that is not positive.

    >>> report = mode_report([[0.0, 0.0], [0.01, 0.0], [0.5, 0.0]], [[0.0, 0.0], [1.0, 0.0]], std=0.01)
    >>> report["modes_covered"], round(report["high_quality_share"], 3)
    (1, 0.667)
    """
    x, means = feature_pair("mode_report", samples, centers)
    radius = mode_radius(std, means.shape[1]) if radius is None else radius
    if not 0 < radius < math.inf:
        raise UserError(f"mode_report: the radius of high quality is a positive number, not {radius!r}.")
    nearest, good = np.empty(len(x), np.int64), np.empty(len(x), bool)
    for rows in row_blocks(len(x), len(means)):
        distances = squared_distances(x[rows], means)
        nearest[rows], good[rows] = distances.argmin(axis=1), distances.min(axis=1) <= radius**2
    shares = np.bincount(nearest, minlength=len(means)) / len(x)
    reached = shares[shares > 0]
    return {
        "modes": len(means),
        "modes_covered": len(np.unique(nearest[good])),
        "high_quality_share": float(good.mean()),
        "reverse_kl": max(float((reached * np.log(reached * len(means))).sum()), 0.0),
        "mode_shares": [float(share) for share in shares],
    }
