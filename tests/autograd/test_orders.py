import gc

import pytest

import minigen
from minigen.autograd.orders import derivative_orders


def nodes(*roots):
    """Every node below some tensors, with its order."""
    return derivative_orders([y.grad_fn for y in roots])


def test_a_forward_pass_has_order_zero_and_knows_no_origin():
    x = minigen.tensor([1.0, 2.0], requires_grad=True)
    y = ((x * x).exp() + x).sum()
    found = nodes(y)
    assert len(found) == 4
    assert set(found.values()) == {0}
    assert all(node.origin is None for node in found)


def test_nodes_of_a_recorded_backward_pass_know_whose_gradient_they_compute():
    x = minigen.tensor([1.0, 2.0], requires_grad=True)
    h = x.exp()
    y = (h * h).sum()
    (g,) = minigen.grad(y, x, create_graph=True)
    found = nodes(g)
    made = {node for node, order in found.items() if order == 1}
    assert {node.origin() for node in made} == {y.grad_fn.edges[0], h.grad_fn}
    # h is used twice: two gradients arrive for it and are added, then multiplied.
    assert sorted(node.name() for node in made if node.origin() is h.grad_fn) == ["Add", "Mul"]
    assert found[h.grad_fn] == 0


def test_orders_rise_with_every_derivative_and_stay_in_what_follows():
    x = minigen.tensor([0.3, 0.4], requires_grad=True)
    y = (x**5).sum()
    for order in (1, 2, 3):
        (y,) = minigen.grad(y.sum(), x, create_graph=True)
        assert nodes(y)[y.grad_fn] == order
        after = (y * 2.0).sum()
        assert nodes(after)[after.grad_fn] == order
        assert after.grad_fn.origin is None


def test_after_a_pass_nothing_has_an_origin_even_if_it_failed():
    x = minigen.tensor([1.0], requires_grad=True)

    class Fails(minigen.Function):
        def forward(self, x):
            return x + 1

        def backward(self, g):
            raise ZeroDivisionError

    y = Fails.apply(x).sum()
    with pytest.raises(ZeroDivisionError):
        y.backward(create_graph=True)
    assert x.exp().grad_fn.origin is None


def test_an_origin_keeps_no_graph_alive():
    x = minigen.tensor([1.0, 2.0], requires_grad=True)
    y = (x * 3.0).sum()  # its gradient depends on nothing in the forward pass
    (g,) = minigen.grad((y * y).sum() * 0.0 + y, x, create_graph=True)
    origins = [node.origin for node in nodes(g) if node.origin is not None]
    gc.disable()
    try:
        del y, g
        assert all(origin() is None or origin() is x for origin in origins)
    finally:
        gc.enable()


def test_a_long_chain_needs_no_recursion():
    x = minigen.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(20_000):
        y = -y
    assert len(nodes(y)) == 20_000
