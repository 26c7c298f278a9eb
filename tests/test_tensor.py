"""Tensor: what it shows, what comes out of it, and how it is changed in place."""

import copy
import pickle

import numpy as np
import pytest

import minigen as mg
from minigen.errors import AutogradError, DtypeError, InPlaceError, ShapeError, UserError
from minigen.tensor import clock


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.add_(mg.ones(4)),
        lambda x: x.__imul__(mg.ones(2, 2, 3)),
        lambda x: x.copy_(mg.ones(4)),
        lambda x: x.__setitem__(0, mg.ones(4)),
        lambda x: setattr(x, "data", np.ones(4)),
        lambda x: setattr(x, "data", 1.0),
    ],
)
def test_a_change_in_place_by_a_shape_that_does_not_fit_is_refused_and_changes_nothing(change):
    x = mg.zeros(2, 3)
    with pytest.raises(ShapeError, match=r"\(2, ?3\)"):
        change(x)
    assert x.tolist() == [[0.0] * 3] * 2
    assert x._version == [0]


@pytest.mark.parametrize(
    "change", [lambda i: i.add_(1.5), lambda i: i.mul_(mg.ones(2)), lambda i: i.div_(2), lambda i: i.clamp_(min=0.5)]
)
def test_a_change_in_place_whose_result_the_type_cannot_hold_is_refused(change):
    i = mg.tensor([1, 2])
    with pytest.raises(DtypeError, match="int64 cannot hold"):
        change(i)
    assert i.tolist() == [1, 2]


@pytest.mark.parametrize("value", [None, "a", object(), [None]])
@pytest.mark.parametrize(
    "change",
    [
        lambda x, v: x.add_(v),
        lambda x, v: x.copy_(v),
        lambda x, v: x.fill_(v),
        lambda x, v: x.__setitem__(0, v),
        lambda x, v: x.clamp_(1 if v is None else v, [None]),
    ],
)
def test_nothing_and_words_cannot_be_written_into_a_tensor(change, value):
    x = mg.zeros(2)
    with pytest.raises(DtypeError, match="real numbers"):
        change(x, value)
    assert x.tolist() == [0.0, 0.0]


def test_clamp_in_place_takes_numbers_arrays_and_tensors_as_bounds():
    x = mg.tensor([-2.0, 0.5, 2.0])
    x.clamp_(min=mg.tensor([-1.0, 1.0, 0.0]), max=np.array([3.0, 3.0, 1.5], np.float32))
    assert x.tolist() == [-1.0, 1.0, 1.5]
    with pytest.raises(UserError, match="clamp_: give min, max or both"):
        x.clamp_()
    with pytest.raises(InPlaceError):
        x.clamp_(min=mg.zeros(3, requires_grad=True))


def test_fill_takes_a_tensor_of_one_value():
    x = mg.zeros(2)
    x.fill_(mg.tensor(3.0))
    assert x.tolist() == [3.0, 3.0]


def test_a_hook_that_is_no_function_is_refused_when_it_is_given():
    with pytest.raises(UserError, match="register_hook"):
        mg.ones(1, requires_grad=True).register_hook(3)


def test_shapes_and_axes_can_be_given_by_pytorchs_keywords():
    x = mg.arange(6.0).reshape(2, 3)
    assert x.reshape(shape=(3, 2)).shape == x.view(size=(3, 2)).shape == x.permute(dims=(1, 0)).shape == (3, 2)
    assert x.expand(size=(4, 2, 3)).shape == (4, 2, 3)
    assert x.flip(dims=[1]).tolist() == x.flip(1).tolist() == [[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]
    assert mg.tensor([3.0]).reshape(()).shape == mg.tensor([3.0]).reshape(shape=()).shape == ()
    assert x.flip(()).tolist() == x.flip(dims=()).tolist() == x.tolist()


def test_to_takes_a_type_a_device_or_both_by_position_and_by_keyword():
    x = mg.ones(2, requires_grad=True)
    for y in (
        x.to(np.float64),
        x.to("float64"),
        x.to(dtype=mg.float64),
        x.to("cpu", "float64"),
        x.to(device="cpu", dtype=float),
    ):
        assert y.dtype == np.float64
        assert mg.grad(y.sum(), x)[0].dtype == np.float32
    assert x.to(device="cpu") is x
    with pytest.raises(mg.errors.DeviceError, match="tpu"):
        x.to(device="tpu")


def test_size_names_an_axis_that_is_not_there():
    assert (mg.ones(2, 3).size(), mg.ones(2, 3).size(-1), mg.ones(2, 3).size(dim=0)) == ((2, 3), 3, 2)
    for x, dim in ((mg.ones(2, 3), 2), (mg.ones(2, 3), -3), (mg.ones(()), 0)):
        with pytest.raises(ShapeError, match="size: dim="):
            x.size(dim)


# ---- what it shows ---------------------------------------------------------------------------------------------------

SHOWN = [
    (lambda: mg.tensor(3.0), "tensor(3.)"),
    (lambda: mg.tensor(7), "tensor(7)"),
    (lambda: mg.tensor(True), "tensor(True)"),
    (lambda: mg.tensor([1.0, 2.5]), "tensor([1. , 2.5])"),
    (lambda: mg.tensor([[1.0, 2.0], [3.0, 4.0]]), "tensor([[1., 2.],\n        [3., 4.]])"),
    (lambda: mg.tensor([1, -2]), "tensor([ 1, -2])"),
    (lambda: mg.tensor([True, False]), "tensor([ True, False])"),
    (lambda: mg.tensor([1.5], dtype="float64"), "tensor([1.5], dtype=float64)"),
    (lambda: mg.tensor([1], dtype="int32"), "tensor([1], dtype=int32)"),
    (lambda: mg.tensor([0.123456789]), "tensor([0.1235])"),
    (lambda: mg.tensor([np.nan, np.inf, -np.inf]), "tensor([ nan,  inf, -inf])"),
    (lambda: mg.zeros(0, 3), "tensor([], shape=(0, 3))"),
    (lambda: mg.zeros(0, dtype=np.int64), "tensor([], dtype=int64, shape=(0,))"),
    (lambda: mg.ones(2, requires_grad=True), "tensor([1., 1.], requires_grad=True)"),
    (lambda: mg.ones(2, requires_grad=True) * 2, "tensor([2., 2.], grad_fn=<Mul>)"),
    (
        lambda: mg.ones(2, dtype="float64", requires_grad=True).exp(),
        "tensor([2.7183, 2.7183], dtype=float64, grad_fn=<Exp>)",
    ),
    (lambda: mg.ones(2, requires_grad=True).detach(), "tensor([1., 1.])"),
]


@pytest.mark.parametrize(("make", "text"), SHOWN, ids=[text for _, text in SHOWN])
def test_a_tensor_shows_its_numbers_and_what_is_special_about_it(make, text):
    assert repr(make()) == str(make()) == f"{make()}" == text


def test_a_large_tensor_shows_its_corners():
    for text in (repr(mg.arange(1000.0)), repr(mg.zeros(300, 300)), repr(mg.zeros(100, 100, requires_grad=True) + 1)):
        assert "..." in text
        assert len(text) < 600
    assert repr(mg.arange(1000)) == "tensor([  0,   1,   2, ..., 997, 998, 999])"


# ---- what comes out of it -------------------------------------------------------------------------------------------


def test_one_number_comes_out_as_a_python_number():
    for x, value in ((mg.tensor([[2.5]]), 2.5), (mg.tensor(3), 3), (mg.tensor(True), True)):
        assert type(x.item()) is type(value)
        assert (x.item(), float(x), int(x), bool(x)) == (value, float(value), int(value), bool(value))
    assert (f"{mg.tensor(3.14159):.2f}", f"{mg.tensor(5):03d}", f"{mg.tensor([7.0]):>6.1f}") == (
        "3.14",
        "005",
        "   7.0",
    )
    assert np.isclose(np.sqrt(float(mg.tensor(4.0))), 2.0)


def test_an_integer_tensor_is_an_index_and_a_floating_one_is_not():
    assert "abc"[mg.tensor(1)] == "b"
    assert list(range(mg.tensor(3))) == [0, 1, 2]
    with pytest.raises(TypeError, match="integer tensor"):
        "abc"[mg.tensor(1.0)]
    with pytest.raises(UserError, match="2 values, not one"):
        "abc"[mg.tensor([0, 1])]


@pytest.mark.parametrize("convert", [float, int, lambda x: x.item()])
def test_several_numbers_do_not_come_out_as_one(convert):
    for x in (mg.ones(2), mg.zeros(0)):
        with pytest.raises(UserError, match=rf"\({x.shape[0]},\) has {x.shape[0]} values, not one"):
            convert(x)


def test_several_truths_are_neither_true_nor_false():
    for act in (bool, lambda x: 1 if x > 0 else 0, lambda x: not x):
        with pytest.raises(UserError, match=r"neither true nor false; use \.any\(\) or \.all\(\)"):
            act(mg.ones(2))


def test_lengths_iteration_and_membership_follow_the_first_axis():
    x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert len(x) == 2
    first, second = x
    assert (first.tolist(), second.tolist()) == ([1.0, 2.0], [3.0, 4.0])
    assert mg.grad(sum(row.sum() for row in x), x)[0].tolist() == [[1.0, 1.0]] * 2
    assert 2.0 in mg.tensor([1.0, 2.0])
    assert 5.0 not in mg.tensor([1.0, 2.0])
    assert list(mg.zeros(0, 2)) == []
    for act in (len, list):
        with pytest.raises(TypeError, match="without axes has no length"):
            act(mg.tensor(1.0))


def test_a_tensor_becomes_an_array_wherever_numpy_wants_one():
    x = mg.tensor([[1.0, 2.0]], requires_grad=True) * 2
    for array in (np.asarray(x), np.array(x), x.numpy(), np.stack([x])[0], np.concatenate([x])):
        assert isinstance(array, np.ndarray)
        assert (array.tolist(), array.dtype) == ([[2.0, 4.0]], np.float32)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.shares_memory(np.asarray(x), x.data)
    assert np.shares_memory(np.asarray(x, copy=False), x.data)
    assert not np.shares_memory(np.array(x), x.data)
    np.array(x)[0, 0] = 5  # a copy may be written
    for shared in (np.asarray(x), x.numpy()):
        with pytest.raises(ValueError, match="read-only"):
            shared[0, 0] = 5
    assert x.tolist() == [[2.0, 4.0]]
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, dtype=np.float64, copy=False)


def test_tolist_gives_nested_python_numbers():
    assert mg.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert mg.tensor(1.5).tolist() == 1.5
    assert mg.zeros(2, 0).tolist() == [[], []]


def test_shapes_sizes_and_counts():
    x = mg.zeros(2, 3, 4)
    assert (x.shape, x.size(), x.ndim, x.dim(), x.numel(), x.T.shape) == ((2, 3, 4), (2, 3, 4), 3, 3, 24, (4, 3, 2))
    assert (mg.tensor(1.0).shape, mg.tensor(1.0).numel(), mg.zeros(0, 3).numel()) == ((), 1, 0)
    batch, channels, width = x.shape
    assert batch * channels * width == 24


# ---- identity, copies -----------------------------------------------------------------------------------------------


def test_tensors_are_hashed_by_identity_and_compared_by_element():
    x, y = mg.ones(2), mg.ones(2)
    assert (x == y).tolist() == [True, True]
    assert (x != y).any().item() is False
    assert len({x, y, x}) == 2
    assert {x: "x", y: "y"}[y] == "y"


def test_detach_shares_memory_and_leaves_the_graph_and_clone_does_the_opposite():
    x = mg.ones(2, requires_grad=True)
    y = x * 3
    detached, cloned = y.detach(), y.clone()
    assert (detached.requires_grad, detached.is_leaf, cloned.requires_grad) == (False, True, True)
    assert np.shares_memory(detached.data, y.data)
    assert not np.shares_memory(cloned.data, y.data)
    assert mg.grad(cloned.sum(), x)[0].tolist() == [3.0, 3.0]


def test_a_deep_copy_of_a_leaf_has_memory_gradient_and_version_of_its_own():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    x.register_hook(lambda g: g * 100)
    y, again = copy.deepcopy([x, x])
    assert y is again
    assert (y.tolist(), y.grad.tolist(), y.requires_grad) == ([1.0, 2.0], [2.0, 4.0], True)
    assert not np.shares_memory(x.data, y.data)
    assert not np.shares_memory(x.grad.data, y.grad.data)
    with mg.no_grad():
        y += 1
        y.grad += 1
    assert (x.tolist(), x.grad.tolist(), x._version) == ([1.0, 2.0], [2.0, 4.0], [0])
    with pytest.raises(AutogradError, match=r"detach.*clone"):
        copy.deepcopy(x * 2)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_leaf_survives_pickling(protocol):
    for x in (
        mg.tensor([[1.0, 2.0]], requires_grad=True),
        mg.tensor([1, 2]),
        mg.tensor(True),
        mg.zeros(0, 2),
        mg.ones(1, 2).T,
    ):
        y = pickle.loads(pickle.dumps(x, protocol))
        assert (y.tolist(), y.dtype, y.shape, y.requires_grad, y.device) == (
            x.tolist(),
            x.dtype,
            x.shape,
            x.requires_grad,
            x.device,
        )
        if y.dtype.kind == "f":
            with mg.no_grad():
                y += 1  # it may be written
    with pytest.raises(AutogradError, match="detach"):
        pickle.dumps(mg.ones(1, requires_grad=True) * 2)


def test_data_can_be_read_and_replaced_and_that_is_counted():
    x = mg.ones(2, requires_grad=True)
    y = x * x
    x.data = np.array([5.0, 6.0], np.float32)
    assert x.tolist() == [5.0, 6.0]
    with pytest.raises(InPlaceError, match="changed in place"):
        y.sum().backward()
    x.data = mg.tensor([1.0, 2.0])
    x.data = [3.0, 4.0]
    assert x.tolist() == [3.0, 4.0]


def test_requires_grad_is_switched_on_leaves_only():
    x = mg.ones(2)
    assert x.requires_grad_() is x
    assert (x * 2).requires_grad
    assert not (x.requires_grad_(False) * 2).requires_grad
    with pytest.raises(DtypeError, match="int64"):
        mg.tensor([1]).requires_grad_()


def test_a_result_without_a_gradient_is_a_leaf_and_zero_grad_forgets():
    x = mg.ones(2, requires_grad=True)
    assert ((x > 0).is_leaf, (mg.ones(1) * 2).is_leaf, (x * 2).is_leaf) == (True, True, False)
    x.sum().backward()
    x.zero_grad()
    assert x.grad is None


# ---- in place --------------------------------------------------------------------------------------------------------


def test_changes_in_place_have_numpys_values_and_return_the_tensor():
    x = mg.tensor([1.0, 2.0, 4.0])
    before, started = x, clock.now
    x += 1
    x -= mg.tensor([1.0, 0.0, 0.0])
    x *= np.array([2.0, 1.0, 1.0], np.float32)
    x /= np.float64(2)
    assert x is before
    assert x.tolist() == [1.0, 1.5, 2.5]
    assert x.add_(mg.ones(3), alpha=2).sub_([0.0, 0.5, 0.5], alpha=2).mul_(2).div_(4) is x
    assert x.tolist() == [1.5, 1.25, 1.75]
    assert x.clamp_(max=1.5).copy_([9, 8, 7]).zero_().fill_(2.5).tolist() == [2.5] * 3
    assert x.dtype == np.float32
    assert x._version[0] == started + 12


def test_a_power_or_matrix_product_in_place_makes_a_new_tensor():
    x = mg.tensor([2.0, 3.0])
    before = x
    x **= 2
    assert (x.tolist(), before.tolist()) == ([4.0, 9.0], [2.0, 3.0])


def test_float64_values_are_rounded_into_a_float32_tensor_in_place():
    x = mg.zeros(2)
    x += np.array([0.1, 0.2])
    x[0] = mg.tensor([1.0], dtype=np.float64).sum()
    assert (x.dtype, x.tolist()) == (np.float32, [1.0, float(np.float32(0.2))])


def test_adding_a_tensor_to_itself_in_place_doubles_it():
    x = mg.tensor([1.0, 2.0])
    x += x
    x[:] = x.flip(0)
    assert x.tolist() == [4.0, 2.0]


def test_a_read_only_array_can_be_used_and_not_changed():
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    x = mg.from_numpy(array)
    assert (x * 2).tolist() == [2.0] * 3
    for change in (lambda: x.add_(1), lambda: x.__setitem__(0, 1), lambda: x.fill_(0)):
        with pytest.raises(InPlaceError, match="read-only"):
            change()
    y = mg.tensor(array)
    y += 1
    assert y.tolist() == [2.0] * 3


def test_a_list_of_tensors_that_require_a_gradient_is_refused_where_it_would_be_lost():
    w = mg.ones(2, requires_grad=True)
    for lost in (lambda: mg.tensor([w.sum(), w.sum()]), lambda: mg.ones(2) + [w.sum(), w.sum()]):
        with pytest.raises(AutogradError, match=r"minigen\.stack"):
            lost()
    assert mg.stack([w.sum(), w.sum()]).requires_grad
    assert mg.tensor([w.sum().item(), 1.0]).tolist() == [2.0, 1.0]
