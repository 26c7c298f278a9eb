import math

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from minigen import Generator, Tensor
from minigen.errors import MinigenError
from minigen.losses import iwae_loss
from minigen.losses import kl_per_dimension as kl_of_tensors
from minigen.metrics import active_units, elbo, iwae_bound, kl_per_dimension


def log_weights(k, n, seed, shift=0.0, width=1.0):
    """z ~ N(0, 1), x|z ~ N(z, 1), q(z|x) = N(x/2 + shift, width/2): with 0 and 1 the true posterior. N draws of x."""
    g = Generator(seed)
    x = g.normal((n,), std=math.sqrt(2), dtype=np.float64)
    mean, deviation = x / 2 + shift, math.sqrt(width / 2)
    z = mean + deviation * g.normal((k, n), dtype=np.float64)
    log_w = norm.logpdf(z) + norm.logpdf(x, z) - norm.logpdf(z, mean, deviation)
    return log_w, norm.logpdf(x, scale=math.sqrt(2)).mean()


def test_with_the_true_posterior_both_bounds_are_the_likelihood_whatever_k():
    for k in (1, 3):
        log_w, likelihood = log_weights(k, 20, 0)
        assert elbo(log_w) == pytest.approx(likelihood, rel=1e-12)
        assert iwae_bound(log_w) == pytest.approx(likelihood, rel=1e-12)


def test_the_elbo_falls_short_by_the_divergence_of_q_from_the_posterior():
    log_w, likelihood = log_weights(200, 500, 1, shift=0.5)
    assert elbo(log_w) == pytest.approx(likelihood - 0.5**2 / (2 * 0.5), abs=0.02)  # KL of Gaussians of variance ½


def test_the_bound_grows_with_k_to_the_likelihood():
    log_w, likelihood = log_weights(5000, 200, 2, shift=0.5, width=1.5)
    bounds = [iwae_bound(log_w[:k]) for k in (1, 5, 50, 5000)]
    assert bounds == sorted(bounds)
    assert bounds[-1] == pytest.approx(likelihood, abs=0.01)
    assert iwae_bound(log_w[:1]) == elbo(log_w[:1])


def test_it_is_the_mean_of_scipys_logsumexp_and_the_negative_of_our_loss():
    log_w = Generator(3).normal((7, 5), std=50, mean=-2000, dtype=np.float64)
    assert iwae_bound(log_w) == pytest.approx((logsumexp(log_w, axis=0) - np.log(7)).mean(), rel=1e-13)
    assert iwae_bound(log_w) == pytest.approx(-iwae_loss(Tensor(log_w)).item(), rel=1e-6)


def test_weights_of_0_count_as_such():
    assert iwae_bound([[0.0], [-math.inf]]) == pytest.approx(-math.log(2))
    assert iwae_bound([[-math.inf], [-math.inf]]) == -math.inf
    assert elbo([[0.0], [-math.inf]]) == -math.inf


def test_the_divergence_of_each_dimension_is_that_of_the_loss():
    mu, logvar = Generator(4).normal((30, 4)), Generator(5).normal((30, 4))
    np.testing.assert_allclose(
        kl_per_dimension(mu, logvar), kl_of_tensors(Tensor(mu), Tensor(logvar)).numpy(), rtol=1e-5
    )
    assert kl_per_dimension([[1.0, 0.0]], [[0.0, 0.0]]) == [0.5, 0]


def test_units_are_active_where_their_mean_varies_with_x():
    g = Generator(6)
    mu = g.normal((4000, 4), dtype=np.float64) * np.sqrt([1.0, 0.012, 0.008, 0.0]) + 5
    assert active_units(mu) == 2
    assert active_units(mu, threshold=0.005) == 3
    assert active_units(np.ones((10, 3))) == 0


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: elbo([1.0, 2.0]), r"shape \(k, N\)"),
        (lambda: iwae_bound(np.zeros((0, 3))), "both at least 1"),
        (lambda: iwae_bound([[math.nan]]), "NaN or \\+infinity"),
        (lambda: elbo([[math.inf]]), "NaN or \\+infinity"),
        (lambda: elbo([["a"]]), "real numbers"),
        (lambda: active_units(np.ones((1, 3))), "two samples or more"),
        (lambda: active_units(np.ones(3)), r"shape \(N, Z\)"),
        (lambda: kl_per_dimension(np.ones((2, 3)), np.ones((2, 2))), "the same shape"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(call, sentence):
    with pytest.raises(MinigenError, match=sentence):
        call()
