import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Reference

import minigen
from minigen import Generator
from minigen.classical import (
    GaussianMixture,
    MixtureParameters,
    MultivariateNormal,
    expectation,
    kmeans_responsibilities,
    maximization,
)
from minigen.errors import UserError

TYPES = ["full", "tied", "diag", "spherical"]


def blobs(seed, n, d, k):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 4 * rng.normal(size=(k, d))[rng.integers(0, k, n)] + 10


def dense(parameters):
    """The covariance matrices, written out for each component."""
    k, d = parameters.means.shape
    c = parameters.covariances
    return {
        "full": lambda: c,
        "tied": lambda: np.repeat(c[None], k, axis=0),
        "diag": lambda: np.stack([np.diag(v) for v in c]),
        "spherical": lambda: np.stack([v * np.eye(d) for v in c]),
    }[parameters.covariance_type]()


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("n", "d", "k"), [(100, 1, 2), (150, 2, 3), (300, 4, 3), (120, 9, 1)])
def test_from_the_same_start_the_parameters_and_scores_are_scikit_learns(covariance_type, n, d, k):
    x = blobs(n + d, n, d, k)
    shares = np.random.default_rng(d).dirichlet(np.ones(k), n)
    start = maximization(x, shares, covariance_type)
    c = start.covariances
    theirs = Reference(
        k,
        covariance_type=covariance_type,
        tol=0,
        reg_covar=0,
        max_iter=12,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=np.linalg.inv(c) if covariance_type in ("full", "tied") else 1 / c,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        theirs.fit(x)
    ours = GaussianMixture(k, covariance_type, tol=0, max_iter=12).fit(x, start)
    np.testing.assert_allclose(ours.weights_, theirs.weights_, rtol=1e-7)
    np.testing.assert_allclose(ours.means_, theirs.means_, rtol=1e-7)
    np.testing.assert_allclose(ours.covariances_, theirs.covariances_, rtol=1e-6, atol=1e-9)
    new = blobs(1, 50, d, k)
    np.testing.assert_allclose(ours.score_samples(new), theirs.score_samples(new), rtol=1e-7)
    np.testing.assert_allclose(ours.predict_proba(new), theirs.predict_proba(new), rtol=1e-5, atol=1e-12)
    np.testing.assert_array_equal(ours.predict(new), theirs.predict(new))
    assert ours.lower_bound_ == pytest.approx(theirs.lower_bound_, rel=1e-9)
    assert ours.score(x) == pytest.approx(theirs.score(x), rel=1e-9)
    assert ours.n_parameters() == theirs._n_parameters()
    assert ours.aic(x) == pytest.approx(theirs.aic(x), rel=1e-9)
    assert ours.bic(x) == pytest.approx(theirs.bic(x), rel=1e-9)


def test_it_stops_where_scikit_learn_stops():
    x = blobs(5, 300, 2, 3)
    start = maximization(x, np.eye(3)[((x[:, None] - x[:3]) ** 2).sum(axis=2).argmin(axis=1)])
    theirs = Reference(
        3,
        reg_covar=0,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=np.linalg.inv(start.covariances),
    ).fit(x)
    ours = GaussianMixture(3).fit(x, start)
    assert ours.converged_
    assert ours.n_iter_ == theirs.n_iter_ < 100
    assert not GaussianMixture(3, max_iter=3).fit(x, start).converged_


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_e_step_is_bayes_rule_on_scipys_densities(covariance_type):
    x = blobs(3, 60, 3, 4)
    p = maximization(x, np.random.default_rng(1).dirichlet(np.ones(4), 60), covariance_type)
    joint = np.stack(
        [w * stats.multivariate_normal(m, c).pdf(x) for w, m, c in zip(p.weights, p.means, dense(p))], axis=1
    )
    log_prob, responsibilities = expectation(x, p)
    np.testing.assert_allclose(log_prob, np.log(joint.sum(axis=1)), rtol=1e-9)
    np.testing.assert_allclose(responsibilities, joint / joint.sum(axis=1, keepdims=True), rtol=1e-8)


def test_far_samples_do_not_underflow():
    p = MixtureParameters([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[1.0]]])
    log_prob, responsibilities = expectation([[1000.0], [-1000.0]], p)
    np.testing.assert_allclose(log_prob, [-0.5 * 999**2, -0.5 * 1000**2], rtol=1e-4)
    np.testing.assert_allclose(responsibilities, [[0, 1], [1, 0]], atol=1e-12)


def nasty():
    rng = np.random.default_rng(0)
    t = rng.normal(size=(60, 1))
    yield "duplicates", np.repeat(rng.normal(size=(4, 2)), 15, axis=0)
    yield "a constant feature", np.hstack([rng.normal(size=(60, 2)), np.full((60, 1), 0.1)])
    yield "collinear", t @ [[1.0, -2.0, 0.5]] + 3
    yield "all equal", np.full((60, 2), 1 / 3)
    yield "more features than samples", rng.normal(size=(12, 20))
    yield "an outlier", np.vstack([rng.normal(size=(59, 2)), [[1e4, 1e4]]])
    yield "small units", 1e-7 * rng.normal(size=(60, 2))
    yield "tiny units", 1e-140 * rng.normal(size=(60, 2))
    yield "large units, far off", 1e7 * t @ [[1.0, 1.0]] + 1e9
    yield "features of unlike units", rng.normal(size=(60, 3)) * [1e-6, 1.0, 1e6]
    yield "mixed", np.round(rng.normal(size=(60, 2)))


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize(("x"), [pytest.param(x, id=name) for name, x in nasty()])
def test_the_likelihood_never_falls_and_nothing_is_lost_on_singular_data(x, covariance_type):
    for k in (1, 3, 8):
        mixture = GaussianMixture(k, covariance_type, tol=0, max_iter=40, generator=Generator(k)).fit(x)
        climb = np.array([*mixture.lower_bounds_, mixture.score(x)])
        assert np.isfinite(climb).all()
        assert (np.diff(climb) >= -1e-9 * np.abs(climb[1:]) - 1e-9).all(), np.diff(climb).min()
        assert mixture.weights_.sum() == pytest.approx(1)
        assert np.isfinite(mixture.sample(20, Generator(0))[0]).all()
        np.testing.assert_allclose(mixture.predict_proba(x).sum(axis=1), 1)


def test_adding_a_constant_to_the_diagonal_would_lose_likelihood():
    """Why `reg_covar` is a floor: the same EM with Σ + εI falls where this one rises."""
    x = np.random.default_rng(3).normal(size=(60, 2)) * [1.0, 0.3]

    def floored(r):
        return maximization(x, r, reg_covar=0.2)

    def added(r):
        p = maximization(x, r, reg_covar=0)
        return MixtureParameters(p.weights, p.means, p.covariances + 0.2 * np.eye(2))

    least_gain = []
    for step in (floored, added):
        r, climb = kmeans_responsibilities(x, 3, Generator(0)), []
        for _ in range(60):
            log_prob, r = expectation(x, step(r))
            climb.append(log_prob.mean())
        least_gain.append(np.diff(climb).min())
    assert least_gain[0] >= -1e-12
    assert least_gain[1] < -0.01


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag"])
def test_the_units_of_the_features_change_nothing(covariance_type):
    x = np.hstack([blobs(6, 80, 2, 3), np.ones((80, 1))])
    x = np.hstack([x, x[:, :1] + x[:, 1:2]])  # singular, so that the floor counts
    units = np.array([1e-3, 1e4, 1.0, 10.0])
    r = kmeans_responsibilities(x, 3, Generator(0))
    one, other = x, x * units
    for _ in range(5):
        log_one, r_one = expectation(one, maximization(one, r, covariance_type))
        log_other, r_other = expectation(other, maximization(other, r, covariance_type))
        np.testing.assert_allclose(r_other, r_one, atol=1e-6)
        varying = [0, 1, 3]
        shift = log_one - log_other - np.log(units[varying]).sum()
        np.testing.assert_allclose(shift, shift[0], atol=1e-5)  # the constant feature has no unit of its own
        r = r_one


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_component_that_has_lost_its_samples_has_no_weight_and_harms_nothing(covariance_type):
    x = blobs(7, 50, 2, 2)
    r = np.zeros((50, 3))
    r[:25, 0] = r[25:, 2] = 1
    p = maximization(x, r, covariance_type)
    assert p.weights.tolist() == [0.5, 0.0, 0.5]
    np.testing.assert_allclose(p.means[1], x.mean(axis=0))
    log_prob, r = expectation(x, p)
    assert np.isfinite(log_prob).all()
    assert (r[:, 1] == 0).all()
    fitted = GaussianMixture(3, covariance_type).fit(x, p)
    assert fitted.weights_[1] == 0
    assert 1 not in fitted.sample(500, Generator(0))[1]
    tiny = r.copy()
    tiny[:, 1] = 1e-320  # not yet nothing: its mean is still among the samples
    p = maximization(x, tiny, covariance_type)
    assert (p.means[1] >= x.min(axis=0)).all()
    assert (p.means[1] <= x.max(axis=0)).all()


def test_one_component_is_the_multivariate_normal():
    x = blobs(8, 70, 3, 2)
    mixture, normal = GaussianMixture(1).fit(x), MultivariateNormal.fit(x)
    np.testing.assert_allclose(mixture.score_samples(x), normal.log_prob(x), rtol=1e-9)
    assert mixture.n_parameters() == normal.n_parameters()


def test_it_finds_the_parameters_that_samples_were_drawn_with():
    true = MixtureParameters(
        [0.2, 0.3, 0.5], [[0.0, 0.0], [6.0, 0.0], [0.0, 6.0]], [np.eye(2), np.diag([0.25, 2]), np.eye(2)]
    )
    x, component = GaussianMixture.from_parameters(true).sample(6000, Generator(0))
    mixture = GaussianMixture(3, n_init=3, generator=Generator(1)).fit(x)
    order = [int(((mixture.means_ - m) ** 2).sum(axis=1).argmin()) for m in true.means]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(mixture.weights_[order], true.weights, atol=0.02)
    np.testing.assert_allclose(mixture.means_[order], true.means, atol=0.15)
    np.testing.assert_allclose(mixture.covariances_[order], true.covariances, atol=0.2)
    assert (np.array(order)[component] == mixture.predict(x)).mean() > 0.99


@pytest.mark.parametrize("covariance_type", TYPES)
def test_samples_have_the_moments_of_their_components_and_the_type_of_the_data(covariance_type):
    x = blobs(9, 200, 2, 2).astype(np.float32)
    mixture = GaussianMixture(2, covariance_type, generator=Generator(0)).fit(x)
    drawn, component = mixture.sample(60_000, Generator(1))
    assert (drawn.dtype, component.dtype) == (np.float32, np.int64)
    np.testing.assert_allclose(np.bincount(component) / 60_000, mixture.weights_, atol=0.01)
    for k, (mean, covariance) in enumerate(zip(mixture.means_, dense(mixture.parameters_))):
        own = drawn[component == k]
        size = np.sqrt(np.trace(covariance))
        np.testing.assert_allclose(own.mean(axis=0), mean, atol=0.05 * size)
        np.testing.assert_allclose(np.cov(own.T), covariance, atol=0.06 * size**2)
    again = mixture.sample(60_000, Generator(1))[0]
    np.testing.assert_array_equal(drawn, again)
    assert GaussianMixture(2).fit(x.astype(np.float64)).sample(2, Generator(0))[0].dtype == np.float64
    assert mixture.sample(0, Generator(0))[0].shape == (0, 2)


def test_the_best_of_several_starts_is_kept():
    x = blobs(10, 150, 2, 6)
    places = set()
    for seed in range(4):
        random = Generator(seed)
        each = [GaussianMixture(6, generator=random).fit(x) for _ in range(4)]
        scores = [mixture.lower_bound_ for mixture in each]
        best = GaussianMixture(6, n_init=4, generator=Generator(seed)).fit(x)
        assert best.lower_bound_ == max(scores)
        np.testing.assert_array_equal(best.means_, each[int(np.argmax(scores))].means_)
        places.add(int(np.argmax(scores)))
    assert len(places) > 1  # not always the first or the last


def test_a_tensor_is_taken_as_an_array_is():
    x = blobs(11, 40, 2, 2).astype(np.float32)
    tensors, arrays = (GaussianMixture(2, generator=Generator(0)).fit(data) for data in (minigen.tensor(x), x))
    np.testing.assert_array_equal(tensors.means_, arrays.means_)
    assert tensors.sample(1, Generator(0))[0].dtype == np.float32


X = blobs(0, 20, 2, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianMixture(0), "n_components must be an integer of at least 1, not 0"),
        (lambda: GaussianMixture(2, "ful"), "Unknown covariance type 'ful': did you mean 'full'"),
        (lambda: GaussianMixture(2, reg_covar=-1.0), "reg_covar must be a number of at least 0"),
        (lambda: GaussianMixture(1).fit([[1.0, 2.0]]), "needs 2 samples or more, not 1"),
        (lambda: GaussianMixture(5).fit(X[:4]), "needs 5 samples or more, not 4"),
        (lambda: GaussianMixture(1).fit(np.zeros((0, 2))), "needs 2 samples or more, not 0"),
        (lambda: GaussianMixture(1).fit(X[:, 0]), r"reshape it"),
        (lambda: GaussianMixture(1).fit(X.reshape(5, 2, 4)), r"not an array of shape \(5, 2, 4\)"),
        (lambda: GaussianMixture(1).fit(np.where(X > 9, np.nan, X)), "are NaN"),
        (lambda: GaussianMixture(1).fit(1j * X), "real numbers, not complex128"),
        (lambda: GaussianMixture(2, reg_covar=0).fit(np.ones((9, 2))), "is singular"),
        (lambda: GaussianMixture(2, "diag", reg_covar=0).fit(np.zeros((9, 2))), "is not above 0"),
        (lambda: GaussianMixture(1).predict(X), "call fit first"),
        (lambda: GaussianMixture(1).weights_, "call fit first"),
        (lambda: GaussianMixture(1).fit(X).score(X[:, :1]), "fitted to samples of 2 features, and these have 1"),
        (lambda: GaussianMixture(1).fit(X).sample(2.5), "n must be an integer of at least 0, not 2.5"),
        (lambda: GaussianMixture(2).fit(X, maximization(X, np.ones((20, 1)))), "start must have 2 components"),
        (lambda: maximization(X, np.ones((19, 1))), "20 samples need as many rows of responsibilities, not 19"),
        (lambda: maximization(X, np.ones((20, 2))), "their sum must be 1 in each row"),
        (lambda: maximization(X, np.ones((20, 1)), "fll"), "Unknown covariance type"),
        (lambda: MixtureParameters([1.0], [[0.0]], [[1.0]]), "do not belong together"),
        (lambda: MixtureParameters([0.7], [[0.0]], [[[1.0]]]), "their sum must be 1"),
        (lambda: MixtureParameters([1.0], [[np.nan]], [[[1.0]]]), "NaN or infinite"),
    ],
)
def test_wrong_input_is_answered_in_a_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_fitting_and_predicting_in_one_call_is_one_after_the_other():
    x = np.random.default_rng(3).normal(size=(80, 2)) * [1, 5]
    fitted = GaussianMixture(3, generator=Generator(2)).fit(x)
    np.testing.assert_array_equal(GaussianMixture(3, generator=Generator(2)).fit_predict(x), fitted.predict(x))
