import numpy as np
import pytest

from minigen import Generator
from minigen.data.mixtures import grid, grid_centers, mixture1200, mixture1200_centers, ring, ring_centers
from minigen.errors import UserError

CASES = [(ring, ring_centers(), 0.01), (grid, grid_centers(), 0.05)]


@pytest.mark.parametrize(("draw", "centers", "std"), CASES)
def test_samples_lie_about_their_modes_with_the_stated_spread(draw, centers, std):
    samples, modes = draw(50_000, Generator(1))
    assert samples.shape == (50_000, 2)
    assert (samples.dtype, modes.dtype) == (np.float32, np.int64)
    noise = samples - centers[modes]
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=4 * std / np.sqrt(50_000))
    np.testing.assert_allclose(noise.std(axis=0), std, rtol=0.02)
    expected = 50_000 / len(centers)
    np.testing.assert_allclose(np.bincount(modes, minlength=len(centers)), expected, atol=5 * np.sqrt(expected))


@pytest.mark.parametrize(("draw", "centers", "std"), CASES)
def test_true_samples_score_98_9_percent_high_quality_and_cover_every_mode(draw, centers, std):
    samples, _ = draw(50_000, Generator(2))
    distance = np.linalg.norm(samples[:, None] - centers, axis=2)
    good = distance.min(axis=1) < 3 * std
    assert good.mean() == pytest.approx(1 - np.exp(-4.5), abs=0.002)
    assert set(distance.argmin(axis=1)[good]) == set(range(len(centers)))


def test_the_ring_has_as_many_distinct_modes_as_asked_for():
    centers = ring_centers(8, radius=2.0)
    assert len(np.unique(centers.round(4), axis=0)) == 8
    np.testing.assert_allclose(np.linalg.norm(centers, axis=1), 2, rtol=1e-6)


def test_the_grid_is_the_one_of_the_papers():
    line = [-4, -2, 0, 2, 4]
    assert grid_centers().tolist() == [[x, y] for x in line for y in line]


@pytest.mark.parametrize("draw", [ring, grid])
def test_one_seed_gives_the_same_bits_and_numpys_global_state_is_left_alone(draw):
    before = np.random.get_state()[1].copy()
    first, second, other = draw(64, Generator(3)), draw(64, Generator(3)), draw(64, Generator(4))
    assert first[0].tobytes() == second[0].tobytes()
    assert first[0].tobytes() != other[0].tobytes()
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_no_samples_are_an_empty_array():
    samples, modes = ring(0, Generator(0))
    assert samples.shape == (0, 2)
    assert modes.shape == (0,)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda g: ring(-1, g), "n"),
        (lambda g: ring(5, g, modes=0), "modes"),
        (lambda g: ring(5, g, radius=float("nan")), "radius"),
        (lambda g: ring(5, g, std=-0.1), "std"),
        (lambda g: mixture1200(-1, g), "n"),
        (lambda g: grid(5, g, side=0), "side"),
        (lambda g: grid(5, g, spacing=0), "spacing"),
    ],
)
def test_a_value_out_of_range_is_named(call, name):
    with pytest.raises(UserError, match=f"The {name} of a mixture must be"):
        call(Generator(0))


def test_the_ring_of_unrolled_gans_is_a_choice_of_parameters():
    samples, modes = ring(20_000, Generator(0), radius=2, std=0.02)
    noise = samples - ring_centers(radius=2)[modes]
    np.testing.assert_allclose(np.linalg.norm(ring_centers(radius=2), axis=1), 2, rtol=1e-6)
    np.testing.assert_allclose(noise.std(axis=0), 0.02, rtol=0.03)


def test_the_modes_of_the_1200_dimensions_are_flats_of_700():
    samples, modes = mixture1200(3000, Generator(1))
    assert samples.shape == (3000, 1200)
    assert (samples.dtype, modes.dtype) == (np.float32, np.int64)
    levels = [-13, -5.5, -2.5, -2, -1, -0.5, 0, 0.25, 0.5, 10]
    noise = samples - np.array(levels, np.float32)[modes][:, None]
    assert not noise[:, 700:].any()
    stirred = noise[:, :700]
    np.testing.assert_allclose(stirred.mean(axis=0), 0, atol=5 / np.sqrt(3000))
    np.testing.assert_allclose(stirred.var(axis=0), 1, atol=5 * np.sqrt(2 / 3000))
    np.testing.assert_allclose(np.bincount(modes, minlength=10), 300, atol=5 * np.sqrt(300))
    centers = mixture1200_centers()
    assert centers.shape == (10, 1200)
    np.testing.assert_array_equal(centers, np.outer(levels, np.ones(1200)))


def test_the_nearest_mean_is_a_true_samples_own_and_about_root_700_away():
    samples, modes = mixture1200(500, Generator(2))
    distance = np.linalg.norm(samples[:, None] - mixture1200_centers(), axis=2)
    np.testing.assert_array_equal(distance.argmin(axis=1), modes)
    own = distance.min(axis=1)
    np.testing.assert_allclose(own.mean(), np.sqrt(700), atol=0.2)
    assert own.min() > 10  # so the rule of the paper, within 10 standard deviations, refuses every true sample
