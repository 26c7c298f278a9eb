"""The kernels on record: each under a name, with the sizes at which its resources are published."""

from __future__ import annotations

from ..geometry import ConvGeometry
from . import (
    activation,
    depthwise,
    implicit_gemm,
    implicit_gemm_tf32,
    loss,
    normalization,
    philox,
    sums,
    updates,
    weight_gradient,
    weight_gradient_tf32,
)
from .correlation import Correlation, convolution, transposed
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


# kernels with one thread or few for each column, whose little work is in double precision, and those for float64
IN_DOUBLES = (
    *("sums/columns", "moments/columns", "normalize/columns", "normalize_grad/columns"),
    *("float64/conv2d", "float64/conv2d/64_channels"),
    *("float64/conv_transpose2d/three_channels", "float64/conv2d_weight_grad"),
)


def catalogue() -> dict[str, Kernel]:
    """All kernels on record, by name."""
    ladder = {f"ladder/{name}": rung.kernel(LADDER_GEOMETRY) for name, rung in RUNGS.items()}
    return ladder | production() | in_float64() | in_tf32() | fused()


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


def in_float64() -> dict[str, Kernel]:
    """The kernels of `convolution` for float64, with two large tiles and a narrow one, where registers are scarcest."""
    middle = LADDER_GEOMETRY._replace(out_channels=64)

    def correlate(correlation: Correlation, batch: int) -> Kernel:
        return implicit_gemm.correlation_kernel(correlation, batch, "float64", True)

    return {
        "float64/conv2d": correlate(convolution(LADDER_GEOMETRY), LADDER_GEOMETRY.batch),
        "float64/conv2d/64_channels": correlate(convolution(middle), middle.batch),
        "float64/conv_transpose2d/three_channels": correlate(transposed(FIRST), FIRST.batch),
        "float64/conv2d_weight_grad": weight_gradient.share_kernel(middle, "float64")[0],
    }


def in_tf32() -> dict[str, Kernel]:
    """The kernels of `convolution` on tensor cores, at the same sizes."""

    def correlate(correlation: Correlation, batch: int) -> Kernel:
        return implicit_gemm_tf32.correlation_kernel(correlation, batch, True)

    return {
        "tf32/conv2d": correlate(convolution(LADDER_GEOMETRY), LADDER_GEOMETRY.batch),
        "tf32/conv2d/three_channels": correlate(convolution(FIRST), FIRST.batch),
        "tf32/conv_transpose2d": correlate(transposed(SMALL), SMALL.batch),
        "tf32/conv2d_weight_grad": weight_gradient_tf32.share_kernel(LADDER_GEOMETRY)[0],
    }


# the numbers of a layer's result: 64 images of 16 by 16 with 128 channels
ROWS, COLUMNS = 64 * 16 * 16, 128


def fused() -> dict[str, Kernel]:
    """The kernels of one pass over memory, and those that begin or end them."""
    how, size, kind = sums.cut(ROWS, COLUMNS), ROWS * COLUMNS, "float32"
    return {
        "random_bits": philox.kernel(size),
        "activate_and_drop": activation.forward_kernel(kind, size, 0.3),
        "activate": activation.forward_kernel(kind, size, 0.0),
        "scale_by_state": activation.gradient_kernel(kind, size),
        "sums": sums.share_kernel(kind, how, "values"),
        "sums/columns": sums.total_kernel(kind, how),
        "moments": sums.share_kernel(kind, how, "powers"),
        "moments/columns": normalization.moments_kernel(kind, how),
        "normalize/columns": normalization.columns_kernel(kind, COLUMNS, kind),
        "normalize": normalization.elements_kernel(kind, size, COLUMNS, True, 0.3),
        "normalize_grad/sums": sums.share_kernel(kind, how, "products by state"),
        "normalize_grad/columns": normalization.gradients_kernel(kind, how, kind),
        "normalize_grad": normalization.elements_gradient_kernel(kind, size, COLUMNS, True),
        "bce_with_logits": loss.loss_kernel(kind, size),
        "bce_with_logits_grad": loss.gradient_kernel(kind, size),
        "adam": updates.kernel_of(updates.adam, kind, (True,) * 4, 100),
        "rmsprop": updates.kernel_of(updates.rmsprop, kind, (True,) * 5, 100),
        "sgd": updates.kernel_of(updates.sgd, kind, (True,) * 3, 100),
        "average": updates.kernel_of(updates.average, kind, (True,) * 2, 100),
    }
