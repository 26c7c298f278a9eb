"""Batch norm, activation and dropout in one pass, beside their formulas in NumPy."""

import numpy as np
import pytest
from minigen_kernels import cpu, philox
from minigen_kernels.cpu.activation import (
    CHUNK,
    activate_and_drop,
    scale_by_sign,
    scale_by_sign_and_add,
    scale_by_state,
)
from minigen_kernels.cpu.normalization import moments, normalize, normalize_grad

CHAINS = [(0.3, 0.4), (0.0, 0.25), (1.0, 0.5), (0.2, 0.0), (0.0, 0.0), (2.0, 1.0)]
SHAPES = [(1, 1), (2, 3), (37, 6), (300, 5), (64, 64), (9, 700), (3, 1500), (700, 128)]
EXACT = {np.float32: 3e-6, np.float64: 1e-12}


def draw(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 2 + 1).astype(dtype), rng.standard_normal(shape).astype(dtype)


def chain_of(z, slope, p, key):
    """k·a(z) and its derivative, by NumPy."""
    kept = (philox.random_bits(key, z.size) >= philox.dropout_threshold(p)).reshape(z.shape)
    k = kept * (1 / (1 - p) if p < 1 else 0.0)
    return k * np.where(z > 0, z, slope * z), k * np.where(z > 0, 1, slope)


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize(("slope", "p"), CHAINS)
@pytest.mark.parametrize("size", [0, 1, 63, 65, CHUNK, CHUNK + 1, 70_000])
def test_activation_and_dropout_are_their_formula(size, slope, p, dtype):
    x, g = draw(size, dtype)
    x[: size // 3] = 0
    y, states = activate_and_drop(x, slope, p, 11)
    expected, derivative = chain_of(x.astype(np.float64), slope, p, 11)
    np.testing.assert_allclose(y, expected, rtol=EXACT[dtype])
    result = scale_by_state(g, states, slope, p)
    np.testing.assert_allclose(result, g * derivative, rtol=EXACT[dtype])
    assert (y.dtype, states.dtype, result.dtype) == (dtype, np.uint8, dtype)


def test_what_is_dropped_or_cut_off_leaves_no_nan_behind_but_a_nan_that_is_kept_stays():
    x = np.array([np.inf, -np.inf, np.nan] * 100, np.float32)
    y, states = activate_and_drop(x, 0.0, 0.5, 3)
    kept = philox.random_bits(3, 300) >= 2**31
    np.testing.assert_array_equal(y, np.where(kept, np.maximum(x, 0) * 2, 0))
    g = scale_by_state(np.full(300, np.inf, np.float32), states, 0.0, 0.5)
    np.testing.assert_array_equal(g, np.where(kept & (x > 0), np.inf, 0))


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("slope", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("shape", [*SHAPES, (0, 3), (20_000, 1), (2, 20_000)])
def test_the_sums_of_what_is_scaled_are_those_of_its_columns(shape, slope, dtype):
    y, g = draw(shape, dtype)
    scaled, sums = scale_by_sign_and_add(g, y, slope)
    np.testing.assert_array_equal(scaled, scale_by_sign(g, y, slope))
    exact = scaled.astype(np.float64).sum(0)
    np.testing.assert_allclose(sums, exact, rtol=EXACT[dtype], atol=EXACT[dtype] * np.abs(scaled).sum(0).max(initial=0))
    assert (sums.shape, sums.dtype) == (shape[1:], dtype)


def test_where_infinity_is_cut_off_it_is_not_in_the_sum_either():
    y = np.array([[1, -1], [-1, 1], [-1, -1]], np.float32)
    g = np.array([[1, np.inf], [np.nan, 2], [-np.inf, np.nan]], np.float32)
    np.testing.assert_array_equal(scale_by_sign_and_add(g, y, 0.0)[1], [1, 2])


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize("shape", SHAPES)
def test_moments_are_exact_for_a_constant_and_far_from_zero(shape, dtype):
    x, _ = draw(shape, dtype)
    x += 1000
    mean, variance = moments(x)
    np.testing.assert_allclose(mean, x.astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(0), rtol=1e-9, atol=1e-9)
    mean, variance = moments(np.full(shape, 1e6 / 3, dtype))
    assert (mean == dtype(1e6 / 3)).all()
    assert not variance.any()


@pytest.mark.parametrize("dtype", EXACT)
@pytest.mark.parametrize(("slope", "p"), [*CHAINS, (1.0, 0.0)])
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_batch_norm_with_what_follows_it_is_its_formula_and_so_is_its_gradient(shape, slope, p, dtype):
    x, g = draw(shape, dtype, 1)
    rng = np.random.default_rng(2)
    weight, bias, wide = rng.uniform(0.5, 2, shape[1]), rng.standard_normal(shape[1]), x.astype(np.float64)
    mean, inverse = wide.mean(0), 1 / np.sqrt(wide.var(0) + 0.1)
    u = (wide - mean) * inverse
    y, states = normalize(x, weight * inverse, mean, bias, slope, p, 5)
    expected, derivative = chain_of(u * weight + bias, slope, p, 5)
    np.testing.assert_allclose(y, expected, rtol=EXACT[dtype], atol=2 * EXACT[dtype])
    assert (states is None) == (slope == 1 and p == 0)
    gx, gw, gb = normalize_grad(g, x, states, mean, inverse, weight, slope, p, True)
    h = g * derivative
    scale = EXACT[dtype] * (1 + np.abs(h).sum(0).max())
    np.testing.assert_allclose(gb, h.sum(0), atol=scale)
    np.testing.assert_allclose(gw, (h * u).sum(0), atol=scale)
    exact = weight * inverse * (h - h.mean(0) - u * (h * u).mean(0))
    np.testing.assert_allclose(gx, exact, atol=4 * EXACT[dtype] * (1 + np.abs(h).max()))
    assert (y.dtype, gx.dtype) == (dtype, dtype)
    alone = normalize_grad(g, x, states, mean, inverse, weight, slope, p, False)
    assert alone[0] is None
    np.testing.assert_array_equal(alone[1:], (gw, gb))


@pytest.mark.parametrize("shape", [(30_000, 7), (40, 5000)])
def test_the_number_of_threads_changes_no_bit(shape):
    x, g = draw(shape, np.float32)

    def everything():
        mean, variance = moments(x)
        y, states = normalize(x, 1 / variance, mean, 0.5, 0.3, 0.2, 9)
        z, marks = activate_and_drop(x, 0.3, 0.2, 9)
        grads = normalize_grad(g, x, states, mean, 1 / variance, 1.0, 0.3, 0.2, True)
        scaled = (scale_by_state(g, marks, 0.3, 0.2), *scale_by_sign_and_add(g, y, 0.3))
        return [mean, variance, y, states, z, marks, *scaled, *grads]

    before, results = cpu.num_threads(), []
    try:
        for threads in (1, 2, 5):
            cpu.set_num_threads(threads)
            results.append(everything())
    finally:
        cpu.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other):
            np.testing.assert_array_equal(a, b)
