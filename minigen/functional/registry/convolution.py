"""Recipes for the convolutions: every geometry, each linear in both arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import functional as F
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample
from minigen.tensor import Tensor


def _two(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _channels(draw: Draw) -> tuple[int, int, int]:
    """(C, O, groups): one group, several, and depthwise with a multiplier."""
    groups = draw.choice([1, 1, 2, 3])
    each_in, each_out = draw.choice([(1, 1), (2, 1), (1, 2), (2, 2)])
    return groups * each_in, groups * each_out, groups


def _kernel(draw: Draw) -> tuple[tuple[int, int], dict[str, Any]]:
    """(KH, KW), and a stride and dilation."""
    return (draw.integer(1, 3), draw.integer(1, 3)), {"stride": draw.pair(1, 3), "dilation": draw.pair(1, 2)}


def _image(draw: Draw) -> Sample:
    """The image and the kernel of a convolution, and its geometry."""
    c, o, groups = _channels(draw)
    kernel, options = _kernel(draw)
    padding = draw.choice(["number", "pair", "sides", "same", "valid"])
    options.update(groups=groups, padding=padding)
    around = [0, 0]
    if padding in ("number", "pair", "sides"):
        sides = [draw.integer(0, 2) for _ in range({"number": 1, "pair": 2, "sides": 4}[padding])]
        options["padding"] = sides[0] if len(sides) == 1 else tuple(sides)
        around = [sides[0] + sides[1], sides[2] + sides[3]] if len(sides) == 4 else [2 * sides[0], 2 * sides[-1]]
    covered = [d * (k - 1) + 1 for k, d in zip(kernel, _two(options["dilation"]))]
    h, w = (max(1, need - more) + draw.integer(0, 3) for need, more in zip(covered, around))
    batch = draw.choice([1, 2, 0])
    return [draw.normal((batch, c, h, w)), draw.normal((o, c // groups, *kernel))], options


def _conv2d(draw: Draw) -> Sample:
    (x, w), options = _image(draw)
    if len(x) == 1 and draw.boolean():
        x = x[0]
    return [x, w] + [draw.normal((len(w),))] * draw.boolean(), options


def _conv2d_weight_grad(draw: Draw) -> Sample:
    (x, w), options = _image(draw)
    y = F.conv2d(Tensor(x), Tensor(w), **options)
    return [x, draw.normal(y.shape)], {**options, "kernel_size": w.shape[2:]}


def _conv_transpose2d(draw: Draw) -> Sample:
    o, c, groups = _channels(draw)
    kernel, options = _kernel(draw)
    extent = [d * (k - 1) for k, d in zip(kernel, _two(options["dilation"]))]
    padding = draw.choice(["none", "pair", "sides", "same"])
    if padding == "same":
        options["padding"] = "same"
    else:
        if padding != "none":
            tops = [draw.integer(0, n // 2) for n in extent]
            ends = [draw.integer(0, n // 2) for n in extent]
            options["padding"] = tuple(tops) if padding == "pair" else (tops[0], ends[0], tops[1], ends[1])
        larger = [max(s, d) for s, d in zip(_two(options["stride"]), _two(options["dilation"]))]
        options["output_padding"] = tuple([draw.integer(0, n - 1) for n in larger])
    size = (draw.integer(1, 3), draw.integer(1, 3))
    y, w = draw.normal((draw.choice([1, 2, 0]), c, *size)), draw.normal((c, o // groups, *kernel))
    if len(y) == 1 and draw.boolean():
        y = y[0]
    bias: list[np.ndarray] = [draw.normal((o,))] * draw.boolean()
    return [y, w, *bias], {**options, "groups": groups}


OPERATIONS = [
    Operation("conv2d", F.conv2d, _conv2d, linear=(0, 1)),
    Operation("conv_transpose2d", F.conv_transpose2d, _conv_transpose2d, linear=(0, 1)),
    Operation("conv2d_weight_grad", F.conv2d_weight_grad, _conv2d_weight_grad, linear=(0, 1)),
]
