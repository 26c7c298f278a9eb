"""The contractive penalty: closed forms of one layer, unbiasedness, and second derivatives held to two oracles."""

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.errors import ShapeError, UserError
from minigen.functional import sigmoid, tanh
from minigen.losses.contractive import contractive_penalty, contractive_penalty_estimate


def closed_form(x, w, b):
    """(1/N) Σₙ Σⱼ (hⱼ(1 - hⱼ))² Σᵢ Wⱼᵢ² of h = σ(Wx + b)."""
    h = 1 / (1 + np.exp(-(x @ w.T + b)))
    return ((h * (1 - h)) ** 2 @ (w**2).sum(axis=1)).mean()


@pytest.mark.parametrize(("n", "inputs", "units"), [(5, 7, 4), (1, 3, 9), (6, 1, 1)])
def test_one_sigmoid_layer_has_its_closed_form(n, inputs, units):
    rng = np.random.default_rng(n)
    x, w, b = rng.normal(size=(n, inputs)), rng.normal(size=(units, inputs)), rng.normal(size=units)
    w_, b_ = mg.tensor(w), mg.tensor(b)
    penalty = contractive_penalty(lambda x: sigmoid(x @ w_.T + b_), mg.tensor(x))
    assert penalty.item() == pytest.approx(closed_form(x, w, b), rel=1e-12)


def test_the_gradient_by_the_weights_agrees_with_finite_differences_of_the_closed_form():
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    w_, b_ = mg.tensor(w, requires_grad=True), mg.tensor(b, requires_grad=True)
    contractive_penalty(lambda x: sigmoid(x @ w_.T + b_), mg.tensor(x)).backward()
    for array, gradient in ((w, w_.grad.numpy()), (b, b_.grad.numpy())):
        for index in np.ndindex(*array.shape):
            before, step = array[index], 1e-5
            array[index] = before + step
            above = closed_form(x, w, b)
            array[index] = before - step
            below = closed_form(x, w, b)
            array[index] = before
            assert gradient[index] == pytest.approx((above - below) / (2 * step), rel=1e-6, abs=1e-9)


def test_a_deep_encoder_of_images_agrees_with_finite_differences_of_its_jacobian():
    mg.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(48, 3), nn.Sigmoid())
    for parameter in encoder.parameters():
        parameter.data = parameter.data.astype(np.float64)
    x = np.random.default_rng(1).normal(size=(2, 2, 4, 4))
    total = 0.0
    for index in np.ndindex(2, 4, 4):
        step = np.zeros_like(x)
        step[(slice(None), *index)] = 1e-5
        column = (encoder(mg.tensor(x + step)).numpy() - encoder(mg.tensor(x - step)).numpy()) / 2e-5
        total += (column**2).sum() / len(x)
    assert contractive_penalty(encoder, mg.tensor(x)).item() == pytest.approx(total, rel=1e-7)


def test_the_penalty_has_second_derivatives_by_the_weights():
    rng = np.random.default_rng(2)
    x = mg.tensor(rng.normal(size=(3, 4)))
    weights, direction = rng.normal(size=(2, 5, 4))

    def penalty(w):
        return contractive_penalty(lambda x: sigmoid(tanh(x @ w.T)), x)

    def gradient(weights):
        w = mg.tensor(weights, requires_grad=True)
        return mg.grad(penalty(w), w)[0].numpy()

    _, product = mg.hvp(penalty, mg.tensor(weights), mg.tensor(direction))
    expected = (gradient(weights + 1e-5 * direction) - gradient(weights - 1e-5 * direction)) / 2e-5
    assert np.allclose(product.numpy(), expected, rtol=1e-6, atol=1e-8)


def test_the_estimate_is_unbiased_and_exact_for_a_code_of_one_unit():
    mg.manual_seed(3)
    encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 5), nn.Sigmoid())
    x = mg.tensor(np.random.default_rng(3).normal(size=(10, 6)).astype(np.float32))
    exact = contractive_penalty(encoder, x).item()
    generator = mg.Generator(0)
    draws = np.array([contractive_penalty_estimate(encoder, x, generator).item() for _ in range(400)])
    error = draws.std() / 20
    assert abs(draws.mean() - exact) < 4 * error
    assert 0 < error < 0.05 * exact
    one = nn.Sequential(nn.Linear(6, 1), nn.Tanh())
    exact, estimated = contractive_penalty(one, x).item(), contractive_penalty_estimate(one, x, generator).item()
    assert estimated == pytest.approx(exact, rel=1e-6)  # v² = 1


def test_the_gradient_of_the_estimate_is_unbiased_too_and_seeded():
    w = mg.tensor(np.random.default_rng(4).normal(size=(3, 4)), requires_grad=True)
    x = mg.tensor(np.random.default_rng(5).normal(size=(6, 4)))

    def gradient(penalty):
        return mg.grad(penalty(lambda x: sigmoid(x @ w.T), x), w)[0].numpy()

    exact = gradient(contractive_penalty)
    many = gradient(lambda f, x: contractive_penalty_estimate(f, x, mg.Generator(1), draws=1000))
    assert np.abs(many - exact).max() < 0.05 * np.abs(exact).max()
    a, b = (gradient(lambda f, x: contractive_penalty_estimate(f, x, mg.Generator(7))) for _ in range(2))
    assert np.array_equal(a, b)


def test_values_and_gradients_agree_with_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is the independent implementation")
    rng = np.random.default_rng(6)
    x, w, v = rng.normal(size=(4, 5)), rng.normal(size=(6, 5)), rng.normal(size=(3, 6))
    ours = [mg.tensor(a, requires_grad=True) for a in (w, v)]
    penalty = contractive_penalty(lambda x: sigmoid(tanh(x @ ours[0].T) @ ours[1].T), mg.tensor(x))
    penalty.backward()
    theirs = [torch.tensor(a, requires_grad=True) for a in (w, v)]

    def encode(x):
        return torch.sigmoid(torch.tanh(x @ theirs[0].T) @ theirs[1].T)

    jacobians = [torch.autograd.functional.jacobian(encode, row, create_graph=True) for row in torch.tensor(x)]
    expected = sum((j**2).sum() for j in jacobians) / len(x)
    expected.backward()
    assert penalty.item() == pytest.approx(expected.item(), rel=1e-12)
    for a, b in zip(ours, theirs):
        assert np.allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-9, atol=1e-13)


def test_the_images_themselves_get_no_gradient_and_no_grad_does_not_stop_the_measurement():
    x = mg.ones(2, 3)
    x.requires_grad_()
    w = mg.ones(4, 3)
    w.requires_grad_()
    contractive_penalty(lambda x: sigmoid(x @ w.T), x).backward()
    assert x.grad is None
    assert w.grad is not None
    with mg.no_grad():
        assert contractive_penalty(lambda x: 2 * x, mg.ones(2, 3)).item() == 12.0


def test_mistakes_are_named():
    x = mg.zeros(2, 3)
    with pytest.raises(ShapeError, match=r"codes \(N, J\)"):
        contractive_penalty(lambda x: x.sum(), x)
    with pytest.raises(ShapeError, match=r"makes \(0, 3\)"):
        contractive_penalty(lambda x: 2 * x, mg.zeros(0, 3))
    with pytest.raises(UserError, match="draws must be at least 1"):
        contractive_penalty_estimate(lambda x: 2 * x, x, mg.Generator(0), draws=0)
