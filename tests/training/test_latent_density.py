"""The density of codes: held to SciPy's, to moments, and to what is asked of few or degenerate codes."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import minigen as mg
from minigen.errors import UserError
from minigen.training.latent_density import LatentDensity


def clusters(n=600, dim=3, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.array([[3.0] * dim, [-3.0] * dim])
    return (centres[rng.integers(0, 2, n)] + rng.normal(size=(n, dim))).astype(np.float32)


def test_bic_finds_the_clusters_and_the_density_is_scipy_s():
    codes = clusters()
    density = LatentDensity(codes)
    assert density.mixture.n_components == 2
    p = density.mixture.parameters_
    points = np.random.default_rng(1).normal(size=(20, 3)) * 3
    expected = sum(
        w * multivariate_normal(density.mean + m @ density.axes, density.axes.T @ c @ density.axes).pdf(points)
        for w, m, c in zip(p.weights, p.means, p.covariances)
    )
    assert density.axes.shape == (3, 3)
    assert np.allclose(np.exp(density.score_samples(points)), expected, rtol=1e-6, atol=0)


def test_samples_lie_in_the_clusters_and_the_same_seed_draws_the_same():
    density = LatentDensity(clusters())
    a, b, c = (
        density.sample(2000, mg.Generator(3)),
        density.sample(2000, mg.Generator(3)),
        density.sample(5, mg.Generator(4)),
    )
    assert a.dtype == np.float32
    assert np.array_equal(a, b)
    assert not np.array_equal(a[:5], c)
    near = np.abs(np.abs(a) - 3).max(axis=1) < 4.5
    assert near.mean() > 0.99
    assert 0.4 < (a[:, 0] > 0).mean() < 0.6


def test_fitting_twice_gives_the_same_density():
    a, b = (LatentDensity(clusters(dim=2), components=5) for _ in range(2))
    assert np.array_equal(a.mixture.means_, b.mixture.means_)
    assert a.mixture.n_components == 5


def test_a_wide_code_on_a_thin_sheet_is_fitted_on_the_sheet_and_scored_off_it():
    rng = np.random.default_rng(2)
    basis = np.linalg.qr(rng.normal(size=(40, 2)))[0].T
    flat = rng.normal(size=(800, 2)) @ basis * 3
    density = LatentDensity(flat + 0.02 * rng.normal(size=flat.shape))
    assert density.axes.shape == (2, 40)
    on, off = density.score_samples(flat[:50]), density.score_samples(flat[:50] + 0.5 * rng.normal(size=(50, 40)))
    assert off.max() < on.min()
    gaussian = multivariate_normal(np.zeros(40), 9 * basis.T @ basis + 0.02**2 * np.eye(40))
    assert np.allclose(on, gaussian.logpdf(flat[:50]), atol=2)


def test_dead_units_and_a_single_image_are_no_trouble():
    codes = clusters(200, 2)
    dead = np.concatenate([codes, np.zeros((200, 3), np.float32)], axis=1)
    density = LatentDensity(dead)
    assert np.isfinite(density.score_samples(dead)).all()
    assert np.abs(density.sample(50, mg.Generator(0))[:, 2:]).max() < 1e-6
    one = LatentDensity(np.ones((1, 4), np.float32))
    assert np.allclose(one.sample(3, mg.Generator(0)), 1, atol=0.1)
    assert np.isfinite(one.score_samples(np.zeros((2, 4)))).all()


def test_more_components_than_the_images_can_tell_apart_are_refused():
    with pytest.raises(UserError, match="--mixture of at most 4"):
        LatentDensity(clusters(20), components=5)
