import numpy as np
import pytest

import minigen
from minigen import Generator
from minigen.classical import (
    GaussianMixture,
    GradientMixture,
    MixtureParameters,
    expectation,
    fit_by_gradient,
    kmeans_responsibilities,
    maximization,
)
from minigen.errors import TrainingError, UserError
from minigen.optim import SGD, Adam

TYPES = ["full", "tied", "diag", "spherical"]


def data(n=200):
    p = MixtureParameters([0.3, 0.7], [[0.0, 0.0], [2.0, 1.0]], [[[1.0, 0.6], [0.6, 1.0]], [[0.5, -0.2], [-0.2, 0.3]]])
    return GaussianMixture.from_parameters(p).sample(n, Generator(0))[0]


def start(x, covariance_type, k=2):
    return maximization(x, kmeans_responsibilities(x, k, Generator(1)), covariance_type)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("n", "d", "k"), [(10, 1, 1), (40, 3, 4)])
def test_it_is_the_same_density_as_ems_and_gives_its_parameters_back(covariance_type, n, d, k):
    x = np.random.default_rng(n).normal(size=(n, d)) * 3 + 5
    p = start(x, covariance_type, k)
    model = GradientMixture(p)
    np.testing.assert_allclose(model(minigen.tensor(x)).numpy(), expectation(x, p)[0], rtol=1e-9)
    q = model.mixture_parameters()
    assert q.covariance_type == covariance_type
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(getattr(q, name), getattr(p, name), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_its_first_and_second_derivatives_are_right(covariance_type):
    x = minigen.tensor(np.random.default_rng(0).normal(size=(4, 2)), requires_grad=True)
    model = GradientMixture(start(data(), covariance_type))

    def density(x, logits, means, factors):
        model._parameters.update(logits=logits, means=means, factors=factors)
        return model(x)

    inputs = [x, *(minigen.tensor(p.numpy(), requires_grad=True) for p in model.parameters())]
    minigen.gradcheck(density, inputs)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_adam_reaches_the_likelihood_of_em(covariance_type):
    x = data()
    p = start(x, covariance_type)
    em = GaussianMixture(2, covariance_type, tol=1e-10, max_iter=1000).fit(x, p)
    model = GradientMixture(p)
    first = fit_by_gradient(model, x, Adam(model.parameters(), lr=0.03), steps=250)
    fit_by_gradient(model, x, Adam(model.parameters(), lr=0.003), steps=150)
    reached = GaussianMixture.from_parameters(model.mixture_parameters())
    assert first[0] < em.score(x) - 1e-3  # there was something to climb
    assert reached.score(x) == pytest.approx(em.score(x), abs=1e-5)
    np.testing.assert_allclose(reached.means_, em.means_, atol=0.05)


def test_plain_gradient_ascent_rises_at_every_step_and_reaches_em():
    x = data()
    p = start(x, "full")
    em = GaussianMixture(2, tol=1e-10, max_iter=1000).fit(x, p)
    model = GradientMixture(p)
    climb = fit_by_gradient(model, x, SGD(model.parameters(), lr=0.15), steps=600)
    assert np.diff(climb).min() >= -1e-12
    assert climb[-1] == pytest.approx(em.score(x), abs=1e-4)


def test_stochastic_gradient_on_small_batches_comes_near_em():
    x = data(1000)
    p = start(x, "diag")
    em = GaussianMixture(2, "diag", tol=1e-10, max_iter=1000).fit(x, p)
    model = GradientMixture(p)
    for lr in (0.1, 0.03, 0.01):
        fit_by_gradient(model, x, SGD(model.parameters(), lr=lr), steps=200, batch_size=50, generator=Generator(2))
    reached = expectation(x, model.mixture_parameters())[0].mean()
    assert reached == pytest.approx(em.score(x), abs=0.005)
    assert reached > expectation(x, p)[0].mean()


def test_wrong_input_is_answered_in_a_sentence():
    x = data(50)
    model = GradientMixture(start(x, "full"))
    optimizer = SGD(model.parameters(), lr=1e9)
    with pytest.raises(UserError, match="the mixture has 2 features, and x 3"):
        fit_by_gradient(model, np.ones((5, 3)), optimizer, 1)
    with pytest.raises(UserError, match="50 samples give no batch of 51"):
        fit_by_gradient(model, x, optimizer, 1, batch_size=51)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        fit_by_gradient(model, x, optimizer, 20)
