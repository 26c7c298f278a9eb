import numpy as np
import pytest
from scipy import stats

from minigen import Generator
from minigen.classical import Gaussian, MultivariateNormal
from minigen.classical.covariance import raise_to_floor
from minigen.errors import UserError


@pytest.mark.parametrize("d", [1, 2, 5, 17])
def test_the_density_is_scipys(d):
    rng = np.random.default_rng(d)
    a = rng.normal(size=(d, d))
    mean, covariance = 10 * rng.normal(size=d), a @ a.T + 0.1 * np.eye(d)
    x = rng.normal(size=(40, d)) * 5
    ours = MultivariateNormal(mean, covariance).log_prob(x)
    np.testing.assert_allclose(ours, stats.multivariate_normal(mean, covariance).logpdf(x), rtol=1e-9)
    np.testing.assert_allclose(Gaussian(2.0, 9.0).log_prob(x[:, 0]), stats.norm(2.0, 3.0).logpdf(x[:, 0]), rtol=1e-12)


def test_the_fit_is_the_closed_form_and_no_neighbour_is_more_likely():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3)) + 4
    fit = MultivariateNormal.fit(x)
    np.testing.assert_allclose(fit.mean, x.mean(axis=0))
    np.testing.assert_allclose(fit.covariance, np.cov(x.T, bias=True))
    best = fit.log_prob(x).sum()
    for _ in range(50):
        other = MultivariateNormal(
            fit.mean + 0.05 * rng.normal(size=3), fit.covariance * (1 + 0.1 * np.diag(rng.normal(size=3)))
        )
        assert other.log_prob(x).sum() < best
    one = Gaussian.fit(x[:, 0])
    assert (one.mean, one.variance) == pytest.approx((x[:, 0].mean(), x[:, 0].var()))
    assert one.log_prob(x[:, 0]).sum() > Gaussian(one.mean, 1.1 * one.variance).log_prob(x[:, 0]).sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_samples_have_the_moments_and_the_type_of_the_data(dtype):
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(200, 2)) @ [[20.0, 10.0], [0.0, 5.0]] + 30).astype(dtype)
    fit = MultivariateNormal.fit(x)
    drawn = fit.sample(100_000, Generator(2))
    assert drawn.dtype == (np.float32 if dtype == np.float32 else np.float64)
    np.testing.assert_allclose(drawn.mean(axis=0), fit.mean, atol=0.3)
    np.testing.assert_allclose(np.cov(drawn.T), fit.covariance, rtol=0.03)
    one = Gaussian.fit(x[:, 0])
    drawn = one.sample(100_000, Generator(3))
    assert drawn.dtype == (np.float32 if dtype == np.float32 else np.float64)
    assert (drawn.mean(), drawn.var()) == pytest.approx((one.mean, one.variance), rel=0.02)
    np.testing.assert_array_equal(one.sample(5, Generator(4)), one.sample(5, Generator(4)))
    assert fit.sample(0, Generator(0)).shape == (0, 2)


def test_parameters_are_counted():
    assert Gaussian().n_parameters() == 2
    assert MultivariateNormal(np.zeros(4), np.eye(4)).n_parameters() == 4 + 10


def test_a_covariance_with_full_rank_is_left_as_it_is():
    x = np.random.default_rng(0).normal(size=(30, 3)) * [1e-6, 1.0, 1e6]
    np.testing.assert_allclose(MultivariateNormal.fit(x).covariance, np.cov(x.T, bias=True), rtol=1e-12)


def test_collinear_constant_and_repeated_samples_have_a_density():
    rng = np.random.default_rng(3)
    t = rng.normal(size=(40, 1))
    for x in (
        t @ [[1.0, 2.0, 3.0]],
        np.hstack([t, np.full((40, 1), 7.0)]),
        np.full((4, 2), 0.1),
        rng.normal(size=(3, 9)),
    ):
        for units in (1.0, 1e-5, 1e6):
            fit = MultivariateNormal.fit(units * x)
            assert np.isfinite(fit.log_prob(units * x)).all()
            assert np.isfinite(fit.sample(3, Generator(0))).all()
    assert Gaussian.fit([2.0, 2.0, 2.0]).variance == pytest.approx(1e-6)


def test_the_floor_gives_the_most_likely_covariance_above_it():
    rng = np.random.default_rng(4)
    for _ in range(20):
        a = rng.normal(size=(3, 3)) * [1.0, 0.3, 0.01]
        sample, v, reg = a @ a.T, rng.uniform(0.5, 2, 3), 0.2
        best = raise_to_floor(sample, v, reg)
        assert np.linalg.eigvalsh(best / np.sqrt(np.outer(v, v))).min() >= reg - 1e-12

        def gain(c, sample=sample):  # 2/n of the log-likelihood, up to a constant
            return -np.linalg.slogdet(c)[1] - np.trace(np.linalg.solve(c, sample))

        for _ in range(100):
            b = rng.normal(size=(3, 3)) * rng.uniform(0, 0.5)
            other = raise_to_floor(best + b @ b.T * rng.choice([-1, 1]), v, reg)
            assert gain(other) <= gain(best) + 1e-10
        above = reg * np.diag(v) + sample
        np.testing.assert_array_equal(raise_to_floor(above, v, reg), above)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Gaussian.fit([1.0]), "needs 2 samples or more, not 1"),
        (lambda: Gaussian.fit([]), "needs 2 samples or more, not 0"),
        (lambda: Gaussian.fit([[1.0], [2.0]]), "one axis"),
        (lambda: Gaussian.fit([1.0, np.nan]), "NaN"),
        (lambda: Gaussian(0.0, 0.0), "variance must be a number above 0, not 0.0"),
        (lambda: Gaussian(np.inf), "mean must be a finite number"),
        (lambda: MultivariateNormal.fit([[1.0, 2.0]]), "needs 2 samples or more, not 1"),
        (lambda: MultivariateNormal.fit(np.zeros((0, 2))), "needs 2 samples or more, not 0"),
        (lambda: MultivariateNormal.fit(np.zeros((5, 0))), "a table of shape"),
        (lambda: MultivariateNormal.fit(np.ones((5, 2)), reg_covar=0), "is singular"),
        (lambda: MultivariateNormal([0.0], np.eye(2)), r"needs a covariance of shape \(1, 1\), not \(2, 2\)"),
        (lambda: MultivariateNormal([0.0, 0.0], [[1.0, 2.0], [2.0, 1.0]]), "is singular"),
        (lambda: MultivariateNormal([0.0, 0.0], [[1.0, 0.5], [0.0, 1.0]]), "is symmetric, and this one is not"),
        (lambda: MultivariateNormal([0.0], [[1.0]]).log_prob(np.eye(2)), "fitted to samples of 1 features"),
        (lambda: MultivariateNormal([0.0], [[1.0]]).sample(-1), "n must be an integer of at least 0, not -1"),
        (lambda: Gaussian.fit([1e200, -1e200]), "rescale"),
    ],
)
def test_wrong_input_is_answered_in_a_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
