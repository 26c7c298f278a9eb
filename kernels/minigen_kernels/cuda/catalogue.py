"""The kernels on record: each under a name, with the sizes at which its resources are published."""

from __future__ import annotations

from ..geometry import ConvGeometry
from . import depthwise, implicit_gemm, weight_gradient
from .correlation import convolution, transposed
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

# the same with groups of one channel, and a DCGAN's layers: from an image in three colours, and from 14 by 14 to 7 by 7
DEPTHWISE = LADDER_GEOMETRY._replace(out_channels=64, groups=64)
FIRST = ConvGeometry(64, 3, 64, 1, (64, 64), (32, 32), (4, 4), (2, 2), (1, 1), (1, 1))
SMALL = ConvGeometry(64, 128, 256, 1, (14, 14), (7, 7), (4, 4), (2, 2), (1, 1), (1, 1))


def catalogue() -> dict[str, Kernel]:
    """All kernels on record, by name."""
    return {f"ladder/{name}": rung.kernel(LADDER_GEOMETRY) for name, rung in RUNGS.items()} | production()


def production() -> dict[str, Kernel]:
    """The kernels of `convolution`, each at a size where it is at home."""

    def forward(geometry: ConvGeometry) -> Kernel:
        return implicit_gemm.correlation_kernel(convolution(geometry), geometry.batch, "float32", True)

    return {
        "conv2d": forward(LADDER_GEOMETRY),
        "conv2d/three_channels": forward(FIRST),
        "conv_transpose2d": implicit_gemm.correlation_kernel(transposed(SMALL), SMALL.batch, "float32", True),
        "conv2d_weight_grad": weight_gradient.share_kernel(LADDER_GEOMETRY, "float32")[0],
        "conv2d_weight_grad/add_up": weight_gradient.total_kernel(LADDER_GEOMETRY, "float32"),
        "depthwise": depthwise.correlation_kernel(transposed(DEPTHWISE), DEPTHWISE.batch, "float32", True),
        "depthwise/weight_grad": depthwise.share_kernel(DEPTHWISE, "float32")[0],
    }
