import matplotlib
import numpy as np
import pytest

from minigen.errors import ShapeError
from minigen.viz.dashboard import draw_dashboard

LINE = [(1.0, 2.0), (2.0, 3.0)]


def blue(pixels):
    return (pixels[:, :, 2].astype(int) - pixels[:, :, 0] > 60).sum()


@pytest.mark.parametrize("panels", range(6))
def test_any_number_of_panels_and_samples_make_a_picture(panels):
    series = {chr(97 + i): LINE for i in range(panels)}
    plain = draw_dashboard(series, title="step 3").pixels
    assert blue(plain) >= 100 * panels
    assert (plain[:40, :60] < 100).any()  # the title
    with_samples = draw_dashboard(series, np.zeros((4, 1, 8, 8))).pixels
    assert (with_samples == 0).all(axis=2).sum() > 5000


def test_a_style_that_fits_figures_leaves_the_fixed_places_alone(recwarn):
    plain = draw_dashboard({"loss": LINE}).pixels
    with matplotlib.rc_context({"figure.constrained_layout.use": True}):
        np.testing.assert_array_equal(draw_dashboard({"loss": LINE}).pixels, plain)
    assert not recwarn.list


def test_samples_are_images_or_points():
    image = np.linspace(0, 1, 64).reshape(1, 1, 8, 8)
    grey = draw_dashboard({}, image).pixels
    assert len(np.unique(grey.reshape(-1, 3), axis=0)) >= 64
    red = np.zeros((2, 3, 4, 4))
    red[:, 0] = 1
    assert (draw_dashboard({}, red * 2 - 1, value_range=(-1, 1)).pixels == [255, 0, 0]).all(axis=2).sum() > 1000
    points = np.random.default_rng(0).normal(size=(200, 5))
    points[3] = np.nan
    assert blue(draw_dashboard({}, points).pixels) > 100
    far = draw_dashboard({}, points + 1e6, real=points[:3])  # the frame is that of the real ones
    assert blue(far.pixels) == 0


@pytest.mark.parametrize("samples", [np.full((3, 1, 8, 8), np.nan), np.full((3, 2), np.nan)])
def test_samples_of_nan_are_no_reason_to_stop(samples):
    assert draw_dashboard({"a": LINE}, samples).pixels.shape[2] == 3


@pytest.mark.parametrize("shape", [(3,), (3, 1), (0, 2), (2, 2, 8, 8), (3, 8, 8)])
def test_other_samples_are_refused(shape):
    with pytest.raises(ShapeError, match=r"images \(n, 1 or 3, h, w\) or points"):
        draw_dashboard({}, np.zeros(shape))
