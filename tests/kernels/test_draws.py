"""Uniform and Gaussian numbers by their place: the compiled twin to the last bit, and the distributions, tails included."""

import math

import numpy as np
import pytest
from minigen_kernels import cpu, draws, philox
from scipy import stats

KEYS = [0, 12345, 2**64 - 1]
DRAWS = {
    "uniform": ("uniform", ()),
    "uniform between": ("uniform", (-1.5, 7.25)),
    "normal": ("normal", ()),
    "normal with mean and deviation": ("normal", (0.3, 2.5)),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 16_384, 40_001])
def test_the_compiled_twin_draws_the_same_numbers_whatever_the_number_of_threads(draw, count):
    name, ends = DRAWS[draw]
    before = cpu.num_threads()
    try:
        for key in KEYS:
            expected = getattr(draws, name)(key, count, *ends)
            assert (expected.shape, expected.dtype) == ((count,), np.float32)
            for threads in (1, 3):
                cpu.set_num_threads(threads)
                numbers = getattr(cpu.draws, name)(key, count, *ends)
                assert numbers.dtype == np.float32
                np.testing.assert_array_equal(numbers, expected)
    finally:
        cpu.set_num_threads(before)


def test_the_compiled_twin_computes_the_radius_of_every_exponent_and_every_side_of_the_circle(monkeypatch):
    """Words that chance would not bring: u from the least to the greatest, and the corners of all four quarters."""
    first = np.concatenate([2 ** np.arange(32), 2**32 - 2 ** np.arange(32), [0, 2**32 - 1]]).astype(np.uint32)
    second = (np.arange(8)[:, None] * 2**29 + np.array([0, 1, 2**28, 2**29 - 1])).astype(np.uint32).ravel()
    a, b = (words.ravel() for words in np.meshgrid(first, second))
    words = np.zeros((a.size, 4), np.uint32)
    words[:, 0] = words[:, 2] = a
    words[:, 1] = words[:, 3] = b
    u = (a // 2 + 0.5) / 2**31
    quarter, place = b >> 30, (b % 2**30 - 2.0**29) * math.pi / 2**31
    along, across = np.cos(place) * np.where(quarter & 2, -1, 1), np.sin(place)
    x, y = (np.where(quarter & 1, *pair) for pair in ((across, along), (along, across)))
    expected = np.sqrt(-2 * np.log(u)) * [x, y]
    compiled = np.array([cpu.draws.pair(*both) for both in zip(a, b)]).T
    np.testing.assert_allclose(compiled, expected, rtol=2e-6, atol=3e-4)  # the least radius is of u that rounds to 1
    plain = draws.radius(a) * np.array(draws.direction(b))
    np.testing.assert_array_equal(compiled, plain)
    assert np.abs(expected).max() > 6.6


def test_gaussian_numbers_follow_their_distribution_far_out_too():
    z = cpu.draws.normal(99, 4_000_000).astype(np.float64)
    assert stats.kstest(z, "norm").pvalue > 0.01
    edges = np.array([-np.inf, -4.5, -4, -3.5, -3, -2, 2, 3, 3.5, 4, 4.5, np.inf])
    counts = np.histogram(z, edges)[0]
    assert stats.chisquare(counts, z.size * np.diff(stats.norm.cdf(edges))).pvalue > 0.01


@pytest.mark.parametrize("apart", [1, philox.LANES, 2 * philox.LANES, philox.TILE])
def test_numbers_that_are_made_of_one_block_are_independent(apart):
    for draw in (cpu.draws.normal, cpu.draws.uniform):
        numbers = draw(5, 400_000).astype(np.float64)
        for f in (np.abs, np.array):  # the two of a pair have their radius in common
            a, b = f(numbers[apart:]), f(numbers[:-apart])
            assert abs(np.corrcoef(a, b)[0, 1]) < 0.006


def test_uniform_numbers_are_below_their_upper_end():
    for low, high in (
        (0, 1),
        (5, 6),
        (-1, 0),
        (1e6, 1e6 + 1),
        (2, 2),
    ):  # around a million, one in 32 is rounded up to it
        for twin in (draws, cpu.draws):
            u = twin.uniform(3, 100_000, low, high)
            assert low <= u.min()
            assert u.max() < high or low == high
    u = cpu.draws.uniform(8, 1_000_000)
    assert stats.kstest(u.astype(np.float64), "uniform").pvalue > 0.01
