"""Recipes for the convolutions: every geometry, each linear in both arguments."""

from __future__ import annotations

from typing import Any

from minigen import functional as F
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Recipe, Sample
from minigen.tensor import Tensor

Pair = tuple[int, int]


def _two(value: Any) -> Pair:
    return (value, value) if isinstance(value, int) else value


def _channels(draw: Draw) -> tuple[int, int, int]:
    """(C, O, groups): one group, several, and depthwise with a multiplier."""
    groups = draw.choice([1, 1, 2, 3])
    each_in, each_out = draw.choice([(1, 1), (2, 1), (1, 2), (2, 2)])
    return groups * each_in, groups * each_out, groups


def _kernel(draw: Draw) -> tuple[Pair, dict[str, Any]]:
    """(KH, KW), and a stride and dilation."""
    return (draw.integer(1, 3), draw.integer(1, 3)), {"stride": draw.pair(1, 3), "dilation": draw.pair(1, 2)}


def _image(draw: Draw, padding: str) -> Sample:
    """The image and the kernel of a convolution, and its geometry."""
    c, o, groups = _channels(draw)
    kernel, options = _kernel(draw)
    options.update(groups=groups, padding=padding)
    around = [0, 0]
    if padding == "numbers":
        sides = [draw.integer(0, 2) for _ in range(draw.choice([1, 2, 4]))]
        options["padding"] = sides[0] if len(sides) == 1 else tuple(sides)
        around = [sides[0] + sides[1], sides[2] + sides[3]] if len(sides) == 4 else [2 * sides[0], 2 * sides[-1]]
    covered = [d * (k - 1) + 1 for k, d in zip(kernel, _two(options["dilation"]))]
    h, w = (max(1, need - more) + draw.integer(0, 3) for need, more in zip(covered, around))
    batch = draw.choice([1, 2, 2, 0])
    return [draw.normal((batch, c, h, w)), draw.normal((o, c // groups, *kernel))], options


def _conv2d(padding: str) -> Recipe:
    def recipe(draw: Draw) -> Sample:
        (x, w), options = _image(draw, padding)
        if len(x) == 1 and draw.boolean():
            x = x[0]
        return [x, w] + [draw.normal((len(w),))] * draw.boolean(), options

    return recipe


def _conv2d_weight_grad(padding: str) -> Recipe:
    def recipe(draw: Draw) -> Sample:
        (x, w), options = _image(draw, padding)
        y = F.conv2d(Tensor(x), Tensor(w), **options)
        return [x, draw.normal(y.shape)], {**options, "kernel_size": w.shape[2:]}

    return recipe


def _conv_transpose2d(padding: str) -> Recipe:
    def recipe(draw: Draw) -> Sample:
        o, c, groups = _channels(draw)
        kernel, options = _kernel(draw)
        if padding == "same":
            options["padding"] = "same"
        else:
            options.update(_transposed_padding(draw, kernel, _two(options["stride"]), _two(options["dilation"])))
        size = (draw.integer(1, 3), draw.integer(1, 3))
        y, w = draw.normal((draw.choice([1, 2, 2, 0]), c, *size)), draw.normal((c, o // groups, *kernel))
        if len(y) == 1 and draw.boolean():
            y = y[0]
        return [y, w] + [draw.normal((o,))] * draw.boolean(), {**options, "groups": groups}

    return recipe


def _transposed_padding(draw: Draw, kernel: Pair, stride: Pair, dilation: Pair) -> dict[str, Any]:
    """A padding that leaves something, and an output padding below the stride or the dilation."""
    extent = [d * (k - 1) for k, d in zip(kernel, dilation)]
    top, left = (draw.integer(0, n // 2) for n in extent)
    bottom, right = (draw.integer(0, n // 2) for n in extent)
    padding = draw.choice([0, (top, left), (top, bottom, left, right)])
    return {
        "padding": padding,
        "output_padding": tuple([draw.integer(0, max(s, d) - 1) for s, d in zip(stride, dilation)]),
    }


_PADDINGS = ("numbers", "same", "valid")

OPERATIONS = [
    *[Operation(f"conv2d/{p}", F.conv2d, _conv2d(p), linear=(0, 1)) for p in _PADDINGS],
    *[
        Operation(f"conv_transpose2d/{p}", F.conv_transpose2d, _conv_transpose2d(p), linear=(0, 1))
        for p in _PADDINGS[:2]
    ],
    *[
        Operation(f"conv2d_weight_grad/{p}", F.conv2d_weight_grad, _conv2d_weight_grad(p), linear=(0, 1))
        for p in _PADDINGS
    ],
]
