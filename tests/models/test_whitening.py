import numpy as np
import pytest

from minigen.models.whitening import Whitening


def points(n=400, dim=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, dim)) @ rng.standard_normal((dim, dim)) * 3 + [1, 20, -3, 100][:dim]


def test_white_points_have_mean_0_and_the_identity_as_their_covariance():
    x = points()
    white = Whitening.of(x)(x)
    assert white.dtype == np.float32
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(white.T, bias=True), np.eye(4), atol=1e-4)


def test_the_first_component_is_the_direction_of_most_variance():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((5000, 1)) * 7 * [0.6, 0.8] + rng.standard_normal((5000, 2)) * 0.1
    whitening = Whitening.of(x)
    np.testing.assert_allclose(whitening.axes.numpy()[:, 0], [0.6, 0.8], atol=0.01)
    np.testing.assert_allclose(whitening.std.numpy(), [7, 0.1], rtol=0.05)
    np.testing.assert_allclose(whitening.proportions, [1, 0.1 / 7], rtol=0.05)


def test_points_come_back():
    x = points(dim=3)
    whitening = Whitening.of(x)
    np.testing.assert_allclose(whitening.undo(whitening(x)), x, atol=1e-4)


def test_directions_in_which_nothing_varies_are_left_out_and_never_left():
    x = np.concatenate([points(dim=3), np.full((400, 2), 5.0)], axis=1).astype(np.float32)
    whitening = Whitening.of(x)
    assert whitening(x).shape == (400, 3)
    made = whitening.undo(np.random.default_rng(2).standard_normal((10, 3)))
    np.testing.assert_allclose(made[:, 3:], 5, atol=1e-5)


def test_standardizing_turns_nothing_and_has_one_scale_for_all():
    x = points()
    standardizing = Whitening.standardizing(x)
    scaled = standardizing(x)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    assert scaled.std() == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(scaled, (x - x.mean(axis=0)) / standardizing.std.numpy(), atol=1e-4)
    np.testing.assert_allclose(standardizing.undo(scaled), x, atol=1e-4)
    np.testing.assert_array_equal(standardizing.proportions, np.ones(4))


@pytest.mark.parametrize("make", [Whitening.of, Whitening.standardizing])
def test_one_point_repeated_is_only_moved(make):
    x = np.full((4, 2), 3.0)
    whitening = make(x)
    np.testing.assert_array_equal(whitening(x), np.zeros((4, 2)))
    np.testing.assert_array_equal(whitening.undo(np.zeros((1, 2))), [[3, 3]])


def test_the_identity_changes_nothing():
    x = points().astype(np.float32)
    whitening = Whitening.identity(4)
    np.testing.assert_array_equal(whitening(x), x)
    np.testing.assert_array_equal(whitening.undo(x), x)


def test_a_checkpoint_keeps_it():
    x = points()
    whitening, other = Whitening.of(x), Whitening.of(points(seed=5))
    other.load_state_dict(whitening.state_dict())
    np.testing.assert_array_equal(other(x), whitening(x))
