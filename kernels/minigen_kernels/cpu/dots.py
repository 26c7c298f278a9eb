"""The register tile of few outputs: sums along the channels.

A tile (see `tile`) is made of vectors of outputs. Of one output, or three, most of such a vector would be idle. Here vectors
lie along what is added up: along n, whose numbers lie side by side in a and in b,

    c[r, o] = start[o] + sum over l, m, n of a[r, l, m, n] * b[o, l, m, n]

Each of the R O sums is a vector, whose numbers are added up at the end, four vectors together. A step of the loop is R O
multiply-adds for R + O loads, and no number has to be spread over a vector. n are the channels of a pixel, or of all pixels
that a row of the kernel sees, where these lie side by side (see `plans`): so even of one channel, a 5×5 kernel fills five
lanes of eight. The rest of n that fills no vector is loaded lane by lane, and what lies behind it is not touched.

This is what the last layer of a decoder is, and the gradient of a critic's first layer with respect to its images. On two
cores of a Zen 3, convolutions to one to four outputs take 0.1 to 0.8 of the time that products with patches take.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .addresses import address_of
from .compiled import compiled
from .tile import (
    FLOAT,
    INDEX,
    INT,
    LANES,
    MANY_REGISTERS,
    NARROW_COST,
    NOTHING,
    VECTOR,
    first_lanes,
    load,
    load_lanes,
    multiply_add,
    number,
    store,
    walk,
)

_instructions: Any = intrinsic  # whose types mypy misreads
MOST_OUTS = max(3, LANES // 2)  # with more, tiles of outputs are as well filled
# Of what is left of a run, and of adding a sum's numbers up, in multiply-adds of a vector; fitted on a Zen 3.
LEFT_COST, END_COST = 1.5, 5
FOUR = 4  # vectors that are added up together: every processor's have four numbers, or a multiple of it
_SUMS, _MOST_ROWS = 24 if MANY_REGISTERS else 12, 8
ROWS_OF_DOTS = {outs: min(_MOST_ROWS, _SUMS // outs) for outs in range(1, MOST_OUTS + 1)}


def pay(outs: int, depth: int, kernel_size: tuple[int, int], beside: bool) -> bool:
    """Whether sums of so many channels and taps, for so few outputs, take fewer steps than in a tile of outputs.

    beside: whether the pixels that a row of the kernel sees lie side by side, and are one run of numbers.
    """
    taps = math.prod(kernel_size)
    runs, run = (kernel_size[0], kernel_size[1] * depth) if beside else (taps, depth)
    vectors = run // LANES + (LEFT_COST if run % LANES else 0)
    return outs <= MOST_OUTS and outs * (runs * vectors + END_COST) < NARROW_COST * taps * depth


@_instructions(prefer_literal=True)
def _dots(context, outs, a, a_rows, b, start, c, c_rows, axes):
    """The tile of so many outputs. Arguments are those of `tile.compute_tile`; `start` is never 0."""

    def generate(context, builder, signature, arguments):
        _, a, a_rows, b, start, c, c_rows, axes = arguments
        of_a = [builder.add(a, load(builder, a_rows, 8 * r, INT)) for r in range(rows)]
        numbers = [load(builder, axes, 8 * k, INT) for k in range(10)]
        lengths, a_steps, b_steps, by_output = numbers[:3], numbers[3:6], numbers[6:9], numbers[9]
        vectors, left = (op(lengths[2], number(LANES)) for op in (builder.udiv, builder.urem))
        some, mask = builder.icmp_signed("!=", left, number(0)), first_lanes(builder, left)
        # The bytes of a vector. If LLVM knew them, it would unroll the loop (see `walk`).
        vector = builder.mul(number(LANES), a_steps[2])
        sums = [[cgutils.alloca_once_value(builder, NOTHING) for _ in range(rows)] for _ in range(count)]

        def add(a_here: Any, b_here: Any, vector_at: Any) -> None:
            of_b = [vector_at(builder.add(b_here, builder.mul(number(o), by_output))) for o in range(count)]
            for r in range(rows):
                pixel = vector_at(builder.add(of_a[r], a_here))
                for o in range(count):
                    total = multiply_add(builder, pixel, of_b[o], builder.load(sums[o][r]))
                    builder.store(total, sums[o][r])

        with (
            walk(builder, lengths[0], (b, number(0)), (b_steps[0], a_steps[0])) as outer,
            walk(builder, lengths[1], outer, (b_steps[1], a_steps[1])) as inner,
        ):
            with walk(builder, vectors, inner, (vector, vector)) as (b_here, a_here):
                add(a_here, b_here, lambda address: load(builder, address, 0, VECTOR))
            with builder.if_then(some):
                done = builder.mul(vectors, vector)
                b_here, a_here = (builder.add(start, done) for start in inner)
                add(a_here, b_here, lambda address: load_lanes(builder, address, mask))
        of_c = [builder.add(c, load(builder, c_rows, 8 * r, INT)) for r in range(rows)]
        for o in range(count):
            first = load(builder, start, 4 * o, FLOAT)
            for r in range(0, rows, FOUR):
                totals = _added_up(builder, [builder.load(total) for total in sums[o][r : r + FOUR]])
                for k, place in enumerate(of_c[r : r + FOUR]):
                    total = builder.fadd(first, builder.extract_element(totals, ir.Constant(INDEX, k)))
                    store(builder, total, place, 4 * o)
        return context.get_dummy_value()

    count, rows = outs.literal_value, ROWS_OF_DOTS[outs.literal_value]
    return types.void(outs, *[types.int64] * 7), generate


def _added_up(builder: Any, vectors: list[Any]) -> Any:
    """A vector of four: the sums of the numbers of at most as many vectors."""

    def pick(u: Any, v: Any, places: list[int]) -> Any:
        return builder.shuffle_vector(u, v, ir.Constant(ir.VectorType(INDEX, len(places)), places))

    def add_neighbours(u: Any, v: Any) -> Any:
        """Of each four numbers of u and v: u0 + u1, u2 + u3, v0 + v1, v2 + v3. Some processors have an instruction for it."""
        fours = range(0, LANES, FOUR)
        even = [place for four in fours for place in (four, four + 2, LANES + four, LANES + four + 2)]
        return builder.fadd(pick(u, v, even), pick(u, v, [place + 1 for place in even]))

    vectors = vectors + vectors[-1:] * (FOUR - len(vectors))
    total = add_neighbours(add_neighbours(*vectors[:2]), add_neighbours(*vectors[2:]))
    lanes = LANES
    while lanes > FOUR:
        lanes //= 2
        total = builder.fadd(*(pick(total, total, list(range(half, half + lanes))) for half in (0, lanes)))
    return total


@compiled()
def compute_dots(outs, a, a_rows, b, start, c, c_rows, axes):
    """One tile of so many outputs; all other arguments are addresses. `outs` must be known when this is compiled."""
    _dots(outs, a, a_rows, b, start, c, c_rows, axes)


@cache
def address_of_dots(outs: int) -> int:
    """The address of `compute_dots` of so many outputs, compiled."""
    return address_of(compute_dots, 8, (outs,))
