"""Making tensors: the values, their types, and what is said about mistakes."""

import numpy as np
import pytest

import minigen as mg
from minigen.errors import DtypeError


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
