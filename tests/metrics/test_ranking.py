import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from minigen import Generator
from minigen.errors import ShapeError, UserError
from minigen.metrics.ranking import auroc, average_precision


@given(
    n=st.integers(2, 60),
    levels=st.integers(1, 30),
    seed=st.integers(0, 10_000),
    kind=st.sampled_from(["f4", "f8", "i8"]),
)
def test_both_agree_with_scikit_learn_with_many_ties_and_few(n, levels, seed, kind):
    g = Generator(seed)
    scores = g.integers(-levels, levels + 1, (n,)).astype(kind)
    positive = g.integers(0, 2, (n,)).astype(bool)
    positive[:2] = True, False
    assert auroc(scores, positive) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
    assert average_precision(scores, positive) == pytest.approx(average_precision_score(positive, scores), abs=1e-12)


def test_auroc_is_the_share_of_pairs_in_the_right_order_with_ties_counting_half():
    g = Generator(0)
    high, low = g.normal((40,), mean=1.0).round(1), g.normal((70,)).round(1)
    pairs = (high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean()
    scores, positive = np.concatenate([high, low]), np.arange(110) < 40
    assert auroc(scores, positive) == pytest.approx(pairs, abs=1e-12)
    assert auroc(-scores, positive) == pytest.approx(1 - pairs, abs=1e-12)
    assert auroc(np.exp(scores), positive) == auroc(scores, positive)


def test_the_ends_of_the_scale_and_scores_that_say_nothing():
    positive = np.array([0, 0, 0, 1])
    assert auroc([1, 2, 3, 4], positive) == average_precision([1, 2, 3, 4], positive) == 1
    assert auroc([4, 3, 2, 1], positive) == 0
    assert auroc([5, 5, 5, 5], positive) == 0.5
    assert average_precision([5, 5, 5, 5], positive) == 0.25
    assert auroc([-np.inf, 0, 1, np.inf], positive) == 1
    assert auroc([0, 1, np.inf, np.inf], positive) == pytest.approx(2.5 / 3)


@pytest.mark.parametrize("measure", [auroc, average_precision])
@pytest.mark.parametrize(
    ("scores", "positive", "error", "words"),
    [
        ([1.0, 2.0], [True, True], UserError, "all 2 are positive"),
        ([1.0, 2.0], [0, 0], UserError, "all 2 are negative"),
        ([], [], UserError, "all 0 are negative"),
        ([1.0, np.nan], [0, 1], UserError, "1 of the 2 scores are NaN"),
        ([1.0, 2.0], [0, 2], UserError, "by True or False"),
        ([1.0, 2.0, 3.0], [0, 1], ShapeError, r"not \(3,\) and \(2,\)"),
        ([[1.0, 2.0]], [[0, 1]], ShapeError, r"\(1, 2\)"),
    ],
)
def test_what_cannot_be_ranked_is_said(measure, scores, positive, error, words):
    with pytest.raises(error, match=words):
        measure(scores, positive)
