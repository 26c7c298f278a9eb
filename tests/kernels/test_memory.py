"""Keeping freed memory changes no number, and the pool gives each array memory of its own."""

import contextvars
import ctypes
import functools
import gc
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from minigen_kernels.cpu import memory
from minigen_kernels.cpu.layout import scratch, scratch_address
from minigen_kernels.cpu.memory import (
    CLOSED,
    CLOSED_FOR,
    DEPTH,
    LYING,
    MOST_FREE,
    PAGE,
    PAGES,
    PIECES,
    SIZE,
    keep_freed_memory,
)
from minigen_kernels.cpu.tile import CACHE_LINE
from numpy._core.multiarray import get_handler_name

has_pool = pytest.mark.skipif(
    not (sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "mallopt")),
    reason="the pool lies on top of the GNU C library",
)

PROGRAM = """
import numpy as np
from minigen_kernels.cpu import matmul
from minigen_kernels.cpu.memory import keep_freed_memory
if {keep}:
    keep_freed_memory()
rng = np.random.default_rng(0)
x, total = rng.standard_normal((300, 300)), 0.0
for _ in range(20):
    total += float(matmul(x, x).sum())
print(repr(total))
"""


def test_it_says_whether_it_did_and_changes_no_number():
    kept, plain = (
        subprocess.run([sys.executable, "-c", PROGRAM.format(keep=keep)], capture_output=True, text=True, check=True)
        for keep in (True, False)
    )
    assert kept.stdout == plain.stdout != ""


def test_another_system_or_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(memory, "_c_library_keeps", memory._c_library_keeps.__wrapped__)  # asked anew each time
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert keep_freed_memory() is False


STEPS = """
import contextvars
import resource
import minigen
from numpy._core.multiarray import get_handler_name

model = minigen.nn.Sequential(minigen.nn.Linear(300, 500), minigen.nn.ReLU(), minigen.nn.Linear(500, 300))
optimizer = minigen.optim.Adam(model.parameters())
x = minigen.ones(300, 300)

def step():
    optimizer.zero_grad()
    minigen.functional.mse_loss(model(x), x).backward()
    optimizer.step()
    return get_handler_name()

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

before, first, elsewhere = get_handler_name(), step(), contextvars.Context().run(step)
for _ in range(3):
    step()
counted = faults()
for _ in range(20):
    step()
print(before, first, elsewhere, faults() - counted)
"""


@has_pool
def test_the_first_step_of_an_optimizer_keeps_freed_memory_and_later_ones_wait_for_no_page():
    done = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True)
    before, first, elsewhere, faults = done.stdout.split()
    assert (before, first, elsewhere) == ("default_allocator", "minigen", "minigen")
    assert int(faults) < 400  # where freed memory goes back to the system, some 270 in each of the 20 steps


def in_the_pools_context(test: Callable[..., None]) -> Callable[..., None]:
    @has_pool
    @functools.wraps(test)
    def run(*arguments: object, **named: object) -> None:
        def inside() -> None:
            keep_freed_memory()
            gc.collect()  # or arrays of tests before this one might go to the pool in the middle of it
            test(*arguments, **named)

        contextvars.copy_context().run(inside)

    return run


def the_pool() -> np.ndarray:
    handler = memory._Handler.from_address(memory._in_capsule(memory._handler(), b"mem_handler"))
    return np.ctypeslib.as_array((ctypes.c_int64 * SIZE).from_address(handler.context))


def open_pool() -> np.ndarray:
    """The pool, with nothing in it."""
    np.empty(PAGES * PAGE + 1, np.uint8)
    for _ in range(CLOSED_FOR):
        np.empty(PAGE, np.uint8)
    pool = the_pool()
    assert pool[CLOSED] == 0
    assert pool[LYING] <= PAGE
    return pool


def pieces_of(pool: np.ndarray) -> dict[int, list[int]]:
    """The addresses that lie in the pool, by their pages."""
    table = pool[PIECES:].reshape(PAGES + 1, 1 + DEPTH)
    return {pages: row[1 : 1 + row[0]].tolist() for pages, row in enumerate(table) if row[0]}


@in_the_pools_context
def test_an_array_gets_the_memory_of_its_size_that_was_freed_last():
    open_pool()
    first, second, other = (np.empty(n, np.uint8) for n in (50_000, 50_000, 60_000))
    addresses = [array.ctypes.data for array in (first, second, other)]
    assert all(address % CACHE_LINE == 0 for address in addresses)
    del first, second, other
    again = [np.empty(n, np.uint8) for n in (50_001, 60_000, 49_500)]  # of as many pages
    assert [array.ctypes.data for array in again] == [addresses[1], addresses[2], addresses[0]]


@in_the_pools_context
def test_zeros_are_zeros_whatever_was_there_before():
    open_pool()
    filled = np.full(30_000, 7.0)
    address = filled.ctypes.data
    del filled
    zeros = np.zeros(30_000)
    assert zeros.ctypes.data == address
    assert not zeros.any()


@in_the_pools_context
def test_a_large_array_closes_the_pool_for_a_time():
    pool = open_pool()
    np.empty(PAGE, np.uint8)
    assert pool[LYING] == PAGE
    large = np.empty(PAGES * PAGE + 1, np.uint8)
    assert (pool[LYING], pool[CLOSED]) == (0, CLOSED_FOR)
    for k in range(1, CLOSED_FOR + 1):
        assert pool[LYING] == 0
        np.empty(PAGE, np.uint8)
        assert pool[CLOSED] == CLOSED_FOR - k
    np.empty(PAGE, np.uint8)
    assert pool[LYING] == PAGE
    del large


@in_the_pools_context
def test_all_that_the_pool_gives_begins_with_a_cache_line():
    open_pool()
    large = np.empty(PAGES * PAGE + 1, np.uint8)
    others = [np.empty(50_000, np.uint8) for _ in range(CLOSED_FOR)]  # the C library's
    assert any(array.ctypes.data % CACHE_LINE for array in others)
    del large, others
    arrays = [np.empty(49_500, np.uint8) for _ in range(CLOSED_FOR)]
    assert all(array.ctypes.data % CACHE_LINE == 0 for array in arrays)


@in_the_pools_context
def test_the_pool_holds_no_more_than_it_may():
    pool = open_pool()
    arrays = [np.empty(PAGES * PAGE // 2, np.uint8) for _ in range(3 * MOST_FREE // (PAGES * PAGE))]
    arrays += [np.empty(2 * PAGE, np.uint8) for _ in range(2 * DEPTH)]
    while arrays:
        arrays.pop()
        assert 0 < pool[LYING] <= MOST_FREE
        assert pool[LYING] == sum(PAGE * pages * len(pieces) for pages, pieces in pieces_of(pool).items())
        assert all(len(pieces) == len(set(pieces)) <= DEPTH for pieces in pieces_of(pool).values())


@pytest.mark.parametrize("seed", range(3))
@in_the_pools_context
def test_arrays_never_share_memory(seed):
    """Thousands of them, made, filled, made longer and shorter, and dropped in any order, here or on another thread."""
    rng = np.random.default_rng(seed)
    largest = (100 * PAGE, PAGES * PAGE, 3 * PAGES * PAGE)[seed]
    arrays: dict[int, np.ndarray] = {}
    for step in range(3000):
        number = int(rng.integers(40))
        size = int(np.exp(rng.uniform(0, np.log(largest))))
        what = rng.integers(6)
        if number in arrays:
            held = arrays.pop(number)
            ends = held[[0, len(held) // 2, -1]] if len(held) else held
            assert (ends == number).all()
            if what == 0:
                kept = min(size, len(held))
                held.resize(size, refcheck=False)
                assert (held[:kept] == number).all()
                assert not held[kept:].any()
                held[:] = number
                arrays[number] = held
            elif what == 1:
                thread = threading.Thread(target=[held].clear)
                del held
                thread.start()
                thread.join()
        elif what == 2:
            arrays[number] = np.empty((size, 0)[step % 2], np.uint8)  # NumPy asks for more than none
        else:
            arrays[number] = (np.empty, np.zeros)[what % 2](size, np.uint8)
        if number in arrays:
            arrays[number][:] = number
    for number, held in arrays.items():
        assert (held == number).all()


@in_the_pools_context
def test_other_contexts_and_other_handlers_are_left_alone(monkeypatch):
    assert get_handler_name() == "minigen"
    elsewhere: list[str] = []
    thread = threading.Thread(target=lambda: elsewhere.append(get_handler_name()))
    thread.start()
    thread.join()
    assert elsewhere == [memory.DEFAULT]
    monkeypatch.setattr(memory, "get_handler_name", lambda: "somebody else's")
    monkeypatch.setattr(memory, "_numpy_function", None)  # so that a call would fail
    assert keep_freed_memory()


AT_THE_END = """
import sys
import numpy as np
from minigen_kernels.cpu.memory import keep_freed_memory

keep_freed_memory()

class Holder:
    def __del__(self):
        self.array = None

holder = Holder()
holder.itself, holder.array = holder, np.ones(20_000)
sys.modules["kept"], kept = [np.ones(20_000)], [np.ones(n) for n in (1, 20_000, 1_000_000)]
"""


@has_pool
def test_arrays_may_outlive_the_modules():
    ended = subprocess.run([sys.executable, "-c", AT_THE_END], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_scratch_is_no_larger_than_what_was_asked_for_and_kept_for_less():
    name = "of this test"
    before = scratch_address(name, 1000)
    assert scratch(name, (10, 25), np.dtype(np.float32)).base.nbytes == 1000 + CACHE_LINE
    assert scratch_address(name, 900) == before
    larger = scratch(name, (2000,), np.dtype(np.float64))
    assert larger.ctypes.data == scratch_address(name, 1000)
    assert larger.ctypes.data % CACHE_LINE == 0
    assert larger.base.nbytes == 16_000 + CACHE_LINE
