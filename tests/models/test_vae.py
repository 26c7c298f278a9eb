"""The networks of the variational autoencoders."""

import numpy as np
import pytest
from scipy import stats

import minigen
from minigen import Generator, nn
from minigen.errors import UserError
from minigen.models import VAE, ConvVAE, DenseVAE

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 64, 64), (1, 1, 1), (2, 5, 30), (1, 17, 9)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", [DenseVAE, ConvVAE])
def test_images_of_any_size_come_back_in_their_shape(kind, shape):
    model = kind(shape, latent_dim=3)
    x = minigen.rand(2, *shape, generator=Generator(0))
    decoded, mu, logvar = model(x, minigen.randn(2, 3, generator=Generator(1)))
    assert decoded.shape == x.shape
    assert mu.shape == logvar.shape == (2, 3)
    assert model.nll(decoded, x, reduction="none").shape == (2,)


@pytest.mark.parametrize(
    ("shape", "convolutions", "corner"), [((1, 8, 8), 2, 4), ((1, 28, 28), 2, 49), ((3, 64, 64), 3, 64)]
)
def test_larger_images_are_halved_more_often(shape, convolutions, corner):
    model = ConvVAE(shape, width=4)
    assert sum(isinstance(layer, nn.Conv2d) for layer in model.modules()) == convolutions
    dense = next(layer for layer in model.encoder.modules() if isinstance(layer, nn.Linear))
    assert dense.in_features == corner * 4 * 2 ** (convolutions - 1)


def test_the_dense_network_has_the_widths_that_were_asked_for():
    model = DenseVAE((1, 28, 28), hidden=(200, 100), latent_dim=50)
    shapes = [layer.weight.shape for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert sorted(shapes) == sorted([(200, 784), (100, 200), (50, 100), (50, 100), (100, 50), (200, 100), (784, 200)])


def test_each_likelihood_gives_its_density_and_its_image():
    x = minigen.rand(4, 1, 2, 2, generator=Generator(0))
    decoded = minigen.randn(4, 1, 2, 2, generator=Generator(1))
    coins = DenseVAE((1, 2, 2), hidden=())
    p = 1 / (1 + np.exp(-decoded.numpy()))
    expected = -(x.numpy() * np.log(p) + (1 - x.numpy()) * np.log(1 - p)).sum((1, 2, 3))
    np.testing.assert_allclose(coins.nll(decoded, x, reduction="none").numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(coins.image(decoded).numpy(), p, rtol=1e-6)

    gauss = DenseVAE((1, 2, 2), hidden=(), likelihood="gaussian", sigma=0.2)
    expected = -stats.norm.logpdf(x.numpy(), decoded.numpy(), 0.2).sum((1, 2, 3)).mean()
    assert gauss.nll(decoded, x).item() == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(gauss.image(decoded).numpy(), decoded.numpy())


def test_a_learnt_sigma_is_a_parameter_with_a_gradient_and_a_fixed_one_is_none():
    learnt = DenseVAE((1, 2, 2), likelihood="gaussian")
    fixed = DenseVAE((1, 2, 2), likelihood="gaussian", sigma=0.5)
    names = [{name for name, _ in model.named_parameters()} for model in (learnt, fixed)]
    assert names[0] - names[1] == {"pixel_logvar"}
    x = minigen.rand(3, 1, 2, 2, generator=Generator(0))
    learnt.nll(learnt.decode(minigen.zeros(3, 8)), x).backward()
    assert learnt.pixel_logvar.grad.item() != 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"likelihood": "gauss"}, "Unknown likelihood 'gauss': did you mean 'gaussian'"),
        ({"likelihood": "gaussian", "sigma": 0.0}, "sigma is the positive standard deviation"),
        ({"likelihood": "bernoulli", "sigma": 0.1}, "sigma is the positive standard deviation"),
    ],
)
def test_a_likelihood_that_cannot_be_is_refused(options, sentence):
    with pytest.raises(UserError, match=sentence):
        DenseVAE(**options)


def test_both_are_vaes():
    assert issubclass(DenseVAE, VAE)
    assert issubclass(ConvVAE, VAE)
