"""One pass over memory beside the compositions it stands for: values, gradients, gradients of gradients, masks."""

import numpy as np
import pytest

import minigen as mg
from minigen import functional as F
from minigen.errors import AnomalyError, InPlaceError
from minigen.functional import fused
from minigen.functional.noise import activate_and_drop
from minigen.functional.normalization import batch_norm_then

CHAINS = [(0.3, 0.4), (0.0, 0.25), (1.0, 0.5), (0.2, 0.0), (0.0, 0.0), (1.0, 0.0)]
SHAPES = [(2, 3), (64, 5), (3, 4, 5, 2), (1, 2, 3, 3), (5, 1, 1, 1), (2, 6, 1, 1)]


def channels_last(x):
    return np.ascontiguousarray(np.moveaxis(x, 1, -1)) if x.ndim == 4 else x


def laid_out(x):
    """The same values, images channels last in memory, as convolutions leave them."""
    return np.moveaxis(channels_last(x), -1, 1) if x.ndim == 4 else x


def values(shape, seed, dtype=np.float64):
    return laid_out(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def in_both_ways(monkeypatch, compute):
    """What `compute` gives in one pass, and one operation after another."""
    fast = compute()
    with monkeypatch.context() as patch:
        patch.setattr(fused, "applies", lambda x: False)
        return fast, compute()


def gradients_to_second_order(f, inputs):
    """y; its gradients alone; and, asked for as a graph, the gradients again and those of a penalty on them."""
    y = f(*inputs)
    v = mg.Tensor(values(y.shape, 99, y.dtype), requires_grad=True)
    first = mg.grad(y, inputs, v, retain_graph=True)
    again = mg.grad(y, inputs, v, create_graph=True)
    penalty = sum(((g * g).sum() for g in again), start=mg.tensor(0.0, dtype=y.dtype))
    second = mg.grad(penalty, [*inputs, v], allow_unused=True)
    return [y, *first], [*again, *second]


def assert_close(ours, theirs, rtol):
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None) or not np.any((a if b is None else b).numpy())  # no gradient, or zeros
        if a is not None and b is not None:
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=rtol, atol=rtol * (1 + np.abs(b.numpy()).max()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("slope", "p"), CHAINS)
@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4), *SHAPES])
def test_activation_and_dropout_are_their_composition_to_second_order(monkeypatch, shape, slope, p, dtype):
    monkeypatch.setattr(fused, "ENOUGH", 0)

    def compute():
        x = mg.Tensor(values(shape, 0, dtype), requires_grad=True)
        return gradients_to_second_order(lambda x: activate_and_drop(x, slope, p, mg.Generator(7)) * 1.0, [x])

    for ours, theirs in zip(*in_both_ways(monkeypatch, compute)):
        assert_close(ours, theirs, 1e-6 if dtype == np.float32 else 1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("affine", [0, 1, 2])
@pytest.mark.parametrize(("slope", "p"), CHAINS)
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_with_what_follows_is_its_composition_to_second_order(monkeypatch, shape, slope, p, affine, dtype):
    def compute():
        leaves = [mg.Tensor(values(shape, 0, dtype) * 2 + 1, requires_grad=True)]
        leaves += [mg.Tensor(values(shape[1:2], i, dtype), requires_grad=True) for i in range(1, 1 + affine)]
        running = mg.zeros(shape[1]), mg.ones(shape[1])

        def call(x, weight=None, bias=None):
            options = (True, 0.25, 0.1, slope, p, mg.Generator(3))
            return batch_norm_then(x, *running, weight, bias, *options)

        once, twice = gradients_to_second_order(call, leaves)
        return [*once, *running], twice

    for ours, theirs in zip(*in_both_ways(monkeypatch, compute)):
        assert_close(ours, theirs, 5e-5 if dtype == np.float32 else 1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (7,), *SHAPES])
def test_the_loss_of_logits_is_its_composition_to_second_order(monkeypatch, shape, dtype):
    def compute():
        x = mg.Tensor(values(shape, 0, dtype) * 5, requires_grad=True)
        y = mg.Tensor(np.random.default_rng(1).uniform(size=shape).astype(dtype), requires_grad=True)  # in C order
        return gradients_to_second_order(
            lambda x, y: F.binary_cross_entropy_with_logits(x, y, reduction="none"), [x, y]
        )

    for ours, theirs in zip(*in_both_ways(monkeypatch, compute)):
        assert_close(ours, theirs, 1e-6 if dtype == np.float32 else 1e-13)


def test_the_loss_of_confident_logits_keeps_its_digits_and_never_overflows():
    x = mg.Tensor(np.array([[30, -30, 200, -200, 3e38]], np.float32), requires_grad=True)
    y = mg.Tensor(np.array([[1, 0, 1, 0, 0]], np.float32))
    loss = F.binary_cross_entropy_with_logits(x, y, reduction="none")
    np.testing.assert_allclose(loss.numpy(), [[np.exp(-30), np.exp(-30), 0, 0, 3e38]], rtol=1e-6)
    (g,) = mg.grad(loss.sum(), x)
    np.testing.assert_allclose(g.numpy(), [[-np.exp(-30), np.exp(-30), 0, 0, 1]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 6, 5, 3), (6, 5, 3), (20, 3)])
@pytest.mark.parametrize("p", [0.3, 1.0])
def test_a_mask_depends_on_places_and_not_on_how_the_input_lies_in_memory(shape, p):
    x = np.random.default_rng(0).uniform(1, 2, shape).astype(np.float32)
    expected = F.dropout(mg.Tensor(x), p, generator=mg.Generator(4)).numpy()
    strided = np.zeros((*shape[:-1], 2 * shape[-1]), np.float32)[..., ::2]
    strided[...] = x
    for other in (laid_out(x), np.asfortranarray(x), strided, x.astype(np.float64)):
        drawn = F.dropout(mg.Tensor(other), p, generator=mg.Generator(4)).numpy()
        np.testing.assert_allclose(drawn, expected, rtol=1e-6)


def test_images_keep_their_order_in_memory_forwards_and_backwards():
    x = mg.Tensor(values((3, 4, 5, 2), 0, np.float32), requires_grad=True)
    y = batch_norm_then(x, None, None, None, None, True, 0.1, 1e-5, 0.2, 0.5, mg.Generator(0))
    z = activate_and_drop(x, 0.2, 0.5, mg.Generator(0))
    upstream = mg.Tensor(np.ones(x.shape, np.float32))  # in C order
    for tensor in (y, z, y.grad_fn.backward(upstream)[0], z.grad_fn.backward(upstream)):
        assert np.moveaxis(tensor.numpy(), 1, -1).flags.c_contiguous


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_infinity_spoils_its_own_channel_alone_and_without_a_warning(bad):
    values = np.random.default_rng(0).standard_normal((8, 3)).astype(np.float32)
    values[2, 1] = bad
    x, g = mg.Tensor(values, requires_grad=True), mg.ones(8, 3)
    y = batch_norm_then(x, mg.zeros(3), mg.ones(3), None, None, True, 0.1, 0.0, 0.3, 0.2, mg.Generator(0))
    (gx,) = mg.grad(y, x, g)
    for out in (y, gx):
        assert np.isnan(out.numpy()[:, 1]).any()
        assert np.isfinite(out.numpy()[:, [0, 2]]).all()
    assert np.isnan(F.batch_norm(mg.ones(4, 2), None, None, training=True, eps=0.0).numpy()).all()


def test_batch_norm_gives_no_gradient_that_is_not_wanted():
    x, w = mg.Tensor(values((8, 3), 0, np.float32)), mg.ones(3, requires_grad=True)
    y = F.batch_norm(x, None, None, w, mg.zeros(3), training=True)
    (g,) = mg.grad(y, w, y.detach())
    np.testing.assert_allclose(g.numpy(), np.full(3, 8), rtol=1e-3)


def test_only_inputs_that_backward_needs_must_stay_as_they_are():
    x = mg.Tensor(values((8, 3), 0, np.float32), requires_grad=True)
    start = x * 1.0
    y = activate_and_drop(start, 0.2, 0.5, mg.Generator(0))
    z = F.batch_norm(start, None, None, training=True)
    with mg.no_grad():
        start.zero_()
    mg.grad(y.sum(), x, retain_graph=True)  # its states are all that it kept
    with pytest.raises(InPlaceError, match="BatchNorm"):
        mg.grad(z.sum(), x)


def test_the_watch_for_nan_goes_through_the_operations_one_by_one():
    x = mg.Tensor(np.full((4, 2), 3e38, np.float32), requires_grad=True)
    with (
        np.errstate(over="ignore", invalid="ignore"),
        mg.detect_anomaly(),
        pytest.raises(AnomalyError, match="made the"),
    ):
        F.dropout(F.leaky_relu(x * 10), 0.5)


def test_an_activation_alone_runs_as_a_kernel_where_there_are_enough_numbers():
    few, many = (mg.Tensor(np.ones((n, fused.ENOUGH // 4), np.float32), requires_grad=True) for n in (3, 4))
    for activation in (F.relu, F.leaky_relu):
        assert not isinstance(activation(few).grad_fn, fused.ActivateAndDrop)
        assert isinstance(activation(many).grad_fn, fused.ActivateAndDrop)
    assert not isinstance(F.leaky_relu(many, -0.1).grad_fn, fused.ActivateAndDrop)


def test_a_mask_takes_one_number_from_the_generator_however_large_it_is():
    small, large = mg.Generator(2), mg.Generator(2)
    F.dropout(mg.ones(3), generator=small)
    F.dropout(mg.ones(70, 50), generator=large)
    assert small.get_state() == large.get_state()
    np.testing.assert_array_equal(small.normal((4,)), large.normal((4,)))


@pytest.mark.parametrize("activation", [F.relu, lambda x: F.leaky_relu(x, 0.3)])
@pytest.mark.parametrize("gradient_channels_last", [False, True])
def test_an_activation_takes_images_that_lie_channels_first(monkeypatch, activation, gradient_channels_last):
    rng = np.random.default_rng(0)
    x = mg.Tensor(rng.standard_normal((4, 5, 16, 17)), requires_grad=True)
    g = rng.standard_normal(x.shape)
    v = mg.Tensor(laid_out(g) if gradient_channels_last else g)
    called = []
    kernel = x.device.kernels.activation.activate_and_drop
    monkeypatch.setattr(x.device.kernels.activation, "activate_and_drop", lambda *a: called.append(1) or kernel(*a))
    fast, slow = [], []
    for results, size in ((fast, 0), (slow, 10**9)):
        with monkeypatch.context() as patch:
            patch.setattr(fused, "ENOUGH", size)
            y = activation(x)
            results += [y, *mg.grad(y, [x], v)]
    assert called == [1]
    for a, b in zip(fast, slow, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
