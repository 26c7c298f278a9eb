import numpy as np
import pytest

from minigen.data import open_dataset
from minigen.data.imbalance import keep_shares, parse_imbalance
from minigen.errors import UserError


def counts(dataset):
    return np.bincount(dataset.arrays[1], minlength=10)


@pytest.mark.parametrize("imbalance", ["0:0.02,3:0.5,7:0", {0: 0.02, 3: 0.5, 7: 0}])
def test_the_training_split_keeps_the_shares_and_the_test_split_all(imbalance):
    plain, rare = open_dataset("digits"), open_dataset("digits", imbalance=imbalance)
    before, after = counts(plain.load("train")), counts(rare.load("train"))
    expected = before.copy()
    expected[[0, 3, 7]] = [round(0.02 * before[0]), round(0.5 * before[3]), 0]
    np.testing.assert_array_equal(after, expected)
    np.testing.assert_array_equal(counts(plain.load("test")), counts(rare.load("test")))
    assert rare.load("train").arrays[0].tobytes() == rare.load("train").arrays[0].tobytes()


def test_images_stay_with_their_labels():
    plain, rare = open_dataset("digits").load("train"), open_dataset("digits", imbalance="4:0.1").load("train")
    everything = {image.tobytes(): label for image, label in zip(*plain.arrays)}
    assert all(everything[image.tobytes()] == label for image, label in zip(*rare.arrays))


def test_a_share_above_zero_keeps_one_at_least_and_zero_keeps_none():
    labels = np.repeat([0, 1, 2], [7, 40, 5])
    kept = labels[keep_shares(labels, {0: 0.001, 1: 0.25, 2: 0.0})]
    np.testing.assert_array_equal(np.bincount(kept, minlength=3), [1, 10, 0])
    np.testing.assert_array_equal(keep_shares(labels, {0: 1.0}), np.arange(52))
    assert keep_shares(np.array([1, 1]), {0: 0.5}).tolist() == [0, 1]


def test_the_kept_are_spread_evenly_over_their_class():
    assert keep_shares(np.zeros(10, int), {0: 0.5}).tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    ("imbalance", "words"),
    [
        ("10:0.5", "no class 10 to make rare: the classes are 0 to 9"),
        ("-1:0.5", "no class -1"),
        ({True: 0.5}, "no class True"),
        ({"cat": 0.5}, "no class cat"),
        ("0:1.5", "share of class 0 must be a number from 0 to 1, not 1.5"),
        ("0:nan", "not nan"),
        ("0:few", "not few"),
        ("0.02", "written CLASS:SHARE"),
        (0.5, "text such as 0:0.02,3:0.5 or a mapping, not 0.5"),
        ("", "'' is not"),
        ("0:0.1,", "'' is not"),
        ("0:0.1,0:0.2", "names class 0 twice"),
        (dict.fromkeys(range(10), 0), "leaves out every class"),
    ],
)
def test_nonsense_is_answered_in_one_sentence(imbalance, words):
    with pytest.raises(UserError, match=words):
        open_dataset("digits", imbalance=imbalance)


def test_data_without_labels_cannot_be_made_rare():
    with pytest.raises(UserError, match="needs data with labels"):
        parse_imbalance("0:0.5", 0)


def test_a_class_may_be_called_by_its_name():
    assert parse_imbalance("dog:0.5,0:1", 2, ("cat", "dog")) == {1: 0.5, 0: 1.0}
