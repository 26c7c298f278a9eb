"""The loops of optimizers: what they take, how they are cut, and their formulas on Python numbers."""

import math

import numpy as np
import pytest
from minigen_kernels.cpu import threads, updates

SIZES = [3, updates.TASK_ELEMENTS + 1, 1, 0, 3 * updates.TASK_ELEMENTS, 40_000, 40_000, 0]


def arrays(count, size, seed=0, dtype=np.float32):
    rng = np.random.default_rng([seed, size])
    return tuple(rng.uniform(0.5, 1.5, size).astype(dtype) for _ in range(count))


@pytest.fixture
def set_threads():
    before = threads.num_threads()
    yield threads.set_num_threads
    threads.set_num_threads(before)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vectors_share_their_memory_with_the_arrays(dtype):
    a, b = np.zeros((2, 3, 4), dtype), np.zeros((2, 3, 4), dtype)
    first, nothing, second = updates.vectors(a, None, b)
    assert nothing is None
    assert first.shape == second.shape == (24,)
    assert np.shares_memory(first, a)
    assert np.shares_memory(second, b)
    assert updates.vectors(np.zeros((), dtype))[0].shape == (1,)


def read_only(a):
    a.flags.writeable = False
    return a


@pytest.mark.parametrize(
    "other",
    [
        np.zeros((4, 3), np.float32),
        np.zeros((3, 4), np.float64),
        np.zeros((3, 4), np.float32, order="F"),
        np.zeros((3, 8), np.float32)[:, ::2],
        np.zeros((3, 4), ">f4"),
        np.frombuffer(bytearray(49), np.uint8)[1:].view(np.float32).reshape(3, 4),  # not on a multiple of 4 bytes
        read_only(np.zeros((3, 4), np.float32)),
    ],
    ids=["shape", "dtype", "fortran", "strided", "byte order", "unaligned", "read-only"],
)
def test_vectors_refuses_what_the_loops_cannot_take(other):
    fine = np.zeros((3, 4), np.float32)
    assert updates.vectors(fine, other) is None
    assert updates.vectors(other, fine) is None


@pytest.mark.parametrize("dtype", [np.float16, np.int32, ">f4"])
def test_vectors_refuses_other_types(dtype):
    assert updates.vectors(np.zeros(3, dtype), np.zeros(3, dtype)) is None


def test_one_pass_reaches_every_element_once_with_the_numbers_of_its_update():
    work = [(arrays(2, size, seed=i), lambda i=i: (i / 8,)) for i, size in enumerate(SIZES)]
    expected = [s + (w - s) * np.float32(i / 8) for i, ((s, w), _) in enumerate(work)]
    updates.in_one_pass(updates.average, work)
    for ((s, _), _), wanted in zip(work, expected):
        np.testing.assert_array_equal(s, wanted)


def test_large_vectors_are_cut_and_small_ones_share_a_task(monkeypatch):
    cut = []
    monkeypatch.setattr(updates, "parallel_for", lambda run, n: cut.extend([run] * n))
    seen = []
    work = [((np.zeros(size, np.float32),), lambda: (0,)) for size in SIZES]
    updates.in_one_pass(lambda a, number: seen.append(a.size), work)
    for i, run in enumerate(cut):
        seen.append(f"task {i}")
        run(i)
    half = (updates.TASK_ELEMENTS + 1) // 2
    assert seen == [
        *["task 0", 3, 1, 0, 40_000],  # what lies between them does not end a task of small ones
        *["task 1", half, "task 2", half + 1],
        *["task 3", updates.TASK_ELEMENTS, "task 4", updates.TASK_ELEMENTS, "task 5", updates.TASK_ELEMENTS],
        *["task 6", 40_000, 0],
    ]


def test_the_bits_do_not_depend_on_the_number_of_threads(set_threads):
    results = []
    for n in (1, 2, 5):
        set_threads(n)
        work = [(arrays(4, size), lambda: (0.9, 0.99, 0.1, 1.5, 1e-8, 0.01, 0.999)) for size in SIZES]
        for _ in range(3):
            updates.in_one_pass(updates.adam, work)
        results.append(b"".join(a.tobytes() for vectors, _ in work for a in vectors))
    assert results[0] == results[1] == results[2]


def test_the_bits_do_not_depend_on_how_a_vector_is_cut():
    whole, parts = arrays(5, 1000), arrays(5, 1000)
    numbers = (0.9, 0.1, 1e-8, 0.01, 0.9)
    updates.rmsprop(*whole, *numbers)
    for start, stop in ((0, 1), (1, 18), (18, 999), (999, 1000)):
        updates.rmsprop(*[a[start:stop] for a in parts], *numbers)
    for a, b in zip(whole, parts):
        assert a.tobytes() == b.tobytes()


def test_numbers_of_any_kind_are_one_signature():
    for number in (1, 0.5, True, np.float32(0.5), np.float64(0.5), np.int64(1)):
        updates.in_one_pass(updates.average, [(arrays(2, 5), lambda number=number: (number,))])
    assert len({signature[0].dtype for signature in updates.average.signatures}) == len(updates.average.signatures)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam_follows_its_formula(decay):
    work = arrays(4, 7, dtype=np.float64)
    before = [a.tolist() for a in work]
    updates.adam(*work, 0.8, 0.9, 0.1, 2.0, 0.01, decay, 0.5)
    for i, (w, g, m, v) in enumerate(zip(*before)):
        w *= 0.5
        g += decay * w
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        expected = (w - 0.1 * m / (2 * math.sqrt(v) + 0.01), before[1][i], m, v)
        np.testing.assert_allclose([a[i] for a in work], expected, rtol=1e-13)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("moving", [False, True])
def test_rmsprop_follows_its_formula(decay, centered, moving):
    w, g, v, a, b = arrays(5, 7, dtype=np.float64)
    v, a = v + 2, a / 4  # a variance stays positive
    before = [x.tolist() for x in (w, g, v, a, b)]
    updates.rmsprop(w, g, v, a if centered else None, b if moving else None, 0.8, 0.1, 0.01, decay, 0.7)
    for i, (w0, g0, v0, a0, b0) in enumerate(zip(*before)):
        d = g0 + decay * w0
        v0 = 0.8 * v0 + 0.2 * d * d
        if centered:
            a0 = 0.8 * a0 + 0.2 * d
        step = d / (math.sqrt(v0 - a0 * a0 if centered else v0) + 0.01)
        if moving:
            step = b0 = 0.7 * b0 + step
        np.testing.assert_allclose([x[i] for x in (w, g, v, a, b)], [w0 - 0.1 * step, g0, v0, a0, b0], rtol=1e-13)


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("momentum", [None, "plain", "nesterov"])
def test_sgd_follows_its_formula(decay, momentum):
    w, g, b = arrays(3, 7, dtype=np.float64)
    before = [x.tolist() for x in (w, g, b)]
    updates.sgd(w, g, b if momentum else None, 0.1, decay, 0.7, 0.4, float(momentum == "nesterov"))
    for i, (w0, g0, b0) in enumerate(zip(*before)):
        step = d = g0 + decay * w0
        if momentum:
            b0 = 0.7 * b0 + 0.4 * d
            step = d + 0.7 * b0 if momentum == "nesterov" else b0
        np.testing.assert_allclose([x[i] for x in (w, g, b)], [w0 - 0.1 * step, g0, b0], rtol=1e-13)
