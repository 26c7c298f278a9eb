"""Uniform and Gaussian numbers from random bits, each from its place in the array alone: see `philox`.

A uniform number is the upper 24 bits of a word, as many as a float32 has. Gaussian numbers come in pairs (Box & Muller
1958): for u and v uniform on (0, 1],

    √(-2 ln u) · (cos 2πv, sin 2πv)

are two independent ones. Words 0 and 1 of a block (see `philox`) give the pair that lies in their places, and words 2 and
3 another. u has 31 bits, so that a number as far out as 6.66 can occur. Of the second word of a pair, two bits choose the
side of the circle and thirty the place on that quarter, from -π/4 to π/4 around its middle; so the series of sine and
cosine need few terms.

Everything is additions, products, quotients and square roots of float32, which every processor rounds alike, in an order
that is written down here, and each is rounded by itself: the numbers are the same to the last bit everywhere.

This is the plain twin; `cpu.draws` has the compiled one.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .philox import LANES, TILE, random_bits

UNIT = np.float32(2.0**-24)
# Of the radius: u = (k + ½)/2^31 for k of 31 bits; ln u = e ln 2 + 2(s + s³/3 + s⁵/5 + ...), s = (m - 1)/(m + 1), where
# u = m 2^e with m between √½ and √2. So s² is below .03, and the term left out below 4e-9.
HALF, STEP = np.float32(0.5), np.float32(2.0**-31)
ROOT_HALF = np.int32(np.float32(math.sqrt(0.5)).view(np.int32))
MANTISSA, DIGITS = np.int32(2**23 - 1), np.int32(23)
LN_2 = np.float32(math.log(2))
LOGARITHM = tuple(np.float32(2 / n) for n in (9, 7, 5, 3, 1))
# Of the angle: the terms of sin t/t and cos t in t², highest power first; those left out are below 3e-8.
QUARTER, EIGHTH = np.int32(2**30 - 1), np.int32(2**29)
ANGLE = np.float32(math.pi / 2**31)
SINE = tuple(np.float32((-1) ** (n // 2) / math.factorial(n)) for n in (9, 7, 5, 3, 1))
COSINE = tuple(np.float32((-1) ** (n // 2) / math.factorial(n)) for n in (8, 6, 4, 2, 0))


def uniform(key: int, count: int, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """`count` numbers on [low, high), from the stream of a key of 64 bits, as float32 (count,)."""
    low, width, last = interval(low, high)
    u = (random_bits(key, count) >> np.uint32(8)).astype(np.float32) * UNIT
    return np.minimum(u * width + low, last)


def interval(low: float, high: float, kind: Any = np.float32) -> tuple[Any, Any, Any]:
    """Where [low, high) begins, its width, and its last number, since u·width + low may be rounded to `high` itself.

    >>> low, width, last = interval(5, 6)
    >>> almost = np.float32(1 - 2**-24)
    >>> almost * width + low == 6, last < 6
    (np.True_, np.True_)
    """
    return kind(low), kind(high - low), np.nextafter(kind(high), kind(low))


def normal(key: int, count: int, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    """`count` Gaussian numbers, from the stream of a key of 64 bits, as float32 (count,)."""
    tiles = -(-count // TILE)
    words = random_bits(key, tiles * TILE).reshape(tiles, 4, LANES)
    z = np.empty(words.shape, np.float32)
    for w in (0, 2):
        r, (x, y) = radius(words[:, w]), direction(words[:, w + 1])
        z[:, w], z[:, w + 1] = r * x, r * y
    return z.reshape(-1)[:count] * np.float32(std) + np.float32(mean)


def radius(word: Any) -> Any:
    """√(-2 ln u) of the word's u."""
    u = ((word >> np.uint32(1)).astype(np.int32).astype(np.float32) + HALF) * STEP
    bits = u.view(np.int32) - ROOT_HALF
    exponent, m = bits >> DIGITS, ((bits & MANTISSA) + ROOT_HALF).view(np.float32)
    s = (m - np.float32(1)) / (m + np.float32(1))
    logarithm = exponent.astype(np.float32) * LN_2 + s * _polynomial(LOGARITHM, s * s)
    return np.sqrt(np.maximum(np.float32(-2) * logarithm, np.float32(0)))


def direction(word: Any) -> tuple[Any, Any]:
    """A point of the unit circle."""
    t = ((word.astype(np.int32) & QUARTER) - EIGHTH).astype(np.float32) * ANGLE
    across, along = t * _polynomial(SINE, t * t), _polynomial(COSINE, t * t)
    along = np.where(word >> np.uint32(31) == 1, -along, along)
    upright = (word >> np.uint32(30)) & np.uint32(1) == 1
    return np.where(upright, across, along), np.where(upright, along, across)


def _polynomial(coefficients: tuple[np.float32, ...], x: Any) -> Any:
    """Horner's scheme, highest power first."""
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total
