import inspect
import io

import numpy as np
import pytest
from PIL import Image

from minigen import viz
from minigen.errors import UserError
from minigen.tensor import Tensor
from minigen.viz.figure import new_figure, to_picture
from minigen.viz.picture import Picture

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


def test_a_notebook_and_a_file_get_the_same_pixels(tmp_path):
    picture = Picture(PIXELS)
    picture.save(tmp_path / "x.png")
    for source in (io.BytesIO(picture._repr_png_()), tmp_path / "x.png"):
        np.testing.assert_array_equal(np.asarray(Image.open(source)), PIXELS)
    assert repr(picture) == "<Picture 4×2>"


def test_a_name_that_says_no_format_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"let it end in \.png"):
        Picture(PIXELS).save(tmp_path / "picture")
    assert not list(tmp_path.iterdir())


def test_a_figure_becomes_the_picture_that_matplotlib_would_write():
    def figure():
        made = new_figure(2, 1)
        made.subplots().plot([0, 1], [0, 1])
        return made

    buffer = io.BytesIO()
    figure().savefig(buffer, format="png")
    written = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    drawn = to_picture(figure()).pixels
    assert drawn.shape == written.shape
    assert np.abs(drawn - written).mean() < 1  # the parts may be fitted a hair's breadth otherwise
    assert (drawn != 255).mean() > 0.03


@pytest.mark.parametrize("name", [name for name in viz.__all__ if name.startswith("save_")])
def test_every_save_function_is_its_draw_function_and_a_path(name):
    draw, save = getattr(viz, name.replace("save", "draw")), getattr(viz, name)
    assert save.__name__ == name
    assert list(inspect.signature(save).parameters)[1:] == list(inspect.signature(draw).parameters)
    assert draw.__name__ in save.__doc__


def test_what_is_saved_is_what_is_drawn_and_tensors_are_taken(tmp_path):
    images = np.linspace(0, 1, 4 * 64, dtype=np.float32).reshape(4, 1, 8, 8)
    tensor = Tensor(images, requires_grad=True) * 1
    viz.save_image_grid(tmp_path / "x.png", images, columns=1)
    drawn = viz.draw_image_grid(tensor, columns=1).pixels
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "x.png")), drawn)
    for picture in (
        viz.draw_reconstructions(tensor, tensor),
        viz.draw_rows([("a", tensor)]),
        viz.draw_panels({"a": tensor}, columns=2),
        viz.draw_anomalies(Tensor(np.arange(4.0)), tensor),
        viz.draw_clusters(tensor.reshape(4, 64)[:, :2], Tensor(np.arange(4)), images=tensor),
        viz.draw_points(tensor.reshape(4, 64)[:, :2], tensor.reshape(4, 64)[:, :2]),
        viz.draw_paths({"a": [tensor.reshape(4, 64)[:, :2]]}, tensor.reshape(4, 64)[:, :2]),
    ):
        assert picture.pixels.std() > 0
