import numpy as np
import pytest
from PIL import Image

from minigen import Generator
from minigen.data.mixtures import grid
from minigen.errors import ShapeError
from minigen.viz import save_points

REAL, _ = grid(500, Generator(0))
BLUE = np.array([0x00, 0x72, 0xB2])


def blue_at(path):
    """Where a picture is bluish: rows and columns as shares of its height and width."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    hits = np.argwhere(pixels[:, :, 2] - pixels[:, :, 0] > 60)
    return hits / pixels.shape[:2]


def test_generated_samples_lie_where_they_are_in_the_frame_of_the_real_ones(tmp_path):
    path = tmp_path / "x.png"
    save_points(path, np.array([[-4.0, 4.0]]), REAL)
    rows, columns = blue_at(path).T
    corner = (rows > 0.1) & (rows < 0.3) & (columns > 0.1) & (columns < 0.3)
    assert corner.any()
    assert (corner | (rows < 0.1)).all()  # above is the legend


def test_samples_outside_the_frame_and_nan_leave_the_frame_as_it_is(tmp_path):
    paths = [tmp_path / "near.png", tmp_path / "far.png"]
    save_points(paths[0], np.array([[0.0, 0.0]]), REAL)
    save_points(paths[1], np.array([[0.0, 0.0], [1e6, 0.0], [np.nan, 0.0]]), REAL)
    middle = [np.asarray(Image.open(path).convert("L"))[200:400, 200:400] for path in paths]
    ink = [(part < 200).sum() for part in middle]
    assert ink[0] == pytest.approx(ink[1], rel=0.2)


def test_no_samples_and_equal_real_points_are_drawn(tmp_path):
    save_points(tmp_path / "x.png", np.zeros((0, 2)), np.zeros((3, 2)))
    assert Image.open(tmp_path / "x.png").width == 600


@pytest.mark.parametrize(
    ("samples", "real"), [((3, 3), (4, 2)), ((3, 2), (0, 2)), ((3,), (4, 2)), ((3, 2), (1, 1, 8, 8))]
)
def test_samples_that_are_not_in_the_plane_are_refused_by_their_shapes(tmp_path, samples, real):
    with pytest.raises(ShapeError, match=r"shapes \(n, 2\) and \(m, 2\)"):
        save_points(tmp_path / "x.png", np.zeros(samples), np.zeros(real))
