import math

import numpy as np
import pytest

from minigen import Generator
from minigen.errors import ShapeError, UserError
from minigen.metrics import density_coverage, distances, precision_recall


def draw(n, d, seed, shift=0.0, scale=1.0):
    return Generator(seed).normal((n, d), dtype=np.float64) * scale + shift


def radius(points, i, k):
    return sorted(math.dist(points[i], p) for j, p in enumerate(points) if j != i)[k - 1]


def by_loops(real, fake, k):
    """Precision, recall, density and coverage, word by word as the papers define them."""
    real_radii = [radius(real, i, k) for i in range(len(real))]
    fake_radii = [radius(fake, j, k) for j in range(len(fake))]
    inside = [[math.dist(x, y) <= r for x, r in zip(real, real_radii)] for y in fake]  # (M, N)
    precision = sum(any(row) for row in inside) / len(fake)
    recall = sum(any(math.dist(x, y) <= r for y, r in zip(fake, fake_radii)) for x in real) / len(real)
    density = sum(sum(row) for row in inside) / (k * len(fake))
    coverage = sum(any(row[i] for row in inside) for i in range(len(real))) / len(real)
    return precision, recall, density, coverage


@pytest.mark.parametrize("block", [2**22, 100])
@pytest.mark.parametrize(("n", "m", "d", "k"), [(30, 40, 2, 3), (25, 12, 5, 5), (8, 7, 1, 1), (6, 6, 3, 5)])
def test_all_four_are_what_the_papers_define(monkeypatch, n, m, d, k, block):
    monkeypatch.setattr(distances, "BLOCK", block)
    real, fake = draw(n, d, n), draw(m, d, m + 1, shift=0.7, scale=0.6)
    measured = (*precision_recall(real, fake, k), *density_coverage(real, fake, k))
    assert measured == pytest.approx(by_loops(real, fake, k))


def test_equal_sets_have_everything():
    x = draw(60, 4, 0)
    assert precision_recall(x, x) == (1, 1)
    density, coverage = density_coverage(x, x)
    assert (density, coverage) == (pytest.approx(6 / 5), 1)  # each ball holds its centre and 5 neighbours


def test_fakes_of_the_right_distribution_have_density_1_and_the_expected_coverage():
    density, coverage = density_coverage(draw(1500, 2, 1), draw(1500, 2, 2), k=5)
    assert density == pytest.approx(1, abs=0.05)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.02)


def test_a_collapsed_generator_is_precise_and_covers_little():
    real = draw(400, 2, 3)
    fake = draw(400, 2, 4, scale=0.05)
    precision, recall = precision_recall(real, fake)
    density, coverage = density_coverage(real, fake)
    assert precision > 0.95
    assert recall < 0.05
    assert density > 0.5
    assert coverage < 0.1


def test_sets_apart_have_nothing():
    real, fake = draw(20, 2, 5), draw(20, 2, 6, shift=100)
    assert precision_recall(real, fake) == (0, 0)
    assert density_coverage(real, fake) == (0, 0)


def test_constant_features_are_inside_their_own_ball_of_radius_0():
    x = np.full((8, 3), 0.1)
    assert precision_recall(x, x) == (1, 1)
    assert density_coverage(x, x)[1] == 1
    assert precision_recall(x, x + 1e-6) == (0, 0)


def test_what_cannot_be_measured_is_said_in_one_sentence():
    x = draw(10, 2, 7)
    with pytest.raises(ShapeError, match="precision_recall: needs at least 4 samples here, not 3"):
        precision_recall(x, x[:3])
    with pytest.raises(ShapeError, match="density_coverage: needs at least 6 samples here, not 5"):
        density_coverage(x[:5], x)
    assert density_coverage(x, x[:1])[1] > 0  # one fake is enough there
    for metric in (precision_recall, density_coverage):
        with pytest.raises(UserError, match="k counts neighbours, from 1, and cannot be 0"):
            metric(x, x, k=0)
        with pytest.raises(ShapeError, match="as many features"):
            metric(x, x[:, :1])
        with pytest.raises(UserError, match="NaN"):
            metric(x, np.full((10, 2), np.inf))
