"""The autoencoders' networks: shapes for images of any size, codes within their range, and tied weights by the formula."""

import numpy as np
import pytest

import minigen as mg
from minigen.errors import UserError
from minigen.losses import contractive_penalty
from minigen.models.autoencoder import ConvAutoencoder, DenseAutoencoder, TiedAutoencoder


def images(shape, n=3, seed=0):
    return mg.tensor(np.random.default_rng(seed).random((n, *shape)).astype(np.float32))


def test_the_article_s_784_256_256_784_gets_its_bottleneck():
    model = DenseAutoencoder((1, 28, 28), hidden=(256,), latent_dim=32)
    shapes = [p.shape for p in model.parameters() if p.ndim == 2]
    assert shapes == [(256, 784), (32, 256), (256, 32), (784, 256)]
    x = images((1, 28, 28))
    assert model.encode(x).shape == (3, 32)
    assert model(x).shape == x.shape


@pytest.mark.parametrize("hidden", [(), (5,), (9, 7, 5)])
def test_the_decoder_has_the_encoder_s_widths_backwards(hidden):
    model = DenseAutoencoder((2, 3, 4), hidden, latent_dim=2)
    shapes = [p.shape for p in model.parameters() if p.ndim == 2]
    assert shapes[: len(shapes) // 2] == [s[::-1] for s in shapes[: len(shapes) // 2 - 1 : -1]]
    assert model.columns.shape[1] == 2


@pytest.mark.parametrize(
    "shape", [(1, 8, 8), (1, 28, 28), (3, 64, 64), (3, 17, 30), (2, 9, 5), (1, 1, 1), (1, 1, 7), (1, 3, 40)]
)
def test_convolutions_give_back_images_of_any_size_from_0_to_1(shape):
    model = ConvAutoencoder(shape, width=4, latent_dim=3)
    x = images(shape, n=2)
    code, made = model.encode(x), model(x)
    assert code.shape == (2, 3)
    assert made.shape == x.shape
    assert 0 <= made.numpy().min() <= made.numpy().max() <= 1


def test_larger_images_get_more_halvings():
    def convolutions(side):
        model = ConvAutoencoder((1, side, side), width=2)
        return sum(p.ndim == 4 for p in model.encoder.parameters())

    assert [convolutions(side) for side in (8, 28, 64, 128)] == [2, 2, 3, 4]


@pytest.mark.parametrize(("code", "low", "high"), [("sigmoid", 0, 1), ("relu", 0, np.inf)])
def test_a_code_keeps_to_its_range_and_a_linear_one_to_none(code, low, high):
    x = images((1, 4, 4), n=50)
    for make in (DenseAutoencoder, ConvAutoencoder):
        h = make((1, 4, 4), latent_dim=20, code=code).encode(x).numpy()
        assert low <= h.min() <= h.max() <= high
        free = make((1, 4, 4), latent_dim=20).encode(x).numpy()
        assert free.min() < 0 < free.max()


def test_an_unknown_code_is_refused():
    with pytest.raises(UserError, match="Unknown code 'sigmod': did you mean 'sigmoid'"):
        DenseAutoencoder(code="sigmod")


def test_tied_weights_are_the_same_both_ways():
    mg.manual_seed(0)
    model = TiedAutoencoder((1, 4, 4), hidden=(6,), latent_dim=3)
    for parameter in model.parameters():
        parameter.data = np.random.default_rng(1).normal(size=parameter.shape).astype(np.float32)
    x = images((1, 4, 4))
    (w1, b1), (w2, b2) = ((layer.weight.numpy(), layer.bias.numpy()) for layer in model.layers)

    def sigma(a):
        return 1 / (1 + np.exp(-a))

    h = sigma(sigma(x.numpy().reshape(3, 16) @ w1.T + b1) @ w2.T + b2)
    back = sigma(sigma(h @ w2 + model.back_bias1.numpy()) @ w1 + model.back_bias0.numpy())
    assert np.allclose(model.encode(x).numpy(), h, atol=1e-5)
    assert np.allclose(model(x).numpy().reshape(3, 16), back, atol=1e-5)
    assert sum(p.numel() for p in model.parameters()) == 16 * 6 + 6 * 3 + (6 + 3) + (16 + 6)


def test_a_tied_layer_has_the_penalty_of_rifai_s_closed_form():
    model = TiedAutoencoder((1, 5, 5), latent_dim=7)
    x = images((1, 5, 5), n=4)
    h, w = model.encode(x).numpy(), model.layers[0].weight.numpy()
    expected = ((h * (1 - h)) ** 2 @ (w**2).sum(axis=1)).mean()
    assert contractive_penalty(model.encode, x).item() == pytest.approx(expected, rel=1e-4)
