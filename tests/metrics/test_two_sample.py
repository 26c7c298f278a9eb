import numpy as np
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from minigen import Generator
from minigen.errors import ShapeError, UserError
from minigen.metrics import distances, nearest_neighbour_accuracy


@pytest.mark.parametrize("block", [2**22, 50])
@pytest.mark.parametrize("shift", [0.0, 0.5, 3.0])
def test_it_is_the_leave_one_out_accuracy_of_scikit_learn(monkeypatch, shift, block):
    monkeypatch.setattr(distances, "BLOCK", block)
    real = Generator(0).normal((40, 3), dtype=np.float64)
    fake = Generator(1).normal((30, 3), dtype=np.float64) + shift
    y = np.repeat([1, 0], [40, 30])
    right = cross_val_predict(KNeighborsClassifier(1), np.concatenate([real, fake]), y, cv=LeaveOneOut()) == y
    result = nearest_neighbour_accuracy(real, fake)
    assert result == pytest.approx({"real": right[:40].mean(), "fake": right[40:].mean(), "overall": right.mean()})


def test_copies_score_0_and_sets_apart_1():
    x = Generator(2).normal((20, 4))
    assert nearest_neighbour_accuracy(x, x.copy())["overall"] == 0
    assert nearest_neighbour_accuracy(x, x + 100)["overall"] == 1


def test_fakes_crowded_in_the_middle_show_in_the_two_halves():
    real = Generator(3).normal((200, 100))
    fake = Generator(4).normal((200, 100), std=0.01)
    assert nearest_neighbour_accuracy(real, fake) == {"real": 0, "fake": 1, "overall": 0.5}


def test_neighbours_equally_near_count_by_their_share():
    x = np.ones((4, 2))
    assert nearest_neighbour_accuracy(x, np.ones((2, 2))) == pytest.approx(
        {"real": 3 / 5, "fake": 1 / 5, "overall": 14 / 30}
    )


def test_one_sample_of_each_is_never_near_its_own_kind():
    assert nearest_neighbour_accuracy([[0.0]], [[1.0]]) == {"real": 0, "fake": 0, "overall": 0}


def test_what_cannot_be_measured_is_said_in_one_sentence():
    x = np.ones((3, 2))
    with pytest.raises(UserError, match="NaN"):
        nearest_neighbour_accuracy(x, x * np.nan)
    with pytest.raises(ShapeError, match="as many features, not 2 and 1"):
        nearest_neighbour_accuracy(x, x[:, :1])
