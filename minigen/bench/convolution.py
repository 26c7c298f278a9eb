"""The convolutions that benchmarks measure: their sizes, how much work they are, and each in minigen and in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

DIRECTIONS = ("forward", "input gradient", "weight gradient")


class Kernel(NamedTuple):
    """A convolution of square images, N × (C → O), with its window, stride and groups."""

    batch: int
    in_channels: int
    out_channels: int
    size: int
    window: int
    stride: int = 1
    groups: int = 1

    @property
    def padding(self) -> int:
        """On every side: a stride of 1 keeps the size, one of 2 halves it."""
        return self.window // 2 if self.window % 2 else (self.window - self.stride) // 2

    @property
    def out_size(self) -> int:
        return (self.size + 2 * self.padding - self.window) // self.stride + 1

    @property
    def flops(self) -> int:
        """2·N·OH·OW·O·(C/groups)·KH·KW: as if no tap fell on the padding, in every direction.

        >>> Kernel(256, 128, 256, 7, 5).flops
        20552089600
        """
        taps = self.window**2 * self.in_channels // self.groups
        return 2 * self.batch * self.out_size**2 * self.out_channels * taps

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.in_channels, self.size, self.size

    @property
    def w_shape(self) -> tuple[int, int, int, int]:
        return self.out_channels, self.in_channels // self.groups, self.window, self.window

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.out_channels, self.out_size, self.out_size

    def __str__(self) -> str:
        """Unlike that of every other convolution.

        >>> print(Kernel(16, 64, 128, 28, 3, stride=2, groups=4), Kernel(16, 64, 64, 28, 3, groups=64), sep=" and ")
        16, 64→128, 28×28, 3×3 s2, 4 groups and 16, 64 depthwise, 28×28, 3×3
        """
        depthwise = 1 < self.groups == self.in_channels == self.out_channels
        channels = f"{self.out_channels} depthwise" if depthwise else f"{self.in_channels}→{self.out_channels}"
        stride = f" s{self.stride}" if self.stride > 1 else ""
        groups = f", {self.groups} groups" if self.groups > 1 and not depthwise else ""
        return f"{self.batch}, {channels}, {self.size}×{self.size}, {self.window}×{self.window}{stride}{groups}"


def ours(kernel: Kernel, direction: str, x: Any, w: Any, y: Any, kernels: Any) -> Callable[[], Any]:
    """C(x, w), T(y, w) or W(x, y), as in `minigen.functional.convolution`, by the kernels of a device."""
    pad, size, window = kernel.padding, kernel.size, kernel.window
    stride, padding, groups = (kernel.stride, kernel.stride), (pad, pad, pad, pad), kernel.groups
    if direction == "forward":
        return lambda: kernels.conv2d(x, w, stride, padding, (1, 1), groups)
    if direction == "input gradient":
        return lambda: kernels.conv_transpose2d(y, w, stride, padding, (1, 1), groups, (size, size))
    return lambda: kernels.conv2d_weight_grad(x, y, stride, padding, (1, 1), groups, (window, window))


def theirs(kernel: Kernel, direction: str, x: Any, w: Any, y: Any) -> Callable[[], Any]:
    """As `ours`, in PyTorch; of the backward pass, only the gradient that is asked for is computed."""
    import torch

    stride, padding = (kernel.stride, kernel.stride), (kernel.padding, kernel.padding)
    if direction == "forward":
        return lambda: torch.nn.functional.conv2d(x, w, None, stride, padding, 1, kernel.groups)
    mask = [direction == "input gradient", direction == "weight gradient", False]
    backward = torch.ops.aten.convolution_backward
    return lambda: backward(y, x, w, None, stride, padding, (1, 1), False, (0, 0), kernel.groups, mask)


def their_arrays(kernel: Kernel, memory_format: str, device: str = "cpu") -> tuple[Any, Any, Any]:
    """x, w and y of noise, as PyTorch's tensors in one of its memory formats."""
    import torch

    order = getattr(torch, memory_format)
    shapes = kernel.x_shape, kernel.w_shape, kernel.y_shape
    x, w, y = (torch.randn(shape, device=device).contiguous(memory_format=order) for shape in shapes)
    return x, w, y
