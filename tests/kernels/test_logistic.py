"""The loops of the logistic function and softplus against NumPy's in double precision, at any order of the elements."""

import numpy as np
import pytest
from minigen_kernels import cpu
from minigen_kernels.cpu import logistic as loops

SPECIAL = np.array([0.0, -0.0, 1e-30, -1000, 1000, np.inf, -np.inf, np.nan, -87.5, -88.9, -104, 88, 127], np.float32)


def exact(x):
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x.astype(np.float64)))


@pytest.mark.parametrize("size", [3, loops.LEAST - 1, loops.LEAST, 3 * loops.PIECE + 5])
def test_it_is_as_exact_as_single_precision_allows(size):
    x = (np.random.default_rng(0).standard_normal(size) * 20).astype(np.float32)
    normal = np.abs(x) < 87  # beyond, results or what they are made of have fewer digits
    np.testing.assert_allclose(cpu.sigmoid(x)[normal], exact(x)[normal], rtol=3e-7)
    np.testing.assert_allclose(cpu.sigmoid(x), exact(x), rtol=3e-7, atol=1e-37)


def test_zeros_infinities_and_nan():
    x = np.resize(SPECIAL, loops.LEAST)
    y = cpu.sigmoid(x)
    np.testing.assert_allclose(y, exact(x), rtol=3e-7, atol=1e-37)
    assert (y[x == -1000] == 0).all()
    assert (y[x == np.inf] == 1).all()
    assert np.isnan(y[np.isnan(x)]).all()


def test_what_is_nearly_nothing_is_not_nothing():
    x = np.full(loops.LEAST, -88.5, np.float32)
    np.testing.assert_allclose(cpu.sigmoid(x), exact(x), rtol=1e-5)


def test_broadcast_arrays_keep_their_elements_places():
    row = np.linspace(-3, 3, 100, dtype=np.float32)
    for x in (np.broadcast_to(row, (100, 100)), np.broadcast_to(row[:, None], (100, 100))):
        y = cpu.sigmoid(x)
        np.testing.assert_allclose(y, exact(x), rtol=3e-7)
        np.testing.assert_allclose(cpu.sigmoid_grad(x, y), x * exact(x) * (1 - exact(x)), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["first", "last", "sliced"])
def test_every_order_of_the_elements_is_kept(order, dtype):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((8, 16, 10, 6)).astype(dtype)
    if order == "last":
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    elif order == "sliced":
        x = np.repeat(x, 2, axis=3)[..., ::2]
    y, g = cpu.sigmoid(x), rng.standard_normal(x.shape).astype(dtype)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, exact(x), rtol=3e-7)
    np.testing.assert_allclose(cpu.sigmoid_grad(g, y), g * exact(x) * (1 - exact(x)), rtol=1e-5, atol=1e-7)
    if order == "last":
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous
        like_y = np.empty_like(y)
        like_y[...] = g
        np.testing.assert_allclose(cpu.sigmoid_grad(like_y, y), cpu.sigmoid_grad(g, y), rtol=1e-6)


def exact_softplus(x):
    with np.errstate(invalid="ignore"):  # as NumPy says of NaN
        return np.logaddexp(x.astype(np.float64), 0)


@pytest.mark.parametrize("scale", [1e-6, 0.01, 1, 20])
@pytest.mark.parametrize("size", [0, 3, 500, 3 * loops.PIECE + 5])
def test_softplus_is_as_exact_as_single_precision_allows_however_small_it_is(size, scale):
    rng = np.random.default_rng(size)
    x, g = (rng.standard_normal((2, size)) * np.array([[scale], [1]])).astype(np.float32)
    normal = x > -80
    np.testing.assert_allclose(cpu.softplus(x, np.inf)[normal], exact_softplus(x)[normal], rtol=4e-7)
    np.testing.assert_allclose(cpu.softplus_grad(g, x, np.inf)[normal], (g * exact(x))[normal], rtol=4e-7)


def test_softplus_of_zeros_infinities_and_nan():
    np.testing.assert_allclose(cpu.softplus(SPECIAL, np.inf), exact_softplus(SPECIAL), rtol=4e-7, atol=1e-37)
    g = np.full(SPECIAL.shape, 2, np.float32)
    np.testing.assert_allclose(cpu.softplus_grad(g, SPECIAL, np.inf), 2 * exact(SPECIAL), rtol=4e-7, atol=1e-37)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_above_its_threshold_softplus_is_its_argument_to_the_bit(dtype):
    x = np.array([2.5, 2.4999, -3, np.inf, np.nan], dtype)
    above = x > 2.49995
    y, gx = cpu.softplus(x, 2.49995), cpu.softplus_grad(x, x, 2.49995)
    np.testing.assert_array_equal(y[above], x[above])
    np.testing.assert_array_equal(gx[above], x[above])
    np.testing.assert_allclose(y[~above], exact_softplus(x)[~above], rtol=1e-6)
    np.testing.assert_allclose(gx[~above], (x * exact(x))[~above], rtol=1e-6)
    assert (y.dtype, gx.dtype) == (dtype, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softplus_takes_every_order_of_the_elements(dtype):
    x = np.random.default_rng(3).standard_normal((4, 6, 5)).astype(dtype)
    for view in (x, x.transpose(2, 0, 1), x[:, ::2], np.broadcast_to(x[:, :1], x.shape)):
        for g in (view, np.ascontiguousarray(view) * 2, np.broadcast_to(x.dtype.type(3), view.shape)):
            np.testing.assert_allclose(cpu.softplus(view, np.inf), exact_softplus(view), rtol=4e-7)
            np.testing.assert_allclose(cpu.softplus_grad(g, view, np.inf), g * exact(view), rtol=4e-7, atol=1e-9)


def exact_silu(x):
    x = x.astype(np.float64)
    return x * exact(x)


def exact_silu_slope(x):
    x, s = x.astype(np.float64), exact(x)
    return s * (1 + x * (1 - s))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["first", "last", "sliced", "few", "none"])
def test_x_times_its_logistic_function_and_the_gradient(order, dtype):
    rng = np.random.default_rng(2)
    x, g = (5 * rng.standard_normal((2, 8, 16, 10, 6))).astype(dtype)
    if order == "last":
        x, g = (np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) for a in (x, g))
    elif order == "sliced":
        x = np.repeat(x, 2, axis=3)[..., ::2]
    elif order == "few":
        x, g = x[0, 0, 0], g[0, 0, 0]
    elif order == "none":
        x, g = x[:0], g[:0]
    y, gx = cpu.silu(x), cpu.silu_grad(g, x)
    assert y.dtype == gx.dtype == dtype
    assert y.shape == gx.shape == x.shape
    np.testing.assert_allclose(y, exact_silu(x), rtol=1e-6)
    np.testing.assert_allclose(gx, g * exact_silu_slope(x), rtol=1e-5, atol=1e-6)
    if order == "last":
        assert y.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_from_zero_x_times_its_logistic_function_is_x_or_nothing(dtype):
    x = np.array([-200, -100, -np.inf, 100, 1e30, np.inf, np.nan], dtype)
    y, slopes = cpu.silu(x), cpu.silu_grad(np.ones_like(x), x)
    np.testing.assert_array_equal(y[3:], x[3:])
    np.testing.assert_allclose(y[:2], 0, atol=1e-36)
    assert np.isnan(y[2])  # -infinity times 0, as in PyTorch
    np.testing.assert_allclose(slopes[[0, 1, 3, 4]], [0, 0, 1, 1], atol=1e-36)
