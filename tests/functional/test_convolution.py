"""The convolution family beside SciPy and explicit loops, as one trilinear form, and the mistakes it names."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

import minigen as mg
from minigen import functional as F
from minigen.errors import DtypeError, MinigenError, ShapeError, UserError

RNG = np.random.default_rng(5)


def normal(*shape, dtype=np.float64):
    return RNG.standard_normal(shape).astype(dtype)


def close(actual, expected, rtol=1e-10):
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual.numpy(), expected, rtol=rtol, atol=rtol * max(1, np.abs(expected).max(initial=0)))


def conv_by_loops(x, w, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """y[n, o, i, j] = Σ w[o, c, r, s] · x[n, c, i·stride + r·dilation - top, …], one tap at a time."""
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    (n, c, h, wide), (o, _, kh, kw) = x.shape, w.shape
    oh = (h - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    ow = (wide - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((n, o, oh, ow))
    for group, r, s in itertools.product(range(groups), range(kh), range(kw)):
        rows = slice(r * dilation[0], r * dilation[0] + (oh - 1) * stride[0] + 1, stride[0])
        columns = slice(s * dilation[1], s * dilation[1] + (ow - 1) * stride[1] + 1, stride[1])
        ins = slice(group * c // groups, (group + 1) * c // groups)
        outs = slice(group * o // groups, (group + 1) * o // groups)
        y[:, outs] += np.einsum("nchw,oc->nohw", x[:, ins, rows, columns], w[outs, :, r, s])
    return y


def transpose_by_loops(y, w, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1, output_padding=(0, 0)):
    """x[n, c, i·stride + r·dilation - top, …] += w[o, c, r, s] · y[n, o, i, j], one tap at a time."""
    top, bottom, left, right = padding
    (n, o, oh, ow), (_, per_group, kh, kw) = y.shape, w.shape
    full_h = (oh - 1) * stride[0] + dilation[0] * (kh - 1) + 1
    full_w = (ow - 1) * stride[1] + dilation[1] * (kw - 1) + 1
    x = np.zeros((n, per_group * groups, full_h + output_padding[0], full_w + output_padding[1]))
    for group, r, s in itertools.product(range(groups), range(kh), range(kw)):
        rows = slice(r * dilation[0], r * dilation[0] + (oh - 1) * stride[0] + 1, stride[0])
        columns = slice(s * dilation[1], s * dilation[1] + (ow - 1) * stride[1] + 1, stride[1])
        ins = slice(group * o // groups, (group + 1) * o // groups)
        outs = slice(group * per_group, (group + 1) * per_group)
        x[:, outs, rows, columns] += np.einsum("nohw,oc->nchw", y[:, ins], w[ins, :, r, s])
    return x[:, :, top : x.shape[2] - bottom, left : x.shape[3] - right]


# ---- beside SciPy --------------------------------------------------------------------------------------------------


def test_a_convolution_is_scipys_correlation_summed_over_channels():
    x, w, b = normal(2, 3, 7, 6), normal(4, 3, 3, 2), normal(4)
    expected = [[sum(signal.correlate2d(i, k, "valid") for i, k in zip(xs, ws)) for ws in w] for xs in x]
    close(F.conv2d(mg.Tensor(x), mg.Tensor(w), mg.Tensor(b)), np.array(expected) + b[:, None, None])
    expected = [[sum(signal.correlate2d(i, k, "full") for i, k in zip(xs, ws)) for ws in w] for xs in x]
    close(F.conv2d(mg.Tensor(x), mg.Tensor(w), padding=(2, 1)), expected)
    w = w[:, :, :, :1]  # with an odd kernel, SciPy's 'same' is the field's
    expected = [[sum(signal.correlate2d(i, k, "same") for i, k in zip(xs, ws)) for ws in w] for xs in x]
    close(F.conv2d(mg.Tensor(x), mg.Tensor(w), padding="same"), expected)


def test_a_transposed_convolution_is_scipys_full_convolution_summed_over_channels():
    y, w, b = normal(2, 3, 4, 5), normal(3, 4, 3, 2), normal(4)
    expected = [[sum(signal.convolve2d(i, k, "full") for i, k in zip(ys, w[:, o])) for o in range(4)] for ys in y]
    close(F.conv_transpose2d(mg.Tensor(y), mg.Tensor(w), mg.Tensor(b)), np.array(expected) + b[:, None, None])
    up = np.zeros((2, 3, 7, 9))
    up[:, :, ::2, ::2] = y  # a stride upwards is zeros between the pixels
    expected = [[sum(signal.convolve2d(i, k, "full") for i, k in zip(ys, w[:, o])) for o in range(4)] for ys in up]
    close(F.conv_transpose2d(mg.Tensor(y), mg.Tensor(w), stride=2), expected)


def test_the_gradient_of_the_weight_is_scipys_correlation_of_images_with_outputs():
    x, y = normal(3, 2, 7, 6), normal(3, 4, 5, 5)
    expected = [
        [sum(signal.correlate2d(x[n, c], y[n, o], "valid") for n in range(3)) for c in range(2)] for o in range(4)
    ]
    close(F.conv2d_weight_grad(mg.Tensor(x), mg.Tensor(y), (3, 2)), expected)


# ---- configurations -------------------------------------------------------------------------------------------------


@st.composite
def configurations(draw):
    small = st.integers(1, 3)
    groups = draw(small)
    kernel, dilation = (draw(small), draw(small)), (draw(small), draw(small))
    sides = tuple(draw(st.integers(0, 3)) for _ in range(4))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    size = tuple(
        draw(st.integers(max(1, r - a - b), max(1, r - a - b) + 6)) for r, (a, b) in zip(reach, (sides[:2], sides[2:]))
    )
    return {
        "x": (draw(st.integers(0, 3)), groups * draw(small), *size),
        "w": (groups * draw(small), None, *kernel),
        "geometry": {
            "stride": (draw(small), draw(small)),
            "padding": sides,
            "dilation": dilation,
            "groups": groups,
        },
        "dtype": draw(st.sampled_from([np.float32, np.float64])),
        "layout": draw(st.sampled_from(["plain", "NHWC", "reversed", "broadcast", "strided", "read-only"])),
        "seed": draw(st.integers(0, 99)),
    }


def laid_out(array, layout):
    """The same values, lying in memory in another way."""
    if layout == "NHWC":
        return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    if layout == "reversed":
        return array[:, ::-1, ::-1, ::-1].copy()[:, ::-1, ::-1, ::-1]
    if layout == "strided":
        return array.repeat(2, axis=3)[:, :, :, ::2]
    if layout == "broadcast" and array.shape[0] > 1:
        array[:] = array[:1]
        return np.broadcast_to(array[:1], array.shape)
    if layout == "read-only":
        array.flags.writeable = False
    return array


@given(configurations())
def test_all_three_agree_with_loops_and_are_one_trilinear_form(case):
    geometry, dtype, groups = case["geometry"], case["dtype"], case["geometry"]["groups"]
    rng = np.random.default_rng(case["seed"])
    x = laid_out(rng.standard_normal(case["x"]).astype(dtype), case["layout"])
    o, _, kh, kw = case["w"]
    w = laid_out(rng.standard_normal((o, x.shape[1] // groups, kh, kw)).astype(dtype), case["layout"])
    x_before, w_before = x.copy(), w.copy()
    expected = conv_by_loops(x, w, **geometry)
    y = F.conv2d(mg.from_numpy(x), mg.from_numpy(w), **geometry)
    rtol = 1e-4 if dtype == np.float32 else 1e-10
    assert y.dtype == dtype
    close(y, expected, rtol)

    v = rng.standard_normal(expected.shape).astype(dtype)
    gw = F.conv2d_weight_grad(mg.from_numpy(x), mg.Tensor(v), (kh, kw), **geometry)
    assert gw.shape == w.shape
    form = (expected * v).sum()
    scale = max(1.0, np.abs(expected * v).sum())
    assert abs((gw.numpy().astype(np.float64) * w).sum() - form) < rtol * scale  # ⟨C(x, w), v⟩ = ⟨w, W(x, v)⟩

    stride, (top, bottom, left, right) = geometry["stride"], geometry["padding"]
    smallest = [
        (n - 1) * s - around + d * (k - 1) + 1
        for n, s, around, d, k in zip(v.shape[2:], stride, (top + bottom, left + right), geometry["dilation"], (kh, kw))
    ]
    extra = tuple(n - m for n, m in zip(x.shape[2:], smallest))
    if all(e < s for e, s in zip(extra, stride)):
        t = F.conv_transpose2d(mg.Tensor(v), mg.from_numpy(w), output_padding=extra, **geometry)
        close(t, transpose_by_loops(v, w, **geometry, output_padding=extra), rtol)
        assert abs((t.numpy().astype(np.float64) * x).sum() - form) < rtol * scale  # ⟨C(x, w), v⟩ = ⟨x, T(v, w)⟩
    np.testing.assert_array_equal(x, x_before)
    np.testing.assert_array_equal(w, w_before)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "sides"),
    [
        (28, 5, 2, 1, (1, 2)),  # the odd pixel goes to the bottom and right
        (28, 3, 1, 1, (1, 1)),
        (7, 2, 1, 1, (0, 1)),
        (7, 4, 1, 1, (1, 2)),
        (7, 3, 2, 1, (1, 1)),
        (8, 3, 2, 1, (0, 1)),
        (7, 3, 1, 2, (2, 2)),
        (9, 1, 3, 1, (0, 0)),
        (5, 3, 7, 1, (0, 0)),
    ],
)
def test_same_padding_gives_ceil_of_size_over_stride_with_the_odd_pixel_at_the_far_end(
    size, kernel, stride, dilation, sides
):
    x, w = normal(1, 2, size, size + 1), normal(3, 2, kernel, 1)
    y = F.conv2d(mg.Tensor(x), mg.Tensor(w), stride=stride, padding="same", dilation=dilation)
    assert y.shape[2:] == (-(-size // stride), -(-(size + 1) // stride))
    width = F.conv2d(mg.Tensor(x), mg.Tensor(w), stride=stride, padding="same", dilation=dilation).shape[3]
    assert width == -(-(size + 1) // stride)
    close(y, conv_by_loops(x, w, (stride, stride), (*sides, 0, 0), (dilation, dilation)))
    turned = F.conv2d(mg.Tensor(x.swapaxes(2, 3)), mg.Tensor(w.swapaxes(2, 3)), None, stride, "same", dilation)
    close(turned, y.numpy().swapaxes(2, 3))


@pytest.mark.parametrize(("stride", "kernel"), [(1, 3), (2, 3), (2, 4), (3, 5), ((2, 1), 3), (5, 3)])
def test_a_transposed_convolution_with_same_padding_multiplies_the_size_by_the_stride(stride, kernel):
    sh, sw = stride if isinstance(stride, tuple) else (stride, stride)
    y, w = normal(2, 3, 4, 5), normal(3, 2, kernel, kernel)
    x = F.conv_transpose2d(mg.Tensor(y), mg.Tensor(w), stride=stride, padding="same")
    assert x.shape == (2, 2, 4 * sh, 5 * sw)
    v = normal(*x.shape)  # it is the adjoint of the convolution with 'same' padding
    forward = F.conv2d(mg.Tensor(v), mg.Tensor(w), stride=stride, padding="same")
    assert (forward.numpy() * y).sum() == pytest.approx((x.numpy() * v).sum(), rel=1e-10)


def test_valid_is_no_padding_and_integers_pairs_and_four_sides_say_the_same():
    x, w = mg.Tensor(normal(2, 3, 6, 7)), mg.Tensor(normal(4, 3, 3, 3))
    close(F.conv2d(x, w, padding="valid"), F.conv2d(x, w).numpy())
    for padding in (1, (1, 1), [1, 1], (1, 1, 1, 1), np.int64(1)):
        close(F.conv2d(x, w, padding=padding), conv_by_loops(x.numpy(), w.numpy(), padding=(1, 1, 1, 1)))
    wt = mg.Tensor(normal(3, 4, 3, 3))
    close(F.conv_transpose2d(x, wt, padding=(1, 0)), F.conv_transpose2d(x, wt, padding=(1, 1, 0, 0)).numpy())


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_convolution_treats_every_channel_on_its_own(stride):
    x, w = normal(2, 3, 7, 6), normal(6, 1, 3, 3)
    y = F.conv2d(mg.Tensor(x), mg.Tensor(w), stride=stride, groups=3).numpy()
    for o in range(6):
        one = F.conv2d(mg.Tensor(x[:, o // 2 : o // 2 + 1]), mg.Tensor(w[o : o + 1]), stride=stride)
        np.testing.assert_allclose(y[:, o : o + 1], one.numpy(), rtol=1e-10, atol=1e-12)


def test_a_single_image_is_a_batch_of_one_without_the_batch():
    x, w, wt, b = normal(3, 6, 5), normal(4, 3, 3, 3), normal(3, 4, 3, 3), normal(4)
    for operation, kernel in ((F.conv2d, w), (F.conv_transpose2d, wt)):
        single = operation(mg.Tensor(x), mg.Tensor(kernel), mg.Tensor(b), stride=2)
        close(single, operation(mg.Tensor(x[None]), mg.Tensor(kernel), mg.Tensor(b), stride=2).numpy()[0])
    leaf = mg.Tensor(x, requires_grad=True)
    assert mg.grad(F.conv2d(leaf, mg.Tensor(w)).sum(), leaf)[0].shape == x.shape


def test_an_empty_batch_gives_an_empty_batch_and_a_weight_gradient_of_zeros():
    x, w = mg.zeros(0, 4, 6, 6, requires_grad=True), mg.ones(2, 4, 3, 3, requires_grad=True)
    y = F.conv2d(x, w, mg.ones(2), padding=1)
    gx, gw = mg.grad(y.sum(), [x, w])
    assert (y.shape, gx.shape) == ((0, 2, 6, 6), (0, 4, 6, 6))
    assert gw.tolist() == np.zeros((2, 4, 3, 3)).tolist()
    assert F.conv_transpose2d(mg.zeros(0, 2, 4, 4), w, stride=2).shape == (0, 4, 9, 9)


@pytest.mark.parametrize("output_padding", [0, 1, (0, 1), (1, 0)])
def test_output_padding_adds_rows_and_columns_at_the_far_end_only(output_padding):
    y, w = normal(1, 2, 4, 3), normal(2, 3, 3, 3)
    both = (output_padding,) * 2 if isinstance(output_padding, int) else output_padding
    x = F.conv_transpose2d(mg.Tensor(y), mg.Tensor(w), stride=2, padding=1, output_padding=output_padding)
    assert x.shape == (1, 3, 7 + both[0], 5 + both[1])
    close(x, transpose_by_loops(y, w, (2, 2), (1, 1, 1, 1), output_padding=both))


# ---- derivatives ---------------------------------------------------------------------------------------------------


def test_first_and_second_derivatives_of_a_convolution_are_the_other_two_operations():
    k = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2), "groups": 2}
    x, w = mg.Tensor(normal(2, 4, 6, 7), requires_grad=True), mg.Tensor(normal(6, 2, 3, 2), requires_grad=True)
    v = mg.Tensor(normal(*F.conv2d(x, w, **k).shape), requires_grad=True)
    gx, gw = mg.grad(F.conv2d(x, w, **k), [x, w], v, create_graph=True)
    close(gw, F.conv2d_weight_grad(x, v, (3, 2), **k).numpy())
    # ⟨gx, a⟩ = ⟨C(a, w), v⟩, so its gradients are W(a, v) for w and C(a, w) for v, and none for x.
    a = mg.Tensor(normal(*x.shape))
    hx, hw, hv = mg.grad(gx, [x, w, v], a, retain_graph=True, allow_unused=True)
    assert hx is None
    close(hw, F.conv2d_weight_grad(a, v, (3, 2), **k).numpy())
    close(hv, F.conv2d(a, w, **k).numpy())
    b = mg.Tensor(normal(*w.shape))
    hx, hv = mg.grad(gw, [x, v], b)
    close(hv, F.conv2d(x, b, **k).numpy())
    assert (hx.numpy() * x.numpy()).sum() == pytest.approx((hv.numpy() * v.numpy()).sum(), rel=1e-10)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "conv2d_weight_grad"])
def test_each_of_the_three_is_bilinear_to_the_second_order(name):
    k = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2), "groups": 2}
    x, w, y = (2, 4, 6, 7), (6, 2, 3, 2), (2, 6, 3, 8)
    operation, a, b = {
        "conv2d": (lambda a, b: F.conv2d(a, b, **k), x, w),
        "conv_transpose2d": (lambda a, b: F.conv_transpose2d(a, b, output_padding=(1, 0), **k), y, w),
        "conv2d_weight_grad": (lambda a, b: F.conv2d_weight_grad(a, b, (3, 2), **k), x, y),
    }[name]
    a, b, other_a, other_b = (mg.Tensor(normal(*shape), requires_grad=True) for shape in (a, b, a, b))
    out = operation(a, b)
    v = mg.Tensor(normal(*out.shape), requires_grad=True)
    ga, gb = mg.grad(out, [a, b], v, create_graph=True)
    # With the trilinear form φ(a, b, v) = ⟨f(a, b), v⟩: ⟨ga, a'⟩ = φ(a', b, v) and ⟨gb, b'⟩ = φ(a, b', v).
    for ours, expected in (
        (mg.grad(gb, [a, v], other_b, retain_graph=True), mg.vjp(lambda a: operation(a, other_b), a, v)),
        (mg.grad(ga, [b, v], other_a, retain_graph=True), mg.vjp(lambda b: operation(other_a, b), b, v)),
    ):
        close(ours[0], expected[1].numpy())
        close(ours[1], expected[0].numpy())


def test_the_gradient_of_the_bias_is_the_sum_over_images_and_pixels():
    b = mg.zeros(4, requires_grad=True, dtype=np.float64)
    v = normal(2, 4, 5, 5)
    (g,) = mg.grad(F.conv2d(mg.Tensor(normal(2, 3, 7, 7)), mg.Tensor(normal(4, 3, 3, 3)), b), b, mg.Tensor(v))
    close(g, v.sum((0, 2, 3)))


def test_a_remainder_of_the_stride_gets_gradient_0():
    x = mg.ones(1, 1, 6, 6, requires_grad=True)
    (g,) = mg.grad(F.conv2d(x, mg.ones(1, 1, 3, 3), stride=2).sum(), x)
    assert g.shape == x.shape
    assert not g.numpy()[0, 0, 5].any()
    assert g.numpy()[0, 0, 2, 2] == 4.0


# ---- mistakes -------------------------------------------------------------------------------------------------------


X, W, WT = mg.ones(2, 4, 6, 6), mg.ones(8, 4, 3, 3), mg.ones(4, 8, 3, 3)
INTEGERS = mg.ones(2, 4, 6, 6, dtype=np.int64)


@pytest.mark.parametrize(
    ("mistake", "kind", "words"),
    [
        (lambda: F.conv2d(X[:, :3], W), ShapeError, r"conv2d.*\(2, 3, 6, 6\).*\(8, 4, 3, 3\).*4 channels, but has 3"),
        (lambda: F.conv2d(X, W, groups=2), ShapeError, r"conv2d.*groups=2.*8 channels, but has 4"),
        (lambda: F.conv2d(X, W[:7, :2], groups=2), ShapeError, r"7 output channels.*2 groups"),
        (lambda: F.conv2d(X, mg.ones(8, 4, 9, 9)), ShapeError, r"kernel's height.*9.*larger than.*6"),
        (lambda: F.conv2d(X, W, dilation=5), ShapeError, r"dh \* \(KH - 1\) \+ 1.*11"),
        (lambda: F.conv2d(X, W[0]), ShapeError, r"conv2d: needs .*\(N, C, H, W\).*\(4, 3, 3\)"),
        (lambda: F.conv2d(X[0, 0], W), ShapeError, r"conv2d: needs .*\(6, 6\)"),
        (lambda: F.conv2d(X[:, :, :0], W), ShapeError, r"axis of size 0"),
        (lambda: F.conv2d(X, W, mg.ones(7)), ShapeError, r"bias .*\(7,\).*8 output channels"),
        (lambda: F.conv2d(X, W, mg.ones(8, 1)), ShapeError, r"bias .*\(8, 1\)"),
        (lambda: F.conv2d(X, W, 1.0), ShapeError, r"bias .*\(\)"),
        (lambda: F.conv2d(X, W, mg.ones(8, dtype=np.float64)), DtypeError, r"bias is float64.*float32"),
        (lambda: F.conv2d(INTEGERS, W), DtypeError, r"int64 and float32"),
        (lambda: F.conv2d(X.double(), W), DtypeError, r"float64 and float32"),
        (lambda: F.conv2d(X.astype("float16"), W.astype("float16")), DtypeError, r"float16"),
        (lambda: F.conv2d(X, None), DtypeError, r"None"),
        (lambda: F.conv2d("a", W), DtypeError, r"'a'"),
        (lambda: F.conv2d(X, W, stride=0), UserError, r"stride must be .*not 0"),
        (lambda: F.conv2d(X, W, stride=1.5), UserError, r"stride must be .*not 1\.5"),
        (lambda: F.conv2d(X, W, stride=None), UserError, r"stride must be .*None"),
        (lambda: F.conv2d(X, W, stride="2"), UserError, r"stride must be .*'2'"),
        (lambda: F.conv2d(X, W, stride=(1, 1, 1)), UserError, r"stride must be .*\(1, 1, 1\)"),
        (lambda: F.conv2d(X, W, padding=-1), UserError, r"padding must be .*-1"),
        (lambda: F.conv2d(X, W, padding="SAME"), UserError, r"'SAME'.*'same' and 'valid'"),
        (lambda: F.conv2d(X, W, padding=(1, 2, 3)), UserError, r"padding must be"),
        (lambda: F.conv2d(X, W, padding=(1, 2, -3, 0)), UserError, r"non-negative"),
        (lambda: F.conv2d(X, W, dilation=0), UserError, r"dilation must be"),
        (lambda: F.conv2d(X, W, groups=0), UserError, r"groups must be"),
        (lambda: F.conv2d(X, W, groups=2.0), UserError, r"groups must be"),
        (lambda: F.conv_transpose2d(X, W), ShapeError, r"conv_transpose2d.*8 channels, but has 4.*\(in, out/groups"),
        (lambda: F.conv_transpose2d(X, WT, groups=3), ShapeError, r"4 output channels.*3 groups"),
        (
            lambda: F.conv_transpose2d(X, WT, padding=9),
            ShapeError,
            r"output would have size \(-10, -10\).*\(H - 1\)·stride",
        ),
        (lambda: F.conv_transpose2d(X, WT, stride=2, output_padding=2), ShapeError, r"output_padding \(2, 2\) must be"),
        (lambda: F.conv_transpose2d(X, WT, output_padding=-1), UserError, r"output_padding must be"),
        (lambda: F.conv_transpose2d(X, WT, padding="same", output_padding=1), UserError, r"leave output_padding at 0"),
        (lambda: F.conv_transpose2d(INTEGERS, WT), DtypeError, r"int64"),
        (lambda: F.conv2d_weight_grad(X, mg.ones(2, 8, 5, 4), 3), ShapeError, r"\(6, 6\) to .*\(4, 4\).*\(5, 4\)"),
        (lambda: F.conv2d_weight_grad(X, mg.ones(3, 8, 4, 4), 3), ShapeError, r"same batch N.*2 and 3"),
        (lambda: F.conv2d_weight_grad(X, mg.ones(2, 8, 4, 4), None), UserError, r"kernel_size must be"),
        (lambda: F.conv2d_weight_grad(X[0], mg.ones(2, 8, 4, 4), 3), ShapeError, r"conv2d_weight_grad: needs"),
    ],
)
def test_a_plausible_mistake_is_answered_with_what_failed(mistake, kind, words):
    with pytest.raises(kind, match=words) as raised:
        mistake()
    assert isinstance(raised.value, MinigenError)
    if kind is ShapeError:
        assert isinstance(raised.value, ValueError)
    message = str(raised.value)
    assert message.count("(2, 4, 6, 6)") <= 1, "the shapes are told once"


def test_a_float32_convolution_takes_a_bias_of_integers():
    assert F.conv2d(X, W, [1] * 8).dtype == np.float32
