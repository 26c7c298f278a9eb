"""The bounds of variational autoencoders, and the mistakes that are made with them."""

import itertools

import numpy as np
import pytest
from scipy import integrate, stats

import minigen
from minigen.errors import ShapeError, UserError
from minigen.functional import softmax
from minigen.losses import (
    bernoulli_nll,
    cyclical_annealing,
    free_bits,
    gaussian_nll,
    iwae_loss,
    kl_per_dimension,
    kl_to_standard_normal,
    linear_annealing,
    log_normal,
    negative_elbo,
    normalized_weights,
    reparametrize,
)


def t(array, requires_grad=False):
    return minigen.tensor(np.asarray(array, dtype=np.float64), requires_grad=requires_grad)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_samples_have_the_standard_deviation_exp_half_logvar():
    """Not exp(log σ²): at σ² = 4 that would spread them by 4 instead of 2."""
    mu, logvar = t([[3.0, -1.0]]), t([[np.log(4.0), np.log(0.25)]])
    z = reparametrize(mu, logvar, t(draw(200_000, 1, 2))).numpy()[:, 0]
    np.testing.assert_allclose(z.mean(0), [3, -1], atol=0.02)
    np.testing.assert_allclose(z.std(0), [2, 0.5], rtol=0.01)


def test_the_gradient_of_a_sample_reaches_mu_and_logvar():
    mu, logvar, noise = t(draw(3, 2), True), t(draw(3, 2, seed=1), True), draw(3, 2, seed=2)
    to_mu, to_logvar = minigen.grad(reparametrize(mu, logvar, t(noise)).sum(), [mu, logvar])
    np.testing.assert_array_equal(to_mu.numpy(), np.ones((3, 2)))
    np.testing.assert_allclose(to_logvar.numpy(), 0.5 * np.exp(0.5 * logvar.numpy()) * noise)


def test_log_normal_is_scipys_density():
    z, mu, logvar = draw(4, 3, 2), draw(3, 2, seed=1), draw(3, 2, seed=2)
    expected = stats.norm.logpdf(z, mu, np.exp(0.5 * logvar)).sum(-1)
    np.testing.assert_allclose(log_normal(t(z), t(mu), t(logvar)).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(log_normal(t(z), 0.0, 0.0).numpy(), stats.norm.logpdf(z).sum(-1), rtol=1e-12)


@pytest.mark.parametrize(("mu", "sigma"), [(0.0, 1.0), (1.5, 0.3), (-0.7, 2.0)])
def test_the_kl_is_the_integral_that_defines_it(mu, sigma):
    q, p = stats.norm(mu, sigma), stats.norm()
    expected, _ = integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), mu - 9 * sigma, mu + 9 * sigma)
    assert kl_per_dimension(t([[mu]]), t([[2 * np.log(sigma)]])).item() == pytest.approx(expected, abs=1e-9)


def test_the_kl_is_positive_sums_over_dimensions_and_pulls_towards_the_prior():
    """Logged with its sign flipped it would be negative, and minimizing it would drive q away from the prior."""
    mu, logvar = t(draw(5, 3), True), t(draw(5, 3, seed=1), True)
    each = kl_per_dimension(mu, logvar)
    whole = kl_to_standard_normal(mu, logvar)
    assert each.shape == (3,)
    assert (each.numpy() > 0).all()
    assert whole.item() == pytest.approx(each.numpy().sum())
    to_mu, to_logvar = minigen.grad(whole, [mu, logvar])
    np.testing.assert_allclose(to_mu.numpy(), mu.numpy() / 5)
    np.testing.assert_allclose(to_logvar.numpy(), (np.exp(logvar.numpy()) - 1) / 10)
    assert kl_to_standard_normal(t(np.zeros((2, 3))), t(np.zeros((2, 3)))).item() == 0


def test_the_negative_elbo_adds_the_kl_and_falls_when_either_term_does():
    """An article subtracts the KL, another maximizes what is to be minimized."""
    assert negative_elbo(t(10.0), t(2.0)).item() == 12
    assert negative_elbo(t(10.0), t(2.0), beta=4).item() == 18


def test_free_bits_are_a_maximum_for_each_dimension_of_the_mean_over_the_batch():
    mu = np.array([[2.0, 0.1], [0.0, 0.1]])  # KL of dimension 0: 2 and 0 nats, 1 in the mean; of dimension 1: 0.005
    kl = kl_per_dimension(t(mu), t(np.zeros((2, 2))))
    np.testing.assert_allclose(kl.numpy(), [1, 0.005])
    assert free_bits(kl, 0.5).item() == pytest.approx(1 + 0.5)  # a maximum for each image would give 1.25 + 0.5
    assert free_bits(kl, 0).item() == pytest.approx(kl.numpy().sum())


def test_free_bits_take_the_force_from_a_dimension_below_them_and_leave_the_others():
    mu = t([[2.0, 0.1], [1.0, -0.2]], True)
    (slope,) = minigen.grad(free_bits(kl_per_dimension(mu, t(np.zeros((2, 2)))), 0.5), mu)
    np.testing.assert_allclose(slope.numpy(), [[1.0, 0], [0.5, 0]])


def test_cyclical_annealing_repeats_linear_annealing():
    weights = [cyclical_annealing(step, 20) for step in range(60)]
    assert weights[:20] == weights[20:40] == weights[40:]
    assert weights[:11] == [linear_annealing(step, 10) for step in range(11)]
    assert set(weights[10:20]) == {1.0}
    assert [cyclical_annealing(step, 4, ratio=0) for step in range(4)] == [1.0] * 4
    assert [cyclical_annealing(step, 4, ratio=1) for step in range(5)] == [0, 0.25, 0.5, 0.75, 0]
    assert linear_annealing(0, 0) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: linear_annealing(-1, 5),
        lambda: linear_annealing(1, -5),
        lambda: cyclical_annealing(1, 0),
        lambda: cyclical_annealing(1, 5, ratio=1.5),
    ],
)
def test_annealing_out_of_range_is_refused(call):
    with pytest.raises(UserError, match=r"annealing"):
        call()


def test_the_iwae_loss_is_the_logarithm_of_the_mean_weight_in_any_range():
    log_w = draw(7, 4) * 3
    expected = -np.log(np.exp(log_w).mean(0)).mean()
    for shift in (0.0, 1000.0, -1000.0):
        assert iwae_loss(t(log_w + shift)).item() == pytest.approx(expected - shift, rel=1e-12)


def test_one_importance_sample_is_the_estimate_of_the_elbo():
    x, logits = (draw(5, 1, 2, 3) > 0).astype(float), draw(5, 1, 2, 3, seed=1)
    mu, logvar, noise = (t(draw(5, 4, seed=seed)) for seed in (2, 3, 4))
    z = reparametrize(mu, logvar, noise)
    nll = bernoulli_nll(t(logits), t(x), reduction="none")
    log_w = -nll + log_normal(z, 0.0, 0.0) - log_normal(z, mu, logvar)
    elbo = (log_normal(z, 0.0, 0.0) - log_normal(z, mu, logvar) - nll).mean().item()
    assert iwae_loss(log_w.reshape(1, 5)).item() == pytest.approx(-elbo, rel=1e-12)


def test_the_bound_rises_with_k():
    """Theorem 1 of Burda et al.: over all subsets of the same samples, the mean bound of m is below that of m + 1."""
    log_w = draw(6, 1) * 2
    bounds = []
    for m in range(1, 7):
        subsets = [-iwae_loss(t(log_w[list(chosen)])).item() for chosen in itertools.combinations(range(6), m)]
        bounds.append(np.mean(subsets))
    assert (np.diff(bounds) > 0).all(), bounds
    assert bounds[0] == pytest.approx(log_w.mean())


def test_the_gradient_weighs_the_samples_by_their_normalized_weights_and_so_the_best_most():
    """A public implementation normalizes exp(-log w), and so learns from the sample that explains x worst."""
    log_w = t([[0.0], [2.0], [-3.0]], True)
    (slope,) = minigen.grad(iwae_loss(log_w), log_w)
    np.testing.assert_allclose(-slope.numpy(), np.exp(log_w.numpy()) / np.exp(log_w.numpy()).sum(), rtol=1e-12)
    assert (-slope.numpy()).argmax() == 1
    np.testing.assert_allclose(-slope.numpy(), normalized_weights(log_w).numpy(), rtol=1e-12)


def test_detached_weights_give_the_gradient_of_the_bound_and_weights_in_the_graph_do_not():
    theta = t(draw(3), True)
    features = t(draw(4, 6, 3, seed=1))

    def gradient(loss):
        return minigen.grad(loss, theta)[0].numpy()

    def log_w():
        return (features * theta).sum(-1)

    bound = gradient(iwae_loss(log_w()))
    detached = gradient(-(normalized_weights(log_w()) * log_w()).sum(0).mean())
    attached = gradient(-(softmax(log_w(), 0) * log_w()).sum(0).mean())
    np.testing.assert_allclose(detached, bound, rtol=1e-10)
    assert np.abs(attached - bound).max() > 0.05 * np.abs(bound).max()
    assert not normalized_weights(log_w()).requires_grad


def test_the_losses_are_differentiable_twice():
    mu, logvar = t(draw(3, 2), True), t(draw(3, 2, seed=1), True)
    noise = t(draw(4, 3, 2, seed=2))

    def bound(mu, logvar):
        z = reparametrize(mu, logvar, noise)
        return iwae_loss(log_normal(z, 0.5, 0.0) - log_normal(z, mu, logvar))

    assert minigen.gradcheck(bound, [mu, logvar])
    assert minigen.gradcheck(lambda mu, logvar: free_bits(kl_per_dimension(mu, logvar), 0.1), [mu, logvar])


@pytest.fixture(scope="module")
def linear_gaussian():
    """x = Wz + m + σε, whose evidence is N(m, WWᵀ + σ²I), and whose posterior is diagonal as W's columns are orthogonal."""
    rng = np.random.default_rng(7)
    w = np.linalg.qr(rng.normal(size=(5, 2)))[0] * [2.0, 0.7]
    m, sigma2 = rng.normal(size=5), 0.3
    x = rng.multivariate_normal(m, w @ w.T + sigma2 * np.eye(5), size=4)
    evidence = stats.multivariate_normal(m, w @ w.T + sigma2 * np.eye(5)).logpdf(x)
    spread = (w**2).sum(0) + sigma2
    mu, logvar = (x - m) @ w / spread, np.tile(np.log(sigma2 / spread), (4, 1))

    def log_w(mu, logvar, k, seed=0):
        mu, logvar = t(mu), t(logvar)
        z = reparametrize(mu, logvar, t(draw(k, 4, 2, seed=seed)))
        mean = z @ t(w.T) + t(m)
        images = t(np.tile(x, (k, 1)))
        nll = gaussian_nll(mean.reshape(k * 4, 5), images, np.log(sigma2), reduction="none").reshape(k, 4)
        return log_normal(z, 0.0, 0.0) - nll - log_normal(z, mu, logvar)

    return evidence, mu, logvar, log_w


def test_with_the_exact_posterior_every_bound_is_the_evidence(linear_gaussian):
    evidence, mu, logvar, log_w = linear_gaussian
    weights = log_w(mu, logvar, 6)
    np.testing.assert_allclose(weights.numpy(), np.tile(evidence, (6, 1)), rtol=1e-10)  # each weight is p(x) itself
    assert -iwae_loss(weights).item() == pytest.approx(evidence.mean(), rel=1e-10)


def test_with_another_posterior_elbo_is_below_iwae_is_below_the_evidence_which_many_samples_reach(linear_gaussian):
    evidence, mu, logvar, log_w = linear_gaussian
    weights = log_w(mu + 0.3, logvar + 0.8, 50_000)
    elbo = weights.numpy().mean()
    few = -iwae_loss(weights.reshape(5, 40_000)).item()  # k = 5, ten thousand times for each x
    many = -iwae_loss(weights).item()
    assert elbo + 0.1 < few < evidence.mean() - 0.005
    assert many == pytest.approx(evidence.mean(), abs=0.01)


def test_weights_of_another_shape_are_refused():
    for shape in [(3,), (0, 3), (3, 0), (1, 2, 3)]:
        with pytest.raises(ShapeError, match=r"iwae_loss: log-weights have the shape \(k, N\)"):
            iwae_loss(minigen.zeros(shape))
