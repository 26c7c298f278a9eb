import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigen
from minigen import nn
from minigen.errors import ShapeError, UserError
from minigen.nn import init

SHAPE = (40, 30, 3, 3)  # fan_in 270, fan_out 360


def filled(function, *args, shape=SHAPE, **kwargs):
    tensor = minigen.zeros(shape, dtype=np.float64)
    assert function(tensor, *args, generator=minigen.Generator(0), **kwargs) is tensor
    return tensor.numpy()


@pytest.mark.parametrize(
    ("function", "kwargs", "std", "bounded"),
    [
        (init.uniform_, {"a": -2.0, "b": 2.0}, 2 / math.sqrt(3), True),
        (init.normal_, {"std": 0.5}, 0.5, False),
        (init.xavier_uniform_, {}, math.sqrt(2 / 630), True),
        (init.xavier_normal_, {"gain": 3.0}, 3 * math.sqrt(2 / 630), False),
        (init.kaiming_uniform_, {"nonlinearity": "relu"}, math.sqrt(2 / 270), True),
        (init.kaiming_uniform_, {"a": math.sqrt(5)}, math.sqrt(1 / 3 / 270), True),
        (init.kaiming_normal_, {"mode": "fan_out", "nonlinearity": "linear"}, math.sqrt(1 / 360), False),
    ],
)
def test_values_have_the_distribution_that_the_formula_says(function, kwargs, std, bounded):
    values = filled(function, **kwargs)
    assert abs(values.mean()) < 0.03 * std
    assert abs(values.std() / std - 1) < 0.03
    largest = np.abs(values).max() / std
    assert largest <= math.sqrt(3) if bounded else largest > 3.5


def test_constants_and_the_mean_of_a_gaussian():
    tensor = minigen.zeros(2, 3)
    assert init.ones_(tensor).tolist() == [[1] * 3] * 2
    assert init.constant_(tensor, 0.5).tolist() == [[0.5] * 3] * 2
    assert init.zeros_(tensor).tolist() == [[0] * 3] * 2
    assert abs(filled(init.normal_, mean=10.0).mean() - 10) < 0.1


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(0, 2**32))
def test_orthogonal_rows_or_columns_are_orthonormal(rows, columns, kernel, seed):
    tensor = minigen.zeros(rows, columns, kernel, dtype=np.float64)
    init.orthogonal_(tensor, gain=2.0, generator=minigen.Generator(seed))
    matrix = tensor.numpy().reshape(rows, -1) / 2
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, np.eye(len(small)), atol=1e-12)


def test_a_parameter_is_filled_in_place_under_its_version_counter():
    layer = nn.Linear(3, 3)
    weight, version = layer.weight, layer.weight._version[0]
    init.orthogonal_(weight)
    assert layer.weight is weight
    assert weight.requires_grad
    assert weight._version[0] > version


def test_the_same_generator_gives_the_same_values_and_the_default_one_is_left_alone():
    state = minigen.default_generator.get_state()
    np.testing.assert_array_equal(filled(init.kaiming_normal_), filled(init.kaiming_normal_))
    assert minigen.default_generator.get_state() == state


def test_gains():
    assert (
        init.calculate_gain("linear") == init.calculate_gain("conv_transpose2d") == init.calculate_gain("sigmoid") == 1
    )
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("selu") == 0.75
    assert init.calculate_gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / 1.0001)


def test_empty_weights_are_left_empty():
    for function in (init.kaiming_uniform_, init.xavier_normal_, init.orthogonal_):
        assert filled(function, shape=(3, 0)).shape == (3, 0)
    assert nn.Linear(0, 3)(minigen.ones(2, 0)).shape == (2, 3)


def test_mistakes_are_told():
    with pytest.raises(ShapeError, match=r"at least two axes \(out, in, ...\), not shape \(3,\)"):
        init.kaiming_uniform_(minigen.zeros(3))
    with pytest.raises(ShapeError, match="orthogonal_: needs a tensor of at least two axes"):
        init.orthogonal_(minigen.zeros(3))
    with pytest.raises(UserError, match="mode must be 'fan_in' or 'fan_out', not 'fan'"):
        init.kaiming_normal_(minigen.zeros(3, 3), mode="fan")
    with pytest.raises(UserError, match="'swish' is not known; choose from"):
        init.calculate_gain("swish")
