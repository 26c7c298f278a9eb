"""The one thread pool of the process: `parallel_for(task, n)` for tasks in Python, `run_shared` for compiled pieces.

The kernels release the interpreter's lock (Numba's `nogil`, NumPy's BLAS), so plain Python threads run them side by
side, and neither Numba's own pool nor BLAS's is wanted: two pools on the same cores slow each other down tenfold. What
a task computes must not depend on the number of threads, or results would change from one machine to the next.
"""

from __future__ import annotations

import atexit
import contextlib
import contextvars
import functools
import itertools
import operator
import os
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from ..environment import threads_asked_for
from .share import ALL, Board, new_board, nobody, wait_and_help
from .spin import wait_for_change

LOOKS = 40_000  # at work to come before sleeping: about a millisecond, as there may be much between two calls
FEW_LOOKS = 1_000  # with more threads than processors, where who waits keeps others from work
NAP = 5e-5  # seconds that others may have the processor, before a helper looks again
PAUSES = 300  # before asking for the interpreter's lock: the caller gives it away some microseconds after its call

_lock = threading.Lock()  # of changes to the three below
_threads: int | None = None
_helpers: list[_Helper] = []
_board: Board | None = None  # where the helpers look for compiled work; None where there are none
_busy = threading.Lock()  # held by the one thread that has the helpers
_announced = False  # that thread runs a kernel that opens jobs on the board, or is about to
_local = threading.local()  # .inside: this thread is running a task right now


def num_threads() -> int:
    """The number of threads that work on one `parallel_for`, the calling thread included.

    It is what `set_num_threads` set; before that, the environment variable MINIGEN_NUM_THREADS; without it, the number
    of processors which this process may use. Raises WrongSetting if the variable is no whole number or too large.
    """
    return _threads or _count_threads()


def _count_threads() -> int:
    global _threads
    with _lock:
        if _threads is None:
            _threads = _default_threads()
        return _threads


def set_num_threads(n: int) -> None:
    """Sets the number of threads for this process. Raises ValueError unless n is at least 1."""
    global _threads
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"set_num_threads({n}): the number of threads must be at least 1.")
    with _lock:
        if n != _threads:
            _dismiss_helpers()
        _threads = n


def parallel_for(task: Callable[[int], object], n: int) -> None:
    """Calls task(0), ..., task(n - 1), each once, in any order and on any thread; returns when all are done.

    The calling thread takes part. With one thread, one task, from inside another task, or while another thread has the
    pool, all of them run right here, in order. The first exception stops the handing out of further tasks and is raised
    once those under way have ended. Tasks see the caller's context variables (`numpy.errstate` is one).
    """
    workers = min(n, num_threads())
    if workers <= 1 or getattr(_local, "inside", False) or not _busy.acquire(blocking=False):
        for i in range(n):
            task(i)
        return

    indices = itertools.count()  # next() on it is atomic
    failures: list[BaseException] = []

    def work() -> None:
        _local.inside = True
        try:
            while not failures and (i := next(indices)) < n:
                task(i)
        except BaseException as failure:  # KeyboardInterrupt too must reach the caller, and stop the others
            failures.append(failure)
        finally:
            _local.inside = False

    try:
        if _board is None:
            _start_helpers()
        helpers = _helpers[: workers - 1]
        calls = [helper.call(work) for helper in helpers]
        work()
        for helper, call in zip(helpers, calls):
            helper.finish(call, failures)
    finally:
        _busy.release()
    if failures:
        raise failures[0]


def run_shared(kernel: Callable[..., Any], n: int, *arguments: Any, rooms: int | None = None) -> None:
    """Runs the n pieces of a compiled kernel (see `share`) with these arguments; returns when all are done.

    Where `parallel_for` would run its tasks one after the other, so are the pieces here. rooms: for how many workers the
    kernel has room of their own; with more threads than that, the pieces run here, in order. A sleeping helper is woken,
    but not waited for.
    """
    global _announced
    if n <= 1 or num_threads() == 1 or not _busy.acquire(blocking=False):  # from inside another task, the pool is busy
        board = nobody()  # kept while the kernel looks at it
        kernel(board.address, n, ALL, 0, *arguments)
        return
    try:
        board = _board or _start_helpers()
        if rooms is not None and rooms < board.workers:
            board = nobody()
        else:
            _announced = True
            for helper in _helpers[: n - 1]:
                if helper.asleep:
                    helper.wake()
        kernel(board.address, n, ALL, 0, *arguments)
    finally:
        _announced = False
        _busy.release()


class _Call(NamedTuple):
    work: Callable[[], None]
    context: contextvars.Context
    done: SimpleQueue[None]  # gets an element when it is
    answers: int  # of the helper, before this one


class _Helper:
    """A thread of the pool, which waits for calls: for a while awake (see `spin`), then asleep.

    What both sides look at when awake are two numbers: how often it was called, and how often it has answered.
    """

    def __init__(self, board: Board, worker: int) -> None:
        self.board, self.worker = board, worker
        self.inbox: deque[_Call | None] = deque()
        self.asleep = False
        self.bell: SimpleQueue[None] = SimpleQueue()
        self.called, self.answered = np.zeros((2, 16), np.int64)  # neither on the other's cache line
        self.thread = threading.Thread(target=self._serve, name="minigen", daemon=True)
        self.thread.start()

    def call(self, work: Callable[[], None]) -> _Call:
        call = _Call(work, contextvars.copy_context(), SimpleQueue(), int(self.answered[0]))
        self._put(call)
        return call

    def finish(self, call: _Call, failures: list[BaseException]) -> None:
        """Waits until a call is done; one that has not been taken up is taken back, as it would find nothing to do."""
        with contextlib.suppress(IndexError):
            if self.inbox.popleft() is call:
                return
            self._put(None)  # what was there is the order to leave
        while True:
            try:
                if call.done.empty():
                    wait_for_change(self.answered, call.answers, _looks(), 0)
                call.done.get()
                return
            except KeyboardInterrupt as interrupt:  # the caller must not go on while its arrays are written to
                failures.append(interrupt)

    def leave(self) -> None:
        """Ends the thread, once it has answered the calls before."""
        self._put(None)

    def _put(self, call: _Call | None) -> None:
        self.inbox.append(call)
        self.called[0] += 1  # in this order: who sees it finds something in the inbox
        self.wake()

    def wake(self) -> None:
        if self.asleep:
            self.asleep = False  # so that nobody rings twice
            self.bell.put(None)

    def _serve(self) -> None:
        seen = answers = 0
        while True:
            numbers = (self.answered, answers, self.called, seen, _looks(), PAUSES)
            if not wait_and_help(*numbers, self.board.address, self.worker):
                self.asleep = True  # who comes from now on rings
                if _announced:  # by a caller that may have found it awake, and will not ring for its first or next job
                    with contextlib.suppress(Empty):
                        self.bell.get(timeout=NAP)
                elif not self.inbox:
                    self.bell.get()
                self.asleep = False
            seen = int(self.called[0])
            try:
                call = self.inbox.popleft()
            except IndexError:  # taken back, or there was work on the board alone
                continue
            if call is None:
                return
            call.context.run(call.work)
            call.done.put(None)
            answers += 1
            del call  # and the arrays in it


def _start_helpers() -> Board:
    """Starts all of them together, and returns the board that they look at. Only who holds `_busy` calls it."""
    global _board
    wait_for_change(np.ones(1, np.int64), 0, 1, 0)  # compiles it: somebody may first have to wait long after the start
    with _lock:
        board = new_board(_threads or 1)
        try:
            _helpers.extend(_Helper(board, worker) for worker in range(1, board.workers))
        except BaseException:  # Ctrl-C, or no more threads to be had
            _dismiss_helpers()
            raise
        _board = board
        return board


def _dismiss_helpers() -> list[_Helper]:
    global _board
    dismissed, _helpers[:], _board = _helpers[:], [], None
    for helper in dismissed:
        helper.leave()
    return dismissed


def _looks() -> int:
    """How often to look before falling asleep."""
    return LOOKS if num_threads() <= _usable() else FEW_LOOKS


def _default_threads() -> int:
    return threads_asked_for() or _usable()


@functools.cache
def _usable() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _after_fork() -> None:
    """A forked child inherits the pool but none of its threads, and perhaps a lock that one of them held."""
    global _lock, _busy, _announced, _local, _helpers, _board
    _lock, _busy, _announced, _local = threading.Lock(), threading.Lock(), False, threading.local()
    _helpers, _board = [], None


@atexit.register
def _end() -> None:
    """Leaves no thread that would ask for the interpreter's lock while the interpreter goes down."""
    for helper in _dismiss_helpers():
        helper.thread.join(timeout=1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
