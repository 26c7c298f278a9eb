import numpy as np
import pytest
from PIL import Image

from minigen import Generator
from minigen.errors import ShapeError
from minigen.viz import save_clusters

POINTS = Generator(0).normal((60, 2))
CLUSTERS = np.arange(60) % 3
IMAGES = np.zeros((60, 1, 8, 8))


CLASS_TONES = [[57, 59, 121], [99, 121, 57], [140, 109, 49]]


def colors(path, columns, tones=((31, 119, 180), (255, 127, 14), (44, 160, 44))):
    """How many pixels are of each tone: blue, orange and green, the first three colours of clusters, unless given."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)[:, columns]
    return [int((np.abs(pixels - np.array(tone)).max(axis=2) < 10).sum()) for tone in tones]


@pytest.mark.parametrize(("labels", "images", "panels"), [(None, None, 1), (CLUSTERS, None, 2), (CLUSTERS, IMAGES, 3)])
def test_there_is_a_panel_for_all_that_is_known(tmp_path, labels, images, panels):
    save_clusters(tmp_path / "x.png", POINTS, CLUSTERS, labels, images)
    assert Image.open(tmp_path / "x.png").size == (600 * panels, 600)


def test_clusters_and_classes_are_coloured_each_in_its_panel(tmp_path):
    save_clusters(tmp_path / "x.png", POINTS, np.zeros(60, int), CLUSTERS, class_names=("cat", "dog", "owl"))
    left, right = slice(0, 600), slice(600, 1200)
    clusters = colors(tmp_path / "x.png", left)
    assert clusters[0] > 0 == clusters[1] == clusters[2]
    assert min(colors(tmp_path / "x.png", right, CLASS_TONES)) > 0
    assert colors(tmp_path / "x.png", right) == [0, 0, 0], "no class has the colour of a cluster"


@pytest.mark.parametrize("clusters", [np.full(60, -1), np.arange(60), CLUSTERS - 1])
def test_noise_and_very_many_clusters_are_drawn(tmp_path, clusters):
    save_clusters(tmp_path / "x.png", POINTS, clusters, None, IMAGES)
    assert Image.open(tmp_path / "x.png").width == 1200


@pytest.mark.parametrize(
    ("points", "clusters"), [(POINTS[:0], CLUSTERS[:0]), (POINTS, CLUSTERS[:5]), (np.zeros((60, 3)), CLUSTERS)]
)
def test_points_that_do_not_fit_are_refused(tmp_path, points, clusters):
    with pytest.raises(ShapeError, match=r"points \(n, 2\)"):
        save_clusters(tmp_path / "x.png", points, clusters)
    assert not list(tmp_path.iterdir())
