"""Numbers that several threads look at, and waiting for one to change while awake.

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


def _there(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _int.as_pointer())


@_instructions
def load(context, address):
    """The number at an address, after everything that was written before it."""

    def generate(context, builder, signature, arguments):
        return builder.load_atomic(_there(builder, arguments[0]), "seq_cst", 8)

    return types.int64(types.int64), generate


@_instructions
def store(context, address, value):
    """Writes a number to an address; who reads it sees all that was written before."""

    def generate(context, builder, signature, arguments):
        builder.store_atomic(arguments[1], _there(builder, arguments[0]), "seq_cst", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@_instructions
def add(context, address, value):
    """Adds to the number at an address, so that no other thread comes between; returns what it was before."""

    def generate(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _there(builder, arguments[0]), arguments[1], "seq_cst")

    return types.int64(types.int64, types.int64), generate


@_instructions
def pause(context):
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
        if load(address) != seen:
            for _ in range(pauses):
                pause()
            return True
        pause()
    return False
