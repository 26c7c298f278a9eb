"""Matrices and images turned over, against NumPy's copies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigen_kernels.cpu import contiguous
from minigen_kernels.cpu.tile import ITEM, LANES
from minigen_kernels.cpu.transposition import LEAST, transpose

sizes = st.integers(0, 3 * LANES + 1)


@settings(deadline=None, max_examples=150)
@given(sizes, sizes, st.integers(0, 5), st.integers(0, 5))
def test_a_matrix_is_transposed_and_nothing_else_is_written(rows, columns, gap_before, gap_behind):
    source = np.random.default_rng(0).standard_normal((rows, columns + gap_before)).astype(np.float32)
    target = np.full((columns, rows + gap_behind), -1, np.float32)
    strides = (columns + gap_before) * ITEM, (rows + gap_behind) * ITEM
    transpose(source.ctypes.data, strides[0], rows, columns, target.ctypes.data, strides[1])
    np.testing.assert_array_equal(target[:, :rows], source[:, :columns].T)
    assert (target[:, rows:] == -1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(3, 5, 40, 41), (2, 64, 17, 300), (4, 1, 80, 60), (1, 300, 1, 90), (30, 3, 20, 10), (2, 3, 4, 5)]
)
def test_images_are_copied_from_either_order_to_the_other(shape, dtype):
    first = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    assert first.dtype != np.float32 or first.size > LEAST or first.size < 200
    for view in (first.transpose(0, 2, 3, 1), np.ascontiguousarray(first.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)):
        copy = contiguous(view)
        assert copy.flags.c_contiguous
        assert copy.dtype == dtype
        np.testing.assert_array_equal(copy, view)


def test_what_lies_in_order_is_not_copied():
    x = np.zeros((8, 3, 40, 40), np.float32)
    assert contiguous(x) is x


def test_other_views_are_copied_too():
    x = np.arange(8 * 3 * 40 * 80, dtype=np.float32).reshape(8, 3, 40, 80)
    for view in (x[..., ::2], x[:, ::-1], x.transpose(3, 2, 1, 0), x.transpose(1, 0, 2, 3)):
        np.testing.assert_array_equal(contiguous(view), view)
        assert contiguous(view).flags.c_contiguous
