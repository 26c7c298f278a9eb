"""The ladder: one convolution, written again and again, each time a little nearer to what the GPU can do.

Read the files in their order, each beside the one before. A rung is a file with a docstring that says what it changes,
why, and what that should gain, and two functions: `kernel(geometry)`, and `numbers(geometry)`, which the kernel takes
after its pointers. All rungs give the same answer, and `conv2d` calls any of them by its name:

>>> import numpy as np
>>> x, w = np.ones((1, 1, 3, 3), np.float32), np.ones((1, 1, 2, 2), np.float32)
>>> conv2d(x, w, (1, 1), (0, 0, 0, 0), (1, 1), rung="naive")[0, 0]
array([[4., 4.],
       [4., 4.]], dtype=float32)
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ...geometry import Pair, Sides, check_convolution
from ..simulator import simulate
from . import (
    rung_01_naive,
    rung_02_coalesced,
    rung_03_shared_memory,
    rung_04_register_tile,
    rung_05_vector_loads,
    rung_06_unrolled,
    rung_07_constant_shapes,
    rung_08_warp_tiling,
    rung_09_double_buffer,
    rung_10_cp_async,
    rung_11_tf32,
)
from .shapes import channels_last, weight_matrix

RUNGS: dict[str, Any] = {
    "naive": rung_01_naive,
    "coalesced": rung_02_coalesced,
    "shared_memory": rung_03_shared_memory,
    "register_tile": rung_04_register_tile,
    "vector_loads": rung_05_vector_loads,
    "unrolled": rung_06_unrolled,
    "constant_shapes": rung_07_constant_shapes,
    "warp_tiling": rung_08_warp_tiling,
    "double_buffer": rung_09_double_buffer,
    "cp_async": rung_10_cp_async,
    "tf32": rung_11_tf32,
}
WITHOUT_TILES = ("naive", "coalesced")


def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int = 1,
    *,
    rung: str = "shared_memory",
    run: Callable[..., None] = simulate,
    tile: Any = None,
) -> np.ndarray:
    """The convolution of `reference.conv2d`, computed by one rung of the ladder.

    Args:
        x (N, C, H, W), w (O, C/G, KH, KW), float32; stride, padding, dilation, groups: as in `reference.conv2d`.
        rung: a name in `RUNGS`.
        run: what runs a kernel, called as run(kernel, arguments): the simulator, or a launch on a GPU for CuPy arrays.
        tile: other sizes than a GPU wants: a whole number for the third rung, a `shapes.Tile` from the fourth on.
    Returns y (N, O, OH, OW). Raises ValueError for an unknown rung, a tile that it cannot cut its work into, and arrays
    that do not fit together; TypeError for other types than float32.
    """
    if rung not in RUNGS:
        raise ValueError(f"Unknown rung {rung!r}: there are {', '.join(RUNGS)}.")
    if tile is not None and rung in WITHOUT_TILES:
        raise ValueError(f"Rung {rung!r} has no tile: a thread of it computes one number, whatever the others do.")
    geometry = check_convolution("conv2d", {"x": x, "w": w}, stride, padding, dilation, groups)
    shape = geometry.batch, *geometry.out_size, geometry.out_channels
    if max(x.size, w.size, prod(shape)) >= 2**31:
        raise ValueError(
            f"The ladder's kernels keep indices in 32 bits, so x, w and y must have fewer than 2^31 numbers each, not "
            f"{x.size}, {w.size} and {prod(shape)}; give a smaller batch."
        )
    y = np.full_like(x, np.nan, order="C", shape=shape)  # NaN, so that a number which no thread wrote shows
    if y.size:
        kernel = RUNGS[rung].kernel(geometry, *(() if tile is None else (tile,)))
        run(kernel, (channels_last(x), weight_matrix(w), y, *RUNGS[rung].numbers(geometry)))
    return y.transpose(0, 3, 1, 2)
