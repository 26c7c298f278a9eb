"""Winograd's convolution against the reference, against the tiles in its rounding, and against itself.

Where arrays hold small whole numbers its sums are exact (it divides by nothing but 4), so results are compared to the last bit.
"""

import os
import platform
import subprocess
import sys
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigen_kernels import cpu, reference
from minigen_kernels.cpu import convolution, tiled, winograd, winograd_vectors
from minigen_kernels.cpu.layout import channels_first, channels_last
from minigen_kernels.cpu.tile import LANES
from minigen_kernels.geometry import check_convolution

PLAIN = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}


def geometry_of(x, w, padding=(1, 1, 1, 1)):
    return check_convolution("conv2d", {"x": x, "w": w}, (1, 1), padding, (1, 1), 1)


def convolve(kernels, x, w, padding, bias=None):
    return channels_first(kernels.convolve(channels_last(x), w, geometry_of(x, w, padding), bias))


def transposed(kernels, x, w, y, padding, bias=None):
    return channels_first(kernels.transposed(channels_last(y), w, geometry_of(x, w, padding), bias))


def weight_grad(kernels, x, w, y, padding):
    return kernels.weight_grad(channels_last(x), channels_last(y), geometry_of(x, w, padding))


def whole_numbers(rng, *shape):
    return rng.integers(-3, 4, shape).astype(np.float32)


@st.composite
def cases(draw):
    """x, w, y and padding: odd and tiny images, padding beyond the kernel, channels that fill no vectors."""
    padding = tuple(draw(st.integers(0, 4)) for _ in range(4))
    size = [draw(st.integers(max(1, 3 - sum(sides)), 9)) for sides in (padding[:2], padding[2:])]
    ins, outs = (draw(st.integers(LANES, 4 * LANES + 11)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    batch = draw(st.integers(0, 3))
    out = [n + sum(sides) - 2 for n, sides in zip(size, (padding[:2], padding[2:]))]
    x, w = whole_numbers(rng, batch, ins, *size), whole_numbers(rng, outs, ins, 3, 3)
    y = whole_numbers(rng, batch, outs, *out)
    if draw(st.booleans()):
        x, y = (np.repeat(a, 2, axis=3)[..., ::2] for a in (x, y))
        w = np.ascontiguousarray(w.transpose(3, 2, 0, 1)).transpose(2, 3, 1, 0)
    return x, w, y, padding


@settings(deadline=None, max_examples=60)
@given(cases(), st.booleans(), st.sampled_from([1, 1 << 16]))
def test_all_three_agree_with_the_reference_to_the_last_bit(case, biased, chunk_bytes):
    x, w, y, padding = case
    b, c = (np.arange(n, dtype=np.float32) if biased else None for n in w.shape[:2])
    options = (1, 1), padding, (1, 1), 1
    with mock.patch.multiple(winograd, CHUNK_BYTES=chunk_bytes, TASK_FLOPS=chunk_bytes, MOST_INS=2 * LANES):
        actual = (
            convolve(winograd, x, w, padding, b),
            transposed(winograd, x, w, y, padding, c),
            weight_grad(winograd, x, w, y, padding),
        )
    expected = (
        reference.conv2d(x, w, *options, bias=b),
        reference.conv_transpose2d(y, w, *options, x.shape[2:], bias=c),
        reference.conv2d_weight_grad(x, y, *options, (3, 3)),
    )
    for a, e in zip(actual, expected):
        assert a.dtype == np.float32
        np.testing.assert_array_equal(a, e)


@settings(deadline=None, max_examples=30)
@given(cases())
def test_the_three_are_adjoint_to_each_other(case):
    x, w, y, padding = case
    results = (
        (convolve(winograd, x, w, padding), y),
        (transposed(winograd, x, w, y, padding), x),
        (weight_grad(winograd, x, w, y, padding), w),
    )
    first, *others = (np.vdot(a.astype(np.float64), b.astype(np.float64)) for a, b in results)
    assert others == [first, first]


def test_the_matrices_convolve_a_row_of_four_pixels():
    """y = A^T ((G g) * (B^T d)) is d0 g0 + d1 g1 + d2 g2 and d1 g0 + d2 g1 + d3 g2."""
    d, g = np.array([3.0, -1, 4, 2]), np.array([5.0, -2, 7])
    to_inputs, to_weights, to_outputs = (
        np.array(m) for m in (winograd_vectors.OF_INPUTS, winograd_vectors.OF_WEIGHTS, winograd_vectors.OF_PRODUCTS)
    )
    np.testing.assert_array_equal(to_outputs @ ((to_weights @ g) * (to_inputs @ d)), [15 + 2 + 28, -5 - 8 + 14])


@pytest.mark.parametrize("channels", [16, 64, 256])
def test_it_rounds_about_as_well_as_the_plain_way(channels):
    """Root mean square of the errors on normal numbers, beside that of the tiles, which multiply as the formula says."""
    rng = np.random.default_rng(channels)
    x, y = (rng.standard_normal((4, channels, 12, 12), np.float32) for _ in range(2))
    w = rng.standard_normal((channels, channels, 3, 3), np.float32)
    padding, double = (1, 1, 1, 1), [a.astype(np.float64) for a in (x, w, y)]
    options = (1, 1), padding, (1, 1), 1
    exact = (
        cpu.conv2d(*double[:2], *options),
        cpu.conv_transpose2d(*double[:0:-1], *options, (12, 12)),
        cpu.conv2d_weight_grad(*double[::2], *options, (3, 3)),
    )
    errors = [
        [
            np.sqrt(np.mean(np.square(actual - right)))
            for actual, right in zip(
                (
                    convolve(kernels, x, w, padding),
                    transposed(kernels, x, w, y, padding),
                    weight_grad(kernels, x, w, y, padding),
                ),
                exact,
            )
        ]
        for kernels in (winograd, tiled)
    ]
    for by_winograd, by_tiles in zip(*errors):
        assert by_winograd < 3 * by_tiles, errors


@pytest.mark.parametrize(
    ("batch", "ins", "outs", "size"), [(8, 64, 64, (17, 16)), (1, 16, 40, (65, 64)), (40, 130, 75, (7, 7))]
)
def test_results_have_the_same_bits_on_any_number_of_threads(batch, ins, outs, size):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((batch, ins, *size), np.float32), rng.standard_normal((outs, ins, 3, 3), np.float32)
    y, padding = rng.standard_normal((batch, outs, *size), np.float32), (1, 1, 1, 1)
    before, found = cpu.num_threads(), []
    try:
        for threads in (1, 2, 3):
            cpu.set_num_threads(threads)
            found.append(
                [
                    convolve(winograd, x, w, padding),
                    transposed(winograd, x, w, y, padding),
                    weight_grad(winograd, x, w, y, padding),
                ]
            )
    finally:
        cpu.set_num_threads(before)
    for one, other in pairwise(found):
        for a, b in zip(one, other):
            np.testing.assert_array_equal(a, b)


def test_nan_in_the_input_is_in_the_outputs_that_see_it_and_in_no_other():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, LANES, 9, 12), np.float32), rng.standard_normal((2 * LANES, LANES, 3, 3), np.float32)
    x[1, 3, 5, 5] = np.nan
    spoilt = np.zeros((3, 2 * LANES, 9, 12), bool)
    spoilt[1, :, 4:7, 4:7] = True
    np.testing.assert_array_equal(np.isnan(convolve(winograd, x, w, (1, 1, 1, 1))), spoilt)


@pytest.mark.parametrize(
    ("name", "features", "lanes"), [("haswell", "+avx,+avx2,+fma", 8), ("x86-64", "+sse2", 4)], ids=["avx2", "sse2"]
)
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="instruction sets of x86 processors")
def test_older_processors_get_shorter_vectors_and_the_same_results(name, features, lanes):
    """Compiled for such a processor, which this one can stand in for, in a process of its own."""
    program = """
import numpy as np
from minigen_kernels import reference
from minigen_kernels.cpu import tile, winograd
from minigen_kernels.cpu.layout import channels_first, channels_last
from minigen_kernels.geometry import check_convolution
rng = np.random.default_rng(0)
x, w, y = (rng.integers(-3, 4, s).astype("f") for s in ((3, 19, 9, 6), (45, 19, 3, 3), (3, 45, 9, 6)))
options = (1, 1), (1, 1, 1, 1), (1, 1), 1
geometry = check_convolution("conv2d", {"x": x, "w": w}, *options)
for actual, expected in (
    (winograd.convolve(channels_last(x), w, geometry), channels_last(reference.conv2d(x, w, *options))),
    (winograd.transposed(channels_last(y), w, geometry), channels_last(reference.conv_transpose2d(y, w, *options, (9, 6)))),
    (
        winograd.weight_grad(channels_last(x), channels_last(y), geometry),
        reference.conv2d_weight_grad(x, y, *options, (3, 3)),
    ),
):
    np.testing.assert_array_equal(actual, expected)
print(tile.LANES)
"""
    environment = {**os.environ, "NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(lanes)]


class Chosen(Exception):
    pass


CHOSEN = {  # changes of shapes and options; whether for images, and for weights
    "enough channels and pixels": ({}, {}, True, True),
    "double precision": ({"dtype": np.float64}, {}, False, False),
    "a stride": ({}, {"stride": (2, 1)}, False, False),
    "a dilation": ({}, {"dilation": (1, 2)}, False, False),
    "another kernel": ({"kernel": (3, 2)}, {}, False, False),
    "groups": ({}, {"groups": 2}, False, False),
    "few inputs": ({"ins": 3}, {}, False, False),
    "few outputs": ({"outs": 3}, {}, False, False),
    "tiles mostly outside of the image": ({"size": (1, 1)}, {}, False, False),
    "tiles half outside of the image": ({"size": (5, 5)}, {}, False, True),
    "an empty batch": ({"batch": 0}, {}, False, False),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_it_is_chosen_where_it_is_faster_and_nowhere_else(name):
    shapes, options, for_images, for_weights = CHOSEN[name]
    shapes = {"batch": 32, "ins": 64, "outs": 64, "size": (16, 16), "kernel": (3, 3), "dtype": np.float32, **shapes}
    options = {**PLAIN, **options}
    x = np.zeros((shapes["batch"], shapes["ins"], *shapes["size"]), shapes["dtype"])
    w = np.zeros((shapes["outs"], shapes["ins"] // options["groups"], *shapes["kernel"]), shapes["dtype"])
    y = cpu.conv2d(x, w, **options)
    stand_ins = dict.fromkeys(("convolve", "transposed", "weight_grad"), mock.Mock(side_effect=Chosen))
    with mock.patch.multiple(winograd, **stand_ins):
        for chosen, call in (
            (for_images, lambda: convolution.conv2d(x, w, **options)),
            (for_images, lambda: convolution.conv_transpose2d(y, w, **options, size=x.shape[2:])),
            (for_weights, lambda: convolution.conv2d_weight_grad(x, y, **options, kernel_size=w.shape[2:])),
        ):
            if chosen:
                with pytest.raises(Chosen):
                    call()
            else:
                call()
