"""The CPU convolutions against the reference, each other's adjoints, and themselves on other numbers of threads.

Arrays hold small whole numbers, so that sums are exact in any order and results can be compared to the last bit.
"""

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigen_kernels import cpu, reference
from minigen_kernels.cpu import convolution, depthwise, depthwise_vectors, layout, tiled, winograd
from minigen_kernels.cpu.tile import LANES
from minigen_kernels.geometry import check_convolution, conv_output_size

SQUARE = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "kernel": (3, 3), "groups": 1}
POINT = {**SQUARE, "kernel": (1, 1), "padding": (0, 0, 0, 0)}


@dataclass
class Case:
    """Arguments of all three convolutions: <C(x, w), y> = <x, T(y, w)> = <w, W(x, y)>."""

    x: np.ndarray
    w: np.ndarray
    y: np.ndarray
    options: tuple  # stride, padding, dilation, groups

    def results(self, kernels, biased=False):
        """C(x, w), T(y, w) and W(x, y) by the given kernels; the first two with a bias if asked."""
        b, c = (np.arange(a.shape[1], dtype=a.dtype) if biased else None for a in (self.y, self.x))
        return (
            kernels.conv2d(self.x, self.w, *self.options, bias=b),
            kernels.conv_transpose2d(self.y, self.w, *self.options, self.x.shape[2:], bias=c),
            kernels.conv2d_weight_grad(self.x, self.y, *self.options, self.w.shape[2:]),
        )


LAYOUTS = {
    "contiguous": lambda a: a,
    "channels last": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every other column": lambda a: np.repeat(a, 2, axis=3)[..., ::2],
    "upside down": lambda a: np.ascontiguousarray(a[:, :, ::-1])[:, :, ::-1],
    "transposed": lambda a: np.ascontiguousarray(a.swapaxes(0, 3)).swapaxes(0, 3),
    "unaligned": lambda a: np.frombuffer(b"-" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
}


def make_case(*, batch, groups, ins, outs, size, kernel, stride, padding, dilation, dtype="float64", seed=0) -> Case:
    rng = np.random.default_rng(seed)
    out = conv_output_size(size, kernel, stride, padding, dilation)
    shapes = (batch, groups * ins, *size), (groups * outs, ins, *kernel), (batch, groups * outs, *out)
    x, w, y = (rng.integers(-3, 4, shape).astype(dtype) for shape in shapes)
    return Case(x, w, y, (stride, padding, dilation, groups))


@st.composite
def cases(draw, depthwise=False) -> Case:
    """Convolutions of a few channels; or depthwise ones of several vectors of channels, and some more."""
    pair = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(2))  # noqa: E731
    kernel, stride, dilation = pair(1, 4), pair(1, 3), pair(1, 3)
    padding = tuple(draw(st.sampled_from([0, 0, 1, 2, 3])) for _ in range(4))
    least = [d * (k - 1) + 1 - sum(p) for d, k, p in zip(dilation, kernel, (padding[:2], padding[2:]))]
    case = make_case(
        batch=draw(st.integers(0, 3)),
        groups=draw(st.integers(2, 9 * LANES) if depthwise else st.integers(1, 3)),
        ins=1 if depthwise else draw(st.integers(1, 4) | st.sampled_from([LANES - 1, 2 * LANES])),
        outs=draw(st.integers(1, 2) if depthwise else st.integers(1, 4) | st.sampled_from([LANES, 2 * LANES + 1])),
        size=tuple(max(1, n) + extra for n, extra in zip(least, pair(0, 12 if depthwise else 6))),
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        dtype=draw(st.sampled_from(["float32", "float64"])),
        seed=draw(st.integers(0, 99)),
    )
    lay = lambda a: LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](a)  # noqa: E731
    case.x, case.w, case.y = lay(case.x), lay(case.w), lay(case.y)
    for array in (case.x, case.w, case.y):
        array.flags.writeable = False
    return case


def tiny_tasks() -> ExitStack:
    """Within it, even these small arrays are cut into many tasks, as large ones are."""
    stack = ExitStack()
    stack.enter_context(mock.patch.multiple(convolution, SCRATCH_BYTES=500, TASK_FLOPS=1))
    stack.enter_context(mock.patch.multiple(depthwise, TASK_FLOPS=1))
    stack.enter_context(mock.patch.multiple(depthwise_vectors, LEAST_FLOPS=1))
    stack.enter_context(mock.patch.multiple(tiled, TASK_FLOPS=1, PLAN_PIXELS=8, CHUNK_BYTES=500, SUMS_BYTES=1))
    stack.enter_context(mock.patch.multiple(tiled, MANY_ROWS=20, SMALL_BYTES=1))
    stack.enter_context(mock.patch.multiple(layout, COPY_BYTES=1))
    return stack


def assert_same(actual: tuple, expected: tuple) -> None:
    for name, a, e in zip(("conv2d", "conv_transpose2d", "conv2d_weight_grad"), actual, expected):
        assert a.dtype == e.dtype, name
        np.testing.assert_array_equal(a, e, err_msg=name)


@settings(deadline=None, max_examples=200)
@given(cases(), st.booleans())
def test_the_cpu_agrees_with_the_reference(case, biased):
    assert_same(case.results(cpu, biased), case.results(reference, biased))


@settings(deadline=None, max_examples=200)
@given(cases(depthwise=True), st.booleans(), st.booleans())
def test_vectors_of_channels_agree_with_the_reference(case, biased, tiny):
    with tiny_tasks() if tiny else ExitStack():
        assert_same(case.results(cpu, biased), case.results(reference, biased))


@settings(deadline=None, max_examples=200)
@given(cases(), st.booleans())
def test_the_cpu_agrees_with_the_reference_when_work_is_cut_into_many_tasks(case, biased):
    with tiny_tasks():
        assert_same(case.results(cpu, biased), case.results(reference, biased))


@pytest.mark.parametrize("ins", [1, 3, LANES, LANES + 2])
@pytest.mark.parametrize("outs", [1, 3, LANES + 1])
def test_what_lies_beside_the_numbers_that_a_pixel_sees_is_not_multiplied_not_even_with_zero(ins, outs):
    case = make_case(**{**SQUARE, "batch": 2, "ins": ins, "outs": outs, "size": (5, 6)}, dtype="float32")
    for array in (case.x, case.y):
        array[0, -1, 2, 3] = np.nan
    assert_same(case.results(cpu), case.results(reference))


@settings(deadline=None, max_examples=100)
@given(cases(), st.sampled_from([cpu, reference]))
def test_the_three_convolutions_are_adjoint_to_each_other(case, kernels):
    convolved, transposed, weight = case.results(kernels)
    products = [np.vdot(convolved, case.y), np.vdot(case.x, transposed), np.vdot(case.w, weight)]
    assert products[0] == products[1] == products[2]


LARGE = {
    "one large image": {**SQUARE, "batch": 1, "ins": 16, "outs": 16, "size": (160, 160), "kernel": (3, 2)},
    "two large images, dilated": {**SQUARE, "batch": 2, "ins": 12, "outs": 16, "size": (130, 130), "dilation": (9, 2)},
    "few outputs": {**SQUARE, "batch": 4, "ins": 16, "outs": 3, "size": (64, 64)},
    "few channels": {**SQUARE, "batch": 8, "ins": 3, "outs": 1, "size": (40, 50), "kernel": (5, 5)},
    "few outputs, strided": {**SQUARE, "batch": 9, "ins": 10, "outs": 2, "size": (31, 32), "stride": (2, 3)},
    "strided": {**SQUARE, "batch": 32, "ins": 16, "outs": 24, "size": (28, 28), "stride": (2, 2), "kernel": (5, 5)},
    "one channel": {**SQUARE, "batch": 64, "ins": 1, "outs": 16, "size": (28, 28), "padding": (1, 2, 1, 2)},
    "pointwise": {**POINT, "batch": 8, "ins": 32, "outs": 64, "size": (32, 32)},
    "pointwise, many pixels": {**POINT, "batch": 6, "ins": 64, "outs": 64, "size": (53, 19)},
    "pointwise, many outputs": {**POINT, "batch": 3, "ins": 64, "outs": 96, "size": (31, 17)},
    "one patch": {**SQUARE, "batch": 64, "ins": 64, "outs": 64, "size": (4, 4), "kernel": (4, 4), "padding": (0,) * 4},
    "grouped": {**SQUARE, "batch": 8, "ins": 8, "outs": 8, "size": (32, 32), "groups": 4},
    "depthwise": {**SQUARE, "batch": 8, "ins": 1, "outs": 1, "size": (32, 32), "groups": 32},
    "depthwise, multiplied": {**SQUARE, "batch": 8, "ins": 1, "outs": 2, "size": (33, 32), "groups": 16},
    "depthwise, strided": {**SQUARE, "batch": 3, "ins": 1, "outs": 1, "size": (15, 9), "groups": 112, "stride": (2, 3)},
    "depthwise, odd channels": {
        **SQUARE,
        "batch": 6,
        "ins": 1,
        "outs": 1,
        "size": (21, 30),
        "groups": 83,
        "kernel": (3, 5),
    },
    "groups of many": {**SQUARE, "batch": 5, "ins": 7, "outs": 40, "size": (9, 12), "groups": 3, "dilation": (2, 1)},
    "many and odd channels": {**SQUARE, "batch": 13, "ins": 37, "outs": 75, "size": (7, 7), "kernel": (5, 5)},
    "phases": {**SQUARE, "batch": 2, "ins": 20, "outs": 20, "size": (19, 14), "stride": (3, 2), "dilation": (2, 1)},
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LARGE)
def test_the_cpu_agrees_with_the_reference_on_large_images(name, dtype):
    case = make_case(**LARGE[name], dtype=dtype)
    with mock.patch.object(winograd, "LEAST", np.inf):  # it rounds, where others compute whole numbers exactly
        assert_same(case.results(cpu, biased=True), case.results(reference, biased=True))


@pytest.mark.parametrize("name", LARGE)
def test_results_have_the_same_bits_on_any_number_of_threads(name):
    case = make_case(**LARGE[name], dtype="float32")
    rng = np.random.default_rng(1)
    case.x, case.w, case.y = (rng.standard_normal(a.shape, np.float32) for a in (case.x, case.w, case.y))
    before = cpu.num_threads()
    try:
        cpu.set_num_threads(1)
        expected = case.results(cpu)
        for threads in (2, 5):
            cpu.set_num_threads(threads)
            assert_same(case.results(cpu), expected)
    finally:
        cpu.set_num_threads(before)


@pytest.mark.parametrize("name", LARGE)
def test_images_come_back_channels_last_and_weights_contiguous(name):
    convolved, transposed, weight = make_case(**LARGE[name]).results(cpu)
    assert convolved.transpose(0, 2, 3, 1).flags.c_contiguous
    assert transposed.transpose(0, 2, 3, 1).flags.c_contiguous
    assert weight.flags.c_contiguous


@pytest.mark.parametrize(
    "changes",
    [
        {"kernel": (1, 1), "stride": (2, 2), "padding": (0, 1, 0, 1)},  # OH = H, yet not every pixel is read
        {"kernel": (2, 2), "dilation": (2, 2), "padding": (0, 1, 0, 1)},  # one patch, as large as x, yet not x
        {"kernel": (2, 2), "dilation": (2, 2), "padding": (1, 0, 1, 0)},
        {"kernel": (2, 2), "stride": (3, 3), "padding": (0, 1, 0, 2)},
        {"kernel": (1, 1), "padding": (0, 1, 1, 0)},
    ],
)
@pytest.mark.parametrize("outs", [1, 4])
def test_patches_that_only_look_like_the_image_are_not_taken_for_it(changes, outs):
    case = make_case(**{**SQUARE, "batch": 2, "ins": 2, "outs": outs, "size": (2, 2), **changes})
    assert_same(case.results(cpu), case.results(reference))


def test_images_that_lie_channels_last_are_not_copied():
    images = np.zeros((2, 5, 6, 3)).transpose(0, 3, 1, 2)
    assert np.shares_memory(layout.channels_last(images), images)
    assert not np.shares_memory(layout.channels_last(np.ascontiguousarray(images)), images)


def test_rows_and_columns_that_no_patch_reaches_get_zeros():
    y, w = np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1))
    x = cpu.conv_transpose2d(y, w, (3, 3), (0, 0, 0, 0), (1, 1), 1, (6, 5))
    expected = np.zeros((6, 5))
    expected[::3, ::3] = 1
    np.testing.assert_array_equal(x[0, 0], expected)


@settings(deadline=None, max_examples=200)
@given(cases(), st.integers(1, 60))
def test_no_two_bands_of_one_turn_add_to_the_same_row_of_an_image(case, most):
    geometry = check_convolution("conv2d", {"x": case.x, "w": case.w}, *case.options)
    turns = convolution._bands(geometry, 1, most)
    oh, ow = geometry.out_size
    for turn in turns:
        seen: set[tuple[int, int]] = set()
        for band in turn:
            rows = {divmod(pixel // ow, oh) for pixel in range(band.start, band.stop)}
            touched = {
                (n, geometry.stride[0] * i + geometry.dilation[0] * p)
                for n, i in rows
                for p in range(geometry.kernel_size[0])
            }
            assert not seen & touched
            seen |= touched
    pixels = sorted(pixel for turn in turns for band in turn for pixel in range(band.start, band.stop))
    assert pixels == list(range(geometry.batch * oh * ow))


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(0, 9), st.none() | st.integers(1, 9), st.integers(0, 20))
def test_pieces_cover_everything_once_and_keep_to_their_bounds(n, least, most, count):
    parts = layout.pieces(n, least=least, most=most, count=count)
    assert [i for part in parts for i in range(n)[part]] == list(range(n))
    lengths = [part.stop - part.start for part in parts]
    assert most is None or max(lengths, default=0) <= most
    assert most is not None or len(lengths) <= 1 or min(lengths) >= least


@pytest.mark.skipif(sys.platform == "win32", reason="asks for memory as Unix has it")
def test_nothing_is_read_beyond_an_array():
    """Arrays begin or end beside a page that the process may not touch: it would be killed."""
    program = """
import ctypes, mmap
import numpy as np
from minigen_kernels import cpu, reference
from minigen_kernels.cpu import winograd
from minigen_kernels.cpu.tile import LANES

winograd.LEAST = 0
PAGE = mmap.PAGESIZE
protect = ctypes.CDLL(None).mprotect
protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
rng = np.random.default_rng(0)

def guarded(array):
    inside = -(-array.nbytes // PAGE) * PAGE
    memory = mmap.mmap(-1, inside + 2 * PAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert protect(first, PAGE, 0) == protect(first + PAGE + inside, PAGE, 0) == 0
    offset = PAGE + int(rng.integers(2)) * (inside - array.nbytes)
    copy = np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)
    copy[...] = array
    return copy

def images(n, channels, height, width):
    return guarded(rng.standard_normal((n, height, width, channels), np.float32)).transpose(0, 3, 1, 2)

for _ in range(150):
    kernel, stride, padding = (int(rng.integers(1, most)) for most in (6, 3, 3))
    size = [int(n) for n in rng.integers(max(1, kernel - 2 * padding), 12, 2)]
    out = [(n + 2 * padding - kernel) // stride + 1 for n in size]
    groups, ins, outs = [(int(rng.integers(2, 9 * LANES)), 1, 1), (1, *map(int, rng.integers(1, 5 * LANES, 2)))][rng.integers(2)]
    x, y = images(2, groups * ins, *size), images(2, groups * outs, *out)
    w, b = (guarded(rng.standard_normal(s, np.float32)) for s in ((groups * outs, ins, kernel, kernel), (groups * outs,)))
    options = (stride, stride), (padding,) * 4, (1, 1), groups
    for actual, expected in zip(*[
        (
            kernels.conv2d(x, w, *options, bias=b),
            kernels.conv_transpose2d(y, w, *options, tuple(size)),
            kernels.conv2d_weight_grad(x, y, *options, (kernel, kernel)),
        )
        for kernels in (cpu, reference)
    ]):
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-2)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
