"""The CPU's product of matrices against NumPy's."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigen_kernels import cpu, reference
from minigen_kernels.cpu import panels, products


@st.composite
def operands(draw) -> tuple[np.ndarray, np.ndarray]:
    """Two batches of matrices of small whole numbers whose leading axes broadcast."""
    m, k, n = (draw(st.integers(0, 9)) for _ in range(3))
    batch = draw(st.lists(st.integers(0, 4), max_size=3))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    arrays = []
    for rows, columns in ((m, k), (k, n)):
        lead = [draw(st.sampled_from([length, 1])) for length in batch[draw(st.integers(0, len(batch))) :]]
        array = rng.integers(-3, 4, (*lead, rows, columns)).astype(np.float32)
        lay = draw(st.sampled_from(["contiguous", "transposed", "sliced", "reversed"]))
        if lay == "transposed":
            array = np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
        elif lay == "sliced":
            array = np.repeat(array, 2, axis=-1)[..., ::2]
        elif lay == "reversed":
            array = array[..., ::-1, :]
        array.flags.writeable = False
        arrays.append(array)
    return arrays[0], arrays[1]


@settings(deadline=None, max_examples=200)
@given(operands(), st.sampled_from([1, 50, 1000, products.PIECE_FLOPS]))
def test_matmul_agrees_with_numpy_however_it_is_cut(arrays, piece_flops):
    with mock.patch.multiple(products, PIECE_FLOPS=piece_flops, PIECE_ROWS=1):
        np.testing.assert_array_equal(cpu.matmul(*arrays), np.matmul(*arrays))
    np.testing.assert_array_equal(reference.matmul(*arrays), np.matmul(*arrays))


LARGE = {
    "tall": ((3000, 300), (300, 100)),
    "wide": ((100, 300), (300, 3000)),
    "a long sum": ((20, 50000), (50000, 30)),
    "many small": ((500, 40, 40), (500, 40, 40)),
    "a few large": ((3, 300, 300), (300, 300)),
    "one against many": ((1, 200, 300), (3, 300, 200)),
}


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 2e-2)])
@pytest.mark.parametrize("name", LARGE)
def test_large_products_agree_with_numpy_and_have_the_same_bits_on_any_number_of_threads(name, dtype, tolerance):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(dtype) for shape in LARGE[name])
    before = cpu.num_threads()
    try:
        cpu.set_num_threads(1)
        expected = cpu.matmul(a, b)
        np.testing.assert_allclose(expected, a.astype(float) @ b.astype(float), rtol=1e-9, atol=tolerance)
        for threads in (2, 3):
            cpu.set_num_threads(threads)
            np.testing.assert_array_equal(cpu.matmul(a, b), expected)
    finally:
        cpu.set_num_threads(before)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_products_by_panels_are_exact_on_whole_numbers_however_they_lie_and_are_cut(data):
    """Every width of tile, rows and columns that do not fill one, b packed in several parts, bands of every length."""
    m, k, n = (data.draw(st.integers(1, most)) for most in (60, 90, 150))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    a, b = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((m, k), (k, n)))
    a, b = (np.asfortranarray(array) if data.draw(st.booleans()) else array for array in (a, b))
    bias = rng.integers(-9, 10, n).astype(np.float32) if data.draw(st.booleans()) else None
    around = np.full((m, n + 7), 99, np.float32)
    slope = data.draw(st.sampled_from([1.0, 0.0, 0.5, 2.0]))
    depth, piece_flops = data.draw(st.sampled_from([1, 16, 37, panels.DEPTH])), data.draw(st.sampled_from([1, 10**6]))
    with mock.patch.multiple(panels, DEPTH=depth, PIECE_FLOPS=piece_flops):
        panels.multiply(a, b, around[:, 3 : n + 3], bias, slope)
    expected = a @ b if bias is None else a @ b + bias
    expected = np.where(expected > 0, expected, expected * np.float32(slope))
    np.testing.assert_array_equal(around[:, 3 : n + 3], expected)
    assert (around[:, :3] == 99).all()
    assert (around[:, n + 3 :] == 99).all()


@pytest.mark.parametrize("columns", [0, 100, 128])
def test_long_sums_are_cut_by_how_a_lies_and_bent_once(columns):
    """By rows (0); by columns whose lines fall on all places of a cache, and on few."""
    rng = np.random.default_rng(0)
    a = rng.integers(-3, 4, (2500, columns) if columns else (100, 2500)).astype(np.float32)
    a, b = a.T if columns else a, rng.integers(-3, 4, (2500, 130)).astype(np.float32)
    plan = panels.plan(a, b)
    assert plan.applies
    depth = plan.numbers[3]
    assert depth <= {0: panels.DEPTH, 100: panels.DEPTH_OF_COLUMNS, 128: panels.CLASHING_DEPTH}[columns] < 2 * depth
    expected = a @ b
    np.testing.assert_array_equal(cpu.matmul(a, b), expected)
    np.testing.assert_array_equal(cpu.matmul_then_activate(a, b, None, 0.5), np.where(expected > 0, 1, 0.5) * expected)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_sums_of_one_term_or_two_are_exact_on_whole_numbers_however_they_lie(data):
    m, n, k = data.draw(st.integers(130, 700)), data.draw(st.integers(260, 300)), data.draw(st.integers(1, 2))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    a, b = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((m, k), (k, n)))
    a, b = (np.asfortranarray(array) if data.draw(st.booleans()) else array for array in (a, b))
    bias = rng.integers(-9, 10, 2 * n).astype(np.float32)[::2] if data.draw(st.booleans()) else None
    slope = data.draw(st.sampled_from([0.0, 0.5, 1.0, 2.0]))
    expected = a @ b if bias is None else a @ b + bias
    np.testing.assert_array_equal(cpu.matmul(a, b, bias), expected)
    expected = np.where(expected > 0, expected, expected * np.float32(slope))
    np.testing.assert_array_equal(cpu.matmul_then_activate(a, b, bias, slope), expected)


def test_a_long_sum_by_panels_errs_much_less_than_one_number_after_the_other():
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((32, 20_000), (20_000, 64)))
    panels.multiply(a, b, c := np.empty((32, 64), np.float32))
    one_by_one = np.cumsum(a[:, None, :] * b.T[:8], axis=-1, dtype=np.float32)[..., -1]
    exact = a.astype(float) @ b.astype(float)
    assert np.std(c - exact) < np.std(one_by_one - exact[:, :8]) / 3


@pytest.mark.parametrize("kernels", [cpu, reference])
@pytest.mark.parametrize("piece_flops", [1, products.PIECE_FLOPS])
@pytest.mark.parametrize("name", LARGE)
def test_a_bias_is_added_to_every_row(kernels, piece_flops, name):
    rng = np.random.default_rng(0)
    a, b = (
        rng.integers(-3, 4, (*shape[:-2], *(min(n, 40) for n in shape[-2:]))).astype(float) for shape in LARGE[name]
    )
    bias = rng.integers(-9, 10, b.shape[-1]).astype(float)
    with mock.patch.object(products, "PIECE_FLOPS", piece_flops):
        np.testing.assert_array_equal(kernels.matmul(a, b, bias), a @ b + bias)


def test_infinite_and_undefined_numbers_pass_through():
    a = np.full((2, 2), np.inf, np.float32)
    with np.errstate(invalid="ignore"):
        assert np.isinf(cpu.matmul(a, np.ones((2, 2), np.float32))).all()
        assert np.isnan(cpu.matmul(a, np.zeros((2, 2), np.float32))).all()


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"matmul\(a \(2, 3\), b \(4, 5\)\): .*same K; transpose or reshape"):
        cpu.matmul(np.ones((2, 3)), np.ones((4, 5)))
    with pytest.raises(ValueError, match=r"leading axes \(2,\) and \(3,\) do not broadcast"):
        cpu.matmul(np.ones((2, 3, 3)), np.ones((3, 3, 3)))
    with pytest.raises(ValueError, match=r"a must be \(..., M, K\)"):
        cpu.matmul(np.ones(3), np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"bias \(1,\)\): the bias must be \(4,\)"):
        cpu.matmul(np.ones((2, 3)), np.ones((3, 4)), np.ones(1))


@pytest.mark.parametrize("kernels", [cpu, reference])
def test_matmul_refuses_mixed_and_whole_number_types(kernels):
    with pytest.raises(TypeError, match="matmul: all arrays must be float32, or all float64, not a float32, b float64"):
        kernels.matmul(np.ones((2, 2), np.float32), np.ones((2, 2)))
    with pytest.raises(TypeError, match="not a int64, b int64; convert with astype"):
        kernels.matmul(np.ones((2, 2), np.int64), np.ones((2, 2), np.int64))
