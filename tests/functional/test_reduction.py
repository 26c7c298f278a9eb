"""Reductions beside NumPy and SciPy, over every kind of `dim`."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError, UserError

X = np.random.default_rng(0).standard_normal((2, 3, 4))


@pytest.mark.parametrize("dim", [0, -1])
@pytest.mark.parametrize(
    "name", ["sum", "mean", "prod", "amax", "amin", "logsumexp", "norm", "softmax", "any", "cumsum"]
)
def test_a_tensor_without_axes_may_be_reduced_over_axis_0(name, dim):
    x = mg.tensor(3.0, requires_grad=True)
    y = getattr(F, name)(x, dim=dim)
    assert y.shape == ()
    assert float(y) == {"softmax": 1.0, "any": 1.0}.get(name, 3.0)
    if name != "any":
        assert mg.grad(y, x)[0].item() == (0.0 if name == "softmax" else 1.0)


def test_the_extremes_of_a_tensor_without_axes_stand_at_position_0():
    x = mg.tensor(3.0)
    assert (x.max(0).values.item(), x.min(-1).indices.item(), x.argmax(0).item(), x.argmin().item()) == (3.0, 0, 0, 0)


@pytest.mark.parametrize("dim", ["a", 1.0, True, [0.5], (0, "b")])
@pytest.mark.parametrize(
    "name", ["sum", "mean", "var", "amax", "max", "argmax", "softmax", "logsumexp", "cumsum", "any"]
)
def test_an_axis_that_is_no_integer_is_refused_in_words(name, dim):
    with pytest.raises(UserError, match=f"{name if name != 'var' else '(var|mean)'}: an axis is named by an integer"):
        getattr(F, name)(mg.tensor(X), dim=dim)


def test_argmax_over_several_axes_is_refused_instead_of_taking_the_first():
    with pytest.raises(UserError, match=r"argmax: .*\(0, 1\)"):
        mg.tensor(X).argmax((0, 1))


@pytest.mark.parametrize("dim", [3, -4, (0, 3)])
def test_an_axis_that_is_not_there_is_named_with_those_that_are(dim):
    with pytest.raises(ShapeError, match=r"sum: dim=(3|-4) is not an axis of a tensor with 3 axes; .*from -3 to 2"):
        F.sum(mg.tensor(X), dim)
    with pytest.raises(ShapeError, match="twice"):
        F.sum(mg.tensor(X), (0, -3))
