"""Making tensors: the values, their types, and what is said about mistakes."""

import numpy as np
import pytest

import minigen as mg
from minigen.errors import DeviceError, DtypeError, MinigenError, UserError


def test_a_float64_tensor_made_of_python_numbers_has_all_their_digits():
    for made in (mg.tensor([0.1], dtype=np.float64), mg.Tensor(0.1, dtype="float64"), mg.as_tensor([0.1], np.float64)):
        assert made.numpy().ravel()[0] == 0.1
    assert mg.tensor([0.1]).item() == float(np.float32(0.1))


@pytest.mark.parametrize("data", [None, "a", [1, None], {"a": 1}, {1, 2}, 1j, [2**70], np.array(["a"])])
def test_what_is_no_number_is_refused_and_shown(data):
    for dtype in (None, "float32"):
        with pytest.raises(DtypeError, match="A tensor holds real numbers, integers or booleans, not "):
            mg.tensor(data, dtype=dtype)


@pytest.mark.parametrize("dtype", ["nope", str, complex, "datetime64[s]", object])
def test_a_type_that_is_no_real_number_is_refused(dtype):
    for make in (lambda: mg.tensor([1.0], dtype=dtype), lambda: mg.ones(2).astype(dtype), lambda: mg.ones(2).to(dtype)):
        with pytest.raises(DtypeError, match="number"):
            make()


def test_astype_none_is_refused_rather_than_taken_for_float64():
    with pytest.raises(DtypeError, match="None"):
        mg.ones(2).astype(None)


def test_python_numbers_become_float32_int64_or_bool_and_arrays_keep_their_type():
    for data, dtype in (
        (1.5, np.float32),
        ([1, 2.0], np.float32),
        ([], np.float32),
        (7, np.int64),
        ([[1], [2]], np.int64),
        (range(3), np.int64),
        ([True, 2], np.int64),
        (True, np.bool_),
        ([True, False], np.bool_),
        (np.float64(1.0), np.float64),
        (np.ones(2, np.int32), np.int32),
        (np.ones(2, np.float16), np.float16),
        ([np.ones(2), np.zeros(2)], np.float64),
        ([mg.tensor(1.0), mg.tensor(2.0)], np.float32),
        ([mg.ones(2, dtype=np.float64)], np.float64),
    ):
        assert mg.tensor(data).dtype == dtype, data


def test_tensor_copies_and_as_tensor_and_from_numpy_share():
    array = np.zeros(2, np.float32)
    copied, shared, taken = mg.tensor(array), mg.as_tensor(array), mg.from_numpy(array)
    array[0] = 1
    assert (copied.tolist(), shared.tolist(), taken.tolist()) == ([0.0, 0.0], [1.0, 0.0], [1.0, 0.0])
    assert mg.as_tensor(shared) is shared
    again = mg.tensor(shared)
    again.add_(5)
    assert shared.tolist() == [1.0, 0.0]
    assert mg.as_tensor(shared, dtype=np.float64).dtype == np.float64


def test_a_new_tensor_is_a_leaf_whatever_it_was_made_of():
    x = mg.ones(2, requires_grad=True)
    assert not mg.tensor(x * 2).requires_grad
    assert mg.tensor(x * 2, requires_grad=True).is_leaf


def test_ragged_lists_are_refused():
    with pytest.raises(UserError, match="nested lists"):
        mg.tensor([[1, 2], [3]])


@pytest.mark.parametrize(("make", "value"), [(mg.zeros, 0.0), (mg.ones, 1.0)])
def test_zeros_and_ones_take_sizes_one_by_one_or_together(make, value):
    for x in (make(2, 3), make((2, 3)), make([2, 3]), make(np.int64(2), 3)):
        np.testing.assert_array_equal(x.numpy(), np.full((2, 3), value, np.float32))
        assert x.dtype == np.float32
    assert make().shape == make(()).shape == ()
    assert make(0, 3).shape == (0, 3)
    assert make(2, dtype=np.int64).dtype == np.int64
    assert make(2, requires_grad=True).requires_grad
    assert mg.empty(2, 3).shape == (2, 3)


def test_full_takes_its_type_from_the_value():
    for value, dtype in (
        (1, np.int64),
        (1.0, np.float32),
        (True, np.bool_),
        (np.int64(2), np.int64),
        (np.float64(2), np.float32),
    ):
        x = mg.full((2,), value)
        assert (x.dtype, x.tolist()) == (dtype, [value, value])
    assert mg.full(3, 0.1, dtype=np.float64).tolist() == [0.1] * 3
    assert mg.full(size=(), fill_value=mg.tensor(2.5)).item() == 2.5


def test_the_like_functions_take_shape_and_type_from_tensors_arrays_and_lists():
    x = mg.ones(2, 3, dtype=np.float64)
    assert (mg.zeros_like(x).dtype, mg.zeros_like(x).shape) == (np.float64, (2, 3))
    assert mg.ones_like(x, dtype=np.int64).tolist() == [[1] * 3] * 2
    assert mg.full_like(x, 0.5, requires_grad=True).requires_grad
    assert mg.zeros_like(np.ones(2, np.int32)).dtype == np.int32
    assert mg.ones_like([1.0, 2.0]).tolist() == [1.0, 1.0]
    assert not np.shares_memory(mg.zeros_like(x).data, x.data)


def test_eye_arange_and_linspace_are_numpys():
    np.testing.assert_array_equal(mg.eye(3).numpy(), np.eye(3))
    np.testing.assert_array_equal(mg.eye(2, 4).numpy(), np.eye(2, 4))
    assert mg.eye(0).shape == (0, 0)
    for args in ((5,), (1, 5), (5, 1, -2), (0, 1, 0.25), (2.5,), (3, 1)):
        expected = np.arange(*args)
        ours = mg.arange(*args)
        np.testing.assert_array_equal(ours.numpy(), expected.astype(ours.dtype))
        assert ours.dtype == (np.int64 if all(isinstance(a, int) for a in args) else np.float32)
    assert mg.arange(start=1, end=4, dtype=np.float32).tolist() == [1.0, 2.0, 3.0]
    np.testing.assert_array_equal(mg.linspace(-1, 1, 5).numpy(), np.linspace(-1, 1, 5, dtype=np.float32))
    assert mg.linspace(0, 1, 1).tolist() == [0.0]
    assert mg.linspace(0, 1, 0).shape == (0,)


def test_arange_does_not_add_up_the_rounding_of_its_step():
    x = mg.arange(1000, 1100, 0.1).numpy()
    np.testing.assert_array_equal(x, (1000 + 0.1 * np.arange(1000)).astype(np.float32))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: mg.zeros(2, -1),
        lambda: mg.zeros(2.0),
        lambda: mg.zeros("a"),
        lambda: mg.zeros(None),
        lambda: mg.zeros((2, 3), (4,)),
        lambda: mg.ones(2, device="gpu"),
        lambda: mg.full((2,), "a"),
        lambda: mg.full((2,), None),
        lambda: mg.full((2,), mg.ones(2)),
        lambda: mg.full_like(mg.ones(2), 1, dtype="nope"),
        lambda: mg.zeros_like("a"),
        lambda: mg.eye(-1),
        lambda: mg.eye("a"),
        lambda: mg.eye(2.0),
        lambda: mg.arange(0, 5, 0),
        lambda: mg.arange("a"),
        lambda: mg.arange(None),
        lambda: mg.arange(0, [1]),
        lambda: mg.linspace(0, 1, -1),
        lambda: mg.linspace(0, 1, 2.5),
        lambda: mg.linspace("a", 1, 3),
        lambda: mg.rand(-1),
        lambda: mg.rand(2, dtype=np.int64),
        lambda: mg.randn(2, dtype=np.float16),
        lambda: mg.randn(2, generator=0),
        lambda: mg.randint(5, 5, (3,)),
        lambda: mg.randint(0.5, 5, (3,)),
        lambda: mg.randint("a", 5, (3,)),
        lambda: mg.randint(0, 5, (-1,)),
        lambda: mg.randint(0, 5, 2, generator=1),
        lambda: mg.randperm(-1),
        lambda: mg.randperm(2.5),
        lambda: mg.randperm("a"),
        lambda: mg.tensor([1, 2], requires_grad=True),
        lambda: mg.tensor([1.0], device=3),
    ],
)
def test_a_plausible_mistake_is_answered_by_an_error_of_minigen_in_words(mistake):
    with pytest.raises(MinigenError, match=r"\w+ \w+ \w+ \w+"):
        mistake()


def test_an_unknown_device_is_named_with_those_there_are():
    with pytest.raises(DeviceError, match=r"'tpu'.*cpu, cuda, cudasim"):
        mg.zeros(2, device="tpu")
