"""Normalizations beside NumPy, their invariances, running statistics, and mistakes."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import MinigenError, ShapeError, UserError

RNG = np.random.default_rng(3)
X = RNG.normal(2.0, 3.0, (4, 6, 5, 3))
WEIGHT, BIAS = RNG.normal(size=6), RNG.normal(size=6)
CHANNELS = (1, 6, 1, 1)


def standardized(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def close(actual, expected, rtol=1e-10):
    np.testing.assert_allclose(actual.numpy(), expected, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("shape", [(4, 6, 5, 3), (20, 6), (7, 6, 2), (2, 6, 2, 3, 2)])
def test_batch_norm_standardizes_each_channel_over_the_batch(shape):
    x = RNG.normal(2.0, 3.0, shape)
    axes = (0, *range(2, x.ndim))
    channels = (1, 6) + (1,) * (x.ndim - 2)
    y = F.batch_norm(mg.Tensor(x), None, None, mg.Tensor(WEIGHT), mg.Tensor(BIAS), training=True, eps=1e-3)
    close(y, standardized(x, axes, 1e-3) * WEIGHT.reshape(channels) + BIAS.reshape(channels))


def test_running_statistics_move_towards_the_batch_with_its_unbiased_variance():
    mean, var = mg.zeros(6, dtype=np.float64), mg.ones(6, dtype=np.float64)
    F.batch_norm(mg.Tensor(X), mean, var, training=True, momentum=0.25)
    close(mean, 0.25 * X.mean((0, 2, 3)))
    close(var, 0.75 + 0.25 * X.var((0, 2, 3), ddof=1))
    before = mean.numpy().copy(), var.numpy().copy()
    y = F.batch_norm(mg.Tensor(X), mean, var)
    close(y, (X - before[0].reshape(CHANNELS)) / np.sqrt(before[1].reshape(CHANNELS) + 1e-5))
    close(mean, before[0])
    close(var, before[1])


def test_running_statistics_keep_their_type_and_their_memory_takes_no_part_in_the_gradient():
    mean, var = mg.zeros(6), mg.ones(6)
    x = mg.Tensor(X.astype(np.float32), requires_grad=True)
    y = F.batch_norm(x, mean, var, training=True)
    F.batch_norm(x, mean, var, training=True)  # moving them again leaves the first graph alone
    y.sum().backward()
    assert (mean.dtype, mean.requires_grad, mean.grad_fn) == (np.float32, False, None)


def test_instance_norm_standardizes_each_channel_of_each_sample_and_moves_by_their_average():
    mean, var = mg.zeros(6, dtype=np.float64), mg.ones(6, dtype=np.float64)
    y = F.instance_norm(mg.Tensor(X), mean, var, mg.Tensor(WEIGHT), mg.Tensor(BIAS), momentum=0.5)
    close(y, standardized(X, (2, 3)) * WEIGHT.reshape(CHANNELS) + BIAS.reshape(CHANNELS))
    close(mean, 0.5 * X.mean((2, 3)).mean(0))
    close(var, 0.5 + 0.5 * X.var((2, 3), ddof=1).mean(0))
    close(
        F.instance_norm(mg.Tensor(X), mean, var, use_input_stats=False),
        (X - mean.numpy().reshape(CHANNELS)) / np.sqrt(var.numpy().reshape(CHANNELS) + 1e-5),
    )


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_group_norm_standardizes_each_group_of_channels_of_each_sample(groups):
    y = F.group_norm(mg.Tensor(X), groups, mg.Tensor(WEIGHT), mg.Tensor(BIAS))
    expected = standardized(X.reshape(4, groups, -1), (2,)).reshape(X.shape)
    close(y, expected * WEIGHT.reshape(CHANNELS) + BIAS.reshape(CHANNELS))


@pytest.mark.parametrize("shape", [3, (3,), [5, 3], (6, 5, 3), np.int64(3)])
def test_layer_norm_standardizes_over_the_last_axes(shape):
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (int(shape),)
    w, b = RNG.normal(size=sizes), RNG.normal(size=sizes)
    y = F.layer_norm(mg.Tensor(X), shape, mg.Tensor(w), mg.Tensor(b), eps=1e-4)
    close(y, standardized(X, tuple(range(4 - len(sizes), 4)), 1e-4) * w + b)


NORMS = {
    "batch": lambda x: F.batch_norm(x, None, None, training=True, eps=0.0),
    "instance": lambda x: F.instance_norm(x, eps=0.0),
    "group": lambda x: F.group_norm(x, 2, eps=0.0),
    "layer": lambda x: F.layer_norm(x, (6, 5, 3), eps=0.0),
}


@pytest.mark.parametrize("name", NORMS)
def test_scale_and_shift_of_the_input_do_not_matter_and_so_the_gradient_is_orthogonal_to_them(name):
    norm = NORMS[name]
    x = mg.Tensor(X, requires_grad=True)
    close(norm(x * 3.0 + 7.0), norm(x).numpy(), 1e-9)
    v = mg.Tensor(RNG.normal(size=X.shape))
    (g,) = mg.grad((norm(x) * v).sum(), x, create_graph=True)
    assert abs(g.sum().item()) < 1e-9
    assert abs((g * x).sum().item()) < 1e-9
    # The gradient is homogeneous of degree -1 in x, so its derivative along x is -g (Euler): a second-order check.
    (h,) = mg.grad(g, x, mg.Tensor(X))
    close(h, -g.numpy(), 1e-9)


@pytest.mark.parametrize("name", NORMS)
def test_a_large_common_offset_does_not_spoil_float32(name):
    x = RNG.normal(size=X.shape).astype(np.float32) + np.float32(1000)
    y = NORMS[name](mg.Tensor(x))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(), NORMS[name](mg.Tensor(x.astype(np.float64))).numpy(), atol=2e-3)


def test_a_constant_input_becomes_0_with_gradient_0():
    for norm in (
        lambda x: F.batch_norm(x, None, None, training=True),
        lambda x: F.instance_norm(x),
        lambda x: F.group_norm(x, 2),
        lambda x: F.layer_norm(x, (6, 5, 3)),
    ):
        x = mg.full(X.shape, 2.0, requires_grad=True)
        y = norm(x)
        assert not y.numpy().any()
        (g,) = mg.grad(y.sum(), x)
        assert np.abs(g.numpy()).max() < 1e-6 / np.sqrt(1e-5)  # rounding of float32, times the gain 1/√eps


def test_empty_batches_pass_where_nothing_needs_to_be_measured():
    x = mg.zeros(0, 6, 5, 3)
    for y in (
        F.batch_norm(x, mg.zeros(6), mg.ones(6), mg.ones(6), mg.zeros(6)),
        F.layer_norm(x, 3),
        F.group_norm(x, 2),
    ):
        assert y.shape == x.shape


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (lambda x: F.batch_norm(x, mg.zeros(3), mg.ones(6)), r"batch_norm: running_mean .*\(3,\).*6 channels"),
        (lambda x: F.batch_norm(x, mg.zeros(6), mg.ones(6), mg.ones(1)), r"batch_norm: weight .*\(1,\)"),
        (lambda x: F.batch_norm(x[0, 0, 0], None, None), r"batch_norm: needs an input"),
        (lambda x: F.batch_norm(x, None, None, bias="a"), r"real numbers"),
        (lambda x: F.batch_norm(x[:1, :, :1, :1], None, None, training=True), r"more than one value per channel"),
        (lambda x: F.batch_norm(x[:0], None, None, training=True), r"more than one value per channel"),
        (lambda x: F.batch_norm(x, np.zeros(6), np.ones(6), training=True), r"must be tensors, not ndarray"),
        (lambda x: F.instance_norm(x, mg.zeros(3), mg.ones(6)), r"instance_norm: running_mean .*\(3,\)"),
        (lambda x: F.instance_norm(x, weight=mg.ones(3)), r"instance_norm: weight .*\(3,\).*6 channels"),
        (lambda x: F.instance_norm(x[0, 0]), r"instance_norm: needs an input"),
        (lambda x: F.instance_norm(x[:, :, :1, :1]), r"more than one value"),
        (lambda x: F.instance_norm(x, use_input_stats=False), r"running_mean and running_var"),
        (lambda x: F.group_norm(x, 4), r"\(4, 6, 5, 3\) cannot be split into 4 groups"),
        (lambda x: F.group_norm(x, 0), r"0 groups"),
        (lambda x: F.group_norm(x, 2.0), r"2\.0 groups"),
        (lambda x: F.group_norm(x, "a"), r"'a' groups"),
        (lambda x: F.group_norm(x, 2, mg.ones(3)), r"group_norm: weight .*\(3,\)"),
        (lambda x: F.layer_norm(x, 4), r"layer_norm: .*\(4, 6, 5, 3\).*\(4,\)"),
        (lambda x: F.layer_norm(x, ()), r"normalized_shape \(\)"),
        (lambda x: F.layer_norm(x, None), r"normalized_shape \(None,\)"),
        (lambda x: F.layer_norm(x, 3.5), r"3\.5"),
        (lambda x: F.layer_norm(x, 3, mg.ones(1)), r"layer_norm: weight .*\(1,\)"),
    ],
)
def test_a_plausible_mistake_is_answered_by_an_error_of_minigen_that_names_it(mistake, words):
    with pytest.raises(MinigenError, match=words) as raised:
        mistake(mg.ones(4, 6, 5, 3))
    assert isinstance(raised.value, (ShapeError, UserError))
