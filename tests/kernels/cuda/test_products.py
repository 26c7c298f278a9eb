"""Products of matrices on CUDA against NumPy's, for every layout and stack."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels.cuda.production import matmul


@st.composite
def operands(draw):
    """Two stacks of matrices of small whole numbers whose leading axes broadcast, and a bias or none."""
    m, k, n = (draw(st.integers(0, 7)) for _ in range(3))
    stack = draw(st.lists(st.integers(0, 3), max_size=2))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    arrays = []
    for rows, columns in ((m, k), (k, n)):
        lead = [draw(st.sampled_from([length, 1])) for length in stack[draw(st.integers(0, len(stack))) :]]
        array = rng.integers(-3, 4, (*lead, rows, columns)).astype(np.float32)
        if draw(st.booleans()):
            array = np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
        arrays.append(array)
    return *arrays, draw(st.sampled_from([None, np.arange(n, dtype=np.float32)]))


@settings(max_examples=40)
@given(operands())
def test_products_are_numpys_however_the_matrices_lie(arguments):
    a, b, bias = arguments
    expected = np.matmul(a, b) + (0 if bias is None else bias)
    np.testing.assert_array_equal(matmul(a, b, bias), expected)


def test_a_long_sum_and_matrices_larger_than_a_tile():
    rng = np.random.default_rng(0)
    for m, k, n in ((3, 600, 2), (40, 5, 35)):
        a, b = (rng.integers(-3, 4, shape).astype(np.float64) for shape in ((m, k), (k, n)))
        np.testing.assert_array_equal(matmul(a, b), a @ b)
        np.testing.assert_array_equal(matmul(a.T.copy().T, b, bias := np.arange(n, dtype=float)), a @ b + bias)


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        (((2, 3), (4, 5)), r"matmul\(a \(2, 3\), b \(4, 5\)\): .*same K; transpose or reshape"),
        (((2, 2, 3), (3, 3, 4)), r"leading axes \(2,\) and \(3,\) do not broadcast"),
        (((3,), (3, 4)), r"a must be \(..., M, K\)"),
        (((2, 3), (3, 4), (1,)), r"bias \(1,\)\): the bias must be \(4,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_answered_as_on_the_cpu(shapes, sentence):
    with pytest.raises(ValueError, match=sentence):
        matmul(*(np.zeros(shape, np.float32) for shape in shapes))


def test_other_dtypes_are_refused():
    with pytest.raises(TypeError, match="not a float32, b float64; convert with astype"):
        matmul(np.zeros((2, 2), np.float32), np.zeros((2, 2)))
