import numpy as np
import pytest

from minigen import Generator
from minigen.errors import UserError
from minigen.tasks import augment, augmentation, measure_augmentation
from minigen.tasks.augmentation import Augmentation, covariance_root, same_class, within_classes
from minigen.training.systems import make_system


def system(data="digits", model="ae", **abilities):
    made = make_system({"model": model, "data": data, **({"hidden": [8]} if model == "ae" else {})})
    vars(made).update(abilities)
    return made


def pixels(images):
    return images.reshape(len(images), -1)


def images_of(codes):
    return codes.reshape(-1, 1, 8, 8)


def test_where_codes_are_the_pixels_new_images_are_real_ones_and_a_step_within_the_classes():
    made = system(encode=pixels, decode=images_of)
    found = augment(made, n=200, generator=Generator(1))
    assert found.images.shape == (2000, 1, 8, 8)
    assert found.images.dtype == np.float32
    assert 0 <= found.images.min() <= found.images.max() <= 1
    np.testing.assert_array_equal(found.labels, np.repeat(np.arange(10), 200))
    images, labels = made.source.load("train").arrays
    for label in (0, 4):
        mean = images[labels == label].mean(axis=0)
        new = found.images[found.labels == label].mean(axis=0)
        others = np.delete(np.stack([images[labels == c].mean(axis=0) for c in range(10)]), label, axis=0)
        assert np.linalg.norm(new - mean) < 0.5 * np.linalg.norm(pixels(others - mean), axis=1).min()


def test_a_decoder_that_ignores_its_code_gives_the_training_images_back():
    made = system(encode=pixels, decode=lambda z: np.full((len(z), 1, 8, 8), 0.3, np.float32))
    found = augment(made, n=5)
    images, labels = made.source.load("train").arrays
    known = {image.tobytes(): label for image, label in zip(images, labels)}
    assert [known[image.tobytes()] for image in found.images] == found.labels.tolist()


def test_a_class_that_was_left_out_gets_none():
    made = make_system({"model": "ae", "hidden": [8], "imbalance": "9:0,2:0.01"})
    found = augment(made, n=3)
    assert np.bincount(found.labels, minlength=10).tolist() == [3] * 9 + [0]


def test_the_spread_within_classes_is_pooled_about_the_means_and_its_root_squares_to_it():
    g = Generator(0)
    labels = g.integers(0, 3, (3000,))
    shape = np.array([[1.0, 0.8], [0.0, 0.5]])
    codes = 10 * labels[:, None] + g.normal((3000, 2), dtype=np.float64) @ shape
    np.testing.assert_allclose(within_classes(codes, labels), shape.T @ shape, atol=0.08)
    for covariance in (shape.T @ shape, np.ones((3, 3)), np.zeros((2, 2))):
        root = covariance_root(covariance)
        np.testing.assert_allclose(root.T @ root, covariance, atol=1e-12)


def test_indices_of_a_class_are_of_that_class_and_all_of_it_comes_up():
    labels = np.array([0, 1, 1, 2, 1])
    chosen = same_class(labels, np.repeat([1, 2], 100), Generator(0))
    np.testing.assert_array_equal(labels[chosen], np.repeat([1, 2], 100))
    assert set(chosen[:100]) == {1, 2, 4}


def test_a_model_that_only_samples_gets_the_labels_that_a_classifier_is_sure_of(monkeypatch):
    """Samples are flat images whose first pixel says their class and whose second how sure a classifier is."""
    made = system(model="gan")

    def sample(n, generator):
        images = np.zeros((n, 1, 8, 8), np.float32)
        images[:, 0, 0, 0] = generator.integers(0, 9, (n,)) / 10  # class 9 is never made
        images[:, 0, 0, 1] = 0.9 + 0.1 * generator.integers(0, 2, (n,))
        return images

    def probabilities(judge, images):
        p = np.zeros((len(images), 10))
        p[np.arange(len(images)), np.rint(10 * images[:, 0, 0, 0]).astype(int)] = images[:, 0, 0, 1]
        return p

    made.sample = sample
    monkeypatch.setattr(augmentation, "train_classifier", lambda images, labels: None)
    monkeypatch.setattr(augmentation, "class_probabilities", probabilities)
    found = augment(made, n=20)
    assert np.bincount(found.labels, minlength=10).tolist() == [20] * 9 + [0]
    np.testing.assert_array_equal(np.rint(10 * found.images[:, 0, 0, 0]), found.labels)
    assert (found.images[:, 0, 0, 1] == 1).all()
    monkeypatch.setattr(augmentation, "CONFIDENCE", 1.1)
    with pytest.raises(UserError, match="No sample of this run is recognized"):
        augment(made, n=2)


def test_what_it_is_worth_is_measured_beside_the_training_data_alone_and_repeats(monkeypatch):
    seen = []

    def remember(x, y, seed):
        seen.append((len(x), np.bincount(y, minlength=10).tolist(), seed))
        return seed

    def all_zeros(judge, images):
        return np.eye(10)[np.where(np.arange(len(images)) < judge, 1, 0)]

    monkeypatch.setattr(augmentation, "train_classifier", remember)
    monkeypatch.setattr(augmentation, "class_probabilities", all_zeros)
    made = make_system({"model": "ae", "hidden": [8], "imbalance": "0:0.02"})
    new = Augmentation(np.zeros((50, 1, 8, 8), np.float32), np.zeros(50, np.int64), "none")
    rows = measure_augmentation(made, new, seeds=2)
    assert [row["images"] for row in rows] == [1298, 1348, 1348]
    assert [counts[0] for _, counts, _ in seen] == [3, 3, 53, 53, 53, 53]
    assert [seed for _, _, seed in seen] == [0, 1, 0, 1, 0, 1]
    labels = made.source.load("test").arrays[1]
    assert rows[0]["class_accuracy"][0] == pytest.approx(1 - (labels[0] == 0) / 2 / (labels == 0).sum())
    assert rows[0]["accuracy"] == pytest.approx((labels == 0).mean(), abs=1 / 360)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (system(model="gmm", data="ring8"), "'ring8' is no such data"),
        (system(encode=None, prior=None, latent_dim=3), "neither decodes codes nor samples"),
    ],
)
def test_what_cannot_be_augmented_is_one_sentence(made, words):
    with pytest.raises(UserError, match=words):
        augment(made, n=2)
