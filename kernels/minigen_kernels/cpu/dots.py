"""The register tile of few outputs: sums of products of vectors, along the channels.

A tile (see `tile`) has vectors of outputs. Of one output, or three, most of such a vector is idle: then the vectors lie along
the channels, which are side by side in memory too. The block of results is R pixels of O outputs, each a vector of sums

    s[r, o, :] = sum over l, m, n of a[r, l, m, n, :] * b[l, m, n, o, :]

and at the end the numbers of each vector are added up, four vectors together. A step is R O multiply-adds for R + O loads,
and no number has to be spread over a vector.

This is what the last layer of a decoder is, and the gradient of the first layer of a critic with respect to its images.
"""

from __future__ import annotations

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
    NOTHING,
    VECTOR,
    first_lanes,
    load,
    load_lanes,
    multiply_add,
    number,
    walk,
)

_instructions: Any = intrinsic  # whose types mypy misreads
MOST_OUTS = max(3, LANES // 2)  # with more, tiles of outputs are as well filled
FOUR = 4  # vectors that are added up together: every processor's have four numbers, or a multiple of it
_SUMS, _MOST_ROWS = 24 if MANY_REGISTERS else 12, 8
ROWS_OF_DOTS = {outs: min(_MOST_ROWS, _SUMS // outs) for outs in range(1, MOST_OUTS + 1)}


def applies(outs: int, depth: int, terms: int, groups: int) -> bool:
    """Whether a group's outputs are so few, and the channels of a pixel fill vectors, or together with its neighbours' do."""
    return outs <= MOST_OUTS and (depth % LANES == 0 or (groups == 1 and terms >= LANES))


@_instructions(prefer_literal=True)
def _dots(context, outs, a, a_rows, b, start, c, c_rows, axes):
    """The tile of so many outputs. Arguments are those of `tile.compute_tile`; `start` is never 0."""

    def generate(context, builder, signature, arguments):
        _, a, a_rows, b, start, c, c_rows, axes = arguments
        of_a = [builder.add(a, load(builder, a_rows, 8 * r, INT)) for r in range(rows)]
        numbers = [load(builder, axes, 8 * k, INT) for k in range(10)]
        lengths, a_steps, b_steps, by_output = numbers[:3], numbers[3:6], numbers[6:9], numbers[9]
        vectors = builder.lshr(lengths[2], number(LANES.bit_length() - 1))
        left = builder.and_(lengths[2], number(LANES - 1))
        vector = builder.mul(
            number(LANES), a_steps[2]
        )  # bytes: a constant would have LLVM unroll the loop (see `walk`)
        some, mask = builder.icmp_signed("!=", left, number(0)), first_lanes(builder, left)
        sums = [[cgutils.alloca_once_value(builder, NOTHING) for _ in range(rows)] for _ in range(count)]

        def add(a_here: Any, b_here: Any, vector_at: Any) -> None:
            of_b = [b_here]
            for _ in range(count - 1):
                of_b.append(builder.add(of_b[-1], by_output))
            of_b = [vector_at(address) for address in of_b]
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
                    builder.store(total, builder.inttoptr(builder.add(place, number(4 * o)), _TO_FLOAT), align=4)
        return context.get_dummy_value()

    count, rows = outs.literal_value, ROWS_OF_DOTS[outs.literal_value]
    return types.void(outs, *[types.int64] * 7), generate


_TO_FLOAT = FLOAT.as_pointer()


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
