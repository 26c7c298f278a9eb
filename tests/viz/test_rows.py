import numpy as np
import pytest
from PIL import Image

from minigen.errors import ShapeError, UserError
from minigen.tensor import Tensor
from minigen.viz import (
    draw_panels,
    draw_paths,
    draw_rows,
    draw_walks,
    save_panels,
    save_paths,
    save_reconstructions,
    save_rows,
)
from minigen.viz.grid import BACKGROUND


def flat(values, size=48):
    """Images of one grey each."""
    return np.broadcast_to(np.reshape(values, (-1, 1, 1, 1)) / 255, (len(values), 1, size, size))


def cells(picture, left, top, rows, columns, size=48):
    """The value in the middle of each image of a grid with paddings of one pixel."""
    step, middle = size + 1, 1 + size // 2
    return picture[top + middle : top + rows * step : step, left + middle : left + columns * step : step].tolist()


def test_each_row_stands_beside_its_label_and_a_shorter_one_leaves_grey(tmp_path):
    path = tmp_path / "x.png"
    save_rows(path, [("cat", flat([10, 20, 30])), ("a longer name", flat([40])), ("", flat([]))])
    picture = np.asarray(Image.open(path).convert("L"))
    left = picture.shape[1] - (3 * 49 + 1)
    assert cells(picture, left, 0, 3, 3) == [[10, 20, 30], [40] + [BACKGROUND] * 2, [BACKGROUND] * 3]
    ink = [(picture[i * 49 : (i + 1) * 49, : left - 1] < 100).sum() for i in range(3)]
    assert ink[1] > ink[0] > 0 == ink[2]


def test_labels_may_be_greek():
    labels = [np.asarray(draw_rows([(letter, flat([200]))]).pixels)[:, :30] for letter in "βλσ"]
    assert not np.array_equal(labels[0], labels[1]), "each is drawn, and none as the box of a missing letter"
    assert not np.array_equal(labels[0], labels[2])


def test_panels_stand_side_by_side_under_their_titles(tmp_path):
    path = tmp_path / "x.png"
    save_panels(path, {"one": flat([10, 20, 30, 40]), "a title wider than its pictures": flat([50])}, columns=2)
    picture = np.asarray(Image.open(path).convert("L"))
    assert cells(picture, 0, 32, 2, 2) == [[10, 20], [30, 40]]
    right = picture[32 + 25, 115:]
    assert (right == 50).sum() == 48
    assert (picture[:32] < 100).any()
    assert (picture[:, 99:115] == 255).all()


def test_captions_stand_below_their_pairs_and_move_nothing(tmp_path):
    plain, captioned = tmp_path / "a.png", tmp_path / "b.png"
    pair = flat([10, 20, 30]), flat([40, 50, 60])
    save_reconstructions(plain, *pair, columns=2)
    save_reconstructions(captioned, *pair, columns=2, captions=["1.5\n20 dB", "", "2.5\n21 dB"])
    a, b = (np.asarray(Image.open(path).convert("L")) for path in (plain, captioned))
    assert b.shape == (a.shape[0] + 2 * 28, a.shape[1])
    np.testing.assert_array_equal(a[:99], b[:99])
    below = b[99 : 99 + 28]
    left = a.shape[1] - 2 * 49
    assert (below[:, left : left + 49] < 100).any()
    assert (below[:, left + 49 :] == 255).all()


def test_lines_are_drawn_in_the_frame_of_the_real_samples(tmp_path):
    path = tmp_path / "x.png"
    real = np.array([[-1.0, -1.0], [1.0, 1.0]])
    save_paths(path, {"left": [np.array([[-1.0, 0.0], [1.0, 0.0], [1e6, np.nan]])], "right": []}, real)
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    blue = (picture[:, :, 2] - picture[:, :, 0]) > 60
    half = picture.shape[1] // 2
    assert blue[:, :half].any(axis=0).mean() > 0.6  # from one end of the frame to beyond the other
    assert not blue[:, half:].any()


@pytest.mark.parametrize("panels", [{"x": [np.zeros((3, 3))]}, {"x": [np.zeros(3)]}, {}])
def test_lines_that_are_not_in_the_plane_are_refused(tmp_path, panels):
    with pytest.raises(ShapeError, match=r"shape \(n, 2\)"):
        save_paths(tmp_path / "x.png", panels, np.zeros((0, 2)))
    assert not list(tmp_path.iterdir())


def test_rows_and_panels_are_a_dictionary_or_pairs():
    images = {"a": flat([10, 20]), "b": flat([30])}
    for draw in (draw_rows, lambda given: draw_panels(given, columns=2)):
        np.testing.assert_array_equal(draw(images).pixels, draw(list(images.items())).pixels)
        np.testing.assert_array_equal(draw(images).pixels, draw(images.items()).pixels)
    walks = {"a": np.zeros((2, 3, 1, 8, 8)), "b": np.ones((2, 3, 1, 8, 8))}
    np.testing.assert_array_equal(draw_walks(walks).pixels, draw_walks(list(walks.items())).pixels)
    real, lines = np.array([[-1.0, -1.0], [1.0, 1.0]]), {"across": [np.array([[-1.0, 0.0], [1.0, 0.0]])]}
    np.testing.assert_array_equal(draw_paths(lines, real).pixels, draw_paths(list(lines.items()), real).pixels)


@pytest.mark.parametrize(
    "given", [flat([10, 20]), [flat([10])], 3, ["ab", "cd"], [("a", flat([1]), 2)], Tensor(flat([1]))]
)
def test_what_has_no_titles_is_refused(given):
    for draw in (draw_rows, draw_walks, lambda g: draw_panels(g, columns=2), lambda g: draw_paths(g, np.zeros((1, 2)))):
        with pytest.raises(UserError, match="to draw are given as a dictionary from titles"):
            draw(given)


def test_no_rows_and_no_panels_are_refused():
    with pytest.raises(UserError, match="no rows to draw"):
        draw_rows([])
    with pytest.raises(UserError, match="no panels to draw"):
        draw_panels({}, columns=2)
