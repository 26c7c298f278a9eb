"""What convolutions look for and what they find: the kernels of a layer, and the maps that a layer makes of an image."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen.autograd import no_grad
from minigen.errors import ShapeError, UserError, unknown_name
from minigen.nn import Module
from minigen.tensor import Tensor
from minigen.viz.figure import new_figure, to_picture
from minigen.viz.grid import image_grid
from minigen.viz.picture import Picture

_SHOWN = 64  # kernels of one channel, or maps
_SIDE = 12  # rows and columns of a table of kernels of several channels
_CELL = 0.55  # inches


def draw_kernels(layer: Any, title: str = "") -> Picture:
    """Draw the kernels of a convolution, all on one scale: red adds, blue takes away, white is 0.

    Kernels of one channel stand in a grid. Of several, each row is one of the first axis of the weight (an output of a
    convolution, an input of a transposed one), and each column one of the second. Where they are many, the first are
    shown, and the title says so.

    Args:
        layer: a layer with a `weight`, or a weight: (O, C, KH, KW)
        title: above the picture; the shape of the weight unless given

    Raises:
        ShapeError: A weight that is not (O, C, KH, KW), or has nothing in it.
        UserError: Values that are NaN or infinite; a module that has no weight of its own.

    >>> from minigen import nn
    >>> picture = draw_kernels(nn.Conv2d(3, 4, 5))
    """
    if isinstance(layer, Module) and not isinstance(getattr(layer, "weight", None), Tensor):
        raise UserError(f"A {type(layer).__name__} has no kernels of its own: give one of its convolutions.")
    weight = np.asarray(getattr(layer, "weight", layer))
    if weight.ndim != 4 or not weight.size:
        raise ShapeError(f"Kernels have the shape (O, C, KH, KW) of a convolution's weight, not {weight.shape}.")
    if weight.shape[1] == 1:
        chosen = weight[:_SHOWN]
        columns = math.ceil(math.sqrt(len(chosen)))
    else:
        chosen = weight[:_SIDE, :_SIDE]
        columns = chosen.shape[1]
    left_out = "" if chosen.shape == weight.shape else f"; the first {' × '.join(map(str, chosen.shape[:2]))}"
    if chosen.shape[1] == 1:
        left_out = left_out.removesuffix(" × 1")
    tiles = chosen.reshape(-1, *weight.shape[2:])
    return _draw(tiles, columns, title or f"kernels {weight.shape}{left_out}")


def draw_feature_maps(model: Module, layer: str | Module, image: Any, title: str = "") -> Picture:
    """Draw the maps that a layer inside a model makes of an image, all on one scale; the first 64, if they are more.

    Red is above 0 and blue below it. The model runs in evaluation mode, without a graph, and is put back into the mode
    that it was in.

    Args:
        model: takes images (1, C, H, W)
        layer: the layer or its name in the model, as `model.named_modules()` has it: 'encoder.0'
        image: (C, H, W) or (1, C, H, W)
        title: above the picture; the layer and the shape of its maps unless given

    Raises:
        ShapeError: Not one image, or a layer that makes no maps of it.
        UserError: A layer that the model does not have or does not use, or maps that are NaN or infinite.

    >>> from minigen import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
    >>> picture = draw_feature_maps(model, "0", np.ones((1, 8, 8), "float32"))
    """
    names = {module: name for name, module in model.named_modules()}
    if isinstance(layer, str):
        found = [module for module, name in names.items() if name == layer]
        if not found:
            raise unknown_name("layer", layer, [name for name in names.values() if name])
        module = found[0]
    else:
        module = layer
    x = np.asarray(image)
    x = x[None] if x.ndim == 3 else x
    if x.ndim != 4 or len(x) != 1:
        raise ShapeError(f"Feature maps are drawn of one image (C, H, W) or (1, C, H, W), not {np.shape(image)}.")
    name = names.get(module) or type(module).__name__
    output = _output(model, module, Tensor(x.astype(np.float32)))
    if output is None:
        raise UserError(
            f"The layer {name!r} was not used: it is no part of this model, or its forward does without it."
        )
    maps = np.asarray(output)
    if maps.ndim != 4 or len(maps) != 1 or not maps.size:
        raise ShapeError(
            f"The layer {name!r} makes {maps.shape} of the image, and maps are (1, C, H, W): take another."
        )
    chosen = maps[0, :_SHOWN]
    left_out = "" if len(chosen) == maps.shape[1] else f"; the first {_SHOWN}"
    return _draw(chosen, math.ceil(math.sqrt(len(chosen))), title or f"{name}: maps {maps.shape[1:]}{left_out}")


@no_grad()
def _output(model: Module, layer: Module, x: Tensor) -> Any:
    """What a layer gives when the model is asked for x in evaluation mode; None where it is not asked."""
    outputs: list[Any] = []
    modules = list(model.modules())
    modes = [module.training for module in modules]
    remove = layer.register_forward_hook(lambda module, inputs, output: outputs.append(output))
    try:
        model.eval()(x)
    finally:
        remove()
        for module, mode in zip(modules, modes):
            module.training = mode
    return outputs[0] if outputs else None


def _draw(tiles: np.ndarray, columns: int, title: str) -> Picture:
    """Tiles (n, h, w) on one scale around 0, with the scale beside them."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    tiles = tiles.astype(np.float64)
    if not np.isfinite(tiles).all():
        raise UserError(
            f"{int((~np.isfinite(tiles)).sum())} of {tiles.size} values are NaN or infinite: nothing to show."
        )
    reach = float(np.abs(tiles).max()) or 1.0
    scale = ScalarMappable(Normalize(-reach, reach), colormaps["RdBu_r"])
    colored = np.asarray(scale.cmap(scale.norm(tiles)))[..., :3].transpose(0, 3, 1, 2)  # (n, 3, h, w)
    rows = math.ceil(len(tiles) / columns)
    height = max(2.2, rows * _CELL * tiles.shape[1] / max(tiles.shape[1:]) + 0.5)
    width = columns * _CELL * tiles.shape[2] / max(tiles.shape[1:])
    figure = new_figure(max(4.0, width + 1.0), height)
    axis = figure.subplots()
    axis.imshow(_separated(colored, columns), interpolation="nearest")
    axis.set_axis_off()
    axis.set_title(title, fontsize=10)
    bar = figure.colorbar(scale, ax=axis, shrink=0.9)
    bar.ax.tick_params(labelsize=8)
    return to_picture(figure)


def _separated(tiles: np.ndarray, columns: int) -> np.ndarray:
    """The grid of tiles (n, 3, h, w), each enlarged so that the line between two is thin."""
    factor = max(1, math.ceil(24 / max(tiles.shape[2:])))
    return image_grid(tiles.repeat(factor, axis=2).repeat(factor, axis=3), columns, padding=2)
