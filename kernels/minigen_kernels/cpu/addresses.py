"""Where arrays lie, and compiled functions of whole numbers that are called at their address.

Numba compiles what a function calls once more into it. Where that is much, and called from many places, the callers are
given its address and jump there: what they need is compiled once.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_instructions: Any = intrinsic  # whose types mypy misreads
_int = ir.IntType(64)
_slot = ir.IntType(8).as_pointer().as_pointer()
_number_at, _HEAD = ctypes.c_size_t.from_address, object.__basicsize__  # there is nothing but a head of an `object()`


def address(array: np.ndarray) -> int:
    """Where an array's first number lies: as `array.ctypes.data`, which makes an object to say it, in an eighth of the time.

    In C, an array is an object's head and then this address.
    """
    return _number_at(id(array) + _HEAD).value


def address_of(function: Any, count: int, constants: Sequence[int] = ()) -> int:
    """The address of a compiled function of so many whole numbers, which returns nothing and does not raise.

    The first of them may be constants: they are part of what is compiled, and whatever is given for them is not looked at.
    """
    signature = (*map(types.literal, constants), *[types.int64] * (count - len(constants)))
    function.compile(signature)
    code = function.overloads[signature]
    return code.library.get_pointer_to_function(code.fndesc.llvm_func_name)


def jump(builder: Any, address: Any, numbers: Sequence[Any]) -> None:
    """Writes the instructions of a call: as Numba has it, first where the result and the error go, of which are none."""
    kind = ir.FunctionType(ir.IntType(32), [_slot, _slot, *[_int] * len(numbers)])
    nowhere = [cgutils.alloca_once(builder, _slot.pointee) for _ in range(2)]
    builder.call(builder.inttoptr(address, kind.as_pointer()), [*nowhere, *numbers])


@_instructions
def call_at(context, address, numbers):
    """Calls the function at an address with a tuple of numbers."""

    def generate(context, builder, signature, values):
        address, numbers = values
        kinds = zip(cgutils.unpack_tuple(builder, numbers), signature.args[1])
        jump(builder, address, [context.cast(builder, number, kind, types.int64) for number, kind in kinds])
        return context.get_dummy_value()

    return types.void(types.int64, numbers), generate


@_instructions
def call_c(context, address, numbers):
    """What the function of C at an address returns for a tuple of whole numbers; of no meaning if it returns nothing."""

    def generate(context, builder, signature, values):
        address, numbers = values
        kinds = zip(cgutils.unpack_tuple(builder, numbers), signature.args[1])
        arguments = [context.cast(builder, number, kind, types.int64) for number, kind in kinds]
        kind = ir.FunctionType(_int, [_int] * len(arguments))
        return builder.call(builder.inttoptr(address, kind.as_pointer()), arguments)

    return types.int64(types.int64, numbers), generate
