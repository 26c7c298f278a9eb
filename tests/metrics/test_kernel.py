import numpy as np
import pytest

from minigen import Generator
from minigen.errors import ShapeError, UserError
from minigen.metrics import distances, kernel_distance, median_distance, squared_mmd


def draw(n, d, seed, shift=0.0):
    return Generator(seed).normal((n, d), dtype=np.float64) + shift


def by_loops(kernel, a, b, biased):
    def mean(x, y, skip):
        values = [kernel(p, q) for i, p in enumerate(x) for j, q in enumerate(y) if not (skip and i == j)]
        return sum(values) / len(values)

    return mean(a, a, not biased) + mean(b, b, not biased) - 2 * mean(a, b, False)


def test_the_kernel_distance_of_whole_sets_is_the_unbiased_sum_over_pairs(monkeypatch):
    a, b = draw(13, 4, 0), draw(17, 4, 1, 0.5)
    expected = by_loops(lambda x, y: (x @ y / 4 + 1) ** 3, a, b, biased=False)
    for block in (2**22, 40):
        monkeypatch.setattr(distances, "BLOCK", block)
        mean, deviation = kernel_distance(a, b, Generator(0))
        assert (mean, deviation) == (pytest.approx(expected, rel=1e-10), 0)


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("bandwidth", [0.7, [0.5, 2.0, 8.0]])
def test_the_squared_mmd_is_the_sum_over_pairs(biased, bandwidth):
    a, b = draw(11, 3, 2), draw(14, 3, 3, 0.8)
    sigmas = np.atleast_1d(bandwidth)
    expected = by_loops(lambda x, y: np.exp(-((x - y) @ (x - y)) / (2 * sigmas**2)).mean(), a, b, biased)
    assert squared_mmd(a, b, bandwidth, biased) == pytest.approx(expected, rel=1e-9)


def test_the_squared_mmd_of_two_gaussians_has_a_closed_form():
    # E k over x ~ N(0, 1), y ~ N(m, 1): sqrt(s²/(s² + 2))·exp(-m²/(2(s² + 2))), s the bandwidth
    s, m = 1.5, 2.0
    expected = 2 * np.sqrt(s**2 / (s**2 + 2)) * (1 - np.exp(-(m**2) / (2 * (s**2 + 2))))
    values = [squared_mmd(draw(400, 1, seed), draw(400, 1, seed + 50, m), bandwidth=s) for seed in range(10)]
    assert np.mean(values) == pytest.approx(expected, abs=4 * np.std(values) / np.sqrt(10))


def test_the_kernel_distance_is_unbiased_where_the_distributions_are_equal():
    values = [kernel_distance(draw(20, 3, seed), draw(20, 3, seed + 500), Generator(0))[0] for seed in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)
    assert min(values) < 0 < max(values)


def test_subsets_estimate_the_same_value_and_follow_the_generator():
    a, b = draw(500, 3, 4), draw(400, 3, 5, 0.5)
    whole, _ = kernel_distance(a, b, Generator(0))
    mean, deviation = kernel_distance(a, b, Generator(1), subsets=50, subset_size=100)
    assert mean == pytest.approx(whole, rel=0.2)
    assert 0 < deviation < whole
    assert kernel_distance(a, b, Generator(1), subsets=50, subset_size=100) == (mean, deviation)


def test_the_median_distance_is_that_of_all_pairs_that_are_apart():
    a, b = np.array([[0.0], [0.0], [3.0]]), np.array([[0.0], [7.0]])
    assert median_distance(a, b) == 4  # 3 three times, 7 three times and 4 once; 0 does not count
    assert median_distance(np.ones((4, 2)), np.ones((3, 2))) == 1
    many = draw(1500, 2, 6)
    expected = np.median(np.sqrt(distances.squared_distances(many, many))[np.triu_indices(1500, 1)])
    assert median_distance(many[:700], many[700:]) == pytest.approx(expected, rel=0.05)


def test_equal_sets_and_constant_ones():
    x = draw(20, 3, 7)
    assert squared_mmd(x, x, biased=True) == pytest.approx(0, abs=1e-12)
    assert squared_mmd(np.ones((5, 2)), np.ones((4, 2))) == 0
    assert kernel_distance(np.ones((5, 2)), np.ones((4, 2)), Generator(0)) == (0, 0)
    assert squared_mmd(np.zeros((5, 2)), np.full((4, 2), 100.0), bandwidth=1.0) == 2


def test_what_cannot_be_measured_is_said_in_one_sentence():
    x = np.ones((5, 2))
    with pytest.raises(UserError, match="bandwidth is a positive number"):
        squared_mmd(x, x, bandwidth=0.0)
    with pytest.raises(UserError, match="1 subset or more of at least 2 samples, not 0 of 1000"):
        kernel_distance(x, x, Generator(0), subsets=0)
    for metric in (squared_mmd, lambda a, b: kernel_distance(a, b, Generator(0))):
        with pytest.raises(ShapeError, match="at least 2 samples"):
            metric(x, x[:1])
        with pytest.raises(UserError, match="NaN"):
            metric(x, x * np.nan)
