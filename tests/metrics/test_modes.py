import numpy as np
import pytest

from minigen import Generator
from minigen.data.mixtures import grid, grid_centers, ring, ring_centers
from minigen.errors import MinigenError
from minigen.metrics import mode_radius, mode_report

CROSS = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])


@pytest.mark.parametrize(("draw", "centers", "std"), [(ring, ring_centers(), 0.01), (grid, grid_centers(), 0.05)])
def test_true_samples_cover_every_mode_and_score_98_9_percent(draw, centers, std):
    report = mode_report(draw(50_000, Generator(0))[0], centers, std)
    assert report["modes_covered"] == report["modes"] == len(centers)
    assert report["high_quality_share"] == pytest.approx(1 - np.exp(-4.5), abs=0.002)
    assert report["reverse_kl"] < 0.001


def test_true_samples_score_98_9_percent_in_700_dimensions_laid_into_1200():
    g = Generator(1)
    basis = np.linalg.qr(g.normal((1200, 700), dtype=np.float64))[0].T  # rows orthonormal
    centers = g.normal((10, 1200), dtype=np.float64) * 3
    samples = centers[g.integers(0, 10, (2000,))] + 0.5 * g.normal((2000, 700), dtype=np.float64) @ basis
    report = mode_report(samples, centers, 0.5, radius=mode_radius(0.5, 700))
    assert report["modes_covered"] == 10
    assert report["high_quality_share"] == pytest.approx(0.989, abs=0.01)


@pytest.mark.parametrize("d", [1, 2, 3, 50])
def test_the_radius_holds_98_9_percent_of_a_gaussian_in_any_number_of_dimensions(d):
    distance = np.linalg.norm(Generator(2).normal((40_000, d)) * 0.3, axis=1)
    assert (distance <= mode_radius(0.3, d)).mean() == pytest.approx(0.9889, abs=0.003)


def test_the_radius_in_the_plane_is_three_standard_deviations():
    assert mode_radius(0.7, 2) == pytest.approx(2.1, rel=1e-12)


def test_a_report_worked_by_hand():
    samples = np.array([[0, 0], [0.2, 0], [0.31, 0], [10, 0.29], [10, 4.9], [10.5, 9.5]])
    report = mode_report(samples, CROSS, std=0.1)
    assert report["modes_covered"] == 2  # the last sample is nearest to the fourth mode, and 0.7 away
    assert report["high_quality_share"] == pytest.approx(3 / 6)
    assert report["mode_shares"] == pytest.approx([3 / 6, 2 / 6, 0, 1 / 6])
    expected = 3 / 6 * np.log(2) + 2 / 6 * np.log(4 / 3) + 1 / 6 * np.log(4 / 6)
    assert report["reverse_kl"] == pytest.approx(expected)


def test_one_mode_only_has_the_largest_divergence_and_even_modes_none():
    assert mode_report(np.zeros((9, 2)), CROSS, 0.1)["reverse_kl"] == pytest.approx(np.log(4))
    assert mode_report(np.repeat(CROSS, 3, axis=0), CROSS, 0.1)["reverse_kl"] == 0


def test_samples_of_no_quality_still_have_shares():
    report = mode_report(CROSS + 2, CROSS, 0.1)
    assert (report["modes_covered"], report["high_quality_share"], report["reverse_kl"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("samples", "std", "radius", "sentence"),
    [
        (np.full((3, 2), np.nan), 0.1, None, "NaN or infinity"),
        (np.zeros((3, 5)), 0.1, None, "as many features, not 5 and 2"),
        (np.zeros((0, 2)), 0.1, None, "nothing to measure"),
        (np.zeros((3, 2)), 0.0, None, "a positive std"),
        (np.zeros((3, 2)), 0.1, -1.0, "radius of high quality is a positive number"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_sentence(samples, std, radius, sentence):
    with pytest.raises(MinigenError, match=sentence):
        mode_report(samples, CROSS, std, radius)
