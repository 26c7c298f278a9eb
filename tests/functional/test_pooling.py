"""Pooling and resizing beside explicit loops and SciPy."""

import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError


def test_an_empty_batch_is_pooled_to_an_empty_batch():
    x = mg.ones(0, 3, 6, 5, requires_grad=True)
    for y in (
        F.max_pool2d(x, 2),
        F.avg_pool2d(x, 2),
        F.interpolate(x, (3, 2)),
        F.interpolate(x, (3, 2), mode="bilinear"),
    ):
        assert y.shape == (0, 3, 3, 2)
        assert mg.grad(y.sum(), x)[0].shape == x.shape
    values, indices = F.max_pool2d(x, 2, return_indices=True)
    assert values.shape == indices.shape == (0, 3, 3, 2)


@pytest.mark.parametrize(
    "pool", [lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2), lambda x: F.upsample(x, 2)]
)
@pytest.mark.parametrize("shape", [(2, 0, 4, 4), (4, 4), (1, 2, 3, 4, 4), ()])
def test_what_is_no_image_is_refused(pool, shape):
    with pytest.raises(ShapeError, match="needs images"):
        pool(mg.zeros(shape))
