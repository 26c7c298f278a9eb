"""Winograd's convolution against the reference in double precision, against the tiles in its rounding, and against itself."""

from fractions import Fraction
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigen_kernels import cpu, reference
from minigen_kernels.cpu import convolution, tiled, winograd
from minigen_kernels.cpu.layout import channels_first, channels_last
from minigen_kernels.cpu.tile import LANES
from minigen_kernels.cpu.winograd_schemes import ONE, Scheme, matrices
from minigen_kernels.geometry import check_convolution

PLAIN = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
KERNELS = [(3, 1), (2, 1), (5, 1), (4, 1), (4, 2), (5, 2), (2, 1), (3, 2), (9, 2)]  # and strides


def geometry_of(x, w, padding=(1, 1, 1, 1), stride=1):
    return check_convolution("conv2d", {"x": x, "w": w}, (stride, stride), padding, (1, 1), 1)


def all_three(kernels, x, w, y, padding, stride=1, b=None, c=None):
    """y, x and w from the others."""
    geometry = geometry_of(x, w, padding, stride)
    return (
        channels_first(kernels.convolve(channels_last(x), w, geometry, b)),
        channels_first(kernels.transposed(channels_last(y), w, geometry, c)),
        kernels.weight_grad(channels_last(x), channels_last(y), geometry),
    )


def exactly(x, w, y, padding, stride=1, b=None, c=None):
    """The same in double precision."""
    x, w, y, b, c = (None if a is None else a.astype(np.float64) for a in (x, w, y, b, c))
    options = (stride, stride), padding, (1, 1), 1
    return (
        reference.conv2d(x, w, *options, bias=b),
        reference.conv_transpose2d(y, w, *options, x.shape[2:], bias=c),
        reference.conv2d_weight_grad(x, y, *options, w.shape[2:]),
    )


def error(actual, right):
    """The largest error as a share of the results' root mean square."""
    scale = np.sqrt(np.mean(np.square(right))) if right.size else 1.0
    return np.max(np.abs(actual - right), initial=0) / (scale or 1.0)


@st.composite
def cases(draw):
    """x, w, y, padding and stride: odd and tiny images, padding beyond the kernel, channels that fill no vectors."""
    kernel, stride = draw(st.sampled_from(KERNELS))
    padding = tuple(draw(st.integers(0, 4)) for _ in range(4))
    sides = padding[:2], padding[2:]
    size = [draw(st.integers(max(1, kernel - sum(before)), 13)) for before in sides]
    ins, outs = (draw(st.integers(LANES, 4 * LANES + 11)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    batch = draw(st.integers(0, 3))
    out = [(n + sum(before) - kernel) // stride + 1 for n, before in zip(size, sides)]
    shapes = (batch, ins, *size), (outs, ins, kernel, kernel), (batch, outs, *out)
    x, w, y = (rng.standard_normal(shape, np.float32) for shape in shapes)
    if draw(st.booleans()):
        x, y = (np.repeat(a, 2, axis=3)[..., ::2] for a in (x, y))
        w = np.ascontiguousarray(w.transpose(3, 2, 0, 1)).transpose(2, 3, 1, 0)
    return x, w, y, padding, stride


# Weights are few; or many, and columns are dealt out as well as tiles; or each column is transformed by who uses it.
TASKS = [{"MANY_WEIGHTS": 1 << 40}, {"MANY_WEIGHTS": 0, "FEW_TILES": 0}, {"MANY_WEIGHTS": 0, "TASKS": 1}]


@settings(deadline=None, max_examples=120)
@given(cases(), st.booleans(), st.sampled_from([1, 1 << 16]), st.sampled_from(TASKS))
def test_all_three_agree_with_the_reference(case, biased, chunk_bytes, tasks):
    _, w, *_ = case
    b, c = (np.arange(n, dtype=np.float32) if biased else None for n in w.shape[:2])
    small = {"CHUNK_BYTES": chunk_bytes, "CHUNK_TILES": 1, "TASK_FLOPS": chunk_bytes, "TRANSFORMED_BYTES": chunk_bytes}
    with mock.patch.multiple(winograd, **small, **tasks):
        actual = all_three(winograd, *case, b, c)
    for a, right in zip(actual, exactly(*case, b, c)):
        assert a.dtype == np.float32
        assert a.shape == right.shape
        assert error(a, right) < 5e-5


def test_a_result_does_not_depend_on_how_its_work_is_cut():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, np.float32) for shape in ((3, 300, 7, 7), (280, 300, 3, 3), (3, 280, 7, 7))]
    results = []
    for tasks in TASKS:
        with mock.patch.multiple(winograd, **tasks):
            results.append(all_three(winograd, *arrays, (1, 1, 1, 1)))
    for first, *others in zip(*results):
        assert all(np.array_equal(first, other) for other in others)


@settings(deadline=None, max_examples=30)
@given(cases())
def test_the_three_are_adjoint_to_each_other(case):
    x, w, y, *_ = case
    pairs = zip(all_three(winograd, *case), (y, x, w))
    first, *others = (np.vdot(a.astype(np.float64), b.astype(np.float64)) for a, b in pairs)
    np.testing.assert_allclose(others, first, rtol=1e-5, atol=1e-4 * np.sqrt(x.size * w[0, 0].size + 1))


@pytest.mark.parametrize("scheme", [Scheme(2, 3), Scheme(4, 2), Scheme(4, 3), Scheme(3, 4), Scheme(2, 5)])
def test_the_matrices_convolve_a_row_of_pixels(scheme):
    """y = A^T ((G g) * (B^T d)), y_i = sum over k of d_(i+k) g_k: exactly, in fractions."""
    a, g, b = ([[Fraction(n).limit_denominator(1000) for n in row] for row in m] for m in matrices(*scheme))
    pixels, taps = list(range(3, 3 + scheme.side)), [5, -2, 7, 3, -4][: scheme.taps]

    def times(matrix, vector):
        return [sum(n * v for n, v in zip(row, vector, strict=True)) for row in matrix]

    products = [u * v for u, v in zip(times(g, taps), times(b, pixels), strict=True)]
    expected = [sum(pixels[i + k] * tap for k, tap in enumerate(taps)) for i in range(scheme.outs)]
    assert times(a, products) == expected
    assert all(row[ONE] == 1 for row in a)  # where a bias may be added


@pytest.mark.parametrize(("kernel", "stride", "times"), [(3, 1, 4), (5, 1, 9), (4, 2, 5), (5, 2, 5)])
@pytest.mark.parametrize("channels", [16, 256])
def test_it_rounds_nearly_as_well_as_the_plain_way(channels, kernel, stride, times):
    """Root mean square of the errors on normal numbers, beside that of the tiles, which multiply as the formula says."""
    rng = np.random.default_rng(channels)
    padding = (kernel // 2,) * 4
    out = (16 + 2 * padding[0] - kernel) // stride + 1
    shapes = (4, channels, 16, 16), (channels, channels, kernel, kernel), (4, channels, out, out)
    arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]
    doubles = [a.astype(np.float64) for a in arrays]
    options = (stride, stride), padding, (1, 1), 1
    exact = (
        cpu.conv2d(*doubles[:2], *options),
        cpu.conv_transpose2d(*doubles[:0:-1], *options, (16, 16)),
        cpu.conv2d_weight_grad(*doubles[::2], *options, (kernel, kernel)),
    )
    for right, *both in zip(exact, *(all_three(kernels, *arrays, padding, stride) for kernels in (winograd, tiled))):
        by_winograd, by_tiles = (np.sqrt(np.mean(np.square(actual - right))) for actual in both)
        assert by_winograd < times * by_tiles


@pytest.mark.parametrize(
    ("batch", "ins", "outs", "size", "kernel", "stride"),
    [
        (8, 64, 64, (17, 16), 3, 1),
        (1, 16, 40, (65, 64), 3, 1),
        (40, 130, 75, (7, 7), 5, 1),
        (9, 64, 33, (15, 14), 4, 2),
    ],
)
def test_results_have_the_same_bits_on_any_number_of_threads(batch, ins, outs, size, kernel, stride):
    rng = np.random.default_rng(0)
    padding = (kernel // 2,) * 4
    out = [(n + 2 * padding[0] - kernel) // stride + 1 for n in size]
    shapes = (batch, ins, *size), (outs, ins, kernel, kernel), (batch, outs, *out)
    arrays = [rng.standard_normal(shape, np.float32) for shape in shapes]
    before, found = cpu.num_threads(), []
    try:
        for threads in (1, 2, 3):
            cpu.set_num_threads(threads)
            found.append(all_three(winograd, *arrays, padding, stride))
    finally:
        cpu.set_num_threads(before)
    for one, other in pairwise(found):
        for a, b in zip(one, other):
            np.testing.assert_array_equal(a, b)


def test_nan_in_the_input_stays_in_the_tiles_that_see_it():
    rng = np.random.default_rng(0)
    x, w = (
        rng.standard_normal((3, LANES, 16, 16), np.float32),
        rng.standard_normal((2 * LANES, LANES, 3, 3), np.float32),
    )
    x[1, 3, 5, 7] = np.nan  # row 5 is seen by tiles 1 only, column 7 by tiles 1 and 2
    spoilt = np.isnan(channels_first(winograd.convolve(channels_last(x), w, geometry_of(x, w))))
    assert spoilt[1, :, 4:7, 6:9].all()
    spoilt[1, :, 4:8, 4:12] = False
    assert not spoilt.any()


def test_longer_and_shorter_vectors_give_the_same_results(on_another_processor):
    on_another_processor("""
import numpy as np
from minigen_kernels import reference
from minigen_kernels.cpu import winograd
from minigen_kernels.cpu.layout import channels_first, channels_last
from minigen_kernels.geometry import check_convolution
rng = np.random.default_rng(0)
x, w, y = (rng.standard_normal(s, np.float32) for s in ((3, 19, 9, 6), (45, 19, 4, 4), (3, 45, 4, 3)))
options = (2, 2), (1, 1, 1, 1), (1, 1), 1
geometry = check_convolution("conv2d", {"x": x, "w": w}, *options)
for actual, expected in (
    (winograd.convolve(channels_last(x), w, geometry), channels_last(reference.conv2d(x, w, *options))),
    (winograd.transposed(channels_last(y), w, geometry), channels_last(reference.conv_transpose2d(y, w, *options, (9, 6)))),
    (
        winograd.weight_grad(channels_last(x), channels_last(y), geometry),
        reference.conv2d_weight_grad(x, y, *options, (4, 4)),
    ),
):
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-3)
""")


class Chosen(Exception):
    pass


CHOSEN = {  # changes of shapes and options; whether for y, for x and for w
    "enough channels and pixels": ({}, {}, "yxw"),
    "a stride of 2": ({"kernel": (4, 4), "batch": 64}, {"stride": (2, 2)}, "yxw"),
    "a large kernel": ({"kernel": (5, 5)}, {}, "yxw"),
    "double precision": ({"dtype": np.float64}, {}, ""),
    "a stride on one axis": ({}, {"stride": (2, 1)}, ""),
    "a long stride": ({"kernel": (9, 9)}, {"stride": (3, 3)}, ""),
    "a dilation": ({}, {"dilation": (1, 2)}, ""),
    "an oblong kernel": ({"kernel": (3, 2)}, {}, ""),
    "a kernel that costs too many digits": ({"kernel": (6, 6)}, {}, ""),
    "a single tap": ({"kernel": (1, 1)}, {}, ""),
    "groups": ({}, {"groups": 2}, ""),
    "few inputs": ({"ins": 3}, {}, ""),
    "few outputs": ({"outs": 3}, {}, ""),
    "little to do": ({"batch": 1}, {}, ""),
    "tiles mostly outside of the image": ({"size": (2, 2), "batch": 5000}, {}, ""),
    "an empty batch": ({"batch": 0}, {}, ""),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_it_is_chosen_where_it_is_faster_and_nowhere_else(name):
    shapes, options, expected = CHOSEN[name]
    shapes = {"batch": 32, "ins": 64, "outs": 64, "size": (16, 16), "kernel": (3, 3), "dtype": np.float32, **shapes}
    options = {**PLAIN, **options}
    x = np.zeros((shapes["batch"], shapes["ins"], *shapes["size"]), shapes["dtype"])
    w = np.zeros((shapes["outs"], shapes["ins"] // options["groups"], *shapes["kernel"]), shapes["dtype"])
    y = cpu.conv2d(x, w, **options)
    stand_ins = dict.fromkeys(("convolve", "transposed", "weight_grad"), mock.Mock(side_effect=Chosen))
    with mock.patch.multiple(winograd, **stand_ins):
        for which, call in (
            ("y", lambda: convolution.conv2d(x, w, **options)),
            ("x", lambda: convolution.conv_transpose2d(y, w, **options, size=x.shape[2:])),
            ("w", lambda: convolution.conv2d_weight_grad(x, y, **options, kernel_size=w.shape[2:])),
        ):
            if which in expected:
                with pytest.raises(Chosen):
                    call()
            else:
                call()
