"""Softmax by rows, its logarithm and their gradients, against NumPy in double precision."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minigen_kernels import cpu
from minigen_kernels.cpu.layout import PIECE

SHAPES = [(1,), (15,), (3, 16), (5, 17), (2, 3, 33), (PIECE // 10 + 7, 10), (2, PIECE + 5), (3, 4, 2, 5)]


def exact(x, axis, log):
    x = x.astype(np.float64)
    below = x - x.max(axis, keepdims=True)
    total = np.exp(below).sum(axis, keepdims=True)
    return below - np.log(total) if log else np.exp(below) / total


def exact_gradient(g, y, axis, log):
    g, y = g.astype(np.float64), y.astype(np.float64)
    return g - np.exp(y) * g.sum(axis, keepdims=True) if log else y * (g - (g * y).sum(axis, keepdims=True))


def normal(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_axis_is_as_exact_as_single_precision_allows(shape, log):
    x, g = normal(shape) * 4, normal(shape, 1)
    for axis in range(x.ndim):
        y = cpu.softmax(x, axis, log)
        assert (y.dtype, y.shape) == (np.float32, shape)
        np.testing.assert_allclose(y, exact(x, axis, log), rtol=3e-6, atol=1e-6 if log else 0)
        want = exact_gradient(g, y, axis, log)
        np.testing.assert_allclose(cpu.softmax_grad(g, y, axis, log), want, rtol=1e-5, atol=2e-6 * np.abs(want).max())


@given(st.integers(1, 40), st.integers(1, 70), st.floats(-1e30, 1e30), st.integers(0, 9))
def test_a_constant_more_or_less_changes_nothing_that_rounding_does_not(rows, size, shift, seed):
    x = normal((rows, size), seed) + np.float32(shift)
    np.testing.assert_allclose(cpu.softmax(x, 1), exact(x, 1, False), rtol=3e-6)
    np.testing.assert_allclose(cpu.softmax(x, 1).sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("log", [False, True])
def test_infinities_and_nan_are_answered_as_by_the_formula(log):
    x = np.zeros((6, 37), np.float32)
    x[0, 3], x[1, 30], x[2, 36], x[3], x[4, ::2] = np.nan, np.inf, -np.inf, -np.inf, -np.inf
    x[5, 5], x[5, 6] = -np.nan, 3e38
    with np.errstate(invalid="ignore", divide="ignore"):
        np.testing.assert_allclose(cpu.softmax(x, 1, log), exact(x, 1, log), rtol=1e-6)
    y = cpu.softmax(x, 1)
    assert y[2, 36] == 0
    assert (y[4, ::2] == 0).all()


def test_what_is_nearly_nothing_is_nothing():
    x = np.array([[0, -80, -86.9, -88, -1e4]], np.float32)
    np.testing.assert_allclose(cpu.softmax(x, 1), exact(x, 1, False), rtol=1e-5, atol=1.2e-38)


def test_broadcast_and_turned_arrays_keep_their_elements_places():
    row = np.linspace(-3, 3, 20, dtype=np.float32)
    x = np.broadcast_to(row[:, None], (20, 30))
    np.testing.assert_allclose(cpu.softmax(x, 0), exact(x, 0, False), rtol=1e-6)
    np.testing.assert_allclose(cpu.softmax(x.T[::2], 1), exact(x.T[::2], 1, False), rtol=1e-6)


def test_images_that_lie_channels_last_are_read_where_they_lie():
    x = normal((2, 5, 7, 3)).transpose(0, 3, 1, 2)
    y = cpu.softmax(x, 1)
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_allclose(y, exact(x, 1, False), rtol=3e-6)


def test_the_number_of_threads_changes_no_bit():
    x, before, found = normal((700, 129)), cpu.num_threads(), []
    try:
        for threads in (1, 2, 3):
            cpu.set_num_threads(threads)
            found.append(cpu.softmax(x, 1).tobytes() + cpu.softmax_grad(x, x, 1, True).tobytes())
    finally:
        cpu.set_num_threads(before)
    assert len(set(found)) == 1


@pytest.mark.parametrize("log", [False, True])
def test_long_rows_lose_no_digits(log):
    x = np.full((1, 1_000_000), -3.3, np.float32)
    x[0, 0] = 0
    np.testing.assert_allclose(cpu.softmax(x, 1, log), exact(x, 1, log), rtol=3e-6)
