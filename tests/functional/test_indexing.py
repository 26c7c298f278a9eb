"""Picking elements beside NumPy, and the gradient of what was picked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigen as mg
from minigen import functional as F
from minigen.errors import DtypeError, InPlaceError, MinigenError, ShapeError

RNG = np.random.default_rng(1)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


def numbered(shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape) + 1


def as_user(index, kind):
    """The arrays of an index as tensors or lists."""
    if isinstance(index, tuple):
        return tuple(as_user(i, kind) for i in index)
    if isinstance(index, np.ndarray):
        return mg.tensor(index) if kind == "tensor" else index.tolist() if kind == "list" and index.size else index
    return index


def check_against_numpy(shape, index, kind="array"):
    """x[index] has NumPy's values; its gradient counts how often each element was picked, weighted."""
    array = numbered(shape)
    x = mg.Tensor(array, requires_grad=True)
    y = x[as_user(index, kind)]
    expected = array[index]
    assert y.shape == expected.shape
    np.testing.assert_array_equal(y.numpy(), expected)
    v = RNG.integers(1, 9, expected.shape).astype(np.float64)
    leaf_v = mg.Tensor(v, requires_grad=True)
    (g,) = mg.grad(y, x, leaf_v, create_graph=True)
    added = np.zeros(shape)
    np.add.at(added, index, v)
    np.testing.assert_array_equal(g.numpy(), added)
    (back,) = mg.grad(g, leaf_v, mg.Tensor(array))  # the gradient is linear in v, and its adjoint picks again
    np.testing.assert_array_equal(back.numpy(), expected)


@given(st.data(), SHAPES)
def test_slices_integers_ellipsis_and_newaxis_are_numpys(data, shape):
    check_against_numpy(shape, data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)))


@given(st.data(), SHAPES, st.sampled_from(["array", "tensor", "list"]))
def test_integer_arrays_tensors_and_lists_are_numpys_and_repeated_positions_add_up(data, shape, kind):
    result = hnp.array_shapes(min_dims=1, max_dims=2, min_side=0, max_side=4)
    check_against_numpy(shape, data.draw(hnp.integer_array_indices(shape, result_shape=result)), kind)


@given(st.data(), SHAPES, st.sampled_from(["array", "tensor", "list"]))
def test_boolean_masks_are_numpys(data, shape, kind):
    axes = data.draw(st.integers(1, len(shape)))
    check_against_numpy(shape, data.draw(hnp.arrays(bool, shape[:axes])), kind)


@given(
    st.data(), hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4), st.sampled_from(["array", "tensor"])
)
def test_arrays_mixed_with_slices_integers_ellipsis_and_newaxis_are_numpys(data, shape, kind):
    count = data.draw(st.integers(0, 3))
    positions = st.sampled_from([(count,), (2, 1), (1,)])
    parts = [
        data.draw(
            st.one_of(
                st.integers(-n, n - 1),
                st.slices(n),
                hnp.arrays(np.int64, positions, elements=st.integers(-n, n - 1)),
                st.just(np.arange(n) % 2 == 0),
            )
        )
        for n in shape
    ]
    parts = parts[: data.draw(st.integers(0, len(parts)))]
    for extra in data.draw(st.lists(st.sampled_from([None, Ellipsis]), max_size=2, unique=True)):
        parts.insert(data.draw(st.integers(0, len(parts))), extra)
    index = tuple(parts)
    try:
        numbered(shape)[index]
    except IndexError:  # arrays that do not broadcast
        with pytest.raises((IndexError, MinigenError)):
            mg.Tensor(numbered(shape))[as_user(index, kind)]
    else:
        check_against_numpy(shape, index, kind)


@pytest.mark.parametrize("kind", ["array", "tensor", "list"])
@pytest.mark.parametrize(
    "index",
    [
        np.array([0, 0, 0]),
        np.array([], int),
        (np.array([0, 1]), slice(None), np.array([1, 1])),
        (0, slice(None), np.array([1, 1])),
        (slice(None), 0, np.array([3, -1])),
        (Ellipsis, np.array([[0, 1], [1, 0]])),
        (None, np.array([1, 0]), None, slice(None, None, -1)),
        (np.array([True, False]), Ellipsis),
        (slice(None), np.array([True, False, True]), np.array([0, 3])),
        np.ones((2, 3), bool),
        np.zeros((2, 3, 4), bool),
    ],
)
def test_mixed_indices_are_numpys(index, kind):
    check_against_numpy((2, 3, 4), index, kind)


@pytest.mark.parametrize(
    "index", [0, -1, np.int64(1), (), Ellipsis, None, True, False, (0, 0, 0), (np.uint8(1),), slice(0, 0)]
)
def test_single_indices_are_numpys(index):
    check_against_numpy((2, 3, 4), index)


def test_a_tensor_of_one_integer_is_an_integer():
    x = mg.Tensor(numbered((2, 3)), requires_grad=True)
    assert x[mg.tensor(1)].tolist() == x[1].tolist()
    assert x[mg.tensor(1), mg.tensor(2)].item() == 6.0
    assert mg.grad(x[:, mg.tensor(0)].sum(), x)[0].tolist() == [[1.0, 0.0, 0.0]] * 2


def test_basic_indexing_shares_memory_and_version_and_advanced_indexing_copies():
    x = mg.zeros(3, 4)
    x[1].add_(5)
    x[[0]].add_(7)
    assert x.tolist() == [[0.0] * 4, [5.0] * 4, [0.0] * 4]


# ---- assignment -----------------------------------------------------------------------------------------------------


@given(st.data(), SHAPES, st.sampled_from(["array", "tensor"]))
def test_assignment_is_numpys(data, shape, kind):
    index = data.draw(
        st.one_of(
            hnp.basic_indices(shape, allow_newaxis=True), hnp.integer_array_indices(shape), hnp.arrays(bool, shape)
        )
    )
    array = numbered(shape)
    x = mg.tensor(array)
    value = data.draw(st.sampled_from([2.5, np.float32(3), "own"]))
    value = -array[index] if isinstance(value, str) else value
    x[as_user(index, kind)] = mg.Tensor(value) if isinstance(value, np.ndarray) else value
    array[index] = value
    np.testing.assert_array_equal(x.numpy(), array)


def test_assignment_of_or_to_what_takes_part_in_a_gradient_is_refused():
    with pytest.raises(InPlaceError, match=r"x\[index\] = y .*write x = minigen\.where"):
        mg.zeros(3)[0] = mg.tensor(1.0, requires_grad=True)


# ---- gather and its kin ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_gather_picks_along_one_axis_and_repeated_positions_add_up(dim):
    array = numbered((3, 4, 5))
    shape = [2, 3, 4]
    shape[dim] = 6
    index = RNG.integers(0, array.shape[dim], shape)
    x = mg.Tensor(array, requires_grad=True)
    y = F.gather(x, dim, mg.tensor(index))
    expected, added = np.empty(shape), np.zeros(array.shape)
    for place in np.ndindex(*shape):
        source = list(place)
        source[dim] = index[place]
        expected[place] = array[tuple(source)]
        added[tuple(source)] += 1
    np.testing.assert_array_equal(y.numpy(), expected)
    np.testing.assert_array_equal(mg.grad(y.sum(), x)[0].numpy(), added)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 1), (3, 1, 5)])
def test_take_along_axis_is_numpys(axis, shape):
    array = RNG.standard_normal((3, 4, 5))
    shape = list(shape)
    shape[axis] = 2
    index = RNG.integers(-array.shape[axis], array.shape[axis], shape)
    x = mg.Tensor(array, requires_grad=True)
    y = F.take_along_axis(x, index, axis)
    expected = np.take_along_axis(array, index, axis)
    np.testing.assert_array_equal(y.numpy(), expected)
    assert mg.grad(y.sum(), x)[0].numpy().sum() == expected.size


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("index", [[0, 0, 2], [], 1, [-1, 1]])
def test_index_select_takes_slices(dim, index):
    array = numbered((3, 4, 3))
    x = mg.Tensor(array, requires_grad=True)
    y = x.index_select(dim, index)
    positions = np.atleast_1d(np.array(index, dtype=int))
    np.testing.assert_array_equal(y.numpy(), np.take(array, positions, dim))
    counts = np.bincount(positions % array.shape[dim], minlength=array.shape[dim])
    shape = [1, 1, 1]
    shape[dim] = -1
    expected = np.broadcast_to(counts.reshape(shape), array.shape)
    np.testing.assert_array_equal(mg.grad(y.sum(), x)[0].numpy(), expected)


def test_embedding_picks_rows_adds_their_gradients_and_leaves_out_the_padding():
    w = mg.Tensor(numbered((4, 2)), requires_grad=True)
    index = np.array([[0, 1], [1, 3]])
    y = F.embedding(mg.tensor(index), w, padding_idx=3)
    np.testing.assert_array_equal(y.numpy(), w.numpy()[index])
    assert mg.grad(y.sum(), w)[0].tolist() == [[1.0, 1.0], [2.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
    negative = F.embedding(mg.tensor([0, 3]), w, padding_idx=-1)
    assert mg.grad(negative.sum(), w)[0].tolist() == [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert F.embedding(2, w).tolist() == w[2].tolist()
    assert F.embedding(mg.tensor(np.zeros((0, 3), int)), w).shape == (0, 3, 2)


def test_one_hot_marks_the_class():
    assert F.one_hot(mg.tensor([[2], [0]]), 3).tolist() == [[[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]]]
    assert F.one_hot(mg.tensor([1]), 2).dtype == np.float32


# ---- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pick", [F.gather, F.index_select, lambda x, d, i: F.take_along_axis(x, i, d)])
def test_picking_from_a_tensor_without_axes_is_refused_in_words(pick):
    with pytest.raises(ShapeError, match="without axes"):
        pick(mg.tensor(3.0), 0, [0])


@pytest.mark.parametrize("index", [[-1], [4], [0, -2]])
def test_an_embedding_or_a_class_that_is_not_there_is_refused_and_never_counted_from_the_end(index):
    with pytest.raises(ShapeError, match=r"embedding: .*from 0 to 3"):
        F.embedding(mg.tensor(index), mg.ones(4, 2))
    with pytest.raises(ShapeError, match=r"one_hot: .*from 0 to 3"):
        F.one_hot(mg.tensor(index), 4)


def test_a_padding_index_that_is_no_row_is_refused():
    with pytest.raises(ShapeError, match="padding_idx=4"):
        F.embedding(mg.tensor([0]), mg.ones(4, 2), padding_idx=4)


X = mg.ones(2, 3)


@pytest.mark.parametrize(
    ("mistake", "kind", "words"),
    [
        (lambda: X[2], IndexError, r"index 2 is out of bounds for axis 0 with size 2"),
        (lambda: X[0, 0, 0], IndexError, r"too many indices"),
        (lambda: X[..., ...], IndexError, r"ellipsis"),
        (lambda: X["a"], IndexError, r"valid indices"),
        (lambda: X[1.0], IndexError, r"valid indices"),
        (lambda: X[[0.0, 1.0]], DtypeError, r"integers or booleans, not float64"),
        (lambda: X[mg.tensor([0.0])], DtypeError, r"integers or booleans, not float32"),
        (lambda: X[mg.tensor([True, False, True])], IndexError, r"boolean index did not match.*2.*3"),
        (lambda: X[[0, 1], [0, 1, 2]], IndexError, r"\(2,\) \(3,\)"),
        (lambda: X[::0], ShapeError, r"\(2, 3\).*step cannot be zero"),
        (lambda: F.gather(X, 1, [0, 1]), ShapeError, r"gather: .*\(2,\).*\(2, 3\)"),
        (lambda: F.gather(X, 1, [[0]] * 3), ShapeError, r"gather: .*\(3, 1\)"),
        (lambda: F.gather(X, 1, [[3]]), ShapeError, r"gather: .*from 3 to 3.*from -3 to 2"),
        (lambda: F.gather(X, 1, [[0.5]]), DtypeError, r"gather: .*integers, not float64"),
        (lambda: F.gather(X, 1, None), DtypeError, r"gather: .*integers"),
        (lambda: F.gather(X, 2, [[0]]), ShapeError, r"gather: dim=2"),
        (lambda: F.gather(X, "a", [[0]]), MinigenError, r"gather: .*'a'"),
        (lambda: F.take_along_axis(X, [0], 1), ShapeError, r"take_along_axis: .*\(1,\).*\(2, 3\)"),
        (lambda: F.index_select(X, 0, [[0]]), ShapeError, r"index_select: .*\(1, 1\)"),
        (lambda: F.index_select(X, 0, [2]), ShapeError, r"index_select: .*from -2 to 1"),
        (lambda: F.index_select(X, 0, [True]), DtypeError, r"index_select: .*bool"),
        (lambda: F.embedding(mg.tensor([0.5]), X), DtypeError, r"embedding: .*float32"),
        (lambda: F.embedding([0], X[0]), ShapeError, r"embedding: weight must be .*\(3,\)"),
        (lambda: F.one_hot(X, 3), DtypeError, r"one_hot: .*float32"),
    ],
)
def test_a_plausible_mistake_is_answered_in_words(mistake, kind, words):
    with pytest.raises(kind, match=words):
        mistake()
