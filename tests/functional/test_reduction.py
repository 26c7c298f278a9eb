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


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, np.inf, "fro"])
@pytest.mark.parametrize("scale", [1e30, 1.0, 1e-30])
def test_a_norm_neither_overflows_nor_vanishes_and_its_gradient_has_no_scale(p, scale):
    values = np.array([3.0, -4.0, 0.0])
    x = mg.Tensor((values * scale).astype(np.float32), requires_grad=True)
    y = F.norm(x, p)
    order = 2 if p == "fro" else p
    size = np.linalg.norm(values, order)
    assert y.item() == pytest.approx(size * scale, rel=1e-5)
    (g,) = mg.grad(y, x, create_graph=True)
    expected = [0, -1, 0] if p == np.inf else np.sign(values) * (np.abs(values) / size) ** (order - 1)
    np.testing.assert_allclose(g.numpy(), expected, atol=1e-5)
    if p in (2, "fro"):  # the Hessian is (I - vvᵀ)/‖x‖ with v = x/‖x‖
        (h,) = mg.grad(g[2], x)
        np.testing.assert_allclose(h.numpy() * scale, [0, 0, 0.2], atol=1e-5)


@pytest.mark.parametrize("p", [1, 1.5, 2, 3, np.inf])
def test_the_norm_of_nothing_but_zeros_is_0_with_gradient_0_to_the_second_order(p):
    x = mg.zeros(2, 3, requires_grad=True)
    y = F.norm(x, p, dim=1)
    (g,) = mg.grad(y.sum(), x, create_graph=True)
    assert (y.tolist(), g.tolist()) == ([0.0] * 2, [[0.0] * 3] * 2)
    if g.requires_grad:
        assert mg.grad(g.sum(), x)[0].tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("p", [1, 2, 3, np.inf])
def test_the_norm_of_an_infinity_is_infinite_and_of_nan_is_nan(p):
    assert F.norm(mg.tensor([np.inf, 1.0, -np.inf]), p).item() == np.inf
    assert np.isnan(F.norm(mg.tensor([np.nan, 1.0]), p).item())


def test_the_norm_of_nothing_is_0():
    assert F.norm(mg.zeros(0, 3)).item() == 0.0
    assert F.norm(mg.zeros(0, 3), dim=0, keepdim=True).tolist() == [[0.0] * 3]


BIG = float(np.finfo(np.float32).max)


@pytest.mark.parametrize("values", [[-1e4, 0.0, 1e4], [-BIG, 0.0, BIG], [-BIG, -BIG, 1.0], [-np.inf, 0.0, 1e4]])
def test_logsumexp_softmax_and_log_softmax_reach_to_the_ends_of_float32(values):
    x = mg.tensor(values, requires_grad=True)
    top = max(values)
    assert F.logsumexp(x, 0).item() == np.float32(top)
    assert mg.grad(F.logsumexp(x, 0), x)[0].tolist() == [0.0, 0.0, 1.0]
    assert F.softmax(x, 0).tolist() == [0.0, 0.0, 1.0]
    assert mg.grad(F.softmax(x, 0)[2], x)[0].tolist() == [0.0, 0.0, 0.0]
    y = F.log_softmax(x, 0)
    with np.errstate(over="ignore"):
        expected = np.array(values, np.float32) - np.float32(top)
    np.testing.assert_array_equal(y.numpy(), expected)
    assert mg.grad(y[2], x)[0].tolist() == [0.0, 0.0, 0.0]
