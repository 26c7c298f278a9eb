"""Random bits from a counter: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

The generator is a function with no state. Ten rounds of multiplication and exclusive or turn a counter of four 32-bit
words into four random ones, under a key of two words. So any element of a random array can be computed alone, in any
order, by any thread, on any device, and computed again later instead of being kept.

Word i of the stream of a key comes from one fixed place, which every implementation keeps to:

    tile t = i // 64    lane l = i % 16    word w = i % 64 // 16
    word w of the block whose counter is (16 t + l, as 64 bits in the first two words; 0; 0)

Sixteen blocks lie side by side in a tile, so that a vector instruction, or a warp of a GPU, makes sixteen neighbours of
the output at once and nothing has to be shuffled.

This is the plain twin, for any array module; `cpu.philox` has the compiled one.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

TILE = 64  # words that sixteen blocks make
LANES = 16
ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and √3 - 1, in 32 bits
LOW = 0xFFFFFFFF


def blocks(counters: Any, key: tuple[int, int]) -> list[Any]:
    """Philox 4x32-10 of many counters.

    Args: counters: four arrays of uint64, the words of each counter from the lowest, each below 2^32. key: two words.
    Returns four arrays of uint64, the random words, each below 2^32.

    >>> [hex(int(word)) for word in blocks(np.zeros(4, np.uint64), (0, 0))]  # the first known answer of the authors
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    a, b, c, d = counters
    k0, k1 = key
    for _ in range(ROUNDS):
        p, q = a * MULTIPLIERS[0], c * MULTIPLIERS[1]  # 64 bits: all of a product of two words
        a, b, c, d = (q >> 32) ^ b ^ k0, q & LOW, (p >> 32) ^ d ^ k1, p & LOW
        k0, k1 = (k0 + KEY_STEPS[0]) & LOW, (k1 + KEY_STEPS[1]) & LOW
    return [a, b, c, d]


def random_bits(key: int, count: int, xp: ModuleType = np) -> Any:
    """The first `count` words of the stream of a key.

    Args: key: an integer of 64 bits. count: how many. xp: the array module, NumPy or CuPy.
    Returns uint32 (count,).
    """
    tiles = -(-count // TILE)
    low = xp.arange(tiles * LANES, dtype=xp.uint64)
    zero = xp.zeros_like(low)
    words = blocks((low & LOW, low >> 32, zero, zero), (key & LOW, key >> 32))
    lanes = xp.stack(words).reshape(4, tiles, LANES)
    return lanes.transpose(1, 0, 2).reshape(-1)[:count].astype(xp.uint32)


def dropout_threshold(p: float) -> int:
    """The least word that keeps its element where the share p is dropped: p·2³², rounded up.

    >>> dropout_threshold(0.5) == 2**31
    True
    """
    return min(math.ceil(p * 2**32), LOW)
