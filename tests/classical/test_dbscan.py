import numpy as np
import pytest
from sklearn.cluster import DBSCAN as Reference

from minigen.classical import DBSCAN, dbscan
from minigen.errors import UserError


def blobs(seed, n, d):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * 0.4 + 3 * rng.integers(0, 3, (n, d)) + 100


@pytest.mark.parametrize(
    ("n", "d", "eps", "min_samples"),
    [(200, 1, 0.02, 4), (300, 2, 0.3, 5), (300, 2, 0.5, 1), (250, 3, 0.5, 8), (120, 20, 2.2, 3), (50, 2, 99.0, 5)],
)
def test_labels_and_core_samples_are_scikit_learns(n, d, eps, min_samples):
    for seed in range(4):
        x = blobs(seed, n, d)
        ours, theirs = DBSCAN(eps, min_samples).fit(x), Reference(eps=eps, min_samples=min_samples).fit(x)
        np.testing.assert_array_equal(ours.labels_, theirs.labels_)
        np.testing.assert_array_equal(ours.core_sample_indices_, theirs.core_sample_indices_)


def test_samples_precisely_at_the_radius_count_however_far_from_the_origin():
    i, j = np.divmod(np.random.default_rng(0).permutation(900), 30)
    lattice = np.stack([i, j], axis=1) * 2.0 + 12345.0
    lattice = lattice[np.random.default_rng(1).random(900) < 0.6]
    for min_samples in (2, 4, 5):
        ours, theirs = DBSCAN(2.0, min_samples).fit(lattice), Reference(eps=2.0, min_samples=min_samples).fit(lattice)
        np.testing.assert_array_equal(ours.labels_, theirs.labels_)
        assert len(np.unique(ours.labels_)) > 3
    assert (DBSCAN(np.nextafter(2.0, 0), 2).fit_predict(lattice) == -1).all()


def test_the_size_of_the_blocks_changes_nothing(monkeypatch):
    x = blobs(7, 157, 2)
    whole = DBSCAN(0.3, 4).fit(x)
    monkeypatch.setattr(dbscan, "BLOCK", 500)
    parts = DBSCAN(0.3, 4).fit(x)
    np.testing.assert_array_equal(whole.labels_, parts.labels_)
    np.testing.assert_array_equal(whole.core_sample_indices_, parts.core_sample_indices_)


def test_a_cluster_may_be_longer_than_any_recursion():
    x = np.arange(1500.0)[:, None]
    assert (DBSCAN(1.0, 2).fit_predict(x) == 0).all()


def test_a_border_sample_belongs_to_the_first_cluster_that_reaches_it():
    x = np.array([[2.0], [1.1], [1.0], [0.9], [3.1], [3.0], [2.9]])  # 2.0 is within 1 of both, and not dense itself
    labels = DBSCAN(1.0, 4).fit_predict(x)
    assert labels.tolist() == Reference(eps=1.0, min_samples=4).fit_predict(x).tolist()


def test_one_sample_is_noise_unless_one_is_enough():
    assert DBSCAN(1.0, 2).fit_predict([[5.0]]).tolist() == [-1]
    assert DBSCAN(1.0, 1).fit_predict([[5.0]]).tolist() == [0]
    assert DBSCAN(1e300, 2).fit_predict([[5.0], [6.0]]).tolist() == [0, 0]
    assert DBSCAN(1e-9, 3).fit_predict(np.full((3, 2), 0.1)).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DBSCAN(0), "eps must be a number above 0, not 0"),
        (lambda: DBSCAN(float("nan")), "eps must be a number above 0"),
        (lambda: DBSCAN(1.0, 0), "min_samples must be an integer of at least 1, not 0"),
        (lambda: DBSCAN().fit(np.zeros((0, 3))), "needs 1 sample or more, not 0"),
        (lambda: DBSCAN().fit([1.0]), "a table of shape"),
        (lambda: DBSCAN().fit([[np.nan]]), "NaN"),
    ],
)
def test_wrong_input_is_answered_in_a_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
