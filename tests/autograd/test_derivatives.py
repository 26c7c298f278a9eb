import numpy as np
import pytest

import minigen as mg
from minigen.errors import ShapeError

A = np.array([[2.0, 1.0, -1.0], [0.5, 3.0, 1.5]])
X = np.array([0.3, -0.7, 1.1])


def f(x):  # R³ → R²
    return mg.tanh(mg.Tensor(A) @ x)


def jacobian_by_hand(x):
    return (1 - np.tanh(A @ x) ** 2)[:, None] * A


def test_vjp_and_jvp_are_the_products_with_the_jacobian():
    u, v = np.array([1.0, -2.0]), np.array([0.5, 1.0, 2.0])
    y, pulled = mg.vjp(f, mg.Tensor(X), mg.Tensor(u))
    np.testing.assert_allclose(y.numpy(), np.tanh(A @ X))
    np.testing.assert_allclose(pulled.numpy(), u @ jacobian_by_hand(X), rtol=1e-12)
    _, pushed = mg.jvp(f, mg.Tensor(X), mg.Tensor(v))
    np.testing.assert_allclose(pushed.numpy(), jacobian_by_hand(X) @ v, rtol=1e-12)


def test_jacobian_is_the_whole_matrix():
    np.testing.assert_allclose(mg.jacobian(f, mg.Tensor(X)).numpy(), jacobian_by_hand(X), rtol=1e-12)


def test_jacobian_has_a_block_for_each_input_in_the_shape_output_by_input():
    a, b = mg.Tensor(np.ones((2, 3))), mg.Tensor(np.ones((3, 4)))
    ja, jb = mg.jacobian(lambda a, b: a @ b, (a, b))
    assert ja.shape == (2, 4, 2, 3)
    assert jb.shape == (2, 4, 3, 4)


def test_hvp_is_the_hessian_times_a_vector_and_hessian_is_symmetric():
    def g(x):
        return (f(x) ** 2).sum() + mg.exp(x).sum()

    v = np.array([1.0, 2.0, -1.0])
    h = mg.hessian(g, mg.Tensor(X)).numpy()
    np.testing.assert_allclose(h, h.T, rtol=1e-12)
    step = 1e-5
    numeric = np.stack(
        [
            (mg.vjp(g, mg.Tensor(X + step * e))[1].numpy() - mg.vjp(g, mg.Tensor(X - step * e))[1].numpy()) / (2 * step)
            for e in np.eye(3)
        ]
    )
    np.testing.assert_allclose(h, numeric, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(mg.hvp(g, mg.Tensor(X), mg.Tensor(v))[1].numpy(), h @ v, rtol=1e-12)


def test_hessian_of_several_inputs_has_a_block_for_each_pair():
    x, y = mg.Tensor(np.array([1.0, 2.0])), mg.Tensor(np.array([3.0]))
    blocks = mg.hessian(lambda x, y: (x * x * y).sum(), (x, y))
    assert blocks[0][0].tolist() == [[6.0, 0.0], [0.0, 6.0]]
    assert blocks[0][1].tolist() == [[2.0], [4.0]]
    assert blocks[1][0].tolist() == [[2.0, 4.0]]
    assert blocks[1][1].tolist() == [[0.0]]


def test_products_can_be_differentiated_further():
    x = mg.tensor(np.array([2.0]), requires_grad=True)
    _, first = mg.jvp(lambda x: x**4, x, mg.Tensor(np.ones(1)), create_graph=True)
    (second,) = mg.grad(first.sum(), x, create_graph=True)
    (third,) = mg.grad(second.sum(), x)
    assert (first.item(), second.item(), third.item()) == (32.0, 48.0, 48.0)


def test_a_function_that_ignores_an_input_has_a_zero_product_with_it():
    x, y = mg.Tensor(np.ones(2)), mg.Tensor(np.ones(3))
    _, (gx, gy) = mg.vjp(lambda x, y: (x * x).sum(), (x, y))
    assert gx.tolist() == [2.0, 2.0]
    assert gy.tolist() == [0.0] * 3
    assert mg.hessian(lambda x: x.sum(), x).tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert mg.jvp(lambda x: x.detach(), x, x)[1].tolist() == [0.0, 0.0]


def test_the_inputs_are_left_alone():
    x = mg.Tensor(X)
    mg.jacobian(f, x)
    assert not x.requires_grad
    assert x.grad is None


def test_wrong_directions_are_named():
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        mg.jvp(f, mg.Tensor(X), mg.ones(2))
    with pytest.raises(ShapeError, match="scalar"):
        mg.hvp(f, mg.Tensor(X), mg.Tensor(X))
