"""Waiting for another thread while awake.

A thread that sleeps is woken by the system, and that takes about 50 microseconds here: longer than most of the tasks that
small networks have for it. A thread that looks again and again at a number in memory until it changes is there within
one. It does so in compiled code, without the interpreter's lock, and for a limited time only.

Numba has no operations on memory that other threads see in order, so they are intrinsics, as `tile` is.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiled import compiled

_instructions: Any = intrinsic  # whose types mypy misreads
_int = ir.IntType(64)
# What tells a processor that a loop only waits: it saves power, and leaves more of a core to its other thread.
_PAUSES = {"x86_64": ("llvm.x86.sse2.pause", []), "aarch64": ("llvm.aarch64.hint", [1])}  # 1 means yield
_pause_name, _pause_numbers = _PAUSES.get(llvm.get_process_triple().partition("-")[0], ("", []))


@_instructions
def _load(context, address):
    """The number at an address, after everything that was written before it."""

    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _int.as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), generate


@_instructions
def _store(context, address, value):
    """Writes a number to an address; who reads it sees all that was written before."""

    def generate(context, builder, signature, arguments):
        pointer = builder.inttoptr(arguments[0], _int.as_pointer())
        builder.store_atomic(arguments[1], pointer, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@_instructions
def _pause(context):
    def generate(context, builder, signature, arguments):
        if _pause_name:
            numbers = [ir.Constant(ir.IntType(32), k) for k in _pause_numbers]
            kind = ir.FunctionType(ir.VoidType(), [number.type for number in numbers])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, _pause_name), numbers)
        return context.get_dummy_value()

    return types.void(), generate


@compiled()
def wait_for_change(number, seen, looks, pauses):
    """Whether number[0] becomes something else than `seen` while one looks so many times; then some pauses more."""
    address = number.ctypes.data
    for _ in range(looks):
        if _load(address) != seen:
            for _ in range(pauses):
                _pause()
            return True
        _pause()
    return False


@compiled()
def tell_and_wait(mine, value, number, seen, looks, pauses):
    """Writes `value` to mine[0], which another thread waits for, and then waits itself."""
    _store(mine.ctypes.data, value)
    return wait_for_change(number, seen, looks, pauses)
