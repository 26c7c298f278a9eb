"""Recipes for pooling and resizing."""

from __future__ import annotations

from typing import Any

from minigen import functional as F
from minigen.functional.registry.draw import Draw
from minigen.functional.registry.operation import Operation, Sample


def _image_shape(draw: Draw, least: int) -> tuple[int, ...]:
    lead = draw.choice([(1, 2), (2, 1), (1,), (0, 2)])
    return (*lead, draw.integer(least, least + 2), draw.integer(least, least + 2))


def _window(draw: Draw) -> dict[str, Any]:
    kernel = draw.pair(1, 3)
    smaller = kernel if isinstance(kernel, int) else min(kernel)
    return {
        "kernel_size": kernel,
        "stride": draw.choice([None, 1, 2, (2, 1), 3]),
        "padding": draw.integer(0, smaller // 2),
        "ceil_mode": draw.boolean(),
    }


def _max_pool2d(draw: Draw) -> Sample:
    options = {**_window(draw), "dilation": draw.pair(1, 2), "return_indices": draw.boolean()}
    return [draw.distinct(_image_shape(draw, 5))], options


def _avg_pool2d(draw: Draw) -> Sample:
    options = {**_window(draw), **draw.choice([{}, {"count_include_pad": False}, {"divisor_override": 3}])}
    return [draw.normal(_image_shape(draw, 3))], options


def _size(draw: Draw) -> dict[str, Any]:
    return dict(
        draw.choice(
            [{"size": (4, 5)}, {"size": 3}, {"size": (1, 7)}, {"scale_factor": 2}, {"scale_factor": (0.5, 1.7)}],
        )
    )


def _nearest(draw: Draw) -> Sample:
    return [draw.normal(_image_shape(draw, 2))], {**_size(draw), "mode": "nearest"}


def _bilinear(draw: Draw) -> Sample:
    return [draw.normal(_image_shape(draw, 2))], {**_size(draw), "mode": "bilinear", "align_corners": draw.boolean()}


OPERATIONS = [
    Operation("max_pool2d", F.max_pool2d, _max_pool2d),
    Operation("avg_pool2d", F.avg_pool2d, _avg_pool2d, linear=(0,)),
    Operation("interpolate/nearest", F.interpolate, _nearest, linear=(0,)),
    Operation("interpolate/bilinear", F.interpolate, _bilinear, linear=(0,)),
]
