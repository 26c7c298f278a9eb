"""Turning matrices over, a square of vectors at a time, and copying numbers from one address to another.

A square of L rows, each one vector of L numbers, is transposed in log2 L rounds. Each round interleaves row i with row
i + L/2, number by number, into rows 2i and 2i + 1: where a number stands, written in binary as row and column, turns
round by one digit, and after log2 L rounds rows and columns have changed places. One by one, each number costs a load, a
store and an address; by squares, half an instruction.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .tile import LANES, VECTOR, load, number, store

_instructions: Any = intrinsic  # whose types mypy misreads
_index = ir.IntType(32)


def _interleaved(builder: Any, a: Any, b: Any, half: int) -> Any:
    """a[0], b[0], a[1], b[1], ... of the lower (0) or upper (1) halves of two vectors."""
    begin = half * LANES // 2
    order = [begin + i // 2 + (i % 2) * LANES for i in range(LANES)]
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(_index, LANES), order))


@_instructions
def transpose_square(context, source, source_stride, target, target_stride):
    """Writes the transpose of a square of LANES rows. Addresses of its first numbers, and bytes from row to row."""

    def generate(context, builder, signature, arguments):
        source, source_stride, target, target_stride = arguments

        def row(first: Any, stride: Any, i: int) -> Any:
            return builder.add(first, builder.mul(stride, number(i)))

        rows = [load(builder, row(source, source_stride, i), 0, VECTOR) for i in range(LANES)]
        for _ in range(LANES.bit_length() - 1):
            pairs = zip(rows[: LANES // 2], rows[LANES // 2 :])
            rows = [_interleaved(builder, a, b, half) for a, b in pairs for half in (0, 1)]
        for i, vector in enumerate(rows):
            store(builder, vector, row(target, target_stride, i), 0)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@_instructions
def copy_numbers(context, source, target, count):
    """Copies so many float32 numbers from one address to another, which do not overlap."""

    def generate(context, builder, signature, arguments):
        source, target, count = arguments
        bytes_there = ir.IntType(8).as_pointer()
        to, here = builder.inttoptr(target, bytes_there), builder.inttoptr(source, bytes_there)
        cgutils.raw_memcpy(builder, to, here, count, 4)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate
