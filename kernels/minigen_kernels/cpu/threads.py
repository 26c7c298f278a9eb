"""The one thread pool of the process: `parallel_for(task, n)`.

The kernels release the interpreter's lock (Numba's `nogil`, NumPy's BLAS), so plain Python threads run them side by
side, and neither Numba's own pool nor BLAS's is wanted: two pools on the same cores slow each other down tenfold. What
a task computes must not depend on the number of threads, or results would change from one machine to the next.
"""

from __future__ import annotations

import contextvars
import itertools
import operator
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from ..environment import threads_asked_for

_lock = threading.Lock()
_local = threading.local()  # .inside: this thread is running a task right now
_threads: int | None = None
_executor: ThreadPoolExecutor | None = None


def num_threads() -> int:
    """The number of threads that work on one `parallel_for`, the calling thread included.

    It is what `set_num_threads` set; before that, the environment variable MINIGEN_NUM_THREADS; without it, the number
    of processors which this process may use. Raises ValueError if the variable is not a whole number of at least 1.
    """
    global _threads
    with _lock:
        if _threads is None:
            _threads = _default_threads()
        return _threads


def set_num_threads(n: int) -> None:
    """Sets the number of threads for this process. Raises ValueError unless n is at least 1."""
    global _threads, _executor
    n = operator.index(n)
    if n < 1:
        raise ValueError(f"set_num_threads({n}): the number of threads must be at least 1.")
    with _lock:
        if n != _threads and _executor is not None:
            _executor.shutdown(wait=False)  # what other threads have handed to it still runs to its end
            _executor = None
        _threads = n


def parallel_for(task: Callable[[int], object], n: int) -> None:
    """Calls task(0), ..., task(n - 1), each once, in any order and on any thread; returns when all are done.

    The calling thread takes part. With one thread, one task, or from inside another task, all of them run right here,
    in order. The first exception stops the handing out of further tasks and is raised once those under way have ended.
    Tasks see the caller's context variables (`numpy.errstate` is one).
    """
    workers = min(n, num_threads())
    if workers <= 1 or getattr(_local, "inside", False):
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

    helpers = _submit(work, workers - 1)
    work()
    for helper in helpers:
        if not helper.cancel():  # one that has not begun finds nothing left to do
            helper.result()
    if failures:
        raise failures[0]


def _submit(work: Callable[[], None], copies: int) -> list[Future[None]]:
    global _executor
    with _lock:  # against a set_num_threads between the creation and the use
        if _executor is None:
            _executor = ThreadPoolExecutor(max(1, (_threads or 2) - 1), thread_name_prefix="minigen")
        return [_executor.submit(contextvars.copy_context().run, work) for _ in range(copies)]


def _default_threads() -> int:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return threads_asked_for() or usable


def _after_fork() -> None:
    """A forked child inherits the pool but none of its threads, and perhaps a lock that one of them held."""
    global _lock, _local, _executor
    _lock, _local, _executor = threading.Lock(), threading.local(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
