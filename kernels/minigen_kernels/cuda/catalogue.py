"""The kernels on record: each under a name, with the sizes at which its resources are published."""

from __future__ import annotations

from ..geometry import ConvGeometry
from .kernel import Kernel
from .ladder import RUNGS

# the second layer of a small classifier: 32 images of 28 by 28 with 64 channels, 3 by 3 taps to 128 channels
LADDER_GEOMETRY = ConvGeometry(
    batch=32,
    in_channels=64,
    out_channels=128,
    groups=1,
    in_size=(28, 28),
    out_size=(28, 28),
    kernel_size=(3, 3),
    stride=(1, 1),
    padding=(1, 1),
    dilation=(1, 1),
)


def catalogue() -> dict[str, Kernel]:
    """All kernels on record, by name."""
    return {f"ladder/{name}": rung.kernel(LADDER_GEOMETRY) for name, rung in RUNGS.items()}
