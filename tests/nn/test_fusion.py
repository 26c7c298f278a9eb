"""Sequential runs batch norm, activation and dropout together: which of them, and with what result."""

import numpy as np
import pytest

import minigen as mg
from minigen import nn
from minigen.errors import ShapeError
from minigen.functional import fused
from minigen.nn.fusion import chains


class Louder(nn.ReLU):
    def forward(self, input):
        return super().forward(input) * 2


def lengths(*layers):
    return [len(chain) for chain in chains(layers)]


def test_neighbours_in_this_order_are_one_chain():
    norm, leaky, drop = nn.BatchNorm2d(3), nn.LeakyReLU(0.2), nn.Dropout(0.3)
    assert lengths(norm, leaky, drop) == [3]
    assert lengths(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.ReLU(), nn.Linear(2, 2), nn.Tanh()) == [1, 2, 1, 1]
    assert lengths(norm, drop, leaky, drop, drop) == [2, 2, 1]
    assert lengths(leaky, norm, nn.ReLU(), nn.ReLU()) == [1, 2, 1]
    assert lengths() == []


def test_a_layer_that_is_more_than_its_kind_stands_alone():
    norm, drop = nn.BatchNorm1d(3), nn.Dropout(0.3)
    assert lengths(norm, Louder(), drop) == [1, 1, 1]
    assert lengths(norm, nn.LeakyReLU(-0.5), drop) == [1, 1, 1]
    assert lengths(norm, nn.ReLU(), nn.Dropout(0.3).eval()) == [2, 1]
    assert lengths(nn.BatchNorm1d(3).eval(), nn.ReLU(), drop) == [1, 2]
    remove = drop.register_forward_hook(lambda *_: None)
    assert lengths(norm, drop) == [1, 1]
    remove()
    assert lengths(norm, drop) == [2]
    drop.register_forward_pre_hook(lambda *_: None)
    assert lengths(norm, drop) == [1, 1]
    replaced = nn.ReLU()
    replaced.forward = lambda x: x
    assert lengths(norm, replaced) == [1, 1]


def rows():
    return [
        nn.Sequential(nn.BatchNorm1d(5, 0.1), nn.LeakyReLU(0.3), nn.Dropout(0.3, generator=mg.Generator(1))),
        nn.Sequential(nn.BatchNorm1d(5, momentum=None), nn.Dropout(0.5, generator=mg.Generator(1))),
        nn.Sequential(nn.BatchNorm1d(5, affine=False), nn.ReLU()),
        nn.Sequential(nn.BatchNorm1d(5, track_running_stats=False), nn.ReLU()),
        nn.Sequential(nn.ReLU(), nn.Dropout(0.0, generator=mg.Generator(1))),
        nn.Sequential(nn.LeakyReLU(0.2), nn.Dropout(1, generator=mg.Generator(1)), nn.BatchNorm1d(5)),
    ]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("shape", [(16, 5), (6, 5, 3)])
def test_a_row_gives_what_its_layers_give_one_after_another(number, shape):
    together, apart = rows()[number], rows()[number]
    for step in range(3):  # the third in evaluation
        if step == 2:
            together.eval(), apart.eval()
        values = np.random.default_rng(step).standard_normal(shape).astype(np.float32)
        x, other = mg.Tensor(values, requires_grad=True), mg.Tensor(values, requires_grad=True)
        y, z = together(x), other
        for layer in apart:
            z = layer(z)
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=2e-5, atol=2e-6)
        ours = mg.grad((y * y).sum(), [x, *together.parameters()], allow_unused=True)
        theirs = mg.grad((z * z).sum(), [other, *apart.parameters()], allow_unused=True)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-4)
    assert together.state_dict().keys() == apart.state_dict().keys()
    for a, b in zip(together.state_dict().values(), apart.state_dict().values()):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-5, atol=1e-7)


def test_three_layers_are_one_node_of_the_graph():
    layers = nn.Sequential(nn.BatchNorm2d(3), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.LeakyReLU(0.2), nn.Dropout(0.3))
    x = mg.Tensor(np.ones((2, 4, 4, 3), np.float32).transpose(0, 3, 1, 2), requires_grad=True)
    y = layers(x)
    assert isinstance(y.grad_fn, fused.ActivateAndDrop)
    assert isinstance(y.grad_fn.edges[0], fused.BatchNorm)
    assert y.grad_fn.edges[0].edges[0] is x


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(200, 30, 90), (90, 7, 70), (500, 2, 128)])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.3)])
def test_a_linear_layer_and_its_activation_are_one_node_with_the_derivatives_of_both(activation, sizes, bias):
    batch, ins, outs = sizes
    layer = nn.Linear(ins, outs, bias=bias)
    row = nn.Sequential(layer, activation, nn.Dropout(0.5))
    x = mg.randn(batch, ins, generator=mg.Generator(1)).requires_grad_()
    together, apart = nn.Sequential(layer, activation)(x), activation(layer(x))
    assert isinstance(together.grad_fn, fused.LinearThenActivate)
    assert isinstance(row(x).grad_fn.edges[0], fused.LinearThenActivate)
    np.testing.assert_allclose(together.numpy(), apart.numpy(), rtol=1e-4, atol=1e-5)

    wanted = [x, *layer.parameters()]
    seconds = []
    for y in (together, apart):
        first = mg.grad((y * y).sum(), wanted, create_graph=True)
        seconds.append((first, mg.grad(sum((g * g).sum() for g in first), wanted)))
    for ours, theirs in zip(*([*first, *second] for first, second in seconds), strict=True):
        scale = np.abs(theirs.numpy()).max()
        np.testing.assert_allclose(ours.numpy() / scale, theirs.numpy() / scale, atol=1e-5)


def test_a_change_of_the_output_in_place_does_not_reach_a_graph_of_its_gradient():
    layers, x = (
        nn.Sequential(nn.Linear(90, 80), nn.ReLU()),
        mg.randn(100, 90, generator=mg.Generator(0)).requires_grad_(),
    )
    seconds = []
    for change in (False, True):
        y = layers(x)
        v = mg.ones(*y.shape).requires_grad_()
        (gx,) = mg.grad(y, [x], [v], create_graph=True)
        if change:
            with mg.no_grad():
                y.mul_(-1)
        seconds.append(mg.grad((gx * gx).sum(), [v])[0].numpy())
    np.testing.assert_array_equal(*seconds)


def test_a_linear_layer_is_left_alone_before_batch_norm_in_evaluation_and_with_hooks():
    x = mg.ones(100, 90)
    layers = nn.Sequential(nn.Linear(90, 80), nn.BatchNorm1d(80), nn.ReLU())
    assert isinstance(layers(x).grad_fn, fused.BatchNorm)
    hooked, seen = nn.Sequential(nn.Linear(90, 80), nn.ReLU()), []
    hooked[0].register_forward_hook(lambda *call: seen.append(call))
    hooked(x)
    assert len(seen) == 1
    plain = nn.Sequential(nn.Linear(90, 80), nn.ReLU())
    before = plain(x).numpy()
    plain.eval()
    np.testing.assert_allclose(plain(x).numpy(), before, rtol=1e-5, atol=1e-6)


def test_a_batch_that_is_refused_takes_nothing_from_the_generator():
    generator = mg.Generator(0)
    layers = nn.Sequential(nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(0.3, generator=generator))
    before = generator.get_state()
    with pytest.raises(ShapeError, match="BatchNorm1d: the input of shape"):
        layers(mg.ones(4, 2))
    assert generator.get_state() == before
    assert layers[0].num_batches_tracked.item() == 0
