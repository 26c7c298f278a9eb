"""Special functions of the simulated GPU's arrays: what the devices' code uses of `cupyx.scipy.special`."""

from __future__ import annotations

from typing import Any

from .arrays import Array, compute


def erf(x: Array) -> Any:
    """The error function."""
    from scipy.special import erf as on_host

    return compute(on_host, x)
