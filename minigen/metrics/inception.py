"""The Inception network of the published FID and KID, for those who have its weights.

Szegedy et al. 2016 (arXiv 1512.00567), in the form of 5 December 2015 that Heusel et al. (2017) took. It differs from
the Inception v3 of model collections in its weights and in its pooling: averages leave the padding out, and the last
block takes a maximum. So does this one, and distances on other weights are not FIDs.

The weights are the file `pt_inception-2015-12-05-6726825d.pth` of the pytorch-fid project (Seitzer 2020). That file
is a pickle, which may run code as it opens; minigen reads safetensors alone. To turn the one into the other, where
PyTorch is installed:

    import torch, safetensors.torch
    weights = torch.load("pt_inception-2015-12-05-6726825d.pth", weights_only=True)
    safetensors.torch.save_file(weights, "inception.safetensors")
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.errors import ShapeError, UserError
from minigen.functional import avg_pool2d, cat, interpolate, max_pool2d, relu
from minigen.metrics.arrays import as_numbers
from minigen.tensor import Tensor

SIDE = 299  # pixels, of what the network was trained on
Unit = tuple[str, int, Any]  # name, channels, kernel
Branch = list[Unit | list[Unit]]


class ConvUnit(nn.Module):
    """Convolution without bias, batch norm, ReLU; 'same' padding at stride 1 and none at stride 2 unless given."""

    def __init__(self, in_channels: int, channels: int, kernel: Any, stride: int = 1, padding: Any = None) -> None:
        super().__init__()
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        if padding is None:
            padding = tuple(side // 2 for side in kernel) if stride == 1 else 0
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Branches side by side, their channels one after another, and last a pooled one.

    Args:
        in_channels: of the input.
        branches: each a chain of units (name, channels, kernel); units in a list at its end all take what comes before
            them, and stand side by side.
        pool: channels of the unit `branch_pool` after the pooling; 0 where there is none.
        stride: of the last unit of each chain, and of the pooling; 2 halves the image.
        largest: pool by the maximum, not by the mean. At stride 2 it always is the maximum.
    """

    def __init__(
        self,
        in_channels: int,
        branches: Sequence[Branch],
        pool: int,
        stride: int = 1,
        largest: bool = False,
    ) -> None:
        super().__init__()
        self.branches = [[step if isinstance(step, list) else [step] for step in branch] for branch in branches]
        self.stride, self.largest = stride, largest
        self.channels = pool or in_channels  # of the output
        for branch in self.branches:
            channels = in_channels
            for step in branch:
                last = step is branch[-1]
                for name, width, kernel in step:
                    setattr(self, name, ConvUnit(channels, width, kernel, stride if last else 1))
                channels = sum(width for _, width, _ in step)
            self.channels += channels
        if pool:
            self.branch_pool = ConvUnit(in_channels, pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for branch in self.branches:
            y = x
            for step in branch:
                y = cat([getattr(self, name)(y) for name, _, _ in step], 1)
            outputs.append(y)
        if self.stride == 2:
            return cat([*outputs, max_pool2d(x, 3, stride=2)], 1)
        pooled = max_pool2d(x, 3, 1, 1) if self.largest else avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return cat([*outputs, self.branch_pool(pooled)], 1)


class Inception(nn.Module):
    """Images (N, 3, H, W) from -1 to 1, of 299×299 (75×75 is the least that goes through), to features (N, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvUnit(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = ConvUnit(32, 32, 3, padding=0)
        self.Conv2d_2b_3x3 = ConvUnit(32, 64, 3)
        self.Conv2d_3b_1x1 = ConvUnit(64, 80, 1)
        self.Conv2d_4a_3x3 = ConvUnit(80, 192, 3, padding=0)
        self.mixed: list[str] = []
        channels = 192
        for name, arguments in _mixed_blocks():
            block = Mixed(channels, **arguments)
            setattr(self, name, block)
            self.mixed.append(name)
            channels = block.channels

    def forward(self, x: Tensor) -> Tensor:
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_3b_1x1(max_pool2d(x, 3, stride=2))
        x = max_pool2d(self.Conv2d_4a_3x3(x), 3, stride=2)
        for name in self.mixed:
            x = getattr(self, name)(x)
        return x.mean((2, 3))


def _mixed_blocks() -> list[tuple[str, dict[str, Any]]]:
    """The eleven blocks in order: 35×35 pixels, then 17×17, then 8×8."""
    double: Branch = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)]
    blocks: list[tuple[str, dict[str, Any]]] = []
    for letter, pool in (("b", 32), ("c", 64), ("d", 64)):
        fives = [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)]
        blocks.append((f"Mixed_5{letter}", {"branches": [[("branch1x1", 64, 1)], fives, double], "pool": pool}))
    blocks.append(("Mixed_6a", {"branches": [[("branch3x3", 384, 3)], double], "pool": 0, "stride": 2}))
    for letter, c in (("b", 128), ("c", 160), ("d", 160), ("e", 192)):
        once = [("branch7x7_1", c, 1), ("branch7x7_2", c, (1, 7)), ("branch7x7_3", 192, (7, 1))]
        twice = [("branch7x7dbl_1", c, 1), ("branch7x7dbl_2", c, (7, 1)), ("branch7x7dbl_3", c, (1, 7))]
        twice += [("branch7x7dbl_4", c, (7, 1)), ("branch7x7dbl_5", 192, (1, 7))]
        blocks.append((f"Mixed_6{letter}", {"branches": [[("branch1x1", 192, 1)], once, twice], "pool": 192}))
    threes = [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)]
    sevens = [("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1))]
    sevens += [("branch7x7x3_4", 192, 3)]
    blocks.append(("Mixed_7a", {"branches": [threes, sevens], "pool": 0, "stride": 2}))
    for letter in "bc":
        forked = [("branch3x3_1", 384, 1), [("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))]]
        deep: Branch = [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)]
        deep.append([("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))])
        branches = [[("branch1x1", 320, 1)], forked, deep]
        blocks.append((f"Mixed_7{letter}", {"branches": branches, "pool": 192, "largest": letter == "c"}))
    return blocks


def load_inception(weights_path: str | os.PathLike[str]) -> Inception:
    """The network with the published weights, converted as the module's text says.

    Raises:
        UserError: no such file, no safetensors, or not these weights (those of torchvision are others).
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        state = load_file(weights_path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"inception: {weights_path} cannot be read as safetensors: {error}") from error
    model = Inception().eval()
    needed = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if name not in state]
    classes = state["fc.weight"].shape[0] if "fc.weight" in state else None
    if missing or classes != 1008:
        fault = f"it lacks {missing[0]!r}" if missing else f"its fc.weight has {classes or 'no'} rows, and not 1,008"
        raise UserError(
            f"inception: {weights_path} does not hold the weights pt_inception-2015-12-05: {fault}; "
            "on other weights the distance is not the FID."
        )
    model.load_state_dict({name: state[name] for name in needed}, strict=False)
    return model


@no_grad()
def inception_features(images: Any, weights_path: str | os.PathLike[str], batch: int = 16) -> np.ndarray:
    """The features (N, 2048) on which `frechet_distance` is the FID and `kernel_distance` the KID.

    As pytorch-fid has it: images from 0 to 1 are brought to 299×299 by bilinear interpolation between pixel centres
    (no smoothing), then to the scale from -1 to 1.

    Args:
        images: (N, 3, H, W), or (N, 1, H, W) for grey ones, which count three times; from 0 to 1.
        weights_path: the safetensors file, see `load_inception`.
        batch: images at a time.

    Raises:
        ShapeError: no images of one or three channels.
        UserError: pixels outside of [0, 1], NaN, or a file without the weights.
    """
    pixels = as_numbers("inception_features", images, np.float32)
    if pixels.ndim != 4 or pixels.shape[1] not in (1, 3):
        raise ShapeError(f"inception_features: takes images (N, 3, H, W) or (N, 1, H, W), not {pixels.shape}.")
    if pixels.min() < -1e-3 or pixels.max() > 1 + 1e-3:
        raise UserError(
            f"inception_features: pixels lie from 0 to 1, not from {pixels.min():.4g} to {pixels.max():.4g}."
        )
    model = load_inception(weights_path)
    parts = []
    for i in range(0, len(pixels), batch):
        x = np.broadcast_to(pixels[i : i + batch], (len(pixels[i : i + batch]), 3, *pixels.shape[2:]))
        resized = interpolate(Tensor(np.ascontiguousarray(x)), size=(SIDE, SIDE), mode="bilinear")
        parts.append(model(resized * 2 - 1).numpy())
    return np.concatenate(parts)
