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


# ---- values beside NumPy, gradients by adjointness -------------------------------------------------------------------

MOVES = {
    "reshape": (lambda x: x.reshape(4, -1), lambda a: a.reshape(4, -1)),
    "view": (lambda x: x.view(-1, 4), lambda a: a.reshape(-1, 4)),
    "reshape of a transposed": (lambda x: x.transpose(0, 2).reshape(-1), lambda a: a.swapaxes(0, 2).reshape(-1)),
    "flatten": (lambda x: x.flatten(), np.ravel),
    "flatten 1": (lambda x: x.flatten(1), lambda a: a.reshape(2, 12)),
    "flatten 0 to 1": (lambda x: x.flatten(start_dim=0, end_dim=1), lambda a: a.reshape(6, 4)),
    "permute": (lambda x: x.permute(2, 0, 1), lambda a: a.transpose(2, 0, 1)),
    "permute negative": (lambda x: x.permute((-1, 0, -2)), lambda a: a.transpose(2, 0, 1)),
    "transpose": (lambda x: x.transpose(dim0=0, dim1=-1), lambda a: a.swapaxes(0, -1)),
    "swapaxes": (lambda x: x.swapaxes(1, 2), lambda a: a.swapaxes(1, 2)),
    "T": (lambda x: x.T, lambda a: a.T),
    "unsqueeze": (lambda x: x.unsqueeze(dim=-1), lambda a: a[..., None]),
    "squeeze": (lambda x: x[:1].squeeze(), lambda a: a[0]),
    "squeeze an axis": (lambda x: x[:1, :, :1].squeeze(dim=0), lambda a: a[0, :, :1]),
    "squeeze axes": (lambda x: x[:1, :, :1].squeeze((0, 1, 2)), lambda a: a[0, :, 0]),
    "squeeze nothing": (lambda x: x.squeeze(1), lambda a: a),
    "expand": (lambda x: x[:, :1].expand(2, 5, 4), lambda a: np.broadcast_to(a[:, :1], (2, 5, 4))),
    "expand in front": (lambda x: x.expand(3, -1, 3, -1), lambda a: np.broadcast_to(a, (3, 2, 3, 4))),
    "flip": (lambda x: x.flip(0, 2), lambda a: np.flip(a, (0, 2))),
    "sum_to": (lambda x: x.sum_to((3, 1)), lambda a: a.sum(0).sum(1, keepdims=True)),
    "cat": (lambda x: F.cat([x, x[:, :1]], dim=1), lambda a: np.concatenate([a, a[:, :1]], 1)),
    "concatenate": (lambda x: F.concatenate((x, x), -1), lambda a: np.concatenate([a, a], -1)),
    "stack": (lambda x: F.stack([x, x * 2], dim=1), lambda a: np.stack([a, a * 2], 1)),
    "stack last": (lambda x: F.stack([x, x], -1), lambda a: np.stack([a, a], -1)),
    "split": (lambda x: x.split(3, dim=2)[1], lambda a: a[:, :, 3:]),
    "chunk": (lambda x: x.chunk(2, dim=1)[0], lambda a: a[:, :2]),
    "pad": (lambda x: F.pad(x, (1, 2)), lambda a: np.pad(a, ((0, 0), (0, 0), (1, 2)))),
    "pad two axes": (lambda x: F.pad(x, (0, 1, 2, 0)), lambda a: np.pad(a, ((0, 0), (2, 0), (0, 1)))),
    "pad reflect": (lambda x: F.pad(x, (3, 1), "reflect"), lambda a: np.pad(a, ((0, 0), (0, 0), (3, 1)), "reflect")),
    "pad replicate": (lambda x: F.pad(x, (1, 5), "replicate"), lambda a: np.pad(a, ((0, 0), (0, 0), (1, 5)), "edge")),
    "pad circular": (
        lambda x: F.pad(x, (4, 2), mode="circular"),
        lambda a: np.pad(a, ((0, 0), (0, 0), (4, 2)), "wrap"),
    ),
    "crop": (lambda x: F.pad(x, (-1, -2, 1, -1)), lambda a: np.pad(a[:, :2, 1:2], ((0, 0), (1, 0), (0, 0)))),
    "clone": (lambda x: x.clone(), np.copy),
}


@pytest.mark.parametrize("name", MOVES)
def test_moves_are_numpys_and_their_gradients_their_adjoints_to_the_second_order(name):
    ours, numpys = MOVES[name]
    x = mg.Tensor(X.astype(np.float64), requires_grad=True)
    y = ours(x)
    expected = numpys(x.numpy())
    assert y.shape == expected.shape
    np.testing.assert_array_equal(y.numpy(), expected) if name != "sum_to" else np.testing.assert_allclose(
        y.numpy(), expected
    )
    rng = np.random.default_rng(1)
    a = rng.standard_normal(X.shape)
    v = mg.Tensor(rng.standard_normal(y.shape), requires_grad=True)
    (g,) = mg.grad(y, x, v, create_graph=True)
    assert (g.numpy() * a).sum() == pytest.approx((v.numpy() * numpys(a)).sum(), rel=1e-11)
    (back,) = mg.grad(g, v, mg.Tensor(a))  # the adjoint of the adjoint is the move itself
    np.testing.assert_allclose(back.numpy(), numpys(a), rtol=1e-12)


def test_a_constant_around_takes_its_value_and_type():
    x = mg.tensor([1, 2])
    assert F.pad(x, (1, 1), value=7).tolist() == [7, 1, 2, 7]
    assert F.pad(mg.ones(1), (0, 1), "constant", 0.5).tolist() == [1.0, 0.5]


def test_views_share_memory_and_a_clone_does_not():
    x = mg.zeros(2, 3)
    views = [x.reshape(3, 2), x.view(6), x.T, x[0], x.unsqueeze(0), x.flip(1), x.detach(), x.flatten(), x.split(1)[0]]
    copies = [x.clone(), x.astype("float64"), F.cat([x]), F.pad(x, (0, 0)), x[[0]], x + 0]
    for view in views:
        assert np.shares_memory(view.data, x.data)
        assert view._version is x._version
    for copied in copies:
        assert not np.shares_memory(copied.data, x.data)
        assert copied._version is not x._version


def test_expand_needs_no_memory_and_refuses_to_be_written():
    x = mg.zeros(1, 3)
    y = x.expand(1000, 3)
    assert y.data.strides[0] == 0
    with pytest.raises(mg.errors.InPlaceError, match="clone"):
        y.add_(1)


def test_the_gradient_of_astype_comes_back_in_the_type_of_the_input():
    x = mg.ones(2, requires_grad=True)
    y = x.astype(np.float64)
    (g,) = mg.grad((y * y).sum(), x, create_graph=True)
    assert (y.dtype, g.dtype, g.tolist()) == (np.float64, np.float32, [2.0, 2.0])
    assert mg.grad(g.sum(), x)[0].tolist() == [2.0, 2.0]
    assert not x.astype(np.int64).requires_grad
    assert (x.double().dtype, x.double().float().dtype, x.astype(np.float32) is x) == (np.float64, np.float32, True)


def test_split_and_chunk_cover_everything_in_order():
    x = mg.arange(10)
    assert [p.tolist() for p in x.split(4)] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [p.tolist() for p in x.split([1, 0, 9])] == [[0], [], list(range(1, 10))]
    assert [len(p) for p in x.chunk(3)] == [4, 4, 2]
    assert [len(p) for p in mg.arange(5).chunk(4)] == [2, 2, 1]
    assert [p.shape for p in mg.zeros(0, 3).split(2)] == [(0, 3)]


def test_empty_tensors_and_tensors_without_axes_are_moved_too():
    e, s = mg.zeros(0, 3, requires_grad=True), mg.tensor(2.0, requires_grad=True)
    for y in (
        e.T,
        e.reshape(3, 0),
        e.reshape(-1, 3),
        e.flip(0),
        e.unsqueeze(1),
        F.cat([e, e]),
        F.stack([e, e]),
        e.expand(2, 0, 3),
    ):
        assert y.numel() == 0
        assert mg.grad(y.sum(), e)[0].shape == (0, 3)
    for y in (
        s.reshape(1, 1),
        s.flatten(),
        s.unsqueeze(0),
        s.expand(3),
        s.squeeze(),
        s.permute(()),
        s.T,
        F.stack([s, s]),
    ):
        assert mg.grad(y.sum(), s)[0].item() == y.numel()
    assert F.cat([mg.zeros(0, 3), mg.ones(2, 3)]).shape == (2, 3)


def test_images_that_are_sliced_and_made_rows_are_a_view_where_that_is_possible():
    images = mg.zeros(4, 3, 2, 2)
    rows = images[::2].reshape(2, 12)
    with mg.no_grad():
        rows.add_(1)
    assert images.sum().item() == 24
