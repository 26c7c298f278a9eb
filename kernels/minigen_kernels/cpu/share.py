"""Pieces of compiled work, shared out among the threads of the pool without the interpreter.

`threads.parallel_for` hands out tasks written in Python: whoever takes one needs the interpreter's lock, and two threads
that want it at once wait for each other longer than a small task lasts. Here the tasks are compiled functions and the
handing out is compiled too: two pieces of a microsecond each take less time on two threads than on one.

A kernel that wants to be shared out is both: called for ALL pieces, it hands them out; called for piece i, on a worker,
it does that. It returns nothing and must not raise.

    @compiled()
    def _add(board, n, piece, worker, x, y, out):  # threads.run_shared(_add, n, x, y, out)
        if piece == ALL:
            hand_out(board, n, (x, y, out))        # calls _add(..., i, worker, x, y, out) for i = 0, ..., n - 1
            return
        ...

It is one function, as Numba compiles what a function calls once more into the caller: a piece apart from the loop that
hands it out would be compiled twice. A kernel of several steps has as first of its arguments which of them it is at; when
called for ALL pieces it does not look at it.

What all threads look at is the board, an array of whole numbers: which job is open, its piece and arguments, and how far
each worker is. The worker who opens a job (the caller) closes it when no piece is left to take, and waits for those that
are still inside. Who comes too late finds it closed; nobody waits for a helper that sleeps.

Worker w of W begins with the w-th share of the pieces, and then helps where something is left. So the same thread gets
the same part of the arrays in one job after the other and finds it in its own cache. With pieces from one common
counter, products of 128×500 by 500×128 took one and a half times as long on two cores (Zen 4).
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .addresses import address_of, jump
from .compiled import compiled
from .spin import add, load, pause, store

ALL = -1  # the number of the piece that is all of them
LINE = 8  # numbers in a cache line: what different threads write lies on different ones
OPEN = 0  # the serial number of the job at hand; 0 for none
# Of the pool, and where `_run` is; and of the job, written before it opens.
WORKERS, RUN, SERIAL, PIECE, ARGUMENTS, COUNT, SHARES = range(LINE, LINE + 7)
INSIDE = 2 * LINE  # helpers that may be reading it
NEXT = 3 * LINE  # what worker w takes next: at NEXT + w LINE

_int = ir.IntType(64)
_kind_of_piece = ir.FunctionType(ir.VoidType(), [_int] * 3)  # piece(i, worker, address of its arguments)
_instructions: Any = intrinsic  # whose types mypy misreads


class Board(NamedTuple):
    numbers: np.ndarray
    address: int
    workers: int


def new_board(workers: int) -> Board:
    """A board for so many workers, none of whom has anything to do."""
    numbers = np.zeros(NEXT + workers * LINE, np.int64)
    numbers[WORKERS], numbers[RUN] = workers, _run_address()
    return Board(numbers, numbers.ctypes.data, workers)


@cache
def _run_address() -> int:
    """Found once: Numba's compiler has a lock, and a forked child would wait for whoever held it in its parent."""
    return address_of(_run, 4)


@cache
def nobody() -> Board:
    """The board of one worker: pieces run on the calling thread, in order."""
    return new_board(1)


@_instructions
def hand_out(context, board, n, arguments):
    """Calls the kernel in which this stands for pieces 0, ..., n - 1, each once, on whatever workers are awake.

    board: as the kernel was given it. n: of this step, whatever the kernel's own. arguments: those after the kernel's
    first four, as a tuple, and of exactly the types that it was called with: a slice of an array is another one. Returns
    when all pieces are done.
    """

    def generate(context, builder, signature, values):
        board, n, arguments = values
        there = cgutils.alloca_once_value(builder, arguments)

        # A function of three numbers that calls the kernel: all pieces look the same to who runs them.
        kernel, kinds = builder.function, [types.unliteral(kind) for kind in signature.args[2]]
        piece = ir.Function(builder.module, _kind_of_piece, builder.module.get_unique_name("piece"))
        piece.linkage = "internal"
        inside = ir.IRBuilder(piece.append_basic_block())
        i, worker, address = piece.args
        unpacked = cgutils.unpack_tuple(inside, inside.load(inside.inttoptr(address, there.type)))
        all_kinds, nothing = (*[types.int64] * 4, *kinds), ir.Constant(_int, 0)
        all_values = [nothing, nothing, i, worker, *unpacked]
        context.call_conv.call_function(inside, kernel, types.none, all_kinds, all_values)
        inside.ret_void()

        run = builder.load(builder.inttoptr(builder.add(board, ir.Constant(_int, 8 * RUN)), _int.as_pointer()))
        jump(builder, run, [board, builder.ptrtoint(piece, _int), builder.ptrtoint(there, _int), n])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, arguments), generate


@_instructions
def _call(context, piece, i, worker, arguments):
    def generate(context, builder, signature, values):
        builder.call(builder.inttoptr(values[0], _kind_of_piece.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@compiled()
def _run(board, piece, arguments, n):
    """Runs pieces 0, ..., n - 1, and returns when all are done. board: its address."""
    workers = min(load(board + 8 * WORKERS), n)
    if workers <= 1:
        for i in range(n):
            _call(piece, i, 0, arguments)
        return
    store(board + 8 * PIECE, piece)
    store(board + 8 * ARGUMENTS, arguments)
    store(board + 8 * COUNT, n)
    store(board + 8 * SHARES, workers)
    for w in range(workers):
        store(board + 8 * (NEXT + w * LINE), w * n // workers)
    serial = load(board + 8 * SERIAL) + 1
    store(board + 8 * SERIAL, serial)
    store(board + 8 * OPEN, serial)
    _work(board, 0)
    store(board + 8 * OPEN, 0)
    while load(board + 8 * INSIDE) != 0:
        pause()


@compiled(inline="always")
def _work(board, worker):
    """Runs what is left of the job, the worker's own share first."""
    piece, arguments = load(board + 8 * PIECE), load(board + 8 * ARGUMENTS)
    n, shares = load(board + 8 * COUNT), load(board + 8 * SHARES)
    for k in range(shares):
        share = (worker + k) % shares
        following, end = board + 8 * (NEXT + share * LINE), (share + 1) * n // shares
        while load(following) < end:
            i = add(following, 1)
            if i < end:
                _call(piece, i, worker, arguments)


@compiled()
def wait_and_help(answered, answers, called, seen, looks, pauses, board, worker):
    """What a helper does between two calls of the interpreter's: it says that the last one is done, and helps.

    Writes `answers` to answered[0], and then takes part in the jobs of the board at that address until called[0] is
    another number than `seen` (then makes some pauses more, and returns True), or until it has looked so many times since
    the last job (False).
    """
    store(answered.ctypes.data, answers)
    number = called.ctypes.data
    last, left = 0, looks
    while load(number) == seen:
        job = load(board + 8 * OPEN)
        if job not in (0, last):
            add(board + 8 * INSIDE, 1)
            last = load(board + 8 * OPEN)  # once more, as it may have been closed before the caller could know of us
            if last != 0:
                _work(board, worker)
            add(board + 8 * INSIDE, -1)
            left = looks
        if left <= 0:
            return False
        left -= 1
        pause()
    for _ in range(pauses):
        pause()
    return True
