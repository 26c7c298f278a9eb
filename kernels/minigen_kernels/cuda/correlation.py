"""A convolution and a transposed one as the same thing to a kernel: a correlation, in as many phases as the stride has.

Along one axis, a convolution gives pixel i of y what its taps p find in x at s i - top + d p. A transposed convolution
gives pixel h of x what the taps p with h + top - d p = s i find in y at i. The pixels h = r, r + s, r + 2 s, ... hear by
the same taps, every e-th with e = s / gcd(s, d), and from one such tap to the next, i falls by d / gcd(s, d). These are the
s phases of the axis: each is a small dense correlation, and no zero between the pixels of y is ever multiplied.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd
from typing import NamedTuple

from ..geometry import ConvGeometry
from .kernel import blocks_for


class Axis(NamedTuple):
    """One axis of a correlation, from a source to a result.

    The tap number k of phase r, which is tap firsts[r] + every k of the kernel, finds what it gives to pixel m of the phase,
    which is pixel r + len(firsts) m of the result, at origins[r] + step m + move k in the source.

    Attributes:
        source, result: sizes.
        kernel: taps of the kernel, all phases together.
        firsts, taps, origins: of each phase.
    """

    source: int
    result: int
    kernel: int
    step: int
    move: int
    every: int
    firsts: tuple[int, ...]
    taps: tuple[int, ...]
    origins: tuple[int, ...]

    @property
    def phases(self) -> int:
        return len(self.firsts)

    @property
    def longest(self) -> int:
        """Pixels of the longest phase, the first."""
        return blocks_for(self.result, self.phases)


class Correlation(NamedTuple):
    """A correlation of images in groups, of `depth` channels each to `outs` channels each."""

    groups: int
    depth: int
    outs: int
    rows: Axis
    columns: Axis

    @property
    def parts(self) -> int:
        """Products of matrices of which it consists: one for each group and phase."""
        return self.groups * self.rows.phases * self.columns.phases

    @property
    def pixels(self) -> int:
        """Pixels of an image in the largest phase."""
        return self.rows.longest * self.columns.longest

    @property
    def longest(self) -> int:
        """Numbers of the longest sum of a phase."""
        return max(self.rows.taps) * max(self.columns.taps) * self.depth


@lru_cache(1024)
def convolution(geometry: ConvGeometry) -> Correlation:
    """The correlation from x to y, in one phase. Nothing in it depends on the batch."""
    rows, columns = (
        Axis(size, out, kernel, stride, dilation, 1, (0,), (kernel,), (-before,))
        for size, out, kernel, stride, before, dilation in zip(*geometry[4:])
    )
    groups = geometry.groups
    return Correlation(groups, geometry.in_channels // groups, geometry.out_channels // groups, rows, columns)


@lru_cache(1024)
def transposed(geometry: ConvGeometry) -> Correlation:
    """The correlation from y to x."""
    rows, columns = (_transposed_axis(*numbers) for numbers in zip(*geometry[4:]))
    groups = geometry.groups
    return Correlation(groups, geometry.out_channels // groups, geometry.in_channels // groups, rows, columns)


def _transposed_axis(size: int, out: int, kernel: int, stride: int, before: int, dilation: int) -> Axis:
    common = gcd(stride, dilation)
    firsts, taps, origins = [], [], []
    for phase in range(min(stride, size)):
        heard = [p for p in range(kernel) if (phase + before - dilation * p) % stride == 0]
        firsts.append(heard[0] if heard else 0)
        taps.append(len(heard))
        origins.append((phase + before - dilation * heard[0]) // stride if heard else 0)
    every, move = stride // common, -dilation // common
    return Axis(out, size, kernel, 1, move, every, tuple(firsts), tuple(taps), tuple(origins))
