"""Pieces of compiled work, shared out among the threads of the pool without the interpreter.

`threads.parallel_for` hands out tasks written in Python: whoever takes one needs the interpreter's lock, and two threads
that want it at once wait for each other longer than a small task lasts. Here the tasks are compiled functions and the
handing out is compiled too: two pieces of a microsecond each take less time on two threads than on one.

A kernel that wants to be shared out is written as a piece, and as a loop which hands out so many of them:

    @compiled()
    def _add_piece(i, worker, x, y, out):  # the i-th piece, on that worker; must not raise
        ...

    @compiled()
    def _add(board, n, x, y, out):         # threads.run_shared(_add, n, x, y, out)
        piece, arguments = bundle(_add_piece, (x, y, out))
        hand_out(board, piece, arguments, n)

What all threads look at is the board, an array of whole numbers: which job is open, its piece and arguments, and how far
each worker is. The worker who opens a job (the caller) closes it when no piece is left to take, and waits for those that
are still inside. Who comes too late finds it closed; nobody waits for a helper that sleeps.

Worker w of W begins with the w-th share of the pieces, and then helps where something is left. So the same thread gets
the same part of the arrays in one job after the other and finds it in its own cache. With pieces from one common
counter, products of 128×500 by 500×128 took one and a half times as long on two cores (Zen 4).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .compiled import compiled
from .spin import add, load, pause, store

LINE = 8  # numbers in a cache line: what different threads write lies on different ones
OPEN = 0  # the serial number of the job at hand; 0 for none
# Of the pool; and of the job, written before it opens.
WORKERS, SERIAL, PIECE, ARGUMENTS, COUNT, MOST, SHARES = range(LINE, LINE + 7)
INSIDE = 2 * LINE  # helpers that may be reading it
NEXT = 3 * LINE  # what worker w takes next: at NEXT + w LINE

_int = ir.IntType(64)
_kind_of_piece = ir.FunctionType(ir.VoidType(), [_int] * 3)  # piece(i, worker, address of its arguments)
_instructions: Any = intrinsic  # whose types mypy misreads


def new_board(workers: int) -> np.ndarray:
    """A board for so many workers, none of whom has anything to do."""
    board = np.zeros(NEXT + workers * LINE, np.int64)
    board[WORKERS] = workers
    return board


EVERYBODY = 1 << 30
ALONE = new_board(1)  # with it, `hand_out` runs every piece on the calling thread, in order


@_instructions
def bundle(context, piece, arguments):
    """The addresses of a compiled function piece(i, worker, *arguments) and of a tuple of its arguments, for `hand_out`.

    The second one is good until the function that calls `bundle` returns.
    """
    inner = piece.get_call_type(context, (types.int64, types.int64, *arguments), {})

    def generate(context, builder, signature, values):
        function = piece.dispatcher.overloads[inner.args]
        context.active_code_library.add_linking_library(function.library)
        there = cgutils.alloca_once_value(builder, values[1])

        # A function of three numbers that calls the piece: all pieces look the same to who runs them.
        entry = ir.Function(builder.module, _kind_of_piece, builder.module.get_unique_name("piece"))
        entry.linkage = "internal"
        inside = ir.IRBuilder(entry.append_basic_block())
        unpacked = cgutils.unpack_tuple(inside, inside.load(inside.inttoptr(entry.args[2], there.type)))
        callee = context.declare_function(inside.module, function.fndesc)
        call = context.call_conv.call_function
        call(inside, callee, inner.return_type, inner.args, [*entry.args[:2], *unpacked])
        inside.ret_void()
        addresses = [builder.ptrtoint(entry, _int), builder.ptrtoint(there, _int)]
        return context.make_tuple(builder, signature.return_type, addresses)

    return types.UniTuple(types.int64, 2)(piece, arguments), generate


@_instructions
def _call(context, piece, i, worker, arguments):
    def generate(context, builder, signature, values):
        builder.call(builder.inttoptr(values[0], _kind_of_piece.as_pointer()), values[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), generate


@compiled()
def hand_out(board, piece, arguments, n, most=EVERYBODY):
    """Runs pieces 0, ..., n - 1 of a `bundle`, each once, on whatever workers are awake; returns when all are done.

    Only workers 0, ..., most - 1 take part: where each has room of its own, as many as there is room for.
    """
    workers = min(board[WORKERS], n, most)
    if workers <= 1:
        for i in range(n):
            _call(piece, i, 0, arguments)
        return
    board[PIECE], board[ARGUMENTS], board[COUNT], board[SHARES] = piece, arguments, n, workers
    board[MOST] = most
    for w in range(workers):
        board[NEXT + w * LINE] = w * n // workers
    board[SERIAL] += 1
    there = board.ctypes.data
    store(there + 8 * OPEN, board[SERIAL])
    _work(there, 0)
    store(there + 8 * OPEN, 0)
    while load(there + 8 * INSIDE) != 0:
        pause()


@compiled()
def _work(there, worker):
    """Runs what is left of the job, the worker's own share first."""
    if worker >= load(there + 8 * MOST):
        return
    piece, arguments = load(there + 8 * PIECE), load(there + 8 * ARGUMENTS)
    n, shares = load(there + 8 * COUNT), load(there + 8 * SHARES)
    for k in range(shares):
        share = (worker + k) % shares
        following, end = there + 8 * (NEXT + share * LINE), (share + 1) * n // shares
        while load(following) < end:
            i = add(following, 1)
            if i < end:
                _call(piece, i, worker, arguments)


@compiled()
def wait_and_help(answered, answers, called, seen, looks, pauses, board, worker):
    """What a helper does between two calls of the interpreter's: it says that the last one is done, and helps.

    Writes `answers` to answered[0], and then takes part in the board's jobs until called[0] is another number than
    `seen` (then makes some pauses more, and returns True), or until it has looked so many times since the last job
    (False).
    """
    store(answered.ctypes.data, answers)
    number, there = called.ctypes.data, board.ctypes.data
    last, left = 0, looks
    while load(number) == seen:
        job = load(there + 8 * OPEN)
        if job not in (0, last):
            add(there + 8 * INSIDE, 1)
            last = load(there + 8 * OPEN)  # once more, as it may have been closed before the caller could know of us
            if last != 0:
                _work(there, worker)
            add(there + 8 * INSIDE, -1)
            left = looks
        if left <= 0:
            return False
        left -= 1
        pause()
    for _ in range(pauses):
        pause()
    return True
