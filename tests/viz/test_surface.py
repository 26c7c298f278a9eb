import numpy as np
import pytest

from minigen import nn
from minigen.errors import ShapeError, UserError
from minigen.viz import draw_surface
from minigen.viz.surface import YELLOW

CORNERS = np.array([[-1.0, -1.0], [1.0, 1.0]])


def reds(picture):
    """+1 where a picture is red, -1 where it is blue, 0 elsewhere, left of the scale of colours."""
    pixels = picture.pixels[:, : int(0.78 * picture.pixels.shape[1])].astype(int)
    difference = pixels[:, :, 0] - pixels[:, :, 2]
    return np.where(difference > 60, 1, 0) - np.where(difference < -60, 1, 0)


def test_what_is_taken_for_real_is_red_and_lies_where_it_is():
    signs = reds(draw_surface(lambda x: x[:, 0] + x[:, 1], CORNERS))
    height, width = signs.shape
    top_right = signs[height // 8 : height // 3, 2 * width // 3 :]
    bottom_left = signs[height // 2 : 3 * height // 4, width // 8 : width // 3]
    assert (top_right == 1).mean() > 0.6
    assert (top_right == -1).sum() == 0
    assert (bottom_left == -1).mean() > 0.6
    assert (bottom_left == 1).sum() == 0


def test_the_centre_decides_what_is_red():
    picture = draw_surface(lambda x: x[:, :1] * 0 + 0.75, CORNERS, center=0.5)
    assert (reds(picture) == 1).mean() > 0.3
    assert (reds(draw_surface(lambda x: x[:, :1] * 0 + 0.75, CORNERS, center=1.0)) == -1).mean() > 0.3


def test_generated_samples_are_drawn_over_it():
    yellow = np.array([int(YELLOW[i : i + 2], 16) for i in (1, 3, 5)])
    samples = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    picture = draw_surface(lambda x: x[:, 0] * 0, CORNERS, samples)
    assert (np.abs(picture.pixels.astype(int) - yellow).max(axis=2) < 10).sum() > 300


def test_a_few_huge_values_do_not_wash_out_the_others():
    def spike(x):
        values = np.sin(3 * np.asarray(x)[:, 0])
        values[:20] = 1e9
        return values

    assert (np.abs(reds(draw_surface(spike, CORNERS))) == 1).mean() > 0.3


def test_nan_leaves_a_gap_and_nothing_but_nan_is_refused():
    def half(x):
        values = np.asarray(x)
        return np.where(values[:, 0] > 0, 1.0, np.nan)

    signs = reds(draw_surface(half, CORNERS))
    width = signs.shape[1]
    assert (signs[:, : width // 3] == 0).all()
    assert (signs[:, 2 * width // 3 : width - width // 20] == 1).mean() > 0.5
    with pytest.raises(UserError, match="NaN or infinite all over"):
        draw_surface(lambda x: np.full(len(x), np.nan), CORNERS)


def test_a_module_is_asked_in_evaluation_mode_and_put_back():
    model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.9), nn.BatchNorm1d(4), nn.Linear(4, 1))
    model[2].eval()
    before = model[2].running_mean.numpy().copy()
    draw_surface(model, CORNERS)
    assert [module.training for module in model.modules()] == [True, True, True, False, True]
    np.testing.assert_array_equal(model[2].running_mean.numpy(), before)


@pytest.mark.parametrize(
    ("function", "real", "words"),
    [
        (lambda x: x, CORNERS, r"one value for each point: the function gave \(14400, 2\)"),
        (lambda x: x[:, 0], np.zeros((0, 2)), r"not \(0, 2\), \(0, 2\)"),
        (lambda x: x[:, 0], np.zeros((3, 3)), r"shapes \(n, 2\) and \(m, 2\)"),
    ],
)
def test_what_is_no_surface_is_refused(function, real, words):
    with pytest.raises(ShapeError, match=words):
        draw_surface(function, real)
