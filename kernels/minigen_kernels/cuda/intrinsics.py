"""GPU instructions that Numba does not have, each as a few lines of LLVM, and each with its twin in Python.

    narrow, quotient, remainder     an index, and divisions of indices, in 32 bits
    load4, store4                   four floats in one access of 128 bits
    cp_async16, cp_async4           16 or 4 bytes from global to shared memory, on their way while the thread goes on
    cp_async_commit, cp_async_wait  closes a group of such copies; waits until at most n groups are on their way
    tf32                            a float32 rounded to the 10 bits of fraction that tensor cores read
    mma_m16n8k8                     a product of small matrices by all lanes of a warp together

Compiled, a kernel gets the instruction; simulated, the twin registered below it (see `simulator.twins`). Pointers and
flat arrays in shared memory are taken alike, each with an index in elements of four bytes.
"""

# mypy: no-check-untyped-defs

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.cuda.extending import intrinsic

from .simulator.memory import KernelFault
from .simulator.threads import WARP, Waiting, exchange, running
from .simulator.twins import twin_of

F32, I32, I64, VOID = ir.FloatType(), ir.IntType(32), ir.IntType(64), ir.VoidType()
FLOAT4 = ir.VectorType(F32, 4)


def _address(context: Any, builder: Any, kind: Any, value: Any, index: Any) -> Any:
    """The address of element `index` of a pointer or an array."""
    base = value if isinstance(kind, types.CPointer) else context.make_array(kind)(context, builder, value=value).data
    return builder.gep(base, [index])


def _assembly(builder: Any, result: Any, text: str, constraints: str, arguments: list[Any]) -> Any:
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(ir.InlineAsm(function, text, constraints, side_effect=True), arguments)


@intrinsic
def narrow(typing_context, value):
    """An integer as an int32, which must hold it: Numba computes in 64 bits, which take two registers and more time."""

    def code(context, builder, signature, arguments):
        return builder.trunc(arguments[0], I32)

    return types.int32(types.int64), code


@twin_of(narrow)
def _narrow(value):
    if not -(1 << 31) <= value < 1 << 31:
        raise KernelFault(f"{value} does not fit into 32 bits")
    return value


@intrinsic
def quotient(typing_context, value, divisor):
    """value // divisor, for a value of at least 0 and below 2^31, and a divisor above 0."""

    def code(context, builder, signature, arguments):
        return builder.udiv(*(builder.trunc(argument, I32) for argument in arguments))

    return types.int32(types.int64, types.int64), code


@twin_of(quotient)
def _quotient(value, divisor):
    if value < 0 or divisor < 1:
        raise KernelFault(f"the quotient of {value} by {divisor} is not one of counting numbers")
    return _narrow(value) // _narrow(divisor)


@intrinsic
def remainder(typing_context, value, divisor):
    """value % divisor, for a value of at least 0 and below 2^31, and a divisor above 0."""

    def code(context, builder, signature, arguments):
        return builder.urem(*(builder.trunc(argument, I32) for argument in arguments))

    return types.int32(types.int64, types.int64), code


@twin_of(remainder)
def _remainder(value, divisor):
    if value < 0 or divisor < 1:
        raise KernelFault(f"the remainder of {value} by {divisor} is not one of counting numbers")
    return _narrow(value) % _narrow(divisor)


@intrinsic
def load4(typing_context, source, index):
    """The four floats source[index] to source[index + 3], by one load of 128 bits; index must be a multiple of 4."""
    signature = types.UniTuple(types.float32, 4)(source, types.intp)

    def code(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments)
        vector = builder.load(builder.bitcast(address, FLOAT4.as_pointer()), align=16)
        parts = [builder.extract_element(vector, I32(k)) for k in range(4)]
        return context.make_tuple(builder, signature.return_type, parts)

    return signature, code


@twin_of(load4)
def _load4(source, index):
    source.vector(index, 4)
    return source[index], source[index + 1], source[index + 2], source[index + 3]


@intrinsic
def store4(typing_context, target, index, a, b, c, d):
    """target[index] to target[index + 3] = a, b, c, d, by one store of 128 bits; index must be a multiple of 4."""
    signature = types.void(target, types.intp, *[types.float32] * 4)

    def code(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments[:2])
        vector = FLOAT4(ir.Undefined)
        for k in range(4):
            vector = builder.insert_element(vector, arguments[2 + k], I32(k))
        builder.store(vector, builder.bitcast(address, FLOAT4.as_pointer()), align=16)
        return context.get_dummy_value()

    return signature, code


@twin_of(store4)
def _store4(target, index, a, b, c, d):
    target.vector(index, 4)
    target[index], target[index + 1], target[index + 2], target[index + 3] = a, b, c, d


@intrinsic
def cp_async16(typing_context, target, target_index, source, source_index, wanted):
    """Starts a copy of four floats from source in global memory to target in shared memory (sm_80 or newer).

    Where `wanted` is false, nothing is read and target gets zeros: padding without a branch. But the address must still
    be one of source's, so pass 0 as the index. Nobody may read target before `cp_async_wait` and a barrier.
    """
    return _copy("cp.async.cg.shared.global [$0], [$1], 16, $2;", 16, target, source)


@intrinsic
def cp_async4(typing_context, target, target_index, source, source_index, wanted):
    """As `cp_async16`, but of one float, at any index."""
    return _copy("cp.async.ca.shared.global [$0], [$1], 4, $2;", 4, target, source)


def _copy(text: str, size: int, target: Any, source: Any) -> Any:
    """The signature and the code of an asynchronous copy of `size` bytes."""
    signature = types.void(target, types.intp, source, types.intp, types.boolean)

    def code(context, builder, signature, arguments):
        to = _address(context, builder, signature.args[0], *arguments[:2])
        to = builder.ptrtoint(builder.addrspacecast(to, ir.PointerType(F32, addrspace=3)), I32)
        source = _address(context, builder, signature.args[2], *arguments[2:4])
        source = builder.ptrtoint(builder.addrspacecast(source, ir.PointerType(F32, addrspace=1)), I64)
        read = builder.select(cgutils.is_not_null(builder, arguments[4]), I32(size), I32(0))
        _assembly(builder, VOID, text, "r,l,r,~{memory}", [to, source, read])
        return context.get_dummy_value()

    return signature, code


@twin_of(cp_async16)
def _cp_async16(target, target_index, source, source_index, wanted):
    target.vector(target_index, 4)
    source.vector(source_index, 4)
    _cp_async4(target, target_index, source, source_index, wanted)
    _cp_async4(target, target_index + 1, source, source_index + 1, wanted)
    _cp_async4(target, target_index + 2, source, source_index + 2, wanted)
    _cp_async4(target, target_index + 3, source, source_index + 3, wanted)


@twin_of(cp_async4)
def _cp_async4(target, target_index, source, source_index, wanted):
    source.copied(source_index, bool(wanted))
    target[target_index] = np.nan  # neither the old value nor the new one until it has been waited for
    running.thread.copies[-1].append((target, target_index, source, source_index, bool(wanted)))


@intrinsic
def cp_async_commit(typing_context):
    """Closes the group of the copies that this thread started since the last group."""

    def code(context, builder, signature, arguments):
        _assembly(builder, VOID, "cp.async.commit_group;", "~{memory}", [])
        return context.get_dummy_value()

    return types.void(), code


@twin_of(cp_async_commit)
def _cp_async_commit():
    running.thread.copies.append([])


@intrinsic
def cp_async_wait(typing_context, left):
    """Waits until at most `left` of this thread's groups are on their way; `left` must be written as a number.

    It is about this thread's own copies: a barrier must follow before others read them.
    """
    if not isinstance(left, types.IntegerLiteral):
        return None
    text = f"cp.async.wait_group {left.literal_value};"

    def code(context, builder, signature, arguments):
        _assembly(builder, VOID, text, "~{memory}", [])
        return context.get_dummy_value()

    return types.void(left), code


@twin_of(cp_async_wait)
def _cp_async_wait(left):
    copies = running.thread.copies
    while len(copies) - 1 > left:
        for target, target_index, source, source_index, wanted in copies.pop(0):
            target[target_index] = source[source_index] if wanted else 0


@intrinsic
def tf32(typing_context, value):
    """The bits (uint32) of a float32 rounded to TF32: 8 bits of exponent and 10 of fraction, halves away from zero."""

    def code(context, builder, signature, arguments):
        return _assembly(builder, I32, "cvt.rna.tf32.f32 $0, $1;", "=r,f", arguments)

    return types.uint32(types.float32), code


@twin_of(tf32)
def _tf32(value):
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    return bits if bits & 0x7F800000 == 0x7F800000 else bits + 0x1000 & 0xFFFFE000


@intrinsic
def mma_m16n8k8(typing_context, a0, a1, a2, a3, b0, b1, c0, c1, c2, c3):
    """d = a b + c by the 32 lanes of a warp, for a (16, 8), b (8, 8) in TF32 and c, d (16, 8) in float32 (sm_80).

    Each lane holds a few elements of each matrix. Lane l, with g = l // 4 and t = l % 4, has

        a0 = a[g, t]     a1 = a[g + 8, t]         a2 = a[g, t + 4]     a3 = a[g + 8, t + 4]
        b0 = b[t, g]     b1 = b[t + 4, g]
        c0 = c[g, 2 t]   c1 = c[g, 2 t + 1]       c2 = c[g + 8, 2 t]   c3 = c[g + 8, 2 t + 1]

    and gets d0 to d3, laid out as c. The bits of a and b come from `tf32`. Source: PTX ISA, "mma.m16n8k8".
    """
    bits, number = types.uint32, types.float32
    signature = types.UniTuple(number, 4)(*[bits] * 6, *[number] * 4)

    def code(context, builder, signature, arguments):
        text = (
            "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
            "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};"
        )
        result = ir.LiteralStructType([F32] * 4)
        d = _assembly(builder, result, text, "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f", arguments)
        return context.make_tuple(builder, signature.return_type, [builder.extract_value(d, k) for k in range(4)])

    return signature, code


@twin_of(mma_m16n8k8)
def _mma_m16n8k8(*operands) -> Waiting:
    fragments = yield from exchange(operands, combine=_multiply)
    return fragments[running.thread.lane]


def _multiply(operands: dict[int, Any]) -> list[tuple[np.float32, ...]]:
    """d of all lanes. Sums are made in float64 and rounded once; hardware rounds its own way, to float32 or a bit less."""
    if len(operands) < WARP:
        raise KernelFault(f"mma needs all {WARP} lanes of a warp, but only {len(operands)} take part")
    a, b, c = np.empty((16, 8)), np.empty((8, 8)), np.empty((16, 8))
    for lane, (a0, a1, a2, a3, b0, b1, c0, c1, c2, c3) in operands.items():
        g, t = divmod(lane, 4)
        a[g, t], a[g + 8, t], a[g, t + 4], a[g + 8, t + 4] = map(_as_read, (a0, a1, a2, a3))
        b[t, g], b[t + 4, g] = map(_as_read, (b0, b1))
        c[g, 2 * t], c[g, 2 * t + 1], c[g + 8, 2 * t], c[g + 8, 2 * t + 1] = c0, c1, c2, c3
    d = (a @ b + c).astype(np.float32)
    lanes = [divmod(lane, 4) for lane in range(WARP)]
    return [(d[g, 2 * t], d[g, 2 * t + 1], d[g + 8, 2 * t], d[g + 8, 2 * t + 1]) for g, t in lanes]


def _as_read(bits: int) -> float:
    """The number that a tensor core reads from 32 bits: it leaves the last 13 of the fraction out."""
    return struct.unpack("<f", struct.pack("<I", bits & 0xFFFFE000))[0]
