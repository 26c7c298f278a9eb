import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm

from minigen.errors import ShapeError, UserError
from minigen.viz import decode_plane, draw_manifold, draw_walks, save_manifold

REAL = np.array([[-1.0, -1.0], [1.0, 1.0]])


def flat(values, size=48):
    """Images of one grey each, (*values.shape, 1, size, size)."""
    values = np.asarray(values, dtype=float)
    return np.broadcast_to(values[..., None, None, None] / 255, (*values.shape, 1, size, size))


def test_a_walk_is_a_row_of_images():
    picture = draw_walks({"straight": flat([[10, 20, 30], [40, 50, 60]])}).pixels[:, :, 0]
    middle = picture[32 + 25 :: 49, 25::49][:2, :3]
    assert middle.tolist() == [[10, 20, 30], [40, 50, 60]]


def test_the_manifold_has_its_rows_from_the_top(tmp_path):
    save_manifold(tmp_path / "x.png", flat([[10, 20], [30, 40]]))
    picture = np.asarray(Image.open(tmp_path / "x.png"))
    assert picture.shape == (96, 96)
    assert picture[24::48, 24::48].tolist() == [[10, 20], [30, 40]]


def test_the_plane_of_latents_lies_at_the_quantiles_of_the_prior():
    plane = decode_plane(lambda z: z, side=5)
    assert plane.shape == (5, 5, 2)
    np.testing.assert_allclose(norm.cdf(plane[0, :, 0]), [0.1, 0.3, 0.5, 0.7, 0.9], rtol=1e-6)
    np.testing.assert_allclose(plane[:, 0, 1], -plane[0, :, 0][[0, 1, 2, 3, 4]], atol=1e-6)  # upwards
    images = decode_plane(lambda z: z.reshape(-1, 1, 1, 2), side=2)
    assert images.shape == (2, 2, 1, 1, 2)


@pytest.mark.parametrize("draw", [draw_manifold, lambda samples, real: draw_walks({"a": samples}, real)])
def test_points_are_lines_over_the_real_ones(draw):
    lines = np.stack(np.meshgrid(np.linspace(-1, 1, 4), np.linspace(-1, 1, 3)), axis=-1)
    pixels = draw(lines, REAL).pixels.astype(int)
    assert (pixels[:, :, 2] - pixels[:, :, 0] > 60).sum() > 300


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: draw_walks({}), ShapeError, "not nothing"),
        (lambda: draw_walks({"a": np.zeros((3, 4, 2))}), ShapeError, r"with real ones, not \(3, 4, 2\)"),
        (lambda: draw_walks({"a": np.zeros((3, 1, 8, 8))}), ShapeError, r"not \(3, 1, 8, 8\)"),
        (lambda: draw_manifold(np.zeros((4, 1, 8, 8))), ShapeError, r"not \(4, 1, 8, 8\)"),
        (lambda: draw_manifold(np.full((2, 2, 1, 1, 1), np.nan)), UserError, "4 of 4 values of the images are NaN"),
        (lambda: decode_plane(lambda z: z, side=1), UserError, "at least 2 samples a side, not 1"),
    ],
)
def test_what_is_no_walk_and_no_manifold_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
