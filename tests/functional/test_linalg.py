"""Products of matrices beside NumPy, with the mistakes that are easy to make."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError, UserError


@pytest.mark.parametrize("bias", [(1,), (5,), (2, 4), (2, 1), ()])
def test_linear_refuses_a_bias_that_would_be_broadcast(bias):
    for rows in (4, 1):
        with pytest.raises(ShapeError, match="linear: bias has shape"):
            F.linear(mg.ones(2, 3), mg.ones(rows, 3), mg.ones(bias if bias != (rows,) else (7,)))


@pytest.mark.parametrize("lead", [(), (2,), (2, 5), (0,), (2, 0, 3)])
def test_linear_without_features_is_its_bias(lead):
    x = mg.ones((*lead, 0), requires_grad=True)
    y = F.linear(x, mg.ones(4, 0), mg.arange(4.0))
    np.testing.assert_array_equal(y.numpy(), np.broadcast_to(np.arange(4.0), (*lead, 4)))
    assert mg.grad(y.sum(), x)[0].shape == x.shape


def test_stacks_of_matrices_that_do_not_fit_are_named_by_their_leading_axes():
    with pytest.raises(ShapeError, match=r"matmul: .*before the last two, \(2,\) and \(3,\), must be equal or 1"):
        mg.ones(2, 3, 4) @ mg.ones(3, 4, 5)


RNG = np.random.default_rng(6)


def normal(*shape):
    return RNG.standard_normal(shape)


def close(actual, expected, rtol=1e-11):
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((3, 4), (4, 2)),
        ((4,), (4, 2)),
        ((3, 4), (4,)),
        ((4,), (4,)),
        ((5, 3, 4), (4, 2)),
        ((3, 4), (5, 4, 2)),
        ((5, 3, 4), (5, 4, 2)),
        ((5, 1, 3, 4), (2, 4, 2)),
        ((4,), (5, 4, 2)),
        ((5, 3, 4), (4,)),
        ((0, 4), (4, 2)),
        ((3, 0), (0, 2)),
        ((3, 4), (4, 0)),
        ((0, 3, 4), (4, 2)),
        ((1, 1), (1, 1)),
    ],
)
def test_matmul_is_numpys_with_gradients_that_are_its_adjoints(left, right):
    x, y = mg.Tensor(normal(*left), requires_grad=True), mg.Tensor(normal(*right), requires_grad=True)
    z = x @ y
    close(z, x.numpy() @ y.numpy())
    v, a, b = normal(*z.shape), normal(*left), normal(*right)
    gx, gy = mg.grad(z, [x, y], mg.Tensor(v), create_graph=True)
    assert (gx.shape, gy.shape) == (left, right)
    assert (gx.numpy() * a).sum() == pytest.approx((v * (a @ y.numpy())).sum(), rel=1e-11, abs=1e-11)
    assert (gy.numpy() * b).sum() == pytest.approx((v * (x.numpy() @ b)).sum(), rel=1e-11, abs=1e-11)
    (hy,) = mg.grad(gx, y, mg.Tensor(a))  # ⟨gx, a⟩ = ⟨v, a @ y⟩
    (hx,) = mg.grad(gy, x, mg.Tensor(b))  # ⟨gy, b⟩ = ⟨v, x @ b⟩
    assert (hy.numpy() * b).sum() == pytest.approx((v * (a @ b)).sum(), rel=1e-11, abs=1e-11)
    assert (hx.numpy() * a).sum() == pytest.approx((v * (a @ b)).sum(), rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("layout", [lambda a: a.T.copy().T, lambda a: a.repeat(2, 1)[:, ::2], lambda a: a[::-1]])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matmul_takes_matrices_however_they_lie_in_memory(layout, dtype):
    a, b = layout(normal(5, 7).astype(dtype)), layout(normal(7, 3).astype(dtype))
    z = mg.Tensor(a) @ mg.Tensor(b)
    assert z.dtype == dtype
    close(z, a.astype(np.float64) @ b.astype(np.float64), 1e-5 if dtype == np.float32 else 1e-12)


def test_matmul_of_integers_is_float32_and_of_mixed_types_the_wider():
    i, f, d = mg.tensor([[1, 2], [3, 4]]), mg.ones(2, 2), mg.ones(2, 2, dtype=np.float64)
    assert ((i @ i).dtype, (i @ i).tolist()) == (np.float32, [[7.0, 10.0], [15.0, 22.0]])
    assert (f @ d).dtype == (d @ f).dtype == (i @ d).dtype == np.float64
    assert (i @ f).dtype == np.float32


@pytest.mark.parametrize("lead", [(), (5,), (2, 5), (0,)])
def test_linear_is_x_times_the_transposed_weight_plus_the_bias(lead):
    x, w, b = (mg.Tensor(normal(*s), requires_grad=True) for s in ((*lead, 3), (4, 3), (4,)))
    y = F.linear(x, w, b)
    close(y, x.numpy() @ w.numpy().T + b.numpy())
    close(F.linear(x, w), x.numpy() @ w.numpy().T)
    v = normal(*y.shape)
    gx, gw, gb = mg.grad(y, [x, w, b], mg.Tensor(v))
    close(gx, v @ w.numpy())
    close(gw, v.reshape(-1, 4).T @ x.numpy().reshape(-1, 3))
    close(gb, v.reshape(-1, 4).sum(0))


def test_dot_and_outer_are_numpys():
    x, y, z = (mg.Tensor(normal(n), requires_grad=True) for n in (4, 4, 3))
    close(x.dot(y), x.numpy() @ y.numpy())
    close(F.outer(x, z), np.outer(x.numpy(), z.numpy()))
    close(mg.grad(x.dot(y), x)[0], y.numpy())
    v = normal(4, 3)
    close(mg.grad(x.outer(z), z, mg.Tensor(v))[0], x.numpy() @ v)
    assert F.dot(mg.tensor([1, 2]), mg.tensor([3, 4])).item() == 11


EQUATIONS = {
    "ij,jk->ik": [(2, 3), (3, 4)],
    "ij,jk": [(2, 3), (3, 4)],
    "bij,bjk->bik": [(5, 2, 3), (5, 3, 4)],
    "bhqd,bhkd->bhqk": [(2, 2, 3, 4), (2, 2, 5, 4)],
    "i,i": [(4,), (4,)],
    "i,j->ij": [(4,), (3,)],
    "ij->ji": [(2, 3)],
    "ba": [(2, 3)],
    "ij->": [(2, 3)],
    "ij->j": [(2, 3)],
    "ii": [(3, 3)],
    "ii->i": [(3, 3)],
    "iij,j->i": [(3, 3, 2), (2,)],
    "iii->": [(2, 2, 2)],
    "...ij,...jk->...ik": [(5, 2, 3), (3, 4)],
    "...i->...": [(2, 3, 4)],
    "i...,i...": [(3, 2), (3, 1)],
    "ab,bc,cd->ad": [(2, 3), (3, 2), (2, 4)],
    "ijk,jil->kl": [(2, 3, 4), (3, 2, 5)],
    "ij, jk -> ik": [(2, 0), (0, 4)],
}


@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum_is_numpys_with_gradients_that_are_its_adjoints(equation):
    arrays = [normal(*shape) for shape in EQUATIONS[equation]]
    xs = [mg.Tensor(a, requires_grad=True) for a in arrays]
    y = F.einsum(equation, *xs)
    close(y, np.einsum(equation, *arrays))
    v = normal(*y.shape)
    for i, g in enumerate(mg.grad(y, xs, mg.Tensor(v))):
        a = normal(*arrays[i].shape)
        moved = np.einsum(equation, *arrays[:i], a, *arrays[i + 1 :])
        assert (g.numpy() * a).sum() == pytest.approx((v * moved).sum(), rel=1e-10, abs=1e-12)


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda: mg.ones(2, 3) @ mg.ones(2, 3), r"matmul: \(2, 3\) @ \(2, 3\).*\(3\).*\(2\); transpose one"),
        (lambda: mg.ones(2, 3) @ mg.ones(2), r"matmul: .*only axis of the second \(2\)"),
        (lambda: mg.ones(2, 3) @ 2, r"matmul: .*use \* to scale"),
        (lambda: F.linear(mg.ones(2, 3), mg.ones(3, 4)), r"linear: input \(2, 3\).*\(3, 4\).*in_features"),
        (lambda: F.linear(mg.ones(2, 3), mg.ones(3)), r"linear: .*\(3,\)"),
        (lambda: F.linear(mg.ones(()), mg.ones(3, 4)), r"linear: input \(\)"),
        (lambda: F.dot(mg.ones(2), mg.ones(3)), r"dot: .*\(2,\) and \(3,\)"),
        (lambda: F.outer(mg.ones(2, 2), mg.ones(3)), r"outer: .*\(2, 2\) and \(3,\)"),
        (lambda: F.einsum("ij,jk", mg.ones(2, 3), mg.ones(2, 3)), r"einsum: axis 'j' .*3 and 2"),
        (lambda: F.einsum("...i,...i", mg.ones(2, 3), mg.ones(4, 3)), r"einsum: .*\(2,\), \(4,\).*do not fit"),
    ],
)
def test_shapes_that_do_not_fit_are_named_with_what_must_be_equal(mistake, words):
    with pytest.raises(ShapeError, match=words):
        mistake()


@pytest.mark.parametrize(
    ("equation", "words"),
    [
        ("ij,jk", "names 2 operands, but 1"),
        ("ijk", r"does not name the 2 axes of shape \(2, 3\)"),
        ("i1->i", "does not name"),
        ("..ij", "does not name"),
        ("ij->k", "must name axes of the operands, each once"),
        ("ij->ii", "must name axes of the operands, each once"),
        ("ij->ij->i", "must name axes"),
        ("", "does not name"),
    ],
)
def test_an_equation_that_makes_no_sense_is_quoted(equation, words):
    with pytest.raises(UserError, match=words):
        F.einsum(equation, mg.ones(2, 3))


@pytest.mark.parametrize("rows", [3, 700])  # the second's products are large enough to be computed side by side
def test_both_gradients_of_linear_are_the_same_at_once_and_as_a_graph(rows):
    rng = np.random.default_rng(0)
    x, w, b = (mg.Tensor(rng.standard_normal(s), requires_grad=True) for s in ((rows, 130), (140, 130), (140,)))
    g = mg.Tensor(rng.standard_normal((rows, 140)))
    at_once = mg.grad(F.linear(x, w, b), [x, w, b], g)
    as_a_graph = mg.grad(F.linear(x, w, b), [x, w, b], g, create_graph=True)
    for one, other in zip(at_once, as_a_graph, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(at_once[0].numpy(), g.numpy() @ w.numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(at_once[1].numpy(), g.numpy().T @ x.numpy(), rtol=1e-12, atol=1e-12)
