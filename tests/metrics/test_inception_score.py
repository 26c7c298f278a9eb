import numpy as np
import pytest
from scipy.stats import entropy

from minigen import Generator
from minigen.errors import MinigenError
from minigen.metrics import inception_style_score


def test_it_is_the_exponential_of_the_mean_divergence_from_the_marginal():
    logits = Generator(0).normal((103, 7), dtype=np.float64) * 2
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    scores = [np.exp(np.mean([entropy(row, part.mean(axis=0)) for row in part])) for part in np.array_split(p, 5)]
    assert inception_style_score(p, splits=5) == pytest.approx((np.mean(scores), np.std(scores)))


def test_the_extremes_are_1_and_the_number_of_classes():
    assert inception_style_score(np.full((30, 4), 0.25)) == pytest.approx((1, 0))  # sure of nothing
    assert inception_style_score(np.eye(4)[[2] * 30]) == pytest.approx((1, 0))  # always the same class
    assert inception_style_score(np.eye(4)[np.arange(40) % 4]) == pytest.approx((4, 0))
    assert inception_style_score([[1.0]], splits=1) == (1, 0)


@pytest.mark.parametrize(
    ("p", "splits", "sentence"),
    [
        (np.ones((3, 2)), 1, "take the softmax first"),
        (np.array([[1.5, -0.5]]), 1, "take the softmax first"),
        (np.full((3, 2), 0.5), 4, "3 samples can be cut into 1 to 3 splits, not 4"),
        (np.full((3, 2), 0.5), 0, "not 0"),
        (np.full((3, 2), np.nan), 1, "NaN"),
        (np.ones(3), 1, r"shape \(N, classes\)"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(p, splits, sentence):
    with pytest.raises(MinigenError, match=sentence):
        inception_style_score(p, splits)
