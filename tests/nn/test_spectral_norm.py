import numpy as np
import pytest

import minigen
from minigen import nn
from minigen.errors import UserError
from minigen.nn.utils import spectral_norm


def largest_singular_value(weight, dim=0):
    return np.linalg.svd(np.moveaxis(weight, dim, 0).reshape(weight.shape[dim], -1), compute_uv=False)[0]


@pytest.mark.parametrize(
    ("layer", "shape", "dim"),
    [
        (nn.Linear(6, 4), (2, 6), 0),
        (nn.Conv2d(3, 5, 3), (2, 3, 6, 6), 0),
        (nn.ConvTranspose2d(3, 5, 3), (2, 3, 6, 6), 1),
    ],
    ids=["linear", "conv", "transposed"],
)
def test_the_weight_is_divided_by_its_largest_singular_value(layer, shape, dim):
    layer = spectral_norm(layer.double(), generator=minigen.Generator(0))
    original, x = layer.weight_orig.numpy().copy(), minigen.ones(shape, dtype=np.float64)
    for _ in range(200):
        layer(x)
    np.testing.assert_allclose(layer.weight.numpy(), original / largest_singular_value(original, dim), rtol=1e-6)
    np.testing.assert_allclose(largest_singular_value(layer.weight.numpy(), dim), 1, rtol=1e-6)


def test_it_is_nearly_right_from_the_start():
    layer = spectral_norm(nn.Linear(30, 20), generator=minigen.Generator(0)).eval()
    layer(minigen.ones(1, 30))
    assert abs(largest_singular_value(layer.weight.numpy()) - 1) < 0.1


def test_names_and_round_trip_of_the_state():
    first, second = (spectral_norm(nn.Linear(3, 2)) for _ in range(2))
    assert [name for name, _ in first.named_parameters()] == ["bias", "weight_orig"]
    assert [name for name, _ in first.named_buffers()] == ["weight_u", "weight_v"]
    second.load_state_dict(first.state_dict())
    x = minigen.randn(4, 3)
    np.testing.assert_array_equal(first(x).numpy(), second(x).numpy())


def test_u_and_v_move_in_training_only():
    minigen.manual_seed(0)  # of some weights u is found to the last bit at the start, and has nowhere to move
    layer = spectral_norm(nn.Linear(5, 4))
    u, before = layer.weight_u, layer.weight_u.numpy().copy()
    layer.eval()(minigen.ones(1, 5))
    np.testing.assert_array_equal(u.numpy(), before)
    layer.train()(minigen.ones(1, 5))
    assert layer.weight_u is u
    assert not np.array_equal(u.numpy(), before)


def test_the_gradient_flows_through_sigma():
    layer = spectral_norm(nn.Linear(4, 3, bias=False).double(), generator=minigen.Generator(0))
    x = minigen.randn(2, 4, dtype=np.float64)
    for _ in range(300):
        layer(x)
    (layer.eval()(x) ** 2).sum().backward()
    w, h = layer.weight_orig.numpy(), 1e-6

    def loss(weight):
        return ((x.numpy() @ (weight / largest_singular_value(weight)).T) ** 2).sum()

    for i, j in np.ndindex(w.shape):
        step = np.zeros_like(w)
        step[i, j] = h
        np.testing.assert_allclose(
            layer.weight_orig.grad.numpy()[i, j], (loss(w + step) - loss(w - step)) / (2 * h), rtol=1e-4, atol=1e-7
        )


def test_two_passes_before_one_backward_work():
    layer = spectral_norm(nn.Linear(4, 1))
    (layer(minigen.ones(2, 4)).sum() - layer(minigen.zeros(2, 4)).sum()).backward()
    assert layer.weight_orig.grad is not None


def test_it_agrees_with_pytorch_to_second_order():
    torch = pytest.importorskip("torch", reason="PyTorch is what this is compared with")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        theirs = torch.nn.utils.spectral_norm(torch.nn.Conv2d(2, 3, 3).double(), n_power_iterations=2)
    ours = spectral_norm(nn.Conv2d(2, 3, 3).double(), n_power_iterations=2)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    values = np.random.default_rng(0).standard_normal((2, 2, 5, 5))
    for _ in range(3):
        x, tx = minigen.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
        (g,) = minigen.grad(minigen.tanh(ours(x)).sum(), x, create_graph=True)
        (tg,) = torch.autograd.grad(torch.tanh(theirs(tx)).sum(), tx, create_graph=True)
        np.testing.assert_allclose(g.numpy(), tg.detach().numpy(), rtol=1e-9, atol=1e-12)
        (second,) = minigen.grad((g * g).sum(), ours.weight_orig)
        (their_second,) = torch.autograd.grad((tg * tg).sum(), theirs.weight_orig)
        np.testing.assert_allclose(second.numpy(), their_second.numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.weight_u.numpy(), theirs.weight_u.numpy(), rtol=1e-9)


def test_mistakes_are_told():
    with pytest.raises(UserError, match="ReLU has no parameter 'weight'"):
        spectral_norm(nn.ReLU())
    with pytest.raises(UserError, match="is normalized already"):
        spectral_norm(spectral_norm(nn.Linear(2, 2)))
    with pytest.raises(UserError, match="n_power_iterations=0 must be at least 1"):
        spectral_norm(nn.Linear(2, 2), n_power_iterations=0)
