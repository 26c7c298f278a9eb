"""Products of matrices beside NumPy, with the mistakes that are easy to make."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError


@pytest.mark.parametrize("bias", [(1,), (5,), (2, 4), (2, 1), ()])
def test_linear_refuses_a_bias_that_would_be_broadcast(bias):
    for rows in (4, 1):
        with pytest.raises(ShapeError, match="linear: bias has shape"):
            F.linear(mg.ones(2, 3), mg.ones(rows, 3), mg.ones(bias if bias != (rows,) else (7,)))


@pytest.mark.parametrize("lead", [(), (2,), (2, 5), (0,), (2, 0, 3)])
def test_linear_without_features_is_its_bias(lead):
    x = mg.ones((*lead, 0), requires_grad=True)
    y = F.linear(x, mg.ones(4, 0), mg.arange(4.0))
    np.testing.assert_array_equal(y.numpy(), np.broadcast_to(np.arange(4.0), (*lead, 4)))
    assert mg.grad(y.sum(), x)[0].shape == x.shape


def test_stacks_of_matrices_that_do_not_fit_are_named_by_their_leading_axes():
    with pytest.raises(ShapeError, match=r"matmul: .*before the last two, \(2,\) and \(3,\), must be equal or 1"):
        mg.ones(2, 3, 4) @ mg.ones(3, 4, 5)
