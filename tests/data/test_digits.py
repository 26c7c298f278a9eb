import hashlib

import numpy as np
import pytest

from minigen import manual_seed
from minigen.data.digits import load_digits, load_digits28, split_indices
from minigen.errors import UserError


def test_the_two_splits_hold_every_digit_once_and_share_none():
    train, train_labels = load_digits("train")
    test, test_labels = load_digits("test")
    assert (len(train), len(test)) == (1437, 360)
    seen = {image.tobytes() for image in train}
    assert not [i for i, image in enumerate(test) if image.tobytes() in seen]
    from sklearn.datasets import load_digits as everything

    pixels, labels = everything(return_X_y=True)
    ours = sorted((image.tobytes(), label) for image, label in zip([*train, *test], [*train_labels, *test_labels]))
    theirs = sorted(
        (image.tobytes(), label) for image, label in zip((pixels / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels)
    )
    assert ours == theirs


def test_each_class_has_a_fifth_of_its_digits_held_out_to_within_one():
    _, train = load_digits("train")
    _, test = load_digits("test")
    counts = np.bincount(train), np.bincount(test)
    np.testing.assert_array_less(np.abs(counts[1] - (counts[0] + counts[1]) / 5), 1)


def test_the_split_is_pinned_and_no_seed_changes_it():
    manual_seed(123)
    images, labels = load_digits("test")
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest.startswith("6db1d1ae07318928"), digest


@pytest.mark.parametrize(("scale", "low", "high"), [("unit", 0, 1), ("tanh", -1, 1)])
def test_pixels_are_seventeen_exact_values_over_the_whole_of_the_scale(scale, low, high):
    images, labels = load_digits("train", scale=scale)
    assert images.shape == (1437, 1, 8, 8)
    assert images.dtype == np.float32
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(np.unique(images), np.linspace(low, high, 17, dtype=np.float32))


def test_writing_to_the_images_does_not_change_the_next_call():
    images, labels = load_digits("test")
    images[:], labels[:] = 0, 0
    again, again_labels = load_digits("test")
    assert again.max() == 1
    assert again_labels.max() == 9


def test_the_split_of_a_class_of_five_holds_one_out():
    train, test = split_indices(np.repeat([3, 1, 7], 5))
    assert len(test) == 3
    assert sorted([*train, *test]) == list(range(15))
    assert [index // 5 for index in test] == [0, 1, 2]


@pytest.mark.parametrize("load", [load_digits, load_digits28])
@pytest.mark.parametrize("arguments", [{"split": "valid"}, {"scale": "255"}])
def test_an_unknown_split_or_scale_is_named_with_those_there_are(load, arguments):
    (value,) = arguments.values()
    with pytest.raises(UserError, match=f"not '{value}'"):
        load(**arguments)


def cubic(distance):
    """Keys' kernel with a = -1/2."""
    d = np.abs(distance)
    return np.where(d < 1, 1.5 * d**3 - 2.5 * d**2 + 1, np.where(d < 2, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2, 0))


def test_the_large_digits_are_the_small_ones_interpolated_in_a_black_frame():
    small, labels = load_digits("test")
    large, same_labels = load_digits28("test")
    np.testing.assert_array_equal(labels, same_labels)
    assert large.shape == (360, 1, 28, 28)
    at = (np.arange(20) + 0.5) * 8 / 20 - 0.5  # where the centres of the new pixels lie among those of the old
    weights = cubic(at[:, None] - np.arange(8))
    weights /= weights.sum(axis=1, keepdims=True)  # at the edges a part of the kernel has no pixel
    expected = np.einsum("yi,nij,xj->nyx", weights, small[:, 0], weights).clip(0, 1)
    np.testing.assert_allclose(large[:, 0, 4:24, 4:24], expected, atol=1e-5)
    large[:, :, 4:24, 4:24] = 0
    assert not large.any()
