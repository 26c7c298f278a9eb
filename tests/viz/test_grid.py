import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minigen.errors import ShapeError, TrainingError, UserError
from minigen.viz import image_grid, save_image_grid, save_reconstructions
from minigen.viz.grid import BACKGROUND


def numbered(n, c=1, h=2, w=3):
    """Images that are each of one value: image i is i/255."""
    return np.broadcast_to(np.arange(n).reshape(n, 1, 1, 1) / 255, (n, c, h, w))


@given(
    n=st.integers(1, 20),
    c=st.sampled_from([1, 3]),
    h=st.integers(1, 4),
    w=st.integers(1, 4),
    padding=st.integers(0, 3),
    columns=st.none() | st.integers(1, 25),
)
def test_each_image_lies_in_its_row_and_column_with_grey_all_around(n, c, h, w, padding, columns):
    images = numbered(n, c, h, w)
    grid = image_grid(images, columns, padding)
    across = min(columns or int(np.ceil(np.sqrt(n))), n)
    down = -(-n // across)
    expected = np.full((down * (h + padding) + padding, across * (w + padding) + padding, c), BACKGROUND, np.uint8)
    for i in range(n):
        top = padding + (i // across) * (h + padding)
        left = padding + (i % across) * (w + padding)
        expected[top : top + h, left : left + w] = i
    np.testing.assert_array_equal(grid, expected[:, :, 0] if c == 1 else expected)
    assert grid.dtype == np.uint8


def test_colours_and_positions_within_an_image_are_kept():
    image = np.zeros((1, 3, 2, 2))
    image[0, 0, 0, 1] = 1  # red, first row, second column
    image[0, 2, 1, 0] = 1  # blue, second row, first column
    assert image_grid(image, padding=0).tolist() == [[[0, 0, 0], [255, 0, 0]], [[0, 0, 255], [0, 0, 0]]]


def test_the_value_range_runs_from_black_to_white_and_clips():
    values = np.array([-2.0, -1.0, 0.0, 1.0, np.inf], np.float32).reshape(5, 1, 1, 1)
    assert image_grid(values, 5, 0, (-1, 1)).tolist() == [[0, 0, 128, 255, 255]]
    assert image_grid(np.array([0, 16]).reshape(2, 1, 1, 1), 2, 0, (0, 16)).tolist() == [[0, 255]]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: image_grid(np.zeros((2, 8, 8))), ShapeError, r"not \(2, 8, 8\)"),
        (lambda: image_grid(np.zeros((1, 2, 8, 8))), ShapeError, r"not \(1, 2, 8, 8\)"),
        (lambda: image_grid(np.zeros((0, 1, 8, 8))), ShapeError, r"not \(0, 1, 8, 8\)"),
        (lambda: image_grid(np.full((1, 1, 1, 2), np.nan)), UserError, "2 of 2 values of the images are NaN"),
        (lambda: image_grid(numbered(1), columns=0), UserError, "at least 1 column"),
        (lambda: image_grid(numbered(1), padding=-1), UserError, "padding of 0 or more"),
        (lambda: image_grid(numbered(1), value_range=(1, 1)), UserError, "from a lower to a higher value"),
        (lambda: save_image_grid("x.png", numbered(1), scale=0), UserError, "at least 1, not 0"),
        (lambda: save_image_grid("x", numbered(1)), UserError, r"let it end in \.png"),
        (lambda: save_image_grid("x.docx", numbered(1)), UserError, r"let it end in \.png"),
        (lambda: save_reconstructions("x.png", numbered(2), numbered(3)), ShapeError, r"\(2, 1, 2, 3\) and \(3, "),
        (lambda: save_reconstructions("x.png", numbered(0), numbered(0)), ShapeError, r"not \(0, 1, 2, 3\)"),
        (lambda: save_reconstructions("x.png", numbered(1), numbered(1), columns=0), UserError, "at least 1"),
    ],
)
def test_what_cannot_be_shown_is_named_and_nothing_is_written(call, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        call()
    assert list(tmp_path.iterdir()) == []


def test_tiny_images_are_enlarged_to_be_legible_and_large_ones_left_alone(tmp_path):
    path = tmp_path / "x.png"
    save_image_grid(path, numbered(64, 1, 8, 8))
    picture = np.asarray(Image.open(path))
    assert picture.shape == (73 * 6, 73 * 6)
    np.testing.assert_array_equal(picture[::6, ::6], image_grid(numbered(64, 1, 8, 8)))
    save_image_grid(path, numbered(4, 3, 64, 64))
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image_grid(numbered(4, 3, 64, 64)))
    save_image_grid(path, numbered(1), scale=3)
    assert Image.open(path).size == (5 * 3, 4 * 3)


def test_other_picture_formats_are_chosen_by_the_name(tmp_path):
    save_image_grid(tmp_path / "x.GIF", numbered(4))
    assert Image.open(tmp_path / "x.GIF").format == "GIF"


def test_a_picture_that_cannot_be_written_is_a_mistake_in_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"Cannot write .*missing"):
        save_image_grid(tmp_path / "missing" / "x.png", numbered(1))


def test_a_disk_that_fails_leaves_the_picture_before(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    save_image_grid(path, numbered(1))
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(TrainingError, match="No space left"):
        save_image_grid(path, numbered(9))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.png"]


def test_each_reconstruction_stands_below_its_original_and_labels_at_the_left(tmp_path):
    originals, reconstructions = numbered(5, 1, 8, 8) + 50 / 255, numbered(5, 1, 8, 8) + 100 / 255
    path = tmp_path / "x.png"
    save_reconstructions(path, originals, reconstructions, columns=3)
    picture = np.asarray(Image.open(path).convert("L"))
    strip = 6 * 19  # two rows of 8 pixels and three paddings, enlarged six times
    assert picture.shape[0] == 2 * strip + 8
    margin = picture.shape[1] - 6 * 28
    for i in range(5):
        top, left = (i // 3) * (strip + 8), margin + 6 * 9 * (i % 3)
        assert picture[top + 6 : top + 54, left + 6 : left + 54].tolist() == [[50 + i] * 48] * 48
        assert picture[top + 60 : top + 108, left + 6 : left + 54].tolist() == [[100 + i] * 48] * 48
    for half in (picture[: strip // 2, :margin], picture[strip // 2 : strip, :margin]):
        assert (half < 100).sum() > 50  # the ink of a label
        assert (half == 255).mean() > 0.8
