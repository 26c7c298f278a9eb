"""Tensor: what it shows, what comes out of it, and how it is changed in place."""

import numpy as np
import pytest

import minigen as mg
from minigen.errors import DtypeError, InPlaceError, ShapeError, UserError


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
