import numpy as np
import pytest
from sklearn import metrics

from minigen.classical import adjusted_rand_score, cluster_purity, normalized_mutual_info_score
from minigen.errors import UserError


@pytest.mark.parametrize(
    ("n", "classes", "clusters"), [(2, 1, 2), (10, 3, 2), (100, 5, 9), (1000, 10, 10), (50, 50, 3)]
)
def test_scores_are_scikit_learns(n, classes, clusters):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        a = rng.integers(0, classes, n)
        b = np.where(rng.random(n) < 0.5, a % clusters, rng.integers(0, clusters, n)) - 1
        assert adjusted_rand_score(a, b) == pytest.approx(metrics.adjusted_rand_score(a, b), abs=1e-12)
        assert normalized_mutual_info_score(a, b) == pytest.approx(
            metrics.normalized_mutual_info_score(a, b), abs=1e-12
        )


def test_the_same_grouping_by_other_names_scores_one():
    a, b = [0, 0, 1, 1, 2, 2], ["x", "x", "b", "b", "a", "a"]
    for score in (cluster_purity, adjusted_rand_score, normalized_mutual_info_score):
        assert score(a, b) == pytest.approx(1)
        assert score([3, 3, 3], [1, 1, 1]) == 1
        assert score([1], [2]) == 1
        assert score([0, 1, 2], [2, 0, 1]) == pytest.approx(1)


def test_purity_counts_the_largest_class_of_each_cluster():
    assert cluster_purity([0, 0, 1, 1, 1, 2], [7, 7, 7, 8, 8, 8]) == pytest.approx(4 / 6)
    assert cluster_purity([0, 0, 1, 1], [0, 0, 0, 0]) == 0.5
    assert cluster_purity([0, 0, 1, 1], [0, 1, 2, 3]) == 1


def test_labels_that_do_not_fit_are_answered_in_a_sentence():
    with pytest.raises(UserError, match="3 samples need 3 labels"):
        adjusted_rand_score([0, 1, 2], [0, 1])
    with pytest.raises(UserError, match="one label for each sample"):
        cluster_purity([], [])
