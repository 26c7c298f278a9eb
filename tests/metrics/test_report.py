import json

import numpy as np
import pytest

from minigen import Generator
from minigen.errors import MinigenError
from minigen.metrics import frechet_distance, generation_report, nearest_neighbour_accuracy, precision_recall


def two(n, m, shape=(1, 4, 4), shift=0.0):
    return Generator(0).uniform((n, *shape)), Generator(1).uniform((m, *shape)) + np.float32(shift)


def test_it_says_what_the_metrics_say():
    real, fake = two(60, 50, shift=0.1)
    report = generation_report(real, fake)
    assert (report["real_samples"], report["fake_samples"]) == (60, 50)
    assert report["pixel_frechet_distance"] == frechet_distance(real, fake)
    assert (report["pixel_precision"], report["pixel_recall"]) == precision_recall(real, fake)
    assert report["pixel_nearest_neighbour_accuracy"] == nearest_neighbour_accuracy(real, fake)["overall"]
    assert report["pixel_kernel_distance"] > 0
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_each_feature_space_has_its_own_numbers_and_classes_come_with_probabilities():
    real, fake = two(30, 40)
    spaces = {"left": lambda x: x[..., :2], "sum": lambda x: x.sum(axis=(2, 3))}
    report = generation_report(real, fake, spaces, probabilities=lambda x: np.eye(2)[np.arange(len(x)) % 2])
    assert report["sum_frechet_distance"] == frechet_distance(real.sum(axis=(2, 3)), fake.sum(axis=(2, 3)))
    assert "pixel_precision" not in report
    assert {"left_density", "left_coverage", "sum_squared_mmd"} <= report.keys()
    assert "sum_kernel_distance_std" not in report  # a subset is the whole
    many, others = two(600, 40)
    assert generation_report(many, others)["pixel_kernel_distance_std"] > 0
    assert report["inception_style_score"] == pytest.approx(2)
    assert report["classes_covered"] == 2


def test_large_sets_are_cut_down_always_alike_and_other_shapes_are_samples_too():
    real, fake = two(300, 200, shape=(2,))
    report = generation_report(real, fake, max_samples=50)
    assert (report["real_samples"], report["fake_samples"]) == (50, 50)
    assert report == generation_report(real, fake, max_samples=50)
    assert report != generation_report(real, fake, max_samples=50, generator=Generator(9))


def test_few_samples_leave_out_what_needs_more():
    report = generation_report(*two(2, 3))
    assert "pixel_precision" not in report
    assert "pixel_density" not in report
    assert report["pixel_frechet_distance"] >= 0


def test_equal_sets():
    real, _ = two(40, 1)
    report = generation_report(real, real)
    assert report["pixel_frechet_distance"] < 1e-10
    assert report["pixel_precision"] == report["pixel_recall"] == report["pixel_coverage"] == 1
    assert report["pixel_nearest_neighbour_accuracy"] == 0


@pytest.mark.parametrize(
    ("real", "fake", "sentence"),
    [
        (np.ones((5, 1, 4, 4)), np.ones((5, 1, 4, 5)), "have one shape"),
        (np.ones((5, 3)), np.full((5, 3), np.nan), "NaN"),
        (np.ones((5, 3)), np.ones((1, 3)), "at least 2 samples here, not 1"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(real, fake, sentence):
    with pytest.raises(MinigenError, match=f"generation_report: .*{sentence}"):
        generation_report(real, fake)
