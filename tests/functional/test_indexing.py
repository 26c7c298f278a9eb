"""Picking elements beside NumPy, and the gradient of what was picked."""

import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError


@pytest.mark.parametrize("pick", [F.gather, F.index_select, lambda x, d, i: F.take_along_axis(x, i, d)])
def test_picking_from_a_tensor_without_axes_is_refused_in_words(pick):
    with pytest.raises(ShapeError, match="without axes"):
        pick(mg.tensor(3.0), 0, [0])
