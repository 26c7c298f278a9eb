"""Likelihoods of images: whole densities, summed over pixels."""

import numpy as np
import pytest
from scipy import stats

import minigen
from minigen.errors import ShapeError, UserError
from minigen.losses import bernoulli_nll, gaussian_nll, squared_error

SHAPES = [(1, 1, 1, 1), (3, 1, 4, 5), (2, 3, 2, 2), (4, 7)]


def draw(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) * 2, rng.random(shape)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_bernoulli_nll_is_the_sum_over_pixels_and_the_mean_over_the_batch(shape):
    logits, image = draw(shape)
    binary = (image > 0.5).astype(float)
    expected = -stats.bernoulli.logpmf(binary, 1 / (1 + np.exp(-logits))).reshape(shape[0], -1).sum(1)
    each = bernoulli_nll(minigen.tensor(logits), minigen.tensor(binary), reduction="none")
    np.testing.assert_allclose(each.numpy(), expected, rtol=1e-10)
    mean = bernoulli_nll(minigen.tensor(logits), minigen.tensor(binary))
    assert mean.item() == pytest.approx(expected.mean(), rel=1e-10)


def test_grey_pixels_cost_what_the_binary_images_drawn_from_them_cost_on_average():
    logits, grey = (minigen.tensor(a) for a in draw((1, 1, 1, 2)))
    p, expected = grey.numpy().ravel(), 0.0
    for a in (0.0, 1.0):
        for b in (0.0, 1.0):
            chance = (p[0] if a else 1 - p[0]) * (p[1] if b else 1 - p[1])
            expected += chance * bernoulli_nll(logits, minigen.tensor([[[[a, b]]]], dtype=np.float64)).item()
    assert bernoulli_nll(logits, grey).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["number", "global", "pixel"])
def test_the_gaussian_nll_is_scipys_density_with_its_normalizing_term(shape, kind):
    mean, image = draw(shape, 1)
    logvar = {"number": -1.3, "global": np.array(0.7), "pixel": np.random.default_rng(2).normal(size=shape)}[kind]
    given = logvar if kind == "number" else minigen.tensor(logvar)
    expected = -stats.norm.logpdf(image, mean, np.exp(0.5 * np.asarray(logvar))).reshape(shape[0], -1).sum(1)
    each = gaussian_nll(minigen.tensor(mean), minigen.tensor(image), given, reduction="none")
    np.testing.assert_allclose(each.numpy(), expected, rtol=1e-9)
    whole = gaussian_nll(minigen.tensor(mean), minigen.tensor(image), given)
    assert whole.item() == pytest.approx(expected.mean(), rel=1e-9)


def test_the_best_global_variance_is_the_mean_squared_error():
    mean, image = draw((5, 1, 3, 3), 3)
    logvar = minigen.tensor(np.log(np.mean((image - mean) ** 2)), requires_grad=True)
    (slope,) = minigen.grad(gaussian_nll(minigen.tensor(mean), minigen.tensor(image), logvar), logvar)
    assert slope.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    "nll",
    [squared_error, bernoulli_nll, lambda a, x: gaussian_nll(a, x, 0.3)],
    ids=["squared", "bernoulli", "gaussian"],
)
def test_twice_the_pixels_cost_twice_as_much_and_twice_the_images_the_same(nll):
    """A mean over pixels would turn β = 1 into another β; the KL term does not shrink with the image."""
    prediction, image = draw((3, 1, 4, 4), 4)
    once = nll(minigen.tensor(prediction), minigen.tensor(image)).item()
    wide = [minigen.tensor(np.concatenate([a, a], axis=3)) for a in (prediction, image)]
    many = [minigen.tensor(np.concatenate([a, a], axis=0)) for a in (prediction, image)]
    assert nll(*wide).item() == pytest.approx(2 * once, rel=1e-12)
    assert nll(*many).item() == pytest.approx(once, rel=1e-12)


def test_likelihoods_are_differentiable_twice():
    prediction, image = (minigen.tensor(a, requires_grad=True) for a in draw((2, 1, 2, 2), 5))
    logvar = minigen.tensor(np.array(0.2), requires_grad=True)
    assert minigen.gradcheck(bernoulli_nll, [prediction, image])
    assert minigen.gradcheck(gaussian_nll, [prediction, image, logvar])


def test_confident_logits_stay_finite():
    logits = minigen.tensor([[800.0, -800.0]], dtype=np.float64, requires_grad=True)
    loss = bernoulli_nll(logits, minigen.tensor([[0.0, 0.0]], dtype=np.float64))
    (slope,) = minigen.grad(loss, logits)
    assert loss.item() == 800
    np.testing.assert_array_equal(slope.numpy(), [[1, 0]])


def test_shapes_that_do_not_fit_are_refused():
    a = minigen.zeros(2, 1, 4, 4)
    with pytest.raises(ShapeError, match="gaussian_nll: the means"):
        gaussian_nll(minigen.zeros(2, 1, 4, 1), a, 0.0)
    with pytest.raises(ShapeError, match="log-variances"):
        gaussian_nll(a, a, minigen.zeros(5, 2, 1, 4, 4))
    with pytest.raises(UserError, match="reduction must be 'mean'"):
        bernoulli_nll(a, a, reduction="sum")
