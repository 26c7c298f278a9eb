import numpy as np
import pytest
from PIL import Image

from minigen.errors import ShapeError
from minigen.viz import save_anomalies

SCORES = np.arange(30.0)
IMAGES = np.broadcast_to(np.arange(30).reshape(30, 1, 1, 1) / 29, (30, 1, 8, 8))


def picture(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def colored(pixels, red_over_blue):
    return ((pixels[:, :, 0] - pixels[:, :, 2]) * (1 if red_over_blue else -1) > 40).sum()


def test_the_highest_scores_stand_above_the_lowest(tmp_path):
    save_anomalies(tmp_path / "x.png", SCORES, IMAGES)
    light = picture(tmp_path / "x.png")[330:, 60, 1]  # down through the leftmost image of each row
    assert light.shape[0] > 300
    middle = len(light) // 2
    assert (light[:middle] < 20).sum() < 20  # at most letters
    assert (light[middle:] < 20).sum() > 60  # the black image of the lowest score


def test_known_anomalies_are_drawn_apart(tmp_path):
    save_anomalies(tmp_path / "a.png", SCORES, None)
    save_anomalies(tmp_path / "b.png", SCORES, None, SCORES > 20, title="two kinds")
    one, two = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    assert colored(one, True) == 0 < colored(two, True)
    assert colored(two, False) > 0


def test_given_scores_are_lines_among_those_of_a_reference(tmp_path):
    save_anomalies(tmp_path / "x.png", SCORES[:2], IMAGES[:2], reference=SCORES)
    assert colored(picture(tmp_path / "x.png")[:300], True) > 100


@pytest.mark.parametrize("scores", [[7.0], [7.0, 7.0], [0.0, np.inf]])
def test_one_score_equal_ones_and_infinite_ones_are_drawn(tmp_path, scores):
    save_anomalies(tmp_path / "x.png", np.array(scores), IMAGES[: len(scores)])
    assert picture(tmp_path / "x.png").shape[1] == 960


@pytest.mark.parametrize(
    ("scores", "images"), [(np.zeros(0), None), (np.zeros((2, 2)), None), (np.zeros(3), IMAGES[:2])]
)
def test_scores_that_do_not_fit_are_refused(tmp_path, scores, images):
    with pytest.raises(ShapeError, match=r"Scores have the shape \(n,\)"):
        save_anomalies(tmp_path / "x.png", scores, images)
    assert not list(tmp_path.iterdir())
