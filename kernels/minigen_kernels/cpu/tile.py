"""The register tile: the innermost loop of the convolutions, written as vector instructions.

A tile is a block of results, R rows of V vectors, that stays in the processor's registers while everything that adds to
it is added up:

    c[row, :] = start[:] + sum over l, m, n of a[row, l, m, n] * b[l, m, n, :]       or c[row, :] += that sum

Each number of `a` is spread over a vector and multiplied with V vectors of `b`; each vector of `b` is used for R rows.
So one step of the loop is R V multiply-adds for R + V loads, and the multipliers are never idle: on one core of a Zen 4
the tiles reach 114 to 117 GFLOP/s, and BLAS's product of large matrices 103. LLVM makes one instruction of each
multiply-add, in whatever vectors the processor has. What the axes l, m and n are, and where the
rows lie, is told by tables of byte offsets; with three loops and such tables the same tile serves all members of the
family (see `tiled`), and no copy of the images is ever made.

Numba compiles no explicit vectors, so the tile is an intrinsic: a function that writes LLVM's instructions itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .addresses import address_of, call_at
from .compiled import compiled


def _processor_features() -> set[str]:
    """The instruction sets of the processor that Numba compiles for: this one, or what NUMBA_CPU_FEATURES says."""
    asked_for = os.environ.get("NUMBA_CPU_FEATURES")
    if asked_for is not None:
        return {name[1:] for name in asked_for.split(",") if name.startswith("+")}
    return {name for name, there in llvm.get_host_cpu_features().items() if there}


_features = _processor_features()
MANY_REGISTERS = bool(_features & {"avx512f", "neon"})  # 32 of them, elsewhere 16
LANES = 16 if "avx512f" in _features else 8 if "avx2" in _features else 4  # float32 numbers in a vector
# (R, V), the widest first. R V sums, V vectors of b and one spread number of a have to fit into the registers.
SHAPES = ((6, 4), (8, 2), (8, 1)) if MANY_REGISTERS else ((4, 3), (6, 2), (8, 1))
WIDTHS = tuple(vectors * LANES for _, vectors in SHAPES)  # numbers in a row of each tile
ROWS = dict(zip(WIDTHS, (rows for rows, _ in SHAPES)))  # rows of the tile of each width
FULL_ROWS = math.lcm(*ROWS.values())  # fill up the tiles of every width

NARROW_COST = 1.5  # of a multiply-add in the narrowest, which spreads a number for each; in the others: 1

# A block: tiles that add up over the same axes. In their order:
#   which tiles they are; the byte of b where they begin; whether they add to what is in c already;
#   how long the axes l, m and n are that they add up over; the bytes from one place of each to the next in a, and in b,
#   where they are not 0;
#   in b the bytes from one output to the next, where the terms of each lie side by side (see `dots`);
#   whether results are bent: those that are not positive are then multiplied by the slope, a float32.
BLOCK_FIELDS = (
    *("first_tile", "end_tile", "b", "accumulate"),
    *("l", "m", "n", "al", "am", "an", "bl", "bm", "bn", "bo", "bent", "slope"),
)
_FIRST, _END, _B, _ACCUMULATE, _AXES = range(5)
_BENT, _SLOPE = (BLOCK_FIELDS.index(name) - _AXES for name in ("bent", "slope"))
_BLOCK_BYTES = 8 * len(BLOCK_FIELDS)

_instructions: Any = intrinsic  # whose types mypy misreads
ITEM = 4  # bytes of a number
CACHE_LINE = 64  # bytes
AHEAD = 2  # tiles: so early are a tile's lines of c asked for
INT, FLOAT = ir.IntType(64), ir.FloatType()
VECTOR, MASK, INDEX = ir.VectorType(FLOAT, LANES), ir.VectorType(ir.IntType(1), LANES), ir.IntType(32)
NOTHING = ir.Constant(VECTOR, [0.0] * LANES)


def number(k: int) -> ir.Constant:
    """An integer known to the compiler."""
    return ir.Constant(INT, k)


def load(builder: Any, address: Any, offset: int, kind: ir.Type) -> Any:
    """The INT, FLOAT or VECTOR that lies so many bytes behind an address."""
    pointer = builder.inttoptr(builder.add(address, number(offset)), kind.as_pointer())
    return builder.load(pointer, align=8 if kind is INT else 4)


def first_lanes(builder: Any, count: Any) -> Any:
    """The mask of so many lanes."""
    lanes = ir.Constant(ir.VectorType(INT, LANES), list(range(LANES)))
    return builder.icmp_signed("<", lanes, spread(builder, count))


def load_lanes(builder: Any, address: Any, mask: Any) -> Any:
    """The numbers at an address whose lanes the mask has, and zeros in the others: what lies there is not touched."""
    kind = ir.FunctionType(VECTOR, [VECTOR.as_pointer(), INDEX, MASK, VECTOR])
    masked = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.load.v{LANES}f32.p0v{LANES}f32")
    pointer = builder.inttoptr(address, VECTOR.as_pointer())
    return builder.call(masked, [pointer, ir.Constant(INDEX, 4), mask, NOTHING])


def store(builder: Any, value: Any, address: Any, offset: int) -> None:
    """Writes a FLOAT or a VECTOR so many bytes behind an address."""
    builder.store(value, builder.inttoptr(builder.add(address, number(offset)), value.type.as_pointer()), align=4)


def spread(builder: Any, value: Any) -> Any:
    """A vector of one number."""
    undefined = ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined)
    one = builder.insert_element(undefined, value, ir.Constant(INDEX, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(INDEX, LANES), [0] * LANES))


def multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, of vectors."""
    kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{LANES}f32"), [a, b, c])


@contextmanager
def walk(builder: Any, count: Any, starts: Sequence[Any], steps: Sequence[Any]) -> Iterator[list[Any]]:
    """A loop of `count` turns, 0 or more, in which these addresses go on by these bytes. The first must change.

    LLVM unrolls loops whose turns it can count beforehand, here too where there are but three: with all that is to be said
    of turns that are left over, and more addresses than there are registers. Of this one it only knows where it ends.
    """
    places = [cgutils.alloca_once_value(builder, start) for start in starts]
    end = builder.add(starts[0], builder.mul(count, steps[0]))
    head, body, after = (builder.append_basic_block(name) for name in ("walk", "turn", "walked"))
    builder.branch(head)
    builder.position_at_end(head)
    builder.cbranch(builder.icmp_signed("!=", builder.load(places[0]), end), body, after)
    builder.position_at_end(body)
    here = [builder.load(place) for place in places]
    yield here
    for place, now, step in zip(places, here, steps):
        builder.store(builder.add(now, step), place)
    builder.branch(head)
    builder.position_at_end(after)


def begin_sums(builder: Any, sums: list[list[Any]], start: Any) -> Any:
    """Begins rows of sums with the vectors at an address, or with nothing if it is 0. Whether it is: see `end_sums`."""
    accumulate = builder.icmp_signed("==", start, number(0))
    with builder.if_else(accumulate) as (nothing, begin):
        with nothing:
            for row in sums:
                for total in row:
                    builder.store(NOTHING, total)
        with begin:
            for v in range(len(sums[0])):
                first = load(builder, start, 4 * LANES * v, VECTOR)
                for row in sums:
                    builder.store(first, row[v])
    return accumulate


def end_sums(builder: Any, sums: list[list[Any]], rows_of_c: list[Any], accumulate: Any, axes: Any = None) -> None:
    """Writes the sums to these rows, or adds them: long sums then err less than one that goes on where the last ended.

    axes: the address of a block's fields from l on, which say whether results are bent.
    """
    with builder.if_then(accumulate):
        for row, place in zip(sums, rows_of_c):
            for v, total in enumerate(row):
                before = load(builder, place, 4 * LANES * v, VECTOR)
                builder.store(builder.fadd(before, builder.load(total)), total)
    if axes is not None:
        with builder.if_then(builder.icmp_signed("!=", load(builder, axes, 8 * _BENT, INT), number(0))):
            _bend(builder, sums, load(builder, axes, 8 * _SLOPE, FLOAT))
    for row, place in zip(sums, rows_of_c):
        for v, total in enumerate(row):
            store(builder, builder.load(total), place, 4 * LANES * v)


def _bend(builder: Any, sums: list[list[Any]], slope: Any) -> None:
    """Multiplies by `slope` what is not positive; by 0, infinity too is 0.

    In memory, after the tile, it would take ten times as long on AMD: of a vector that is read, changed in some lanes and
    written back, LLVM makes a masked store, which is slow there. ReLU took a fifth of a layer of 500×128 by 128×128.
    """
    factor = spread(builder, slope)
    flat = builder.fcmp_ordered("==", factor, NOTHING)
    for row in sums:
        for total in row:
            value = builder.load(total)
            low = builder.select(flat, NOTHING, builder.fmul(value, factor))
            builder.store(builder.select(builder.fcmp_ordered("<=", value, NOTHING), low, value), total)


def _make_tile(rows: int, vectors: int) -> Any:
    """The intrinsic tile(a, a_rows, b, start, c, c_rows, axes); all arguments are addresses.

    a_rows, c_rows: R byte offsets each, from a and from c. start: V vectors, what
    each row begins with, such as a bias; 0 to add to c at the end: sums of long sums then err less than one that goes on
    where the last ended. axes: a block's fields from l on.
    """

    @intrinsic
    def tile(context, a, a_rows, b, start, c, c_rows, axes):
        def generate(context, builder, signature, arguments):
            a, a_rows, b, start, c, c_rows, axes = arguments

            row_of_a = [builder.add(a, load(builder, a_rows, 8 * i, INT)) for i in range(rows)]
            row_of_c = [builder.add(c, load(builder, c_rows, 8 * i, INT)) for i in range(rows)]
            lengths, a_strides, b_strides = (
                [load(builder, axes, 8 * (3 * k + i), INT) for i in range(3)] for k in range(3)
            )
            sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(vectors)] for _ in range(rows)]

            accumulate = begin_sums(builder, sums, start)

            def loop(axis: int, a_offset: Any, b_here: Any) -> None:
                places, steps = (b_here, a_offset), (b_strides[axis], a_strides[axis])
                with walk(builder, lengths[axis], places, steps) as (b_next, a_next):
                    if axis < 2:
                        loop(axis + 1, a_next, b_next)
                        return
                    of_b = [load(builder, b_next, 4 * LANES * v, VECTOR) for v in range(vectors)]
                    for i in range(rows):
                        from_a = builder.add(row_of_a[i], a_next)
                        of_a = spread(builder, load(builder, from_a, 0, FLOAT))
                        for v in range(vectors):
                            total = multiply_add(builder, of_a, of_b[v], builder.load(sums[i][v]))
                            builder.store(total, sums[i][v])

            loop(0, number(0), b)
            end_sums(builder, sums, row_of_c, accumulate, axes)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), generate

    return tile


_wide, _middle, _narrow = (_make_tile(*shape) for shape in SHAPES)
_WIDE, _MIDDLE, _ = WIDTHS
_WIDE_ROWS, _MIDDLE_ROWS, _NARROW_ROWS = (ROWS[width] for width in WIDTHS)


@compiled()
def compute_tile(width, a, a_rows, b, start, c, c_rows, axes):
    """One tile of rows of `width` numbers; all other arguments are addresses, as `_make_tile` has them.

    There is much of it: kernels are given its address (`tile_address`) and call it there (see `addresses`).
    """
    if width == _WIDE:
        _wide(a, a_rows, b, start, c, c_rows, axes)
    elif width == _MIDDLE:
        _middle(a, a_rows, b, start, c, c_rows, axes)
    else:
        _narrow(a, a_rows, b, start, c, c_rows, axes)


@cache
def tile_address() -> int:
    """The address of `compute_tile`, compiled."""
    return address_of(compute_tile, 8)


@_instructions
def number_at(context, address):
    """The whole number that lies at an address."""

    def generate(context, builder, signature, arguments):
        return load(builder, arguments[0], 0, INT)

    return types.int64(types.int64), generate


@_instructions
def float_at(context, address):
    """The float32 number that lies at an address."""

    def generate(context, builder, signature, arguments):
        return load(builder, arguments[0], 0, FLOAT)

    return types.float32(types.int64), generate


@_instructions
def put_float(context, address, value):
    """Writes a float32 number to an address."""

    def generate(context, builder, signature, arguments):
        store(builder, arguments[1], arguments[0], 0)
        return context.get_dummy_value()

    return types.void(types.int64, types.float32), generate


@_instructions
def put_vector(context, source, target, count):
    """Copies a vector of which `count` numbers are there, from one address to another; for the others it has zeros."""

    def generate(context, builder, signature, arguments):
        source, target, count = arguments
        store(builder, load_lanes(builder, source, first_lanes(builder, count)), target, 0)
        return context.get_dummy_value()

    return types.void(*[types.int64] * 3), generate


def _prefetch(to_write: bool, level: int) -> Any:
    """The intrinsic prefetch(address, lines), which asks for so many cache lines, and does not wait for them."""

    @intrinsic
    def prefetch(context, address, lines):
        def generate(context, builder, signature, arguments):
            address, lines = arguments
            byte = ir.IntType(8).as_pointer()
            kind = ir.FunctionType(ir.VoidType(), [byte, INDEX, INDEX, INDEX])
            ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
            how = [ir.Constant(INDEX, k) for k in (int(to_write), 4 - level, 1)]  # 1: data, not instructions
            with cgutils.for_range(builder, lines, intp=INT) as step:
                line = builder.add(address, builder.mul(step.index, number(CACHE_LINE)))
                builder.call(ask, [builder.inttoptr(line, byte), *how])
            return context.get_dummy_value()

        return types.void(types.int64, types.int64), generate

    return prefetch


prefetch, prefetch_to_write = _prefetch(False, level=2), _prefetch(True, level=1)


@compiled()
def rows_of(width):
    """How many rows a tile of this width has."""
    if width == _WIDE:
        return _WIDE_ROWS
    return _MIDDLE_ROWS if width == _MIDDLE else _NARROW_ROWS


@compiled()
def run_tiles(tile, rows, width, kept, blocks, count, a_rows, c_rows, a, b, start, c, beside, steps):
    """Computes all tiles of so many blocks (see BLOCK_FIELDS), of so many rows of `width` numbers. The rest are addresses.

    tile: the address of `compute_tile` or `dots.compute_dots`. kept: how many numbers of a row go to c; fewer than `width`
    if c has no more. a_rows, c_rows: byte offsets (tiles, R) from a and c. Blocks that accumulate do not look at `start`.
    beside: how many columns are computed side by side, tile by tile; steps: bytes from one of them to the next in b, start
    and c. Blocks that accumulate have one, as have those of which not all is kept, and these do not accumulate.

    Before a processor writes to a line it reads it, and a tile of few terms would wait for that longer than it computes:
    asked for two tiles early, convolutions of one channel, 28×28, take 0.8 to 0.95 of the time (Zen 3).
    """
    table_row = 8 * rows
    by_b, by_start, by_c = steps
    lines = -(-beside * kept * ITEM // CACHE_LINE)
    spare = np.empty((rows if kept < width else 0, width), np.float32)
    spare_rows = np.arange(len(spare)) * width * ITEM
    for block in range(blocks, blocks + count * _BLOCK_BYTES, _BLOCK_BYTES):
        from_b, begin = b + number_at(block + 8 * _B), 0 if number_at(block + 8 * _ACCUMULATE) else start
        end = number_at(block + 8 * _END)
        for t in range(number_at(block + 8 * _FIRST), end):
            of_a, of_c = a_rows + t * table_row, c_rows + t * table_row
            if t + AHEAD < end:
                for row in range(of_c + AHEAD * table_row, of_c + (AHEAD + 1) * table_row, 8):
                    prefetch_to_write(c + number_at(row), lines)
            if kept < width:
                to_spare = spare.ctypes.data, spare_rows.ctypes.data
                call_at(tile, (width, a, of_a, from_b, begin, *to_spare, block + 8 * _AXES))
                for r in range(rows):
                    to_c = c + number_at(of_c + 8 * r)
                    for k in range(kept):
                        put_float(to_c + ITEM * k, spare[r, k])
                continue
            for k in range(beside):
                of_b, of_start, to_c = from_b + k * by_b, begin + k * by_start, c + k * by_c
                call_at(tile, (width, a, of_a, of_b, of_start, to_c, of_c, block + 8 * _AXES))
