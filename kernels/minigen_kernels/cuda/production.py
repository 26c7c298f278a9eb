"""What the devices `cuda` and `cudasim` compute with: the functions of `minigen_kernels.cpu`, with the same arguments.

Given CuPy's arrays, the kernels are launched on the GPU; given NumPy's or the simulated GPU's (`simulator.array_module`),
they run in the simulator, thread by thread.
"""

from . import activation, loss, normalization, philox, sums, updates
from .convolution import conv2d, conv2d_weight_grad, conv_transpose2d
from .products import matmul

__all__ = [
    "activation",
    "conv2d",
    "conv2d_weight_grad",
    "conv_transpose2d",
    "loss",
    "matmul",
    "normalization",
    "philox",
    "sums",
    "updates",
]
