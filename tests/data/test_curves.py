import numpy as np
import pytest

from minigen import Generator
from minigen.data.curves import moons, spiral
from minigen.errors import UserError


def test_without_noise_the_points_of_the_spiral_lie_on_their_arm():
    samples, arm = spiral(5000, Generator(0), arms=3, turns=2, std=0)
    assert (samples.dtype, arm.dtype) == (np.float32, np.int64)
    radius = np.linalg.norm(samples, axis=1)
    assert radius.max() <= 1 + 1e-6
    angle = np.arctan2(samples[:, 1], samples[:, 0])
    off = (angle / (2 * np.pi) - 2 * radius - arm / 3 + 0.5) % 1 - 0.5  # turns
    np.testing.assert_allclose(off[radius > 0.05], 0, atol=1e-4)


def test_the_spiral_is_strewn_evenly_over_the_disc_and_its_arms():
    samples, arm = spiral(40_000, Generator(1), std=0)
    inner = np.linalg.norm(samples, axis=1) < 0.5
    assert inner.mean() == pytest.approx(0.25, abs=0.01)
    assert arm.mean() == pytest.approx(0.5, abs=0.01)


def test_without_noise_the_moons_are_scikit_learns():
    from sklearn.datasets import make_moons

    samples, moon = moons(4000, Generator(2), std=0)
    theirs, labels = make_moons(20_000, noise=None, shuffle=False)
    for label in (0, 1):
        ours, curve = samples[moon == label], theirs[labels == label]
        gaps = np.linalg.norm(ours[:, None] - curve[None, ::10], axis=2).min(axis=1)
        assert gaps.max() < 0.004
    assert moon.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("draw", [spiral, moons])
def test_the_noise_has_the_stated_spread_and_a_seed_its_bits(draw):
    clean, _ = draw(20_000, Generator(3), std=0)
    noisy, _ = draw(20_000, Generator(3), std=0.1)
    np.testing.assert_allclose((noisy - clean).std(axis=0), 0.1, rtol=0.03)
    assert noisy.tobytes() == draw(20_000, Generator(3), std=0.1)[0].tobytes()
    assert draw(0, Generator(0))[0].shape == (0, 2)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda g: spiral(-1, g), "n"),
        (lambda g: spiral(5, g, arms=0), "arms"),
        (lambda g: spiral(5, g, turns=float("inf")), "turns"),
        (lambda g: spiral(5, g, std=-1), "std"),
        (lambda g: moons(-1, g), "n"),
        (lambda g: moons(5, g, std=float("nan")), "std"),
    ],
)
def test_a_value_out_of_range_is_named(call, name):
    with pytest.raises(UserError, match=f"The {name} of these points must be"):
        call(Generator(0))
