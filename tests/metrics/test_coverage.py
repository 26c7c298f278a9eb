import numpy as np
import pytest

from minigen.errors import MinigenError
from minigen.metrics import class_coverage


def test_a_report_worked_by_hand():
    p = np.array([[0.9, 0.1, 0], [0.85, 0.1, 0.05], [0.4, 0.6, 0], [0.1, 0.0, 0.9]])
    report = class_coverage(p)
    assert report["classes_covered"] == 2  # nobody is sure of the second
    assert report["class_shares"] == [0.5, 0, 0.25]
    assert report["confident_share"] == 0.75
    shares = np.array([0.5, 0.25, 0.25])
    assert report["class_entropy"] == pytest.approx(-(shares * np.log(shares)).sum() / np.log(3))


def test_the_entropy_runs_from_one_class_to_all_alike():
    assert class_coverage(np.eye(4)[[1, 1, 1]])["class_entropy"] == 0
    assert class_coverage(np.eye(4))["class_entropy"] == pytest.approx(1)
    assert class_coverage(np.ones((5, 1)))["class_entropy"] == 1


def test_logits_are_refused():
    with pytest.raises(MinigenError, match="take the softmax first"):
        class_coverage(np.array([[3.0, -2.0]]))
