import numpy as np
import pytest
from scipy.stats import norm

from minigen import Generator
from minigen.errors import ShapeError, UserError
from minigen.tasks import latent_manifold, latent_walk, lerp, slerp
from minigen.training.systems import System


class Plain(System):
    """A system whose samples are its latents, as points."""

    name = "plain"

    def __init__(self, dimensions, scale=1.0):
        self.dimensions, self.scale = dimensions, scale

    def prior(self, n, generator):
        return np.float32(self.scale) * generator.normal((n, self.dimensions))

    def decode(self, z):
        return z


class Without(System):
    """A system that has no latents."""

    name = "without"

    def __init__(self):
        pass


@pytest.mark.parametrize("d", [2, 3, 100])
def test_slerp_turns_by_equal_angles_on_the_sphere(d):
    a, b = (x / np.linalg.norm(x) for x in Generator(d).normal((2, d), dtype=np.float64))
    t = np.linspace(0, 1, 7)
    arc = slerp(a, b, t)
    np.testing.assert_allclose(np.linalg.norm(arc, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(arc[[0, -1]], [a, b], atol=1e-12)
    steps = np.arccos((arc[1:] * arc[:-1]).sum(axis=1))
    np.testing.assert_allclose(steps, np.arccos(a @ b) / 6, atol=1e-7)
    np.testing.assert_allclose(slerp(a, b, 1 - t), slerp(b, a, t), atol=1e-12)


def test_slerp_of_unequal_lengths_is_the_published_formula_and_many_at_once_are_each_alone():
    g = Generator(0)
    a, b = g.normal((5, 4), dtype=np.float64), 3 * g.normal((5, 4), dtype=np.float64)
    t = np.array([[0.0, 0.2], [0.7, 1.0]])
    found = slerp(a, b, t)
    assert found.shape == (2, 2, 5, 4)
    for i in range(5):
        angle = np.arccos(a[i] @ b[i] / (np.linalg.norm(a[i]) * np.linalg.norm(b[i])))
        for j in np.ndindex(2, 2):
            expected = (np.sin((1 - t[j]) * angle) * a[i] + np.sin(t[j] * angle) * b[i]) / np.sin(angle)
            np.testing.assert_allclose(found[j][i], expected, atol=1e-12)


def test_a_quarter_circle_passes_through_the_diagonal_and_the_straight_way_through_the_middle():
    np.testing.assert_allclose(slerp([2.0, 0.0], [0.0, 2.0], 0.5), [np.sqrt(2), np.sqrt(2)])
    np.testing.assert_allclose(lerp([2.0, 0.0], [0.0, 2.0], 0.5), [1, 1])


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([0.0, 0.0], [1.0, 2.0]),
        ([1.0, 2.0], [0.0, 0.0]),
        ([0.0, 0.0], [0.0, 0.0]),
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 2.0], [3.0, 6.0]),
        ([1.0, 2.0], [-2.0, -4.0]),
        ([0.1, 0.3], [0.1 + 1e-9, 0.3]),
        ([5.0], [-1.0]),
    ],
)
def test_where_there_is_no_one_arc_slerp_is_the_straight_way(a, b):
    t = np.linspace(0, 1, 5)
    np.testing.assert_allclose(slerp(a, b, t), lerp(a, b, t), atol=1e-8)


def test_slerp_keeps_its_digits_where_the_arc_is_nearly_none_or_nearly_a_half_circle():
    for angle in (1e-5, np.pi - 1e-5):
        end = [np.cos(angle), np.sin(angle)]
        np.testing.assert_allclose(
            slerp([1.0, 0.0], end, 0.3), [np.cos(0.3 * angle), np.sin(0.3 * angle)], atol=1e-9, rtol=0
        )


def test_walks_lead_from_pairs_of_draws_to_each_other_by_both_ways():
    walk = latent_walk(Plain(6), n=3, steps=5, generator=Generator(4))
    assert walk.shape == (3, 2, 5, 6)
    ends = Generator(4).normal((6, 6))
    for i in range(3):
        for way, along in enumerate((lerp, slerp)):
            expected = along(ends[i], ends[3 + i], np.linspace(0, 1, 5))
            np.testing.assert_allclose(walk[i, way], expected, atol=1e-6)


def test_the_manifold_of_a_gaussian_lies_at_its_quantiles_first_to_the_right_second_upwards():
    grid = latent_manifold(Plain(2), side=4)
    quantiles = norm.ppf([0.125, 0.375, 0.625, 0.875])
    assert grid.shape == (4, 4, 2)
    for row in range(4):
        np.testing.assert_allclose(grid[row, :, 0], quantiles, atol=1e-6)
        np.testing.assert_allclose(grid[:, row, 1], quantiles[::-1], atol=1e-6)


def test_a_prior_of_another_kind_is_shown_at_its_own_quantiles():
    grid = latent_manifold(Plain(2, scale=10), side=4)
    np.testing.assert_allclose(grid[0, :, 0], 10 * norm.ppf([0.125, 0.375, 0.625, 0.875]), atol=0.4)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: latent_walk(Without()), "'without' cannot walk between latents"),
        (lambda: latent_manifold(Without()), "'without' cannot show a latent space"),
        (lambda: latent_walk(Plain(3), n=0), "at least 1 pair"),
        (lambda: latent_walk(Plain(3), steps=1), "2 steps"),
        (lambda: latent_manifold(Plain(3)), "those of this run have 3: train one with --latent-dim 2"),
        (lambda: latent_manifold(Plain(2), side=1), "at least 2 samples a side"),
    ],
)
def test_what_cannot_be_walked_is_one_sentence(call, words):
    with pytest.raises(UserError, match=words):
        call()


def test_ends_of_different_shapes_are_refused_by_their_shapes():
    for along in (lerp, slerp):
        with pytest.raises(ShapeError, match=r"not \(2,\) to \(3,\)"):
            along([1.0, 2.0], [1.0, 2.0, 3.0], 0.5)
        with pytest.raises(ShapeError, match=r"not \(\) to \(\)"):
            along(1.0, 2.0, 0.5)
