"""Operations that move elements, beside NumPy."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import MinigenError, ShapeError, UserError

X = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)


def test_a_tensor_without_axes_cannot_be_split():
    for act in (lambda x: x.split(1), lambda x: x.chunk(2)):
        with pytest.raises(ShapeError, match="without axes"):
            act(mg.tensor(1.0))


@pytest.mark.parametrize("join", [F.cat, F.stack, lambda xs: F.einsum("i,i->i", *xs)])
def test_integers_joined_with_float32_become_float32(join):
    f, i, b = mg.ones(2), mg.tensor([1, 2]), mg.tensor([True, False])
    assert join([f, i]).dtype == join([i, f]).dtype == join([b, f]).dtype == np.float32
    assert join([i, f.double()]).dtype == join([f.double(), f]).dtype == np.float64
    assert join([i, b]).dtype == np.int64


def test_joining_integers_leaves_the_gradient_of_the_floating_ones():
    x = mg.ones(2, requires_grad=True)
    (F.cat([x, mg.tensor([5])]) * mg.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert (x.grad.tolist(), x.grad.dtype) == ([1.0, 2.0], np.float32)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda x: x.reshape(None),
        lambda x: x.reshape(2, "a"),
        lambda x: x.reshape(2, 12.0),
        lambda x: x.expand("a"),
        lambda x: x.permute(None),
        lambda x: F.permute(x, None),
        lambda x: F.permute(x, 0),
        lambda x: x.permute(0, 1),
        lambda x: x.permute(0, 1, 1),
        lambda x: x.transpose("a", "b"),
        lambda x: x.unsqueeze(None),
        lambda x: x.unsqueeze(1.0),
        lambda x: x.unsqueeze(4),
        lambda x: x.squeeze("a"),
        lambda x: x.flatten("a"),
        lambda x: x.flatten(2, 1),
        lambda x: x.flip("a"),
        lambda x: x.flip(3),
        lambda x: x.split(1.5),
        lambda x: x.split("a"),
        lambda x: x.split(None),
        lambda x: x.split(0),
        lambda x: x.split([1, 2]),
        lambda x: x.split([1, "a"]),
        lambda x: x.chunk(1.5),
        lambda x: x.chunk(0),
        lambda x: F.pad(x, (1,)),
        lambda x: F.pad(x, 1),
        lambda x: F.pad(x, (1, "a")),
        lambda x: F.pad(x, (1, 1.5)),
        lambda x: F.pad(x, (1,) * 8),
        lambda x: F.pad(x, (-5, 0)),
        lambda x: F.pad(x, (1, 1), mode="mirror"),
        lambda x: F.pad(x, (4, 0), mode="reflect"),
        lambda x: F.pad(x, (5, 0), mode="circular"),
        lambda x: F.cat(None),
        lambda x: F.cat(5),
        lambda x: F.cat([]),
        lambda x: F.cat([x, None]),
        lambda x: F.cat([x, x[0]]),
        lambda x: F.cat([x, x], dim="a"),
        lambda x: F.cat([x[0, 0, 0], x[0, 0, 0]]),
        lambda x: F.stack([]),
        lambda x: F.stack([x, x[0]]),
        lambda x: F.stack([x, x], 4),
        lambda x: F.sum_to(x, (5,)),
        lambda x: F.einsum(x, "ijk"),
        lambda x: F.einsum("ij->ji", x),
        lambda x: F.einsum("ijk->l", x),
    ],
)
def test_a_plausible_mistake_is_answered_by_an_error_of_minigen_in_words(mistake):
    with pytest.raises(MinigenError, match=r"\w+ \w+ \w+ \w+") as raised:
        mistake(mg.tensor(X))
    assert isinstance(raised.value, UserError)


def test_split_takes_numpy_integers_and_lists():
    x = mg.tensor(X)
    for sizes, shapes in (
        (np.int64(2), [(2, 3, 2)] * 2),
        ([1, 3], [(2, 3, 1), (2, 3, 3)]),
        (3, [(2, 3, 3), (2, 3, 1)]),
    ):
        assert [piece.shape for piece in x.split(sizes, dim=-1)] == shapes
