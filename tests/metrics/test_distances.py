import numpy as np
import pytest
from scipy.spatial.distance import cdist

from minigen import Generator
from minigen.metrics import distances
from minigen.metrics.distances import row_blocks, squared_distances, squared_radii


@pytest.mark.parametrize("offset", [0, 1e3, 1e8])
def test_distances_are_those_of_scipy_far_from_the_origin_too(offset):
    a, b = (Generator(seed).normal((40, 7), dtype=np.float64) + offset for seed in (0, 1))
    b[3] = a[5]
    result = squared_distances(a, b)
    np.testing.assert_allclose(result, cdist(a, b, "sqeuclidean"), rtol=1e-7)
    assert result[5, 3] == 0


def test_blocks_cover_each_row_once_and_hold_one_row_at_least(monkeypatch):
    monkeypatch.setattr(distances, "BLOCK", 10)
    assert [(s.start, s.stop) for s in row_blocks(7, 3)] == [(0, 3), (3, 6), (6, 7)]
    assert [(s.start, s.stop) for s in row_blocks(2, 99)] == [(0, 1), (1, 2)]


def test_the_radius_reaches_the_kth_other_row_whatever_the_blocks(monkeypatch):
    x = Generator(2).normal((50, 3), dtype=np.float64)
    expected = np.sort(cdist(x, x, "sqeuclidean"), axis=1)[:, 4]  # column 0 is the row itself
    for block in (2**22, 120):
        monkeypatch.setattr(distances, "BLOCK", block)
        np.testing.assert_allclose(squared_radii(x, 4), expected, rtol=1e-8)
