"""Sums of columns against NumPy's."""

import numpy as np
import pytest
from minigen_kernels import cpu
from minigen_kernels.cpu.sums import column_sums


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 0), (7, 3), (1030, 513), (20000, 17), (3, 200_000)])
def test_sums_of_columns_are_numpys(shape, dtype):
    x = np.random.default_rng(0).integers(-9, 10, shape).astype(dtype)
    sums = column_sums(x)
    assert sums.dtype == dtype
    np.testing.assert_array_equal(sums, x.sum(axis=0))


def test_sums_are_kept_in_double_precision():
    x = np.full((100_000, 20), 0.1, np.float32)
    np.testing.assert_array_equal(column_sums(x), x.sum(axis=0, dtype=np.float64).astype(np.float32))


def test_the_bits_do_not_depend_on_the_number_of_threads():
    x = np.random.default_rng(0).standard_normal((30_000, 33)).astype(np.float32)
    before, results = cpu.num_threads(), []
    try:
        for threads in (1, 2, 3):
            cpu.set_num_threads(threads)
            results.append(column_sums(x))
    finally:
        cpu.set_num_threads(before)
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_infinity_and_what_is_too_large_become_infinite():
    x = np.full((100, 2), 3e38, np.float32)
    x[5, 0] = np.nan
    assert np.isnan(column_sums(x)[0])
    assert np.isinf(column_sums(x)[1])


@pytest.mark.parametrize("columns", [1, 70])
def test_infinities_of_both_signs_are_nan_without_a_warning(columns):
    x = np.zeros((40_000, columns), np.float32)
    x[0], x[-1] = np.inf, -np.inf
    assert np.isnan(column_sums(x)).all()
