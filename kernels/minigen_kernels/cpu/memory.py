"""Freed memory kept for the arrays to come.

A training step makes and drops the same arrays again and again. The C library returns large pieces to the operating
system when they are freed, and each new one is then paid for page by page: a fifth of the time of a small network. It is
asked not to (`keep_freed_memory`), by the first step of an optimizer: whoever takes one will take more.

Of what it then has, it gives a new array a part of what was freed first, which has left the caches, or lies partly in the
cache of one core and partly in another's. So freed arrays of middle size go to a pool, and the next of the same size gets
the one freed last: the same threads have written it, each its part. What the pool gives begins with a cache line, so that
no vector lies in two. Both together make a step of dense layers 5 % shorter, about half of it each (Zen 3, two cores).

Pieces side by side in the pool might be what a large array needs, and memory would grow. So a large one closes it, and
where there are such in every step, as in most convolutional networks, the C library has all.

NumPy has a place for this: a handler, which is four functions of C that its arrays get their memory from. Numba makes
them of the four below.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import numpy as np
from numba import carray, types
from numpy._core import _multiarray_umath  # type: ignore[attr-defined]  # which NumPy's stubs leave out
from numpy._core.multiarray import get_handler_name

from .addresses import call_c
from .compiled import compiled
from .tile import CACHE_LINE

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
LARGEST_KEPT = 32 * 2**20  # bytes, the most that the library takes for the second: larger arrays are paid for each time
MOST_KEPT = 2**30  # bytes left lying at the end of the heap

PAGE = 4096  # bytes: sizes of as many pages are alike
PAGES = 256  # of the largest array whose memory goes to the pool
DEPTH = 64  # pieces of one size, at most, that lie there
MOST_FREE = 8 * 2**20  # bytes that lie there; if there were more, all would go back to the C library
CLOSED_FOR = 100  # new arrays of middle size, after a larger one

# The pool is an array of whole numbers. First, how many bytes lie there, and for how many arrays it is closed; then the
# addresses of four functions of C; of the handler that NumPy had before, the context that its functions are given, and
# these four; then for each number of pages how many pieces there are, and the address of each, the one freed last at the end.
LYING, CLOSED, ALIGNED_ALLOC, FREE, USABLE_SIZE, FILL, BEFORE, MALLOC, CALLOC, REALLOC, FREE_BEFORE = range(11)
OF_C = ("aligned_alloc", "free", "malloc_usable_size", "memset")  # ALIGNED_ALLOC to FILL
PIECES = 11
SIZE = PIECES + (PAGES + 1) * (1 + DEPTH)

GET_HANDLER, SET_HANDLER = 305, 304  # places in NumPy's table of functions, which keep their meaning
DEFAULT = "default_allocator"


def keep_freed_memory() -> bool:
    """Keeps what is freed, for the rest of this process. False where the C library has no such setting.

    NumPy takes its handler from the context (see `contextvars`) in which it makes an array: in this one, the pool's from
    now on, unless somebody has set another than NumPy's own. Arrays that there are already, and those of other contexts,
    stay where they are. The pool is left out where Python has no lock of the interpreter: NumPy calls a handler under it.
    Called again, it costs a quarter of a microsecond: every step may do so, whatever its context.
    """
    kept = _c_library_keeps()
    if kept and get_handler_name() == DEFAULT and getattr(sys, "_is_gil_enabled", lambda: True)():
        _numpy_function(SET_HANDLER, ctypes.py_object)(_handler())
    return kept


@functools.cache
def _c_library_keeps() -> bool:
    """Sets what the C library keeps, for all threads. Whether it could be."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):  # another C library, such as musl
        return False
    return bool(library.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)) and bool(library.mallopt(M_TRIM_THRESHOLD, MOST_KEPT))


@compiled(no_cfunc_wrapper=False)
def _malloc(context, size):
    """The address of memory for an array of so many bytes. context: the pool, here and below."""
    pool, pages = carray(context, SIZE), -(-size // PAGE)
    if not _is_for_pool(pool, size):
        return call_c(pool[MALLOC], (pool[BEFORE], size))
    place = PIECES + pages * (1 + DEPTH)
    count = pool[place]
    if count > 0:
        pool[place] -= 1
        pool[LYING] -= pages * PAGE
        return pool[place + count]
    piece = call_c(pool[ALIGNED_ALLOC], (CACHE_LINE, pages * PAGE))
    if piece == 0:  # out of memory
        _return_all(pool)
        piece = call_c(pool[ALIGNED_ALLOC], (CACHE_LINE, pages * PAGE))
    return piece


@compiled(no_cfunc_wrapper=False)
def _calloc(context, count, size):
    """The same, for `count` times so many bytes, all of them zero."""
    pool, size = carray(context, SIZE), count * size
    if not _is_for_pool(pool, size):
        return call_c(pool[CALLOC], (pool[BEFORE], size, 1))
    piece = _malloc(context, size)
    if piece != 0:
        call_c(pool[FILL], (piece, 0, size))
    return piece


@compiled(no_cfunc_wrapper=False)
def _realloc(context, piece, size):
    """The same, with what `piece` holds, which is freed: pieces are the C library's, wherever they are from."""
    pool = carray(context, SIZE)
    return call_c(pool[REALLOC], (pool[BEFORE], piece, size))


@compiled(no_cfunc_wrapper=False)
def _free(context, piece, size):
    """Takes back what an array had that is of so many bytes now."""
    pool = carray(context, SIZE)
    if size < PAGE or size > PAGES * PAGE:
        call_c(pool[FREE_BEFORE], (pool[BEFORE], piece, size))
        return
    pages = min(call_c(pool[USABLE_SIZE], (piece,)) // PAGE, PAGES)  # whole ones that it has
    place = PIECES + pages * (1 + DEPTH)
    if pool[CLOSED] > 0 or piece % CACHE_LINE != 0 or pages == 0 or pool[place] == DEPTH:
        call_c(pool[FREE], (piece,))
        return
    if pool[LYING] + pages * PAGE > MOST_FREE:
        _return_all(pool)
    pool[place + pool[place] + 1] = piece
    pool[place] += 1
    pool[LYING] += pages * PAGE


@compiled()
def _is_for_pool(pool, size):
    """Whether a new array of this size gets its memory from the pool. A large one closes it."""
    closed = pool[CLOSED] > 0
    if size > PAGES * PAGE:
        _return_all(pool)
        pool[CLOSED] = CLOSED_FOR
    elif size >= PAGE and closed:
        pool[CLOSED] -= 1
    return PAGE <= size <= PAGES * PAGE and not closed


@compiled()
def _return_all(pool):
    """Gives all pieces back to the C library."""
    if pool[LYING] == 0:
        return
    for place in range(PIECES, SIZE, 1 + DEPTH):
        for k in range(pool[place]):
            call_c(pool[FREE], (pool[place + 1 + k],))
        pool[place] = 0
    pool[LYING] = 0


class _Handler(ctypes.Structure):
    """PyDataMem_Handler, of NumPy's ndarraytypes.h."""

    _fields_ = (
        ("name", ctypes.c_char * 127),
        ("version", ctypes.c_uint8),
        *((name, ctypes.c_void_p) for name in ("context", "malloc", "calloc", "realloc", "free")),
    )


@functools.cache
def _handler() -> Any:
    """The pool's handler, in the capsule in which NumPy wants it. The one at hand is NumPy's own."""
    library, name = ctypes.CDLL(None), ctypes.create_string_buffer(b"mem_handler")
    before = _Handler.from_address(_in_capsule(_numpy_function(GET_HANDLER)(), name.value))
    pool = np.zeros(SIZE, np.int64)
    pool[ALIGNED_ALLOC:BEFORE] = [ctypes.cast(getattr(library, of_c), ctypes.c_void_p).value or 0 for of_c in OF_C]
    pool[BEFORE:PIECES] = [before.context or 0, before.malloc, before.calloc, before.realloc, before.free]
    functions = {_malloc: 1, _calloc: 2, _realloc: 2, _free: 2}  # of so many numbers
    addresses = [_address_in_c(function, count) for function, count in functions.items()]
    handler = _Handler(b"minigen", 1, pool.ctypes.data, *addresses)
    # Some arrays are freed when Python has thrown away all modules: what they need then is never given back.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object((name, pool, functions, handler)))
    wrap = ctypes.PYFUNCTYPE(ctypes.py_object, *[ctypes.c_void_p] * 3)(("PyCapsule_New", ctypes.pythonapi))
    return wrap(ctypes.addressof(handler), ctypes.addressof(name), None)


def _address_in_c(function: Any, count: int) -> int:
    """The address of a compiled function of the context and so many numbers, for callers in C."""
    signature = types.CPointer(types.int64), *[types.int64] * count
    function.compile(signature)
    code = function.overloads[signature]
    return code.library.get_pointer_to_function(code.fndesc.llvm_cfunc_wrapper_name)


def _in_capsule(capsule: Any, name: bytes | None) -> int:
    """The address that a capsule of this name holds."""
    find = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return find(("PyCapsule_GetPointer", ctypes.pythonapi))(capsule, name)


def _numpy_function(place: int, *kinds: Any) -> Any:
    """The function at a place of NumPy's table, which is given such things and returns an object."""
    table = ctypes.cast(_in_capsule(_multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    return ctypes.PYFUNCTYPE(ctypes.py_object, *kinds)(table[place])
