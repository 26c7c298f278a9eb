"""The mathematics of Winograd's convolution: F(m, r), m outputs of a kernel of r taps for m + r - 1 multiplications.

A row of n = m + r - 1 pixels d and a kernel g of r taps give m outputs, y_i = sum over k of d_(i+k) g_k. That sum is the
transpose of the product of two polynomials, one of m coefficients and one of r: and a product of polynomials is known by
its values at n points, where it costs one multiplication each. Taking infinity for the last point (the value there is the
highest coefficient), with points p_0, ..., p_(n-2) and N_i(x) the product of all x - p_j but the i-th,

    y = A^T ((G g) * (B^T d))           * number by number

    A^T[k, i] = p_i^k                   a polynomial of m coefficients at the points
    G[i, k]   = p_i^k / N_i(p_i)        one of r coefficients
    B^T[i]    = the coefficients of N_i, and in the last row those of the product of all x - p_j

For m = 2, r = 3 and the points 0, 1, -1 these are the matrices that Winograd's convolution is known by:

    B^T = -1  0  1  0      G = -1    0    0      A^T = 1  1  1  0
           0  1  1  0          1/2  1/2  1/2           0  1 -1  1
           0 -1  1  0          1/2 -1/2  1/2
           0 -1  0  1           0    0    1

More outputs take fewer multiplications and more points, and high powers of points away from 1 cost digits (Barabasz et al.
2020, arXiv 1803.10986): F(4, 5), with 8 points, would halve the time of a 5 × 5 kernel for another factor of 2.5 in the error.

Sources: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, 2016 (arXiv 1509.09308); Winograd, Arithmetic
Complexity of Computations, 1980.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

Matrix = tuple[tuple[float, ...], ...]

_POINTS = {  # by their number
    count: [Fraction(point) for point in text.split()]
    for count, text in {
        3: "0 1 -1",
        4: "0 1 -1 2",
        5: "0 1 -1 1/2 -2",
    }.items()
}
ONE = 1  # the place of the point 1, at which all powers are 1


class Scheme(NamedTuple):
    """F(m × m, r × r): tiles of m × m outputs, of a kernel of r × r taps."""

    outs: int
    taps: int

    @property
    def side(self) -> int:
        """n: inputs of a tile along each axis."""
        return self.outs + self.taps - 1

    @property
    def planes(self) -> int:
        """Multiplications for a tile, and numbers of a transformed one."""
        return self.side**2


class Matrices(NamedTuple):
    """Those of one axis."""

    outputs: Matrix  # A^T (m, n)
    weights: Matrix  # G (n, r)
    inputs: Matrix  # B^T (n, n)


@cache
def matrices(outs: int, taps: int) -> Matrices:
    """The matrices of F(m, r), computed exactly."""
    points = _POINTS[outs + taps - 2]
    others = [[q for q in points if q != p] for p in points]
    a = [[p**k for p in points] + [Fraction(k == outs - 1)] for k in range(outs)]
    g = [[p**k / _value(_polynomial(rest), p) for k in range(taps)] for p, rest in zip(points, others)]
    g.append([Fraction(k == taps - 1) for k in range(taps)])
    b = [[*_polynomial(rest), Fraction(0)] for rest in others] + [_polynomial(points)]
    return Matrices(*(tuple(tuple(map(float, row)) for row in matrix) for matrix in (a, g, b)))


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """The coefficients, the lowest first, of the product of all x - root."""
    found = [Fraction(1)]
    for root in roots:
        found = [low - root * high for low, high in zip([Fraction(0), *found], [*found, Fraction(0)])]
    return found


def _value(coefficients: Sequence[Fraction], x: Fraction) -> Fraction:
    return sum((c * x**k for k, c in enumerate(coefficients)), Fraction(0))
