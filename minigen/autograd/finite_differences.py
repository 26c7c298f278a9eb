"""Derivatives by finite differences, accurate to about 1e-11, that know how accurate they are.

Central differences at steps h, h/4, h/16 are extrapolated to h = 0 (Richardson 1911), and the steps shrink until two
extrapolations agree (Ridders 1982). What rounding can do is measured, not guessed. So an entry comes with the error
that is honestly there, and a point where the function has a kink or a jump is told from one where it is smooth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minigen.random import Generator

Vector = np.ndarray

EPS = float(np.finfo(np.float64).eps)
LEVELS = 22  # steps from h to h/4²¹
TRIALS = 8


class Estimate(NamedTuple):
    """A derivative, a bound on its error, and where the function was smooth enough to have one; all of one shape."""

    value: Vector
    error: Vector
    smooth: Vector


def derivative(curve: Callable[[float], Vector], middle: Vector, noise: Vector, step: float, rtol: float) -> Estimate:
    """d curve/dt at t = 0, for every element of a vector of outputs.

    With D(h) = (c(h) - c(-h))/2h = c' + αh² + βh⁴ + … the terms in h² and h⁴ are eliminated, and with
    B(h) = (c(h) - 2c(0) + c(-h))/h = jump + αh + βh³ + … those in h and h³, where `jump` is the difference of the
    slopes on the two sides: 0 unless there is a kink at t = 0, which D alone cannot see. The best step is taken for
    each element on its own.

    Args:
        curve: t ↦ vector; NaN where it is not defined, which makes the steps smaller.
        middle: curve(0).
        noise: by how much rounding moves each element of `middle` (see `rounding_noise`).
        step: the first h.
        rtol: two extrapolations agree when they differ by less than this relative to the derivative, or by less than
            rounding explains.
    """
    value, error = np.zeros_like(middle), np.full_like(middle, np.inf)
    least = np.full_like(middle, np.nan)  # the rounding error at the first step at which the function is defined
    steepest = np.zeros_like(middle)  # the largest slope at any step
    slopes: list[Vector] = []
    bends: list[Vector] = []
    for level in range(LEVELS):
        h = step / 4**level
        ahead, behind = curve(h), curve(-h)
        slopes.append((ahead - behind) / (2 * h))
        bends.append((ahead - 2 * middle + behind) / h)
        if level < 2:
            continue
        slope, unsure = _extrapolate(slopes[-3:], 16, 256)
        jump, jump_unsure = _extrapolate(bends[-3:], 4, 64)
        rounding = 8 * (noise + EPS * np.maximum(np.abs(ahead), np.abs(behind))) / h
        largest = np.abs(slope).max(initial=0.0)
        kink = np.abs(jump) > jump_unsure + 4 * rounding + 1e-6 * largest
        least = np.where(np.isnan(least) & np.isfinite(unsure), rounding, least)
        steepest = np.fmax(steepest, np.abs(slope))
        seen = rounding <= np.maximum(256 * least, 1e-4 * steepest)  # smaller steps see nothing but rounding
        close = unsure <= rtol * np.maximum(np.abs(slope), 1e-6 * largest)
        agree = ~kink & seen & (close | (unsure <= rounding))  # never where something is NaN
        total = np.where(agree, unsure + rounding, np.inf)
        value, error = np.where(total < error, slope, value), np.minimum(total, error)
        if np.isfinite(error).all():
            break
    return Estimate(value, error, np.isfinite(error))


def rounding_noise(function: Callable[[list[Vector]], Vector], point: list[Vector], generator: Generator) -> Vector:
    """By how much the values of a function move when its inputs move by an ulp or two: its condition, and its rounding.

    max over trials |f(x(1 + rε)) - f(x)| + ε|f(x)|, with random integers r from -4 to 4.
    """
    middle = function(point)
    noise = EPS * np.abs(middle)
    for _ in range(TRIALS):
        moved = function([x * (1 + EPS * generator.integers(-4, 5, x.shape)) for x in point])
        noise = np.fmax(noise, np.abs(moved - middle) + EPS * np.abs(middle))
    return noise


def _extrapolate(values: list[Vector], first: int, second: int) -> tuple[Vector, Vector]:
    """The limit of three values with two error terms, which shrink by `first` and by `second` from one to the next;
    and how far the last two estimates without the first term are apart, far more than the error of the limit."""
    a, b, c = values
    before, after = b + (b - a) / (first - 1), c + (c - b) / (first - 1)
    return after + (after - before) / (second - 1), np.abs(after - before)
