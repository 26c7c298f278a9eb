import numpy as np
import pytest

import minigen
from minigen import nn
from minigen.errors import UserError


def model():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 1))


def test_the_names_are_pytorchs():
    assert list(model().state_dict()) == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
        "3.weight",
        "3.bias",
    ]
    assert list(nn.Linear(1, 1).state_dict(prefix="a.")) == ["a.weight", "a.bias"]


def test_a_state_goes_over_to_another_module_bit_for_bit_and_into_the_same_tensors():
    ours, theirs = model(), model()
    theirs(minigen.randn(3, 1, 4, 4))
    tensors = [*ours.parameters(), *ours.buffers()]
    versions = [t._version[0] for t in tensors]
    arrays = {name: np.asarray(value).copy() for name, value in theirs.state_dict().items()}
    result = ours.load_state_dict(arrays)
    assert result == ([], [])
    assert all(a is b for a, b in zip(tensors, [*ours.parameters(), *ours.buffers()]))
    assert all(t._version[0] > v for t, v in zip(tensors, versions))
    for name, value in ours.state_dict().items():
        assert value.numpy().tobytes() == arrays[name].tobytes(), name


def test_state_shares_memory_with_the_module():
    linear = nn.Linear(2, 2)
    state = linear.state_dict()
    linear.weight.data = linear.weight.data * 0 + 3
    with minigen.no_grad():
        linear.bias.fill_(7)
    assert state["bias"].tolist() == [7, 7]
    assert not state["bias"].requires_grad


def test_values_are_converted_to_the_type_of_the_module():
    linear = nn.Linear(2, 1)
    linear.load_state_dict({"weight": [[1, 2]], "bias": np.array([0.5])})
    assert linear.weight.dtype == np.float32
    assert linear.weight.tolist() == [[1, 2]]


def test_one_error_lists_everything_that_does_not_fit_and_nothing_is_loaded():
    linear = nn.Linear(2, 3)
    before = linear.bias.numpy().copy()
    state = {"bias": np.zeros(3), "weight": np.zeros((3, 4)), "extra": np.zeros(1), "more": np.zeros(1)}
    with pytest.raises(UserError) as caught:
        linear.load_state_dict(state)
    words = str(caught.value)
    assert "does not fit Linear" in words
    assert "unexpected 'extra', 'more'" in words
    assert "'weight' is (3, 2) here and (3, 4) in the state dict" in words
    np.testing.assert_array_equal(linear.bias.numpy(), before)
    with pytest.raises(UserError, match=r"missing 'weight', 'bias'; .*strict=False"):
        linear.load_state_dict({})


def test_without_strict_the_names_in_common_are_loaded_and_the_others_returned():
    linear = nn.Linear(1, 1)
    result = linear.load_state_dict({"bias": np.array([4.0]), "other": np.zeros(1)}, strict=False)
    assert result.missing_keys == ["weight"]
    assert result.unexpected_keys == ["other"]
    assert linear.bias.item() == 4
    with pytest.raises(UserError, match=r"'bias' is \(1,\) here and \(2,\)"):
        linear.load_state_dict({"bias": np.zeros(2)}, strict=False)


@pytest.mark.parametrize("value", ["text", object(), [[1], [2, 3]]])
def test_a_value_that_is_no_array_of_numbers_is_named(value):
    with pytest.raises(UserError, match="value of 'bias'"):
        nn.Linear(1, 1).load_state_dict({"bias": value}, strict=False)


def test_loading_between_forward_and_backward_is_noticed():
    linear = nn.Linear(2, 2)
    x = minigen.ones(1, 2)
    x.requires_grad_()
    loss = linear(x).sum()
    linear.load_state_dict(nn.Linear(2, 2).state_dict())
    with pytest.raises(minigen.errors.InPlaceError):
        loss.backward()
