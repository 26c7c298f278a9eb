"""Activations beside their formulas, at the extremes, and in their types."""

import numpy as np
import pytest
from scipy import special

import minigen as mg
from minigen import functional as F
from minigen.device import cpu
from minigen.errors import UserError


@pytest.mark.parametrize(
    "act",
    [
        lambda x: F.leaky_relu(x, np.float64(0.1)),
        lambda x: F.elu(x, np.float64(0.5)),
        lambda x: F.softplus(x, np.float64(2), np.float64(20)),
        lambda x: F.hardtanh(x, np.float64(-2), np.float64(2)),
        lambda x: F.clip(x, np.float64(-1), np.float64(1)),
        lambda x: x.clamp(min=np.float64(0)),
        lambda x: F.huber_loss(x, x.detach() * 2, delta=np.float64(1)),
        lambda x: F.dropout(x, np.float64(0.5)),
        lambda x: F.layer_norm(x, 2, eps=np.float64(1e-5)),
        lambda x: F.pad(x, (1, 1), value=np.float64(1)),
        lambda x: F.var(x, correction=np.float64(1)),
        lambda x: F.norm(x, np.float64(3)),
        lambda x: F.cross_entropy(x, 0, label_smoothing=np.float64(0.1)),
    ],
)
def test_a_numpy_number_among_the_arguments_does_not_promote(act):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = act(x)
    assert y.dtype == np.float32
    assert mg.grad(y.sum(), x)[0].dtype == np.float32


def test_softplus_refuses_beta_0_which_divides():
    with pytest.raises(UserError, match="softplus: beta"):
        F.softplus(mg.ones(2), beta=0)


RNG = np.random.default_rng(4)
REAL = np.append(RNG.standard_normal((3, 4)) * 2, [1e-8, -1e-8])
ALPHA, SCALE = 1.6732632423543772, 1.0507009873554805


def normal_density(x):
    return np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)


def sigmoid_slope(x):
    return special.expit(x) * special.expit(-x)


FORMULAS = {  # name: (ours, the function, its first and second derivative)
    "relu": (F.relu, lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0), lambda x: 0 * x),
    "leaky_relu": (
        F.leaky_relu,
        lambda x: np.where(x > 0, x, 0.01 * x),
        lambda x: np.where(x > 0, 1, 0.01),
        lambda x: 0 * x,
    ),
    "leaky_relu 0.2": (
        lambda x: F.leaky_relu(x, negative_slope=0.2),
        lambda x: np.where(x > 0, x, 0.2 * x),
        lambda x: np.where(x > 0, 1, 0.2),
        lambda x: 0 * x,
    ),
    "elu": (
        lambda x: F.elu(x, alpha=0.7),
        lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)),
        lambda x: np.where(x > 0, 1, 0.7 * np.exp(x)),
        lambda x: np.where(x > 0, 0, 0.7 * np.exp(x)),
    ),
    "selu": (
        F.selu,
        lambda x: SCALE * np.where(x > 0, x, ALPHA * np.expm1(x)),
        lambda x: SCALE * np.where(x > 0, 1, ALPHA * np.exp(x)),
        lambda x: SCALE * np.where(x > 0, 0, ALPHA * np.exp(x)),
    ),
    "gelu": (
        F.gelu,
        lambda x: x * special.ndtr(x),
        lambda x: special.ndtr(x) + x * normal_density(x),
        lambda x: (2 - x**2) * normal_density(x),
    ),
    "silu": (
        F.silu,
        lambda x: x * special.expit(x),
        lambda x: special.expit(x) + x * sigmoid_slope(x),
        lambda x: sigmoid_slope(x) * (2 + x * (1 - 2 * special.expit(x))),
    ),
    "hardtanh": (
        lambda x: F.hardtanh(x, min_val=-0.5, max_val=2.0),
        lambda x: x.clip(-0.5, 2),
        lambda x: 1.0 * ((x > -0.5) & (x < 2)),
        lambda x: 0 * x,
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_activations_and_two_derivatives_are_their_formulas(name):
    ours, f, first, second = FORMULAS[name]
    x = mg.Tensor(REAL, requires_grad=True)
    y = ours(x)
    np.testing.assert_allclose(y.numpy(), f(REAL), rtol=1e-12, atol=1e-16)
    (g,) = mg.grad(y.sum(), x, create_graph=True)
    np.testing.assert_allclose(g.numpy(), first(REAL), rtol=1e-11, atol=1e-15)
    h = mg.grad(g.sum(), x)[0].numpy() if g.requires_grad else 0 * REAL
    np.testing.assert_allclose(h, second(REAL), rtol=1e-10, atol=1e-14)


def test_the_approximation_of_gelu_by_tanh_is_within_5e_4_and_its_own_formula():
    x = np.linspace(-4, 4, 81)
    y = F.gelu(mg.Tensor(x), approximate="tanh").numpy()
    np.testing.assert_allclose(y, 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), atol=1e-15)
    assert 1e-5 < np.abs(y - x * special.ndtr(x)).max() < 5e-4
    with pytest.raises(UserError, match=r"approximate='sigmoid' must be 'none' or 'tanh'"):
        F.gelu(mg.ones(1), "sigmoid")


def test_at_their_kinks_activations_take_pytorchs_derivative():
    x = mg.zeros(1, requires_grad=True)
    for f, slope in ((F.relu, 0.0), (F.leaky_relu, 0.01), (F.elu, 1.0), (F.abs, 0.0)):
        assert mg.grad(f(x).sum(), x)[0].item() == pytest.approx(slope)
    ends = mg.tensor([-1.0, 1.0], requires_grad=True)
    assert mg.grad(F.hardtanh(ends).sum(), ends)[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("dim", [0, 1, -1, (0, 2)])
def test_softmax_sums_to_1_is_unmoved_by_a_shift_and_log_softmax_is_its_logarithm(dim):
    values = RNG.standard_normal((2, 3, 4)) * 3
    x = mg.Tensor(values, requires_grad=True)
    y, logs = F.softmax(x, dim), F.log_softmax(x, dim)
    axis = dim if isinstance(dim, int) else tuple(dim)
    np.testing.assert_allclose(y.numpy(), special.softmax(values, axis), rtol=1e-12)
    np.testing.assert_allclose(logs.numpy(), special.log_softmax(values, axis), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(y.sum(dim).numpy(), 1.0, rtol=1e-14)
    np.testing.assert_allclose(F.softmax(x + 100, dim).numpy(), y.numpy(), rtol=1e-11)
    v = RNG.standard_normal(values.shape)
    for f in (y, logs):
        (g,) = mg.grad(f, x, mg.Tensor(v), create_graph=True)
        np.testing.assert_allclose(g.sum(dim).numpy(), 0.0, atol=1e-14)  # as a shift changes nothing
        step = 1e-6 * v
        shifted = mg.Tensor(values + step, requires_grad=True)
        again = mg.grad((F.softmax if f is y else F.log_softmax)(shifted, dim), shifted, mg.Tensor(v))[0].numpy()
        (h,) = mg.grad(g, x, mg.Tensor(v))  # symmetric, so the derivative of g along v
        np.testing.assert_allclose(h.numpy() * 1e-6, again - g.numpy(), atol=1e-11)


def test_the_jacobian_of_softmax_is_diag_y_minus_y_yT():
    y = special.softmax([0.3, -1.0, 2.0])
    ours = mg.jacobian(lambda x: F.softmax(x, 0), mg.Tensor(np.array([0.3, -1.0, 2.0])))
    np.testing.assert_allclose(ours.numpy(), np.diag(y) - np.outer(y, y), rtol=1e-12)


def test_activations_keep_float32_and_take_integers_and_empty_tensors():
    for f in (ours for ours, *_ in FORMULAS.values()):
        assert f(mg.ones(2)).dtype == np.float32
        assert f(mg.zeros(0, 2)).shape == (0, 2)
    assert F.silu(mg.tensor([1, 2])).dtype == np.float32
    assert F.softmax(mg.tensor([1, 2]), 0).dtype == np.float32
    assert F.softmax(mg.zeros(0, 3), 1).shape == (0, 3)
    assert (mg.ones(2).relu().dtype, mg.ones(2).softmax(dim=0).tolist()) == (np.float32, [0.5, 0.5])


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "silu", "gelu", "hardtanh", "selu"])
def test_activations_are_finite_far_out_in_float32(name):
    x = mg.tensor([-1e10, -1e4, -100.0, 100.0, 1e4, 1e10], requires_grad=True)
    y = getattr(F, name)(x)
    (g,) = mg.grad(y.sum(), x, create_graph=True)
    assert np.isfinite(y.numpy()).all()
    assert np.isfinite(g.numpy()).all()
    if g.requires_grad:
        assert np.isfinite(mg.grad(g.sum(), x)[0].numpy()).all()


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    ("shape", "dim", "last", "by_kernel"),
    [
        ((5, 9), 1, False, True),
        ((60, 9), 1, False, True),  # many numbers: the gradient too
        ((400, 2), 1, False, True),
        ((5, 1), 1, False, False),
        ((9, 5), 0, False, False),  # columns
        ((2, 9, 4, 4), 1, True, True),  # channels, which lie last
        ((2, 9, 4, 4), 1, False, False),
        ((2, 3, 4, 9), 3, False, True),
        ((2, 9, 4, 4), (1, 2), False, False),
    ],
)
def test_rows_in_memory_are_done_by_a_kernel_and_the_order_of_elements_is_kept(
    shape, dim, last, by_kernel, log, monkeypatch
):
    calls = []
    for name in ("softmax", "softmax_grad"):
        kernel = getattr(cpu.kernels, name)
        monkeypatch.setattr(
            cpu.kernels,
            name,
            lambda *args, name=name, kernel=kernel, **kw: calls.append(name) or kernel(*args, **kw),
        )
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    if last:
        values = np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    x = mg.Tensor(values, requires_grad=True)
    y = (F.log_softmax if log else F.softmax)(x, dim)
    (y * y).sum().backward()
    gradient = ["softmax_grad"] if values.size >= 512 else []
    assert calls == (["softmax", *gradient] if by_kernel else [])
    assert y.data.strides == values.strides
    exact = mg.Tensor(values.astype(np.float64), requires_grad=True)
    z = (F.log_softmax if log else F.softmax)(exact, dim)
    (z * z).sum().backward()
    np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=3e-6, atol=3e-7)
    np.testing.assert_allclose(x.grad.numpy(), exact.grad.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax])
@pytest.mark.parametrize(("shape", "dim"), [((3, 0), 1), ((0, 3), 1), ((2, 0), 0)])
def test_softmax_of_nothing_is_nothing(f, shape, dim):
    x = mg.zeros(shape, requires_grad=True)
    y = f(x, dim)
    assert y.shape == shape
    assert mg.grad(y.sum(), x)[0].shape == shape
