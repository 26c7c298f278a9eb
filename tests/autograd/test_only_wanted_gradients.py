"""The backward pass calls a kernel for every gradient that somebody wants, and for no other."""

import itertools

import numpy as np
import pytest
from minigen_kernels import cpu

import minigen as mg
from minigen import nn
from minigen.functional import conv2d, conv_transpose2d, linear, matmul
from minigen.losses import GAN_LOSSES

KERNELS = ("conv2d", "conv_transpose2d", "conv2d_weight_grad", "matmul")


@pytest.fixture
def calls(monkeypatch):
    """The kernels called so far, by name, each with the shape of its result."""
    made = []

    def spy(name):
        kernel = getattr(cpu, name)

        def counted(*args, **options):
            result = kernel(*args, **options)
            made.append((name, result.shape))
            return result

        monkeypatch.setattr(cpu, name, counted)

    for name in KERNELS:
        spy(name)
    return made


def random(*shape):
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


# the operation, its two operands, and the kernel that each one's gradient costs
OPERATIONS = {
    "conv2d": (
        lambda x, w: conv2d(x, w, stride=2, padding=1),
        [random(2, 3, 6, 6), random(4, 3, 3, 3)],
        ["conv_transpose2d", "conv2d_weight_grad"],
    ),
    "conv_transpose2d": (
        lambda y, w: conv_transpose2d(y, w, stride=2, padding=1),
        [random(2, 4, 3, 3), random(4, 3, 3, 3)],
        ["conv2d", "conv2d_weight_grad"],
    ),
    "linear": (linear, [random(5, 3), random(4, 3)], ["matmul", "matmul"]),
    "matmul": (matmul, [random(5, 3), random(3, 4)], ["matmul", "matmul"]),
    "matmul of stacks": (matmul, [random(2, 5, 3), random(2, 3, 4)], ["matmul", "matmul"]),
}
EACH = pytest.mark.parametrize("name", OPERATIONS)
WANTED = list(itertools.product([False, True], repeat=2))


def expected_calls(name, wanted):
    _, operands, kernels = OPERATIONS[name]
    return [(kernel, x.shape) for kernel, x, needed in zip(kernels, operands, wanted) if needed]


@EACH
@pytest.mark.parametrize("wanted", WANTED[1:], ids=str)
def test_backward_computes_what_requires_a_gradient(name, wanted, calls):
    function, operands, _ = OPERATIONS[name]
    leaves = [mg.tensor(x, requires_grad=needed) for x, needed in zip(operands, wanted)]
    y = function(*leaves).sum()
    calls.clear()
    y.backward()
    assert calls == expected_calls(name, wanted)
    assert [leaf.grad is not None for leaf in leaves] == list(wanted)


@EACH
def test_nothing_is_recorded_where_nothing_requires_a_gradient(name, calls):
    function, operands, _ = OPERATIONS[name]
    y = function(*map(mg.tensor, operands))
    assert not y.requires_grad
    assert y.grad_fn is None


@EACH
@pytest.mark.parametrize("wanted", WANTED[1:], ids=str)
def test_grad_computes_what_it_is_asked_for(name, wanted, calls):
    function, operands, _ = OPERATIONS[name]
    leaves = [mg.tensor(x, requires_grad=True) for x in operands]
    y = function(*leaves).sum()
    calls.clear()
    mg.grad(y, [leaf for leaf, needed in zip(leaves, wanted) if needed])
    assert calls == expected_calls(name, wanted)


@EACH
def test_what_an_earlier_pass_did_not_want_is_computed_for_a_later_one(name, calls):
    function, operands, _ = OPERATIONS[name]
    leaves = [mg.tensor(x, requires_grad=True) for x in operands]
    y = function(*leaves).sum()
    mg.grad(y, leaves[0], retain_graph=True)
    calls.clear()
    y.backward()
    assert calls == expected_calls(name, (True, True))


def test_the_first_layer_of_a_network_has_no_gradient_for_its_data(calls):
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.LeakyReLU(0.2), nn.Dropout(0.3), nn.Flatten(), nn.Linear(16, 1)
    )
    loss = model(mg.tensor(random(3, 1, 4, 4))).sum()
    calls.clear()
    loss.backward()
    assert calls == [("matmul", (3, 16)), ("matmul", (1, 16)), ("conv2d_weight_grad", (4, 1, 3, 3))]


def test_frozen_weights_pass_the_gradient_on_and_have_none(calls):
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))
    model.requires_grad_(False)
    x = mg.tensor(random(3, 1, 4, 4), requires_grad=True)
    loss = model(x).sum()
    calls.clear()
    loss.backward()
    assert calls == [("matmul", (3, 16)), ("conv_transpose2d", (3, 1, 4, 4))]


def test_the_steps_of_a_gan_compute_the_gradients_of_one_network_each(calls):
    generator, discriminator = nn.Linear(2, 3), nn.Linear(3, 1)
    loss = GAN_LOSSES["non-saturating"]
    real, fake = mg.tensor(random(5, 3)), generator(mg.tensor(random(5, 2)))
    d_loss = loss.discriminator(discriminator(real), discriminator(fake.detach()))
    calls.clear()
    d_loss.backward()
    assert calls == [("matmul", (1, 3))] * 2  # D's weight, from the real and from the fake
    discriminator.requires_grad_(False)
    g_loss = loss.generator(None, discriminator(fake))
    calls.clear()
    g_loss.backward()
    assert calls == [("matmul", (5, 3)), ("matmul", (3, 2))]  # through D to the samples; G's weight


def test_the_gradient_of_a_penalty_leaves_the_weights_out_the_first_time(calls):
    critic = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(16, 1))
    x = mg.tensor(random(3, 1, 4, 4), requires_grad=True)
    score = critic(x).sum()
    calls.clear()
    (gradient,) = mg.grad(score, x, create_graph=True)
    assert calls == [("matmul", (3, 16)), ("conv_transpose2d", (3, 1, 4, 4))]
    penalty = (gradient**2).sum()
    calls.clear()
    mg.grad(penalty, list(critic.parameters()), allow_unused=True)
    assert calls == [
        ("conv2d", (3, 4, 2, 2)),  # back through the transposed convolution that made the gradient
        ("conv2d_weight_grad", (4, 1, 3, 3)),  # its weight
        ("matmul", (1, 16)),  # the last layer's weight, which the gradient began with
        ("conv2d_weight_grad", (4, 1, 3, 3)),  # the first layer's, by way of tanh'; nobody asks about x
    ]
