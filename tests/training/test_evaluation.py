import numpy as np
import pytest

from minigen import Generator
from minigen.data import open_dataset
from minigen.training.systems import evaluation
from minigen.training.systems.evaluation import judge_samples, nearest_training

RING = open_dataset("ring8")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Fewer samples than in earnest, for speed."""
    monkeypatch.setattr(evaluation, "COMPARED", 300)


def fresh(n, generator):
    return RING.draw(n, generator.spawn(7))[0]


def copies(n, generator):
    training = RING.load("train").arrays[0]
    return training[generator.permutation(len(training))[:n]]


def test_true_samples_of_a_mixture_score_as_the_reference_and_reach_all_modes():
    report = judge_samples(RING, fresh)
    assert report["modes_covered"] == 8
    assert report["high_quality_share"] == pytest.approx(0.989, abs=0.01)
    assert report["real_samples"] == report["fake_samples"] == 300
    assert report["point_nearest_neighbour_accuracy"] == pytest.approx(0.5, abs=0.1)
    assert report["reference"]["point_nearest_neighbour_accuracy"] == pytest.approx(0.5, abs=0.1)
    assert report["copying_ratio"] == pytest.approx(1, abs=0.2)


def test_copies_of_the_training_samples_are_found_out():
    report = judge_samples(RING, copies)
    assert report["nearest_training_distance"] == report["copying_ratio"] == 0


def test_only_inceptions_features_give_a_fid(monkeypatch):
    asked = []

    def features(images, weights_path):
        asked.append(weights_path)
        return images.reshape(len(images), -1)

    monkeypatch.setattr(evaluation, "inception_features", features)
    monkeypatch.setattr(evaluation, "train_classifier", lambda images, labels: None)
    monkeypatch.setattr(evaluation, "class_probabilities", lambda judge, images: np.full((len(images), 10), 0.1))
    monkeypatch.setattr(evaluation, "classifier_features", lambda judge, images: images.reshape(len(images), -1)[:, :9])
    digits = open_dataset("digits")
    images = digits.load("train").arrays[0]
    plain = judge_samples(digits, lambda n, generator: images[:n])
    assert "fid" not in plain
    assert not asked
    with_weights = judge_samples(digits, lambda n, generator: images[:n], "weights.safetensors")
    assert set(asked) == {"weights.safetensors"}
    assert with_weights["fid"] == with_weights["pixel_frechet_distance"] > 0
    assert with_weights["kid"] == pytest.approx(with_weights["pixel_kernel_distance"])
    assert "fid" in with_weights["reference"]
    assert "inception_frechet_distance" not in with_weights
    assert plain["judge_accuracy"] == pytest.approx(0.1, abs=0.01)


def test_the_nearest_training_sample_is_that_of_a_search_one_by_one():
    g = Generator(0)
    samples, training = g.normal((300, 1, 3, 4)), g.normal((50, 1, 3, 4))
    index, distance = nearest_training(samples, training)
    all_distances = np.linalg.norm(samples.reshape(300, 1, -1) - training.reshape(1, 50, -1), axis=2)
    np.testing.assert_array_equal(index, all_distances.argmin(axis=1))
    np.testing.assert_allclose(distance, all_distances.min(axis=1), rtol=1e-5)
