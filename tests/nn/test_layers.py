"""Layers checked by hand, without another framework."""

import numpy as np
import pytest

import minigen
from minigen import nn
from minigen.errors import ShapeError, UserError

RNG = np.random.default_rng(0)


def float64(*shape):
    return minigen.tensor(RNG.standard_normal(shape), requires_grad=True)


def test_linear_is_a_product_and_a_sum():
    layer = nn.Linear(2, 2)
    layer.load_state_dict({"weight": [[1, 2], [3, 4]], "bias": [10, 20]})
    assert layer(minigen.tensor([1.0, 1.0])).tolist() == [13, 27]
    assert nn.Linear(2, 2, bias=False).bias is None


def test_a_layer_without_generator_follows_manual_seed():
    minigen.manual_seed(3)
    first = nn.Conv2d(2, 3, 3).weight.numpy().copy()
    minigen.manual_seed(3)
    np.testing.assert_array_equal(nn.Conv2d(2, 3, 3).weight.numpy(), first)


def test_batch_norm_statistics_move_by_momentum_in_the_same_tensors():
    norm = nn.BatchNorm1d(2, eps=0.0, momentum=0.25)
    mean, variance, version = norm.running_mean, norm.running_var, norm.running_mean._version[0]
    y = norm(minigen.tensor([[0.0, 2.0], [4.0, 10.0]]))
    assert y.tolist() == [[-1, -1], [1, 1]]
    assert norm.running_mean is mean
    assert norm.running_var is variance
    assert mean._version[0] > version
    assert mean.tolist() == [0.5, 1.5]  # a quarter of 2 and 6
    assert variance.tolist() == [0.75 + 0.25 * 8, 0.75 + 0.25 * 32]  # unbiased: 8 and 32
    assert norm.num_batches_tracked.item() == 1
    norm.eval()
    out = norm(minigen.tensor([[0.5, 1.5]]))
    assert out.tolist() == [[0, 0]]
    assert norm.num_batches_tracked.item() == 1


def test_batch_norm_without_momentum_keeps_the_mean_of_all_batches():
    norm = nn.BatchNorm1d(1, momentum=None)
    for values in ([1.0, 3.0], [5.0, 7.0], [0.0, 2.0]):
        norm(minigen.tensor(values).reshape(2, 1))
    assert norm.running_mean.item() == pytest.approx((2 + 6 + 1) / 3)
    assert norm.running_var.item() == pytest.approx(2.0)


def test_the_second_argument_of_batch_norm_is_eps():
    norm = nn.BatchNorm2d(4, 0.8)
    assert norm.eps == 0.8
    assert norm.momentum == 0.1


def test_a_batch_that_is_refused_is_not_counted():
    norm = nn.BatchNorm1d(2)
    with pytest.raises(UserError, match="more than one value per channel"):
        norm(minigen.ones(1, 2))
    assert norm.num_batches_tracked.item() == 0


@pytest.mark.parametrize("training", [True, False])
def test_a_gradient_penalty_through_batch_norm_agrees_with_finite_differences(training):
    norm = nn.BatchNorm1d(3).double().train(training)
    linear = nn.Linear(3, 1).double()
    x = float64(6, 3)

    def penalty(x):
        (g,) = minigen.grad((linear(norm(x)) ** 2).sum(), x, create_graph=True)
        return (g * g).sum()

    norm.momentum = 0.0
    (analytic,) = minigen.grad(penalty(x), x)
    direction, h = RNG.standard_normal(x.shape), 1e-5
    up, down = (penalty(minigen.tensor(x.numpy() + s * h * direction, requires_grad=True)).item() for s in (1, -1))
    np.testing.assert_allclose((analytic.numpy() * direction).sum(), (up - down) / (2 * h), rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "axes"),
    [(nn.LayerNorm((3, 4, 5)), (1, 2, 3)), (nn.InstanceNorm2d(3), (2, 3)), (nn.GroupNorm(1, 3), (1, 2, 3))],
    ids=["layer", "instance", "group"],
)
def test_normalizations_give_mean_zero_and_variance_one(layer, axes):
    y = layer.double()(float64(2, 3, 4, 5) * 7 + 3).numpy()
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=axes), 1, rtol=1e-5)


def test_dropout_drops_and_scales_in_training_only_and_from_its_own_generator():
    layer = nn.Dropout(0.25, generator=minigen.Generator(5))
    default = minigen.default_generator.get_state()
    y = layer(minigen.ones(10_000)).numpy()
    assert set(np.unique(y).round(5)) == {0, np.float32(4 / 3).round(5)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert minigen.default_generator.get_state() == default
    again = nn.Dropout(0.25, generator=minigen.Generator(5))(minigen.ones(10_000)).numpy()
    np.testing.assert_array_equal(y, again)
    x = minigen.ones(3)
    np.testing.assert_array_equal(layer.eval()(x).numpy(), x.numpy())


def test_dropout2d_drops_whole_channels():
    y = nn.Dropout2d(0.5, generator=minigen.Generator(0))(minigen.ones(8, 16, 3, 3)).numpy()
    assert set(np.unique(y)) == {0, 2}
    assert ((y == 0).all(axis=(2, 3)) | (y == 2).all(axis=(2, 3))).all()


def test_the_padding_row_of_an_embedding_starts_at_zero_and_stays():
    layer = nn.Embedding(4, 2, padding_idx=-1)
    assert layer.padding_idx == 3
    assert layer.weight.numpy()[3].tolist() == [0, 0]
    layer(minigen.tensor([[3, 1], [1, 0]])).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [2, 2], [0, 0], [0, 0]]


def test_convolution_layers_enlarge_what_they_made_smaller():
    down, up = nn.Conv2d(3, 8, 4, stride=2, padding=1), nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)
    x = minigen.ones(2, 3, 8, 8)
    assert down(x).shape == (2, 8, 4, 4)
    assert up(down(x)).shape == x.shape
    assert nn.Conv2d(3, 8, 3, padding=(1, 2, 0, 3))(x).shape == (2, 8, 9, 9)
    assert nn.Conv2d(3, 8, 3, padding=(1, 2, 0, 3), padding_mode="replicate")(x).shape == (2, 8, 9, 9)
    assert nn.ConvTranspose2d(8, 3, 3, stride=2, padding=(1, 0, 1, 0))(down(x), output_size=(8, 9)).shape == (
        2,
        3,
        8,
        9,
    )


def test_upsample_repeats_pixels():
    x = minigen.tensor(np.arange(4.0).reshape(1, 1, 2, 2))
    assert nn.Upsample(scale_factor=2)(x).numpy()[0, 0].tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2


def test_unflatten_undoes_flatten():
    x = minigen.randn(0, 3, 4)
    assert nn.Unflatten(1, (3, -1))(nn.Flatten()(x)).shape == x.shape


def test_identity_ignores_everything():
    x = minigen.ones(2)
    assert nn.Identity(3, other="thing")(x) is x


@pytest.mark.parametrize(
    ("act", "error", "message"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), UserError, "must be positive multiples of groups=2"),
        (lambda: nn.Conv2d(3, 4, 0), UserError, "Conv2d: kernel_size must be an integer ≥ 1"),
        (lambda: nn.Conv2d(3, 4, 3, padding=-1), UserError, "padding must be an integer ≥ 0"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), UserError, "padding_mode must be one of zeros"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), UserError, "only padding_mode is 'zeros'"),
        (
            lambda: nn.ConvTranspose2d(1, 1, 3, 2)(minigen.ones(1, 1, 4, 4), output_size=(5, 5)),
            ShapeError,
            r"it must be from \(9, 9\) to \(10, 10\)",
        ),
        (
            lambda: nn.ConvTranspose2d(1, 1, 3, padding="same")(minigen.ones(1, 1, 4, 4), output_size=(4, 4)),
            UserError,
            "leave out output_size",
        ),
        (lambda: nn.Linear(-1, 2), UserError, "must not be negative"),
        (lambda: nn.Linear(3, 2)(minigen.ones(2, 4)), ShapeError, r"\(2, 4\) does not fit weight \(2, 3\)"),
        (lambda: nn.BatchNorm2d(3)(minigen.ones(2, 3)), ShapeError, "has 2 axes .* and must have 4"),
        (lambda: nn.BatchNorm1d(3)(minigen.ones(2, 4)), ShapeError, "has 4 channels, and num_features=3"),
        (lambda: nn.InstanceNorm2d(3)(minigen.ones(2, 4, 5, 5)), ShapeError, "has 4 channels"),
        (lambda: nn.GroupNorm(2, 3), UserError, "3 channels cannot be split into 2"),
        (lambda: nn.GroupNorm(2, 4)(minigen.ones(2, 6)), ShapeError, r"needs an input \(N, 4, ...\)"),
        (lambda: nn.Dropout(1.5), UserError, "p=1.5 must be a probability"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), UserError, "padding_idx=3 is not one of the 3 rows"),
        (
            lambda: nn.Unflatten(1, (2, 3))(minigen.ones(2, 5)),
            ShapeError,
            r"size 5, which does not split into \(2, 3\)",
        ),
        (lambda: nn.Unflatten(2, (2, 3))(minigen.ones(2, 6)), ShapeError, "dim=2 is not an axis"),
    ],
)
def test_wrong_arguments_are_told_in_one_sentence(act, error, message):
    with pytest.raises(error, match=message) as caught:
        act()
    assert "\n" not in str(caught.value)
