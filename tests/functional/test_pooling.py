"""Pooling and resizing beside explicit loops and SciPy."""

import numpy as np
import pytest
from scipy import ndimage

import minigen as mg
from minigen import functional as F
from minigen.errors import ShapeError, UserError


def test_an_empty_batch_is_pooled_to_an_empty_batch():
    x = mg.ones(0, 3, 6, 5, requires_grad=True)
    for y in (
        F.max_pool2d(x, 2),
        F.avg_pool2d(x, 2),
        F.interpolate(x, (3, 2)),
        F.interpolate(x, (3, 2), mode="bilinear"),
    ):
        assert y.shape == (0, 3, 3, 2)
        assert mg.grad(y.sum(), x)[0].shape == x.shape
    values, indices = F.max_pool2d(x, 2, return_indices=True)
    assert values.shape == indices.shape == (0, 3, 3, 2)


@pytest.mark.parametrize(
    "pool", [lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 2), lambda x: F.upsample(x, 2)]
)
@pytest.mark.parametrize("shape", [(2, 0, 4, 4), (4, 4), (1, 2, 3, 4, 4), ()])
def test_what_is_no_image_is_refused(pool, shape):
    with pytest.raises(ShapeError, match="needs images"):
        pool(mg.zeros(shape))


RNG = np.random.default_rng(8)
X = RNG.standard_normal((2, 3, 7, 6))


def close(actual, expected, rtol=1e-12):
    assert actual.shape == np.shape(expected)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=rtol, atol=rtol)


def windows(x, kernel, stride, padding, dilation=(1, 1), ceil_mode=False):
    """(i, j, the pixels under window (i, j), the number of taps in image and padding), one window after another."""
    h, w = x.shape[2:]
    sizes = []
    for n, k, s, p, d in zip((h, w), kernel, stride, padding, dilation):
        free = n + 2 * p - d * (k - 1) - 1
        o = (-(-free // s) if ceil_mode else free // s) + 1
        sizes.append(o - (ceil_mode and (o - 1) * s >= n + p))
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            rows = i * stride[0] - padding[0] + dilation[0] * np.arange(kernel[0])
            columns = j * stride[1] - padding[1] + dilation[1] * np.arange(kernel[1])
            taps = (rows < h + padding[0]).sum() * (columns < w + padding[1]).sum()
            rows, columns = rows[(rows >= 0) & (rows < h)], columns[(columns >= 0) & (columns < w)]
            yield (i, j), x[:, :, rows[:, None], columns], taps, sizes, (rows, columns)


POOLS = [
    ((2, 2), (2, 2), (0, 0), False),
    ((3, 3), (2, 2), (1, 1), False),
    ((3, 3), (2, 2), (1, 1), True),
    ((3, 2), (1, 2), (1, 0), False),
    ((3, 3), (4, 4), (0, 0), True),
    ((2, 3), (3, 2), (1, 1), True),
    ((1, 1), (2, 3), (0, 0), True),
    ((7, 6), (1, 1), (0, 0), False),
]


@pytest.mark.parametrize(("kernel", "stride", "padding", "ceil_mode"), POOLS)
def test_max_pooling_takes_the_largest_pixel_under_each_window_and_sends_the_gradient_there(
    kernel, stride, padding, ceil_mode
):
    x = mg.Tensor(X, requires_grad=True)
    k = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    y, indices = F.max_pool2d(x, return_indices=True, **k)
    v = RNG.standard_normal(y.shape)
    (g,) = mg.grad(y, x, mg.Tensor(v))
    gradient = np.zeros((2, 3, 42))
    for (i, j), under, _, sizes, (rows, columns) in windows(X, kernel, stride, padding, (1, 1), ceil_mode):
        assert list(y.shape[2:]) == sizes
        flat = under.reshape(2, 3, -1)
        np.testing.assert_array_equal(y.numpy()[:, :, i, j], flat.max(2))
        positions = (rows[:, None] * 6 + columns).ravel()[flat.argmax(2)]
        np.testing.assert_array_equal(indices.numpy()[:, :, i, j], positions)
        n, c = np.indices((2, 3))
        np.add.at(gradient, (n, c, positions), v[:, :, i, j])
    close(g, gradient.reshape(X.shape))
    close(F.max_pool2d(mg.Tensor(X[0]), **k), y.numpy()[0])


def test_max_pooling_with_dilation_skips_pixels():
    y = F.max_pool2d(mg.Tensor(X), 2, stride=1, padding=1, dilation=3)
    for (i, j), under, _, sizes, _ in windows(X, (2, 2), (1, 1), (1, 1), (3, 3)):
        assert list(y.shape[2:]) == sizes
        np.testing.assert_array_equal(y.numpy()[:, :, i, j], under.reshape(2, 3, -1).max(2))


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize(("kernel", "stride", "padding", "ceil_mode"), POOLS)
def test_average_pooling_is_the_mean_under_each_window_and_its_gradient_the_adjoint(
    kernel, stride, padding, ceil_mode, include
):
    x = mg.Tensor(X, requires_grad=True)
    k = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": ceil_mode}
    y = F.avg_pool2d(x, count_include_pad=include, **k)
    for (i, j), under, taps, sizes, _ in windows(X, kernel, stride, padding, (1, 1), ceil_mode):
        assert list(y.shape[2:]) == sizes
        divisor = taps if include else under[0, 0].size
        np.testing.assert_allclose(y.numpy()[:, :, i, j], under.sum((2, 3)) / divisor, rtol=1e-11, atol=1e-13)
    v = RNG.standard_normal(y.shape)
    (g,) = mg.grad(y, x, mg.Tensor(v))
    assert (g.numpy() * X).sum() == pytest.approx((v * y.numpy()).sum(), rel=1e-11)
    total = F.avg_pool2d(x, divisor_override=3, **k).numpy()
    np.testing.assert_allclose(total * 3, F.avg_pool2d(x, divisor_override=1, **k).numpy(), rtol=1e-12, atol=1e-13)


def test_padding_never_wins_and_nan_always_does():
    low = mg.full((1, 1, 2, 2), -1e30)
    assert F.max_pool2d(low, 2, stride=1, padding=1).numpy().max() == np.float32(-1e30)
    assert F.max_pool2d(mg.full((1, 1, 2, 2), -np.inf), 2, padding=1).tolist() == [[[[-np.inf] * 2] * 2]]
    x = mg.tensor([[[1.0, np.nan], [5.0, 2.0]]])
    assert np.isnan(F.max_pool2d(x, 2).item())


def test_the_first_of_equal_pixels_takes_the_gradient():
    x = mg.ones(1, 1, 2, 2, requires_grad=True)
    assert mg.grad(F.max_pool2d(x, 2).sum(), x)[0].tolist() == [[[[1.0, 0.0], [0.0, 0.0]]]]


def test_a_max_pool_is_linear_where_it_is_smooth_and_so_has_no_second_derivative_of_its_own():
    x = mg.Tensor(X, requires_grad=True)
    (g,) = mg.grad((F.max_pool2d(x, 2) ** 2).sum(), x, create_graph=True)
    (h,) = mg.grad(g.sum(), x)
    np.testing.assert_array_equal(h.numpy(), 2.0 * (g.numpy() != 0))


@pytest.mark.parametrize("target", [(7, 6), (14, 12), (3, 4), (1, 1), (10, 5), 9])
def test_nearest_takes_the_pixel_at_the_floor_of_its_place(target):
    x = mg.Tensor(X, requires_grad=True)
    oh, ow = (target, target) if isinstance(target, int) else target
    rows, columns = np.arange(oh) * 7 // oh, np.arange(ow) * 6 // ow
    y = F.interpolate(x, size=target, mode="nearest")
    close(y, X[:, :, rows[:, None], columns])
    v = RNG.standard_normal(y.shape)
    assert (mg.grad(y, x, mg.Tensor(v))[0].numpy() * X).sum() == pytest.approx((v * y.numpy()).sum(), rel=1e-11)


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("target", [(7, 6), (14, 12), (3, 4), (1, 1), (10, 5), (13, 1)])
def test_bilinear_interpolates_between_pixel_centres(target, corners):
    x = mg.Tensor(X, requires_grad=True)
    y = F.interpolate(x, size=target, mode="bilinear", align_corners=corners)
    places = []
    for n, m in zip((7, 6), target):
        if corners:
            places.append(np.linspace(0, n - 1, m) if m > 1 else np.zeros(1))
        else:
            places.append(((np.arange(m) + 0.5) * n / m - 0.5).clip(0, n - 1))
    grid = np.stack(np.meshgrid(*places, indexing="ij"))
    for n in range(2):
        for c in range(3):
            expected = ndimage.map_coordinates(X[n, c], grid, order=1, mode="nearest")
            np.testing.assert_allclose(y.numpy()[n, c], expected, rtol=1e-11, atol=1e-12)
    v = RNG.standard_normal(y.shape)
    assert (mg.grad(y, x, mg.Tensor(v))[0].numpy() * X).sum() == pytest.approx((v * y.numpy()).sum(), rel=1e-10)


def test_a_scale_factor_gives_the_size_and_upsample_is_another_name():
    x = mg.Tensor(X)
    assert F.interpolate(x, scale_factor=2).shape == F.upsample(x, scale_factor=(2.0, 2)).shape == (2, 3, 14, 12)
    assert F.interpolate(x, scale_factor=0.5, mode="bilinear").shape == (2, 3, 3, 3)
    close(F.interpolate(x, scale_factor=2), X.repeat(2, 2).repeat(2, 3))
    assert F.interpolate(mg.Tensor(X[0]), scale_factor=2).shape == (3, 14, 12)
    ramp = mg.arange(4.0).reshape(1, 1, 1, 4)
    up = F.interpolate(ramp, scale_factor=(1, 2), mode="bilinear").tolist()[0][0][0]
    assert up == [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]


def test_pooling_and_resizing_keep_float32_and_take_integers():
    for dtype, expected in ((np.float32, np.float32), (np.float64, np.float64), (np.int64, np.float32)):
        x = mg.ones(1, 2, 4, 4, dtype=dtype)
        for y in (
            F.max_pool2d(x, 2),
            F.avg_pool2d(x, 2),
            F.interpolate(x, 3),
            F.interpolate(x, 3, mode="bilinear"),
        ):
            assert y.dtype == expected


IMAGE = mg.ones(2, 3, 7, 6)


@pytest.mark.parametrize(
    ("mistake", "kind", "words"),
    [
        (lambda: F.max_pool2d(IMAGE, 0), UserError, r"kernel_size must be .*not 0"),
        (lambda: F.max_pool2d(IMAGE, "a"), UserError, r"kernel_size must be .*'a'"),
        (lambda: F.max_pool2d(IMAGE, None), UserError, r"kernel_size must be .*None"),
        (lambda: F.max_pool2d(IMAGE, 2, stride=0), UserError, r"stride must be"),
        (lambda: F.max_pool2d(IMAGE, 8), ShapeError, r"kernel \(8, 8\).*larger than the image \(7, 6\)"),
        (lambda: F.max_pool2d(IMAGE, 3, dilation=4), ShapeError, r"dilation \(4, 4\)"),
        (lambda: F.max_pool2d(IMAGE, 2, padding=2), ShapeError, r"padding \(2, 2\) must be at most half"),
        (lambda: F.max_pool2d(IMAGE[:, :, :0], 2), ShapeError, r"image \(0, 6\)"),
        (lambda: F.avg_pool2d(IMAGE, 8), ShapeError, r"avg_pool2d: .*larger than the image"),
        (lambda: F.avg_pool2d(IMAGE, 2, divisor_override=0), UserError, r"divisor_override"),
        (lambda: F.interpolate(IMAGE), UserError, r"either size or scale_factor"),
        (lambda: F.interpolate(IMAGE, 2, 2), UserError, r"either size or scale_factor"),
        (lambda: F.interpolate(IMAGE, size=0), UserError, r"size must be"),
        (lambda: F.interpolate(IMAGE, size=(2, 2, 2)), UserError, r"size must be"),
        (lambda: F.interpolate(IMAGE, scale_factor=-1), UserError, r"scale_factor must be"),
        (lambda: F.interpolate(IMAGE, scale_factor="a"), UserError, r"scale_factor must be"),
        (lambda: F.interpolate(IMAGE, scale_factor=0.1), ShapeError, r"\(7, 6\) cannot be brought to \(0, 0\)"),
        (lambda: F.interpolate(IMAGE, 3, mode="bicubic"), UserError, r"'bicubic'.*'nearest' and 'bilinear'"),
    ],
)
def test_a_plausible_mistake_is_answered_with_what_failed(mistake, kind, words):
    with pytest.raises(kind, match=words):
        mistake()


def test_a_window_of_nothing_but_padding_has_no_largest_element():
    x = mg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]], requires_grad=True)
    y = F.max_pool2d(x, (1, 2), padding=(0, 1), dilation=(1, 3))
    assert y.tolist() == [[[[-np.inf], [-np.inf]]]]
    (gradient,) = mg.grad(y, x, mg.ones(1, 1, 2, 1), allow_unused=True)
    assert gradient is None or not gradient.numpy().any()


def test_a_factor_that_leaves_the_size_as_it_is_copies():
    x = mg.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    for mode in ("nearest", "bilinear"):
        assert F.interpolate(x, scale_factor=1.3, mode=mode).tolist() == x.tolist()


def test_with_ceil_mode_a_window_may_be_larger_than_the_image():
    x = mg.tensor([[[[2.0, 4.0]]]])
    assert F.avg_pool2d(x, (1, 3), ceil_mode=True).tolist() == [[[[3.0]]]]
    assert F.max_pool2d(x, (1, 3), ceil_mode=True).tolist() == [[[[4.0]]]]
    with pytest.raises(ShapeError, match="larger than the image"):
        F.max_pool2d(x, (1, 3))
