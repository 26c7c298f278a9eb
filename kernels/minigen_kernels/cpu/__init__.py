"""The kernels on the CPU: compiled by Numba, BLAS for a few products of matrices, one thread pool around both.

The functions and their arguments are those of `minigen_kernels.reference`. What is particular to this package:

- Images lie in memory channels last. Results are (N, C, H, W) views of (N, H, W, C) buffers, inputs that are such views
  are read where they lie, and others are copied into that order first.
- Results do not depend on the number of threads, to the last bit: work is cut by shapes alone, and sums are added up in
  one fixed order.
- There are four ways to convolve: `tiled`, fast, for float32, with a tile for many outputs and one for few (`dots`);
  `winograd`, faster, for many large ones in it; `depthwise`, for groups of one channel, and fast for float32; and products
  with matrices of patches, in `convolution`, for float64, simple enough to hold the others to. Products of matrices are made
  of the same tiles, in `panels`; small ones and float64 are BLAS's, in `products`.
- A kernel that several threads compute is cut into compiled pieces, which they take without the interpreter: `share`.
- Importing this package sets the BLAS libraries that are loaded by then, NumPy's above all, to one thread for the whole
  process, since the pool in `threads` is the parallelism.
"""

from threadpoolctl import threadpool_limits

from . import activation, draws, loss, normalization, philox, sums, updates
from .convolution import conv2d, conv2d_weight_grad, conv_transpose2d
from .first_compile import compiled_before, expect_convolutions
from .logistic import sigmoid, sigmoid_grad, silu, silu_grad, softplus, softplus_grad
from .products import matmul, matmul_then_activate
from .softmax import softmax, softmax_grad
from .threads import num_threads, parallel_for, set_num_threads
from .transposition import contiguous

__all__ = [
    "activation",
    "compiled_before",
    "contiguous",
    "conv2d",
    "conv2d_weight_grad",
    "conv_transpose2d",
    "draws",
    "expect_convolutions",
    "loss",
    "matmul",
    "matmul_then_activate",
    "normalization",
    "num_threads",
    "parallel_for",
    "philox",
    "set_num_threads",
    "sigmoid",
    "sigmoid_grad",
    "silu",
    "silu_grad",
    "softmax",
    "softmax_grad",
    "softplus",
    "softplus_grad",
    "sums",
    "updates",
]

threadpool_limits(limits=1, user_api="blas")
