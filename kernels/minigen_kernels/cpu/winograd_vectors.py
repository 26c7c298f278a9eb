"""What Winograd's convolution (see `winograd`) is made of, as vector instructions: its matrices, and products.

A transform M X M^T takes an n x n block of vectors, each of them one pixel's or one plane's numbers for some channels, to
a block of another size. M is one of the small matrices of `winograd_schemes`, so it is some additions and multiplications
by constants, written out one by one: first down the columns, then along the rows. Where the vectors of a block lie is told
by a table of byte offsets, so that pixels outside of an image can lie in a row of zeros, and no edge needs a loop of its own.

Numba would not make vectors of this: it cannot know that none of the many places written to is one that is read.
"""

from __future__ import annotations

from collections.abc import Callable
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
    INT,
    ITEM,
    LANES,
    ROWS,
    SHAPES,
    VECTOR,
    WIDTHS,
    begin_sums,
    end_sums,
    load,
    multiply_add,
    number,
    spread,
    store,
)
from .winograd_schemes import Matrices, Matrix, matrices

_instructions: Any = intrinsic  # whose types mypy misreads


@_instructions(prefer_literal=True)
def _transform(context, which, outs, taps, a, a_offsets, c, c_offsets, count):
    """As `transform` has them."""
    matrix = TRANSFORMS[which.literal_value](matrices(outs.literal_value, taps.literal_value))
    height, width = len(matrix), len(matrix[0])

    def generate(context, builder, signature, arguments):
        a, a_offsets, c, c_offsets, count = arguments[3:]
        sources = [builder.add(a, load(builder, a_offsets, 8 * k, INT)) for k in range(width * width)]
        targets = [builder.add(c, load(builder, c_offsets, 8 * k, INT)) for k in range(height * height)]
        last = builder.sub(count, number(LANES))
        vectors = builder.sdiv(builder.add(count, number(LANES - 1)), number(LANES))
        with cgutils.for_range(builder, vectors, intp=INT) as step:
            first = builder.mul(step.index, number(LANES))
            first = builder.mul(builder.select(builder.icmp_signed("<", first, last), first, last), number(4))
            block = [load(builder, builder.add(source, first), 0, VECTOR) for source in sources]
            columns = [[_combine(builder, row, block[q::width]) for row in matrix] for q in range(width)]
            for p in range(height):
                for q, row in enumerate(matrix):
                    result = _combine(builder, row, [column[p] for column in columns])
                    store(builder, result, builder.add(targets[p * height + q], first), 0)
        return context.get_dummy_value()

    return types.void(which, outs, taps, *[types.int64] * 5), generate


@compiled()
def transform(which, outs, taps, a, a_offsets, c, c_offsets, count):
    """One of TRANSFORMS, of the scheme F(outs, taps): all three are constants. All others but the last are addresses.

    a, c: of the first number of both blocks. a_offsets, c_offsets: how many bytes further on each of a block's vectors
    begins, row by row. count: numbers to transform, at least a vector of them. Those of the last vector that do not fill
    another are computed twice, so nothing is read or written beyond them.
    """
    _transform(which, outs, taps, a, a_offsets, c, c_offsets, count)


@cache
def transform_address(which: int, outs: int, taps: int) -> int:
    """The address of a transform, compiled for a scheme."""
    return address_of(transform, 8, (which, outs, taps))


def _make_product(rows: int, vectors: int) -> Any:
    """The intrinsic product(a, a_row, a_step, b, b_step, start, c, c_row, depth): a product of matrices, R rows of it.

    c[i, :] = start[:] + sum over k < depth of a[i, k] b[k, :], each row V vectors wide, the sums in registers meanwhile.
    a, b, start, c: addresses; if start is 0, the sum is added to c at the end, which errs less than going on with c. a_row,
    c_row: bytes from i to i + 1; a_step, b_step: bytes from k to k + 1. The rows being equally far apart takes fewer of the
    processor's registers than the tables of `tile.run_tiles`: with depths as short as 16 it is 1.4 times as fast.
    """

    @intrinsic
    def product(context, a, a_row, a_step, b, b_step, start, c, c_row, depth):
        def generate(context, builder, signature, arguments):
            a, a_row, a_step, b, b_step, start, c, c_row, depth = arguments
            in_a = [builder.mul(a_row, number(i)) for i in range(rows)]
            in_c = [builder.add(c, builder.mul(c_row, number(i))) for i in range(rows)]
            sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(vectors)] for _ in range(rows)]
            accumulate = begin_sums(builder, sums, start)
            with cgutils.for_range(builder, depth, intp=INT) as step:
                a_here = builder.add(a, builder.mul(step.index, a_step))
                b_here = builder.add(b, builder.mul(step.index, b_step))
                of_b = [load(builder, b_here, 4 * LANES * v, VECTOR) for v in range(vectors)]
                for i in range(rows):
                    of_a = spread(builder, load(builder, builder.add(a_here, in_a[i]), 0, FLOAT))
                    for v, total in enumerate(sums[i]):
                        builder.store(multiply_add(builder, of_a, of_b[v], builder.load(total)), total)
            end_sums(builder, sums, in_c, accumulate)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 9), generate

    return product


def _combine(builder: Any, coefficients: tuple[float, ...], vectors: list[Any]) -> Any:
    """The sum of coefficient times vector."""
    total = None
    for coefficient, vector in sorted(
        zip(coefficients, vectors), key=lambda term: -term[0]
    ):  # what is subtracted, last
        if coefficient == 0:
            continue
        if abs(coefficient) != 1:
            vector = builder.fmul(vector, ir.Constant(VECTOR, [abs(coefficient)] * LANES))
        if total is None:
            total = vector if coefficient > 0 else builder.fneg(vector)
        else:
            total = builder.fadd(total, vector) if coefficient > 0 else builder.fsub(total, vector)
    return total


def _turned(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix))


INPUTS, WEIGHTS, PRODUCTS, OUTPUT_GRADIENTS, WEIGHT_GRADIENTS = range(5)
TRANSFORMS: tuple[Callable[[Matrices], Matrix], ...] = (  # their matrices
    lambda of: of.inputs,
    lambda of: of.weights,
    lambda of: of.outputs,
    lambda of: _turned(of.outputs),
    lambda of: _turned(of.weights),
)
wide_product, middle_product, narrow_product = (_make_product(*shape) for shape in SHAPES)
_WIDE, _MIDDLE, _ = WIDTHS
_ROWS_OF_WIDE, _ROWS_OF_MIDDLE, _ROWS_OF_NARROW = ROWS.values()


@compiled()
def multiply(width, rows, a, a_row, a_step, b, start, c, depth):
    """c (rows, width) = a b, and start added to each row; more rows are written, to fill up a tile. Addresses, bytes."""
    row = ITEM * width
    if width == _WIDE:
        for i in range(0, rows, _ROWS_OF_WIDE):
            wide_product(a + i * a_row, a_row, a_step, b, row, start, c + i * row, row, depth)
    elif width == _MIDDLE:
        for i in range(0, rows, _ROWS_OF_MIDDLE):
            middle_product(a + i * a_row, a_row, a_step, b, row, start, c + i * row, row, depth)
    else:
        for i in range(0, rows, _ROWS_OF_NARROW):
            narrow_product(a + i * a_row, a_row, a_step, b, row, start, c + i * row, row, depth)


@cache
def multiply_address() -> int:
    """The address of `multiply`, compiled."""
    return address_of(multiply, 9)
