"""Sums of columns on CUDA, such as the gradient of a bias: of images that lie channels last, a column is a channel.

A first kernel adds up the rows in shares, a second one the shares. Both have one order, which the shape alone decides, so
that results are the same every time, to the last bit.

A float32 sum of many rows would lose digits, and most GPUs add in float64 at 1/32 or 1/64 of their speed. So the rows are
added in the array's own type and what every addition rounds off is added up beside (Knuth's two-sum, The Art of Computer
Programming 2, 4.2.2): six operations for each number that is read from memory, with the precision of about two float32.
Only the few sums of the shares are added in float64. Unlike on the CPU, a float32 sum that leaves float32's range on its
way stays infinite.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from numba import cuda, float64

from .intrinsics import narrow, quotient, remainder
from .kernel import Kernel, blocks_for
from .memory import empty, packed
from .quads import number_of
from .running import run

THREADS = 256  # of a block: some columns, at most a warp's width, and as many rows at a time as are left
WIDTH = 32
LEAST_ROWS = 16  # that a thread adds up
ENOUGH_BLOCKS = 512


class Cut(NamedTuple):
    """How the sums over the columns of an array are shared out: blocks of so many columns, for each of so many shares."""

    columns: int
    across: int  # columns of a block
    shares: int
    each: int  # rows of a share

    @property
    def tiles(self) -> int:
        return blocks_for(self.columns, self.across)


def cut(rows: int, columns: int) -> Cut:
    """How an array (rows, columns) is cut, by its shape alone.

    >>> cut(100_000, 64)
    Cut(columns=64, across=32, shares=256, each=391)
    >>> cut(100, 3)
    Cut(columns=3, across=4, shares=1, each=100)
    """
    across = min(WIDTH, 1 << (columns - 1).bit_length())
    count = blocks_for(ENOUGH_BLOCKS, blocks_for(columns, across))
    count = max(1, min(count, rows // (LEAST_ROWS * (THREADS // across))))
    each = blocks_for(rows, count)
    return Cut(columns, across, blocks_for(rows, each), each)


def column_sums(x: Any) -> Any:
    """The sums (C,) of the columns of x (R, C), of x's type."""
    rows, columns = x.shape
    y = empty(x, (columns,))
    if not x.size:
        y[...] = 0
        return y
    dtype, how = str(x.dtype), cut(rows, columns)
    x = packed(x)
    sums = empty(x, (how.shares, 2, columns))
    run(share_kernel(dtype, how, "values"), (x, x, x, x, sums, rows, how.each, 0, 0))
    run(total_kernel(dtype, how), (sums, y, how.shares))
    return y


def share_kernel(dtype: str, how: Cut, terms: str) -> Kernel:
    """The kernel of the sums over shares of the rows, of what `_terms` calls by that name.

    Its arguments are x (R, C), g (R, C), states (R, C), centre (C,), sums (shares, 2 for each sum, C), R, the rows of a
    share, and what g is multiplied by for a falling and a rising state. Where the terms do without an array, x is passed.
    """
    pointer = f"{dtype}*"
    states = "uint8*" if terms == "products by state" else pointer
    parameters = (pointer, pointer, states, pointer, pointer, "int32", "int32", dtype, dtype)
    return Kernel(_shares(dtype, how._replace(shares=0, each=0), terms), parameters, *_launch(how.tiles * how.shares))


def total_kernel(dtype: str, how: Cut) -> Kernel:
    """The kernel that adds the shares up; its arguments are sums (shares, 2, C), y (C,) and how many shares there are."""
    return Kernel(_total(dtype, how._replace(shares=0, each=0)), (f"{dtype}*",) * 2 + ("int32",), *_launch(how.tiles))


def _launch(blocks: int) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    return (blocks, 1, 1), (THREADS, 1, 1)


@cuda.jit(device=True, inline="always")
def two_sum(a, b):
    """a + b, rounded, and what the rounding left out."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


@lru_cache
def _terms(dtype: str, terms: str) -> Any:
    """The device function of what is added up over the rows: one or two terms of an element."""
    number = number_of(dtype)

    @cuda.jit(device=True, inline="always")
    def values(x, g, states, centre, index, column, low, high):
        return x[index], number(0)

    @cuda.jit(device=True, inline="always")
    def powers(x, g, states, centre, index, column, low, high):
        difference = x[index] - centre[column]
        return difference, difference * difference

    @cuda.jit(device=True, inline="always")
    def products(x, g, states, centre, index, column, low, high):
        h = g[index] * high
        return h * (x[index] - centre[column]), h

    @cuda.jit(device=True, inline="always")
    def products_by_state(x, g, states, centre, index, column, low, high):
        state = states[index]
        h = g[index] * high if state == 2 else g[index] * low if state == 1 else number(0)
        return h * (x[index] - centre[column]), h

    return {"values": values, "powers": powers, "products": products, "products by state": products_by_state}[terms]


@lru_cache(512)
def _shares(dtype: str, how: Cut, terms: str) -> Any:
    C, ACROSS, TILES = how.columns, how.across, how.tiles
    DOWN = THREADS // ACROSS
    TWO = terms != "values"
    PARTS = 4 if TWO else 2  # a sum and its rest, for each term
    SIZE = PARTS * THREADS
    number = number_of(dtype)
    terms_of = _terms(dtype, terms)

    def add_rows(x, g, states, centre, sums, rows, each, low, high):
        parts = cuda.shared.array(SIZE, number)
        thread = narrow(cuda.threadIdx.x)
        share = quotient(cuda.blockIdx.x, TILES)
        column = narrow(remainder(cuda.blockIdx.x, TILES) * ACROSS + remainder(thread, ACROSS))
        below = quotient(thread, ACROSS)
        first = number(0)
        first_rest = number(0)
        second = number(0)
        second_rest = number(0)
        if column < C:
            begin = narrow(share * each)
            for row in range(narrow(begin + below), narrow(min(begin + each, rows)), DOWN):
                a, b = terms_of(x, g, states, centre, narrow(row * C + column), column, low, high)
                first, rest = two_sum(first, a)
                first_rest += rest
                if TWO:
                    second, rest = two_sum(second, b)
                    second_rest += rest
        parts[thread] = first
        parts[THREADS + thread] = first_rest
        if TWO:
            parts[2 * THREADS + thread] = second
            parts[3 * THREADS + thread] = second_rest
        cuda.syncthreads()
        half = narrow(DOWN // 2)
        while half > 0:
            if below < half:
                other = narrow(thread + half * ACROSS)
                for part in range(0, PARTS, 2):
                    at = narrow(part * THREADS)
                    total, rest = two_sum(parts[at + thread], parts[at + other])
                    parts[at + thread] = total
                    at = narrow(at + THREADS)
                    parts[at + thread] += parts[at + other] + rest
            cuda.syncthreads()
            half = narrow(half // 2)
        if below == 0 and column < C:
            for part in range(PARTS):
                sums[narrow((share * PARTS + part) * C + column)] = parts[part * THREADS + thread]

    return add_rows


@lru_cache(512)
def adder(dtype: str, how: Cut, count: int) -> Any:
    """The device function that adds up the shares of one sum or two for a block's columns, in float64.

    It gives the column and the sums to the threads which then have something to write, and column -1 to the others.
    """
    C, ACROSS = how.columns, how.across
    DOWN = THREADS // ACROSS
    PARTS, SIZE = 2 * count, count * THREADS

    @cuda.jit(device=True, inline="always")
    def whole(sums, at):
        rest = sums[at + C]
        return float64(sums[at]) + (float64(rest) if rest == rest else 0.0)  # the rest of an infinite sum is no number

    @cuda.jit(device=True, inline="always")
    def add_shares(sums, shares):
        parts = cuda.shared.array(SIZE, float64)
        thread = narrow(cuda.threadIdx.x)
        column = narrow(cuda.blockIdx.x * ACROSS + remainder(thread, ACROSS))
        below = quotient(thread, ACROSS)
        for k in range(count):
            total = float64(0)
            if column < C:
                for share in range(below, shares, DOWN):
                    total += whole(sums, narrow((share * PARTS + 2 * k) * C + column))
            parts[k * THREADS + thread] = total
        cuda.syncthreads()
        half = narrow(DOWN // 2)
        while half > 0:
            if below < half:
                for k in range(count):
                    at = narrow(k * THREADS + thread)
                    parts[at] += parts[at + half * ACROSS]
            cuda.syncthreads()
            half = narrow(half // 2)
        mine = column if below == 0 and column < C else narrow(-1)
        return mine, parts[thread], parts[(count - 1) * THREADS + thread]

    return add_shares


@lru_cache(512)
def _total(dtype: str, how: Cut) -> Any:
    number = number_of(dtype)
    add_shares = adder(dtype, how, 1)

    def add_columns(sums, y, shares):
        column, total, _ = add_shares(sums, shares)
        if column >= 0:
            y[column] = number(total)

    return add_columns
