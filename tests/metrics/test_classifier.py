import numpy as np
import pytest

from minigen import Generator, Tensor
from minigen.data import load
from minigen.errors import MinigenError
from minigen.metrics import class_probabilities, classifier_features, train_classifier
from minigen.metrics.classifier import Classifier
from minigen.random import default_generator


@pytest.fixture(scope="module")
def judge():
    return train_classifier(*load("digits", "train").arrays, epochs=6)


def test_it_knows_digits_that_it_has_not_seen(judge):
    images, labels = load("digits", "test").arrays
    p = class_probabilities(judge, images)
    assert p.shape == (360, 10)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (p.argmax(axis=1) == labels).mean() > 0.93


def test_its_features_are_what_the_logits_are_made_of_and_have_unit_size(judge):
    images = load("digits", "train").arrays[0]
    features = classifier_features(judge, images, batch=500)
    assert features.shape == (1437, 64)
    assert (features**2).mean() == pytest.approx(1, rel=1e-4)
    logits = features @ judge.head.weight.numpy().T + judge.head.bias.numpy()
    np.testing.assert_allclose(logits, judge(Tensor(images)).numpy(), rtol=1e-3, atol=1e-3)


def test_bringing_features_to_unit_size_leaves_the_logits(judge):
    from minigen.metrics.classifier import _normalize_features

    x = load("digits", "test").arrays[0]
    before = judge(Tensor(x)).numpy().copy()
    _normalize_features(judge, x[:40])
    np.testing.assert_allclose(judge(Tensor(x)).numpy(), before, rtol=1e-4, atol=1e-4)
    _normalize_features(judge, load("digits", "train").arrays[0])


@pytest.mark.parametrize(
    ("shape", "classes"), [((1, 28, 28), 10), ((3, 64, 64), 2), ((3, 5, 37), 4), ((2, 1, 1), 3), ((1, 9, 2), 1)]
)
def test_images_of_any_size_and_any_number_of_classes_go_through(shape, classes):
    x = Generator(0).uniform((3, *shape))
    model = Classifier(shape, classes)
    assert model(Tensor(x)).shape == (3, classes)
    assert model.features(Tensor(x)).shape == (3, 64)
    assert sum(p.data.size for p in model.parameters()) < 600_000


def test_it_learns_classes_of_colour_on_odd_sizes():
    g = Generator(1)
    labels = g.integers(0, 3, (200,))
    images = g.uniform((200, 3, 7, 11)) * 0.3
    images[np.arange(200), labels] += 0.5
    model = train_classifier(images, labels, epochs=5)
    assert (class_probabilities(model, images).argmax(axis=1) == labels).mean() > 0.97


def test_one_seed_gives_one_classifier_and_the_default_generator_is_left_alone():
    images, labels = Generator(2).uniform((20, 1, 4, 4)), np.arange(20) % 2
    before = default_generator.get_state()
    one, two, other = (train_classifier(images, labels, epochs=1, seed=seed) for seed in (0, 0, 1))
    assert default_generator.get_state() == before
    a, b, c = (class_probabilities(model, images) for model in (one, two, other))
    assert a.tobytes() == b.tobytes() != c.tobytes()


@pytest.mark.parametrize(
    ("images", "labels", "sentence"),
    [
        (np.zeros((4, 8, 8)), np.zeros(4, int), r"shape \(N, C, H, W\)"),
        (np.zeros((4, 1, 8, 8)), np.zeros(3, int), r"4 images have labels \(4,\), not \(3,\)"),
        (np.zeros((4, 1, 8, 8)), np.zeros(4), "count the classes from 0"),
        (np.zeros((4, 1, 8, 8)), -np.ones(4, int), "count the classes from 0"),
        (np.full((4, 1, 8, 8), np.nan), np.zeros(4, int), "NaN"),
        (np.zeros((0, 1, 8, 8)), np.zeros(0, int), "nothing to measure"),
    ],
)
def test_what_it_cannot_learn_is_said_in_one_sentence(images, labels, sentence):
    with pytest.raises(MinigenError, match=sentence):
        train_classifier(images, labels)


def test_images_of_another_shape_than_it_learnt_are_refused(judge):
    with pytest.raises(MinigenError, match=r"trained on images of shape \(1, 8, 8\), not \(1, 28, 28\)"):
        class_probabilities(judge, np.zeros((2, 1, 28, 28)))
