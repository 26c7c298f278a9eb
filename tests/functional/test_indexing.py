"""Picking elements beside NumPy, and the gradient of what was picked."""

import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError


@pytest.mark.parametrize("pick", [F.gather, F.index_select, lambda x, d, i: F.take_along_axis(x, i, d)])
def test_picking_from_a_tensor_without_axes_is_refused_in_words(pick):
    with pytest.raises(ShapeError, match="without axes"):
        pick(mg.tensor(3.0), 0, [0])


@pytest.mark.parametrize("index", [[-1], [4], [0, -2]])
def test_an_embedding_or_a_class_that_is_not_there_is_refused_and_never_counted_from_the_end(index):
    with pytest.raises(ShapeError, match=r"embedding: .*from 0 to 3"):
        F.embedding(mg.tensor(index), mg.ones(4, 2))
    with pytest.raises(ShapeError, match=r"one_hot: .*from 0 to 3"):
        F.one_hot(mg.tensor(index), 4)


def test_a_padding_index_that_is_no_row_is_refused():
    with pytest.raises(ShapeError, match="padding_idx=4"):
        F.embedding(mg.tensor([0]), mg.ones(4, 2), padding_idx=4)
