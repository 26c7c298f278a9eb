import numpy as np
import pytest
from sklearn.cluster import KMeans as Reference

from minigen import Generator
from minigen.classical import KMeans, kmeans_plus_plus
from minigen.data.mixtures import ring, ring_centers
from minigen.errors import UserError


@pytest.mark.parametrize(("n", "d", "k"), [(60, 1, 2), (200, 2, 5), (150, 7, 3), (80, 30, 8), (9, 2, 9)])
def test_from_the_same_start_it_ends_where_scikit_learn_ends(n, d, k):
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, d)) + 3 * rng.integers(0, 4, (n, 1)) + 1000
    start = x[rng.permutation(n)[:k]]
    ours = KMeans(k, tol=0).fit(x, start)
    theirs = Reference(k, init=start, n_init=1, tol=0, algorithm="lloyd").fit(x)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-12)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-9, abs=1e-9)
    chosen = KMeans(k, generator=Generator(1)).fit(x)
    np.testing.assert_array_equal(KMeans(k, generator=Generator(1)).fit_predict(x), chosen.predict(x))
    new = rng.normal(size=(50, d)) + 1003
    np.testing.assert_array_equal(ours.predict(new), theirs.predict(new))
    np.testing.assert_allclose(ours.transform(new), theirs.transform(new), rtol=1e-6)


def test_every_iteration_lowers_the_sum_until_labels_and_centres_agree():
    x = np.random.default_rng(0).normal(size=(300, 3))
    start = x[:6]
    sums = [KMeans(6, max_iter=i, tol=0).fit(x, start).inertia_ for i in range(1, 30)]
    assert (np.diff(sums) <= 1e-12).all(), sums
    model = KMeans(6, tol=0).fit(x, start)
    means = [x[model.labels_ == k].mean(axis=0) for k in range(6)]
    np.testing.assert_allclose(model.cluster_centers_, means, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(x), model.labels_)


def test_tol_stops_earlier_and_is_measured_by_the_variance_of_the_data():
    x = np.random.default_rng(1).normal(size=(500, 2))
    strict, loose = (KMeans(7, tol=tol).fit(x, x[:7]) for tol in (0, 1e-2))
    assert loose.n_iter_ < strict.n_iter_
    assert KMeans(7, tol=1e-2).fit(1e4 * x, 1e4 * x[:7]).n_iter_ == loose.n_iter_


def test_more_starts_are_never_worse_and_one_seed_gives_one_result():
    x = np.random.default_rng(2).normal(size=(200, 2))
    one, ten, again = (KMeans(12, n_init=n, generator=Generator(3)).fit(x) for n in (1, 10, 10))
    assert ten.inertia_ < one.inertia_
    np.testing.assert_array_equal(ten.cluster_centers_, again.cluster_centers_)


def test_an_empty_cluster_takes_a_far_sample():
    x = np.array([[0.0], [1.0], [2.0], [30.0], [31.0]])
    model = KMeans(3).fit(x, [[1.0], [500.0], [600.0]])
    assert sorted(model.cluster_centers_.ravel().round(9)) in ([1.0, 30.0, 31.0], [0.5, 2.0, 30.5], [0.0, 1.5, 30.5])
    assert len(np.unique(model.labels_)) == 3


def test_a_cluster_is_not_emptied_to_fill_another():
    x = np.array([[0.0], [0.1], [0.3], [100.0]])
    model = KMeans(3, max_iter=1).fit(x, [[0.1], [60.0], [500.0]])  # 100 is the farthest, and alone
    np.testing.assert_allclose(sorted(model.cluster_centers_.ravel()), [0.05, 0.3, 100.0])


@pytest.mark.parametrize("offset", [0.0, 0.1, 1e6])
def test_with_fewer_distinct_samples_than_clusters_every_sample_is_at_a_centre(offset):
    x = np.repeat([[0.0, 1.0], [2.0, 0.3], [5.0, 5.0]], 7, axis=0) + offset
    model = KMeans(6, generator=Generator(0)).fit(x)
    assert model.inertia_ <= 1e-18 * (1 + offset) ** 2 * len(x)
    assert np.isfinite(model.cluster_centers_).all()
    np.testing.assert_allclose(model.cluster_centers_[model.labels_], x, rtol=1e-12)


def test_samples_all_equal_are_one_cluster():
    model = KMeans(3, generator=Generator(0)).fit(np.full((5, 2), 0.1))
    np.testing.assert_allclose(model.cluster_centers_, 0.1)
    assert model.inertia_ == pytest.approx(0, abs=1e-30)


def test_the_start_has_one_sample_of_each_far_cluster():
    x, _ = ring(400, Generator(0))
    for seed in range(20):
        centres, indices = kmeans_plus_plus(x, 8, Generator(seed))
        np.testing.assert_array_equal(centres, x[indices])
        nearest = ((centres[:, None] - ring_centers()) ** 2).sum(axis=2).argmin(axis=1)
        assert sorted(nearest) == list(range(8))


def test_the_second_centre_of_the_start_is_the_better_of_two_drawn_by_squared_distance():
    # From 0 the squared distances to 1 and 3 are 1 and 9, and 3 is the better choice: it is made unless both draws are 1.
    # From 1 they are 1 to 0 and 4 to 3, and again 3 is the better.
    x = np.array([[0.0], [1.0], [3.0]])
    random = Generator(5)
    seconds = {0: [], 1: [], 2: []}
    for _ in range(3000):
        first, second = kmeans_plus_plus(x, 2, random)[1]
        seconds[int(first)].append(int(second))
    assert np.mean(np.array(seconds[0]) == 1) == pytest.approx((1 / 10) ** 2, abs=0.015)
    assert np.mean(np.array(seconds[1]) == 0) == pytest.approx((1 / 5) ** 2, abs=0.025)
    assert len(seconds[2]) == pytest.approx(1000, abs=120)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: KMeans(0), "n_clusters must be an integer of at least 1, not 0"),
        (lambda: KMeans(2, tol=-1), "tol must be a number of at least 0, not -1"),
        (lambda: KMeans(3).fit([[1.0], [2.0]]), "needs 3 samples or more, not 2"),
        (lambda: KMeans(1).fit(np.zeros((0, 2))), "needs 1 sample or more, not 0"),
        (lambda: KMeans(1).fit([1.0, 2.0]), r"not an array of shape \(2,\)"),
        (lambda: KMeans(1).fit([[1.0], [np.nan]]), "1 of the 2 numbers are NaN"),
        (lambda: KMeans(1).fit([[np.inf]]), "infinite"),
        (lambda: KMeans(1).fit([["a"]]), "samples are real numbers"),
        (lambda: KMeans(1).fit([[1.0], [1.0, 2.0]]), "not all of one length"),
        (lambda: KMeans(2).fit(np.eye(3), [[1.0, 2.0]]), r"must be of shape \(2, 3\), not \(1, 2\)"),
        (lambda: KMeans(1).predict(np.eye(3)), "call fit first"),
        (lambda: KMeans(1).fit(np.eye(3)).predict(np.eye(2)), "fitted to samples of 3 features, and these have 2"),
        (lambda: KMeans(1, generator=3), "A generator is a minigen.Generator"),
    ],
)
def test_wrong_input_is_answered_in_a_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
