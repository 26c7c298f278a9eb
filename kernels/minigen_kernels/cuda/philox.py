"""Random bits on CUDA: the stream of `minigen_kernels.philox`, to the last bit.

A thread computes one block of the stream: four words that lie sixteen apart (see `minigen_kernels.philox`). Sixteen
neighbouring threads have sixteen neighbouring places, so that a warp reads and writes whole sectors of memory. Kernels
which use their random words on the spot (`activation`, `normalization`) lay their threads in the same way.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numba import cuda, uint32, uint64

from ..philox import KEY_STEPS, LANES, LOW, MULTIPLIERS, ROUNDS, TILE
from .intrinsics import narrow, quotient, remainder
from .kernel import Kernel, blocks_for
from .memory import empty
from .running import run

THREADS = 128
WORDS = TILE // LANES  # of a thread
M0, M1 = MULTIPLIERS
STEP0, STEP1 = KEY_STEPS


def random_bits(key: Any, count: int, xp: ModuleType = np) -> Any:
    """The first `count` words of the stream of a key (its `words` on the device), as uint32 (count,) of the array module `xp`."""
    bits = empty(xp.empty(0, np.uint32), (count,))
    if count:
        run(kernel(count), (bits, count, key))
    return bits


def kernel(count: int) -> Kernel:
    """The kernel of so many words; its arguments are the words, how many they are, and a key's `words`."""
    return Kernel(draw_words, ("uint32*", "int32", "uint32*"), *launch_for(count))


def launch_for(count: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Grid and block for so many elements, whole tiles of the stream."""
    return (blocks_for(blocks_for(count, TILE) * LANES, THREADS), 1, 1), (THREADS, 1, 1)


def words(key: int) -> np.ndarray:
    """A key of 64 bits as kernels read it from the device's memory: its low and its high word, uint32 (2,).

    In memory, and not among the numbers of a launch, since a graph that is replayed launches with the same numbers again.
    """
    return np.array([key & LOW, key >> 32], np.uint32)


def draw_words(bits, count, key):
    block = narrow(cuda.grid(1))
    first = first_of(block)
    if first < count:
        a, b, c, d = draw(block, key)
        bits[first] = a
        if first + LANES < count:
            bits[first + LANES] = b
        if first + 2 * LANES < count:
            bits[first + 2 * LANES] = c
        if first + 3 * LANES < count:
            bits[first + 3 * LANES] = d


@cuda.jit(device=True, inline="always")
def first_of(block):
    """The place of a block's first word; the others follow LANES apart."""
    return narrow(quotient(block, LANES) * TILE + remainder(block, LANES))


@cuda.jit(device=True, inline="always")
def draw(block, key):
    """The four words of a block of the stream under a key's `words`; blocks are below 2^32 since arrays have fewer elements."""
    return ten_rounds(uint32(block), uint32(0), uint32(0), uint32(0), key[0], key[1])


@cuda.jit(device=True, inline="always")
def ten_rounds(a, b, c, d, k0, k1):
    """The random words of the counter (a, b, c, d), all uint32. Sums wrap around in 64 bits, where it can be written out."""
    for _ in range(ROUNDS):
        p = uint64(a) * uint64(M0)
        q = uint64(c) * uint64(M1)
        a = uint32(uint32(q >> uint64(32)) ^ b ^ k0)
        c = uint32(uint32(p >> uint64(32)) ^ d ^ k1)
        b = uint32(q & uint64(LOW))
        d = uint32(p & uint64(LOW))
        k0 = uint32((uint64(k0) + uint64(STEP0)) & uint64(LOW))
        k1 = uint32((uint64(k1) + uint64(STEP1)) & uint64(LOW))
    return a, b, c, d
