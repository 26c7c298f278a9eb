"""Reductions beside NumPy and SciPy, over every kind of `dim`."""

import numpy as np
import pytest
from scipy import special

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


# ---- values and gradients beside NumPy ------------------------------------------------------------------------------

DIMS = [None, 0, 1, -1, (0, 2), [1, 2], (0, 1, 2), (-1, 0), ()]


def norm_of(x, axis, keepdims):
    return np.sqrt((x**2).sum(axis=axis, keepdims=keepdims))


NUMPY = {
    "sum": np.sum,
    "mean": np.mean,
    "prod": np.prod,
    "amax": np.max,
    "amin": np.min,
    "logsumexp": special.logsumexp,
    "norm": norm_of,
    "any": lambda x, **k: (x > 0).any(**k),
    "all": lambda x, **k: (x > 0).all(**k),
}


def axes_of(dim):
    return tuple(dim) if isinstance(dim, list) else dim


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
@pytest.mark.parametrize("name", NUMPY)
def test_reductions_are_numpys_over_any_axes(name, dim, keepdim):
    given = mg.Tensor(X)
    given = given > 0 if name in ("any", "all") else given
    expected = NUMPY[name](X, axis=axes_of(dim), keepdims=keepdim)
    by_position = getattr(F, name)(given, *[2] * (name == "norm"), dim, keepdim)
    for y in (by_position, getattr(given, name)(dim=dim, keepdim=keepdim)):
        assert y.shape == np.shape(expected)
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("dim", DIMS[:-1], ids=str)
@pytest.mark.parametrize("ddof", [0, 1, 2.5])
def test_variance_and_standard_deviation_are_numpys_with_any_correction(dim, ddof):
    x = mg.Tensor(X)
    if dim == 0:
        ddof = min(ddof, 1)
    expected = X.var(axis=axes_of(dim), ddof=ddof)
    np.testing.assert_allclose(x.var(dim=dim, correction=ddof).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(x.std(dim=dim, correction=ddof).numpy(), np.sqrt(expected), rtol=1e-12)
    if ddof in (0, 1):
        np.testing.assert_allclose(x.var(dim, unbiased=bool(ddof)).numpy(), expected, rtol=1e-12)
        kept = x.std(dim=dim, unbiased=bool(ddof), keepdim=True)
        np.testing.assert_allclose(kept.numpy(), X.std(axes_of(dim), ddof=ddof, keepdims=True), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "gradient"),
    [
        ("sum", lambda x, y: np.ones_like(x)),
        ("mean", lambda x, y: np.ones_like(x) / 8),
        ("prod", lambda x, y: y / x),
        ("logsumexp", lambda x, y: np.exp(x - y)),
        ("norm", lambda x, y: x / y),
        ("amax", lambda x, y: 1.0 * (x == y)),
        ("amin", lambda x, y: 1.0 * (x == y)),
        ("var", lambda x, y: 2 * (x - x.mean((0, 2), keepdims=True)) / 7),
        ("std", lambda x, y: (x - x.mean((0, 2), keepdims=True)) / 7 / y),
    ],
)
def test_gradients_of_reductions_are_their_formulas(name, gradient):
    x = mg.Tensor(X, requires_grad=True)
    v = np.random.default_rng(1).standard_normal(3)
    for keepdim in (False, True):
        y = getattr(F, name)(x, dim=(0, 2), keepdim=keepdim)
        (g,) = mg.grad(y, x, mg.Tensor(v.reshape(y.shape)))
        expected = gradient(X, y.numpy().reshape(1, 3, 1)) * v.reshape(1, 3, 1)
        np.testing.assert_allclose(g.numpy(), expected, rtol=1e-11)


def test_second_derivatives_at_points_computed_by_hand():
    x = mg.Tensor(np.array([2.0, 3.0, 5.0]), requires_grad=True)
    hessian = mg.hessian(lambda v: F.prod(v), x)
    np.testing.assert_allclose(hessian.numpy(), [[0, 5, 3], [5, 0, 2], [3, 2, 0]], atol=1e-14)
    zeros = mg.hessian(lambda v: F.prod(v), mg.Tensor(np.array([0.0, 0.0, 5.0])))
    assert zeros.tolist() == [[0.0, 5.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(mg.hessian(lambda v: F.var(v), x).numpy(), np.eye(3) - 1 / 3, atol=1e-15)
    p = special.softmax([2.0, 3.0, 5.0])
    ours = mg.hessian(lambda v: F.logsumexp(v), x).numpy()
    np.testing.assert_allclose(ours, np.diag(p) - np.outer(p, p), atol=1e-15)
    size = np.sqrt(38.0)
    unit = np.array([2.0, 3.0, 5.0]) / size
    np.testing.assert_allclose(mg.hessian(F.norm, x).numpy(), (np.eye(3) - np.outer(unit, unit)) / size, atol=1e-15)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_cumsum_runs_along_an_axis_and_its_gradient_from_the_other_end(dim):
    x = mg.Tensor(X, requires_grad=True)
    y = x.cumsum(dim=dim)
    np.testing.assert_allclose(y.numpy(), X.cumsum(dim), rtol=1e-13)
    v = np.random.default_rng(1).standard_normal(X.shape)
    (g,) = mg.grad(y, x, mg.Tensor(v))
    np.testing.assert_allclose(g.numpy(), np.flip(np.flip(v, dim).cumsum(dim), dim), rtol=1e-12, atol=1e-15)


# ---- extremes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ["max", "min"])
def test_max_and_min_over_an_axis_give_values_and_where_they_stood(name, dim, keepdim):
    x = mg.Tensor(X, requires_grad=True)
    values, indices = getattr(x, name)(dim=dim, keepdim=keepdim)
    np.testing.assert_array_equal(values.numpy(), getattr(np, name)(X, dim, keepdims=keepdim))
    where = getattr(np, f"arg{name}")(X, dim, keepdims=keepdim)
    np.testing.assert_array_equal(indices.numpy(), where)
    np.testing.assert_array_equal(getattr(F, f"arg{name}")(x, dim, keepdim).numpy(), where)
    picked = np.zeros_like(X)
    np.put_along_axis(picked, getattr(np, f"arg{name}")(X, dim, keepdims=True), 1.0, dim)
    np.testing.assert_array_equal(mg.grad(values.sum(), x)[0].numpy(), picked)
    result = getattr(F, name)(x, dim)
    assert (result.values.dtype, result.indices.dtype) == (np.float64, np.int64)


def test_max_over_everything_is_one_tensor_and_argmax_counts_through_it():
    x = mg.Tensor(X)
    assert (x.max().item(), x.min().item()) == (X.max(), X.min())
    assert (x.argmax().item(), x.argmin().item()) == (X.argmax(), X.argmin())
    values, indices = x.max(dim=(0, 2))
    np.testing.assert_array_equal(values.numpy(), X.max((0, 2)))
    np.testing.assert_array_equal(indices.numpy(), X.transpose(1, 0, 2).reshape(3, -1).argmax(1))


def test_equal_extremes_share_the_gradient_of_amax_and_the_first_takes_that_of_max():
    x = mg.Tensor(np.array([[2.0, 1.0, 2.0], [3.0, 3.0, 3.0]]), requires_grad=True)
    third = 1 / 3
    np.testing.assert_allclose(mg.grad(x.amax(1).sum(), x)[0].numpy(), [[0.5, 0, 0.5], [third] * 3], rtol=1e-15)
    assert mg.grad(x.max(1).values.sum(), x)[0].tolist() == [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    np.testing.assert_allclose(mg.grad(x.max(), x)[0].numpy(), [[0] * 3, [third] * 3], rtol=1e-15)
    y = mg.Tensor(np.array([[1.0, 2.0], [1.0, 1.0]]), requires_grad=True)  # with an axis of size 1 beside
    assert mg.grad(y.reshape(2, 1, 2).amin((1, 2)).sum(), y)[0].tolist() == [[1.0, 0.0], [0.5, 0.5]]


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin", "argmax", "argmin"])
def test_extremes_of_nothing_are_refused_and_of_no_rows_are_empty(name):
    x = mg.zeros(0, 3)
    for dim in (None, 0):
        with pytest.raises(ShapeError, match=r"(max|min): .*\(0, 3\) hold nothing to choose from"):
            getattr(F, name)(x, dim)
    y = getattr(F, name)(x, 1)
    assert (y[0] if isinstance(y, tuple) else y).shape == (0,)


# ---- types and empty tensors ----------------------------------------------------------------------------------------


def test_integers_are_summed_and_multiplied_as_int64_and_averaged_as_float32():
    i, b = mg.tensor([1, 2, 4]), mg.tensor([True, False, True])
    assert (i.sum().item(), i.sum().dtype, b.sum().item(), b.sum().dtype) == (7, np.int64, 2, np.int64)
    small = mg.tensor(np.array([100, 100], np.int8))
    assert (small.sum().item(), small.prod().item(), small.cumsum(0).tolist()) == (200, 10000, [100, 200])
    for y in (i.mean(), b.mean(), i.var(), i.std(), i.norm(), i.logsumexp(0)):
        assert y.dtype == np.float32
    assert (i.prod().item(), i.max().dtype, i.amax().dtype, b.any().dtype) == (8, np.int64, np.int64, np.bool_)
    for name in ("sum", "mean", "var", "std", "norm", "prod", "amax", "logsumexp"):
        assert getattr(F, name)(mg.ones(3)).dtype == np.float32


def test_reductions_of_nothing_are_their_neutral_elements_or_nan():
    x = mg.zeros(0, 3, requires_grad=True)
    assert (x.sum().item(), x.prod().item(), x.norm().item(), x.all().item(), x.any().item()) == (
        0.0,
        1.0,
        0.0,
        True,
        False,
    )
    assert x.sum(0).tolist() == [0.0] * 3
    assert x.prod(0).tolist() == [1.0] * 3
    assert x.sum(1).shape == x.mean(1).shape == x.logsumexp(1).shape == (0,)
    for y in (x.mean(), x.var(), x.std()):
        assert np.isnan(y.item())
    assert mg.grad(x.sum(), x)[0].shape == mg.grad(x.prod(0).sum(), x)[0].shape == (0, 3)
    assert np.isnan(mg.ones(1).var().item())
    assert mg.ones(1).var(unbiased=False).item() == 0.0


def test_the_standard_deviation_of_constants_is_0_with_gradient_0_to_the_second_order():
    x = mg.full((2, 4), 3.0, requires_grad=True)
    y = x.std(dim=1)
    (g,) = mg.grad(y.sum(), x, create_graph=True)
    assert (y.tolist(), g.tolist()) == ([0.0, 0.0], [[0.0] * 4] * 2)
    assert mg.grad(g.sum(), x)[0].tolist() == [[0.0] * 4] * 2
    mixed = mg.tensor([[1.0, 1.0], [0.0, 2.0]], requires_grad=True)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(mg.grad(mixed.std(1).sum(), mixed)[0].numpy(), [[0, 0], [-half, half]], rtol=1e-6)


def test_sums_in_float32_do_not_lose_small_terms():
    x = mg.full((1_000_000,), 0.1)
    assert x.sum().item() == pytest.approx(1e5, rel=1e-6)
    assert x.mean().item() == pytest.approx(0.1, rel=1e-6)
    far = mg.arange(1000.0) + 1e6
    assert far.var().item() == pytest.approx(np.arange(1000.0).var(ddof=1), rel=1e-3)


@pytest.mark.parametrize("p", ["nuc", None, [2]])
def test_an_unknown_norm_is_refused(p):
    with pytest.raises(UserError, match="norm: p="):
        F.norm(mg.ones(2), p)


@pytest.mark.parametrize("p", [0, 1, 1.5, 2, 3, 4, np.inf, -np.inf])
def test_every_norm_is_numpys(p):
    rows = X.reshape(6, 4)
    np.testing.assert_allclose(F.norm(mg.Tensor(rows), p, dim=1).numpy(), np.linalg.norm(rows, p, axis=1), rtol=1e-12)
    whole = F.norm(mg.Tensor(rows), p, keepdim=True)
    np.testing.assert_allclose(whole.numpy(), [[np.linalg.norm(rows.ravel(), p)]], rtol=1e-12)


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4000, 20), (9, 5, 40, 41)])
def test_sums_over_pixels_are_those_of_the_kernel_for_columns(monkeypatch, shape, dtype, keepdim):
    values = np.random.default_rng(0).integers(-9, 10, shape).astype(dtype)
    if len(shape) == 4:  # channels last, as convolutions leave images
        values = np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 1, -1)), -1, 1)
    dims = (0, 2, 3)[: len(shape) - 1] if len(shape) == 4 else 0
    x = mg.Tensor(values, requires_grad=True)
    kernels, called = x.device.kernels.sums, []
    kernel = kernels.column_sums
    monkeypatch.setattr(kernels, "column_sums", lambda rows: called.append(rows.shape) or kernel(rows))
    y = F.sum(x, dims, keepdim=keepdim)
    assert called == [(values.size // shape[1], shape[1])]
    np.testing.assert_array_equal(y.numpy(), values.sum(axis=dims, keepdims=keepdim))
    (g,) = mg.grad(F.sum(y * y), [x])
    np.testing.assert_array_equal(g.numpy(), np.broadcast_to(2 * values.sum(axis=dims, keepdims=True), shape))
