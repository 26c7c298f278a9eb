"""Steps of optimizers on CUDA, all parameters in one launch: the CPU's bits, and mutants."""

from functools import partial

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels import cpu
from minigen_kernels.cuda import running, updates
from minigen_kernels.cuda.simulator import KernelFault, simulate

SIZES = (3, 45, 0, 1, 20)
CASES = [  # the loop, its numbers, and which of its arrays there are
    ("adam", (0.8, 0.9, 0.1, 2.0, 0.01, 0.3, 0.5), (True,) * 4),
    ("adam", (0.8, 0.999, 0.1, 2.0, 0.01, 0.0, 1.0), (True,) * 4),
    ("rmsprop", (0.8, 0.1, 0.01, 0.3, 0.7), (True,) * 5),
    ("rmsprop", (0.8, 0.1, 0.01, 0.0, 0.7), (True,) * 3 + (False, True)),
    ("rmsprop", (0.8, 0.1, 0.01, 0.0, 0.7), (True,) * 4 + (False,)),
    ("sgd", (0.1, 0.3, 0.7, 0.4, 1.0), (True,) * 3),
    ("sgd", (0.1, 0.0, 0.7, 0.4, 0.0), (True,) * 3),
    ("sgd", (0.1, 0.3, 0.0, 0.0, 0.0), (True, True, False)),
    ("average", (0.3,), (True,) * 2),
]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Blocks of few threads and tasks of few elements, so that small parameters have several."""
    monkeypatch.setattr(updates, "THREADS", 4)
    monkeypatch.setattr(updates, "TASK_ELEMENTS", 20)
    loops = updates.adam, updates.rmsprop, updates.sgd, updates.average
    for loop in loops:
        loop.kernel.cache_clear()
    yield
    for loop in loops:  # a kernel that was simulated keeps the number of threads
        loop.kernel.cache_clear()


def work(given, numbers, dtype):
    rng = np.random.default_rng(0)
    steps = []
    for size in SIZES:
        arrays = [rng.uniform(0.5, 1.5, size).astype(dtype) for _ in given]
        if len(given) == 5:
            arrays[2] += 2  # a variance stays positive
            arrays[3] /= 4
        steps.append((tuple(a if there else None for a, there in zip(arrays, given)), lambda: numbers))
    return steps


def is_right(loops, name, numbers, given, dtype=np.float32):
    ours, expected = work(given, numbers, dtype), work(given, numbers, dtype)
    cpu.updates.in_one_pass(getattr(cpu.updates, name), expected)
    try:
        loops.in_one_pass(getattr(loops, name), ours)
    except KernelFault:
        return False
    pairs = [pair for (a, _), (b, _) in zip(ours, expected) for pair in zip(a, b)]
    return all(a is b is None or np.array_equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "numbers", "given"), CASES)
def test_a_step_is_the_cpu_s_to_the_bit_in_any_order(name, numbers, given, dtype, monkeypatch):
    for order in ("forward", "reverse", 7):
        monkeypatch.setattr(running, "simulate", partial(simulate, order=order))
        assert is_right(updates, name, numbers, given, dtype)


def test_an_index_moved_is_told_apart(mutants):
    broken = list(mutants(updates))
    assert len(broken) > 30
    for what, mutant in broken:
        mutant.THREADS, mutant.TASK_ELEMENTS = 4, 20
        assert not all(is_right(mutant, *case) for case in CASES), what


@pytest.fixture
def launches(monkeypatch):
    launched = []
    monkeypatch.setattr(running, "simulate", lambda kernel, *rest: launched.append(kernel) or simulate(kernel, *rest))
    return launched


def test_all_parameters_share_a_launch_unless_their_numbers_or_types_differ(launches):
    steps = work((True,) * 2, (0.3,), np.float32)
    updates.in_one_pass(updates.average, steps)
    assert [kernel.grid for kernel in launches] == [(1 + 3 + 1 + 1, 1, 1)]
    updates.in_one_pass(updates.average, [*steps, *work((True,) * 2, (0.4,), np.float32)])
    updates.in_one_pass(updates.average, [*steps, *work((True,) * 2, (0.3,), np.float64)])
    updates.in_one_pass(updates.average, [])
    assert len(launches) == 5


def test_vectors_share_their_memory_with_the_arrays():
    a, b = np.zeros((2, 3)), np.zeros((2, 3))
    first, nothing, second = updates.vectors(a, None, b)
    assert nothing is None
    assert first.shape == second.shape == (6,)
    assert np.shares_memory(first, a)
    assert np.shares_memory(second, b)


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((4, 3), np.float32),
        np.zeros((3, 4), np.float64),
        np.zeros((3, 4), np.float16),
        np.zeros((3, 4), np.float32, order="F"),
        np.zeros((3, 8), np.float32)[:, ::2],
        np.broadcast_to(np.float32(0), (3, 4)),
    ],
    ids=["shape", "dtype", "half", "fortran", "strided", "read-only"],
)
def test_vectors_refuses_what_the_kernels_cannot_take(other):
    fine = np.zeros((3, 4), np.float32)
    assert updates.vectors(fine, other) is None
    assert other.flags.carray or updates.vectors(other, fine) is None
