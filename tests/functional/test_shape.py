"""Operations that move elements, beside NumPy."""

import pytest

import minigen as mg
from minigen.errors import ShapeError


def test_a_tensor_without_axes_cannot_be_split():
    for act in (lambda x: x.split(1), lambda x: x.chunk(2)):
        with pytest.raises(ShapeError, match="without axes"):
            act(mg.tensor(1.0))
