"""The production convolutions on CUDA against the reference, in several orders of the threads, and with a line broken.

Arrays hold small whole numbers, so that sums are exact in any order and results can be compared to the last bit.
"""

from contextlib import ExitStack
from functools import partial
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels import reference
from minigen_kernels.cuda import (
    convolution,
    correlation,
    depthwise,
    implicit_gemm,
    memory,
    running,
    tiles,
    weight_gradient,
)
from minigen_kernels.cuda.simulator import KernelFault, simulate
from minigen_kernels.cuda.tiles import NARROW_TILES, TILES, Tile
from minigen_kernels.geometry import check_convolution, conv_output_size

ORDERS = ("forward", "reverse", 7)
ALL = ("conv2d", "conv_transpose2d", "conv2d_weight_grad")
KERNELS = {implicit_gemm: ALL[:2], weight_gradient: ALL[2:], depthwise: ALL}  # and what runs through them
LAYOUTS = {
    "channels last": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every other column": lambda a: np.repeat(a, 2, axis=3)[..., ::2],
    "upside down": lambda a: np.ascontiguousarray(a[:, :, ::-1])[:, :, ::-1],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
}


SMALL = Tile(16, 8, 4, 4, 4)
# As on a GPU, a thread has several fours of sums each way, and fetches several; and a narrow tile has more threads than the
# narrow matrix has fours.
BUSY = Tile(16, 16, 8, 8, 8)
NARROW = Tile(32, 4, 4, 4, 4)


def small(order="forward", tile=SMALL, least=5):
    """The kernels with small tiles and shares, their threads in this order, and memory that is poisoned."""
    stack = ExitStack()
    stack.enter_context(mock.patch.multiple(tiles, TILES=(tile,), NARROW_TILES=(tile,)))
    stack.enter_context(mock.patch.object(running, "simulate", partial(simulate, order=order)))
    for module in (weight_gradient, depthwise):
        stack.enter_context(mock.patch.object(module, "LEAST_PIXELS", least))
    stack.enter_context(mock.patch.object(convolution, "empty", poisoned))
    return stack


def poisoned(like, shape, dtype=None):
    array = memory.empty(like, shape, dtype)
    array[...] = np.nan
    return array


def case(*, batch=1, groups=1, ins=1, outs=1, size, kernel, stride=(1, 1), padding=(0,) * 4, dilation=(1, 1), seed=0):
    rng = np.random.default_rng(seed)
    out = conv_output_size(size, kernel, stride, padding, dilation)
    shapes = (batch, groups * ins, *size), (groups * outs, ins, *kernel), (batch, groups * outs, *out)
    return *(rng.integers(-3, 4, shape).astype(np.float32) for shape in shapes), (stride, padding, dilation, groups)


def results(kernels, x, w, y, options, biased=False, functions=ALL):
    """C(x, w), T(y, w) and W(x, y), or those asked for, by the given kernels; the first two with a bias if asked."""
    b, c = (np.arange(1, 1 + a.shape[1], dtype=a.dtype) if biased else None for a in (y, x))
    arguments = {
        "conv2d": (x, w, *options, b),
        "conv_transpose2d": (y, w, *options, x.shape[2:], c),
        "conv2d_weight_grad": (x, y, *options, w.shape[2:]),
    }
    return tuple(getattr(kernels, name)(*arguments[name]) for name in functions)


def same(ours, expected):
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, expected))


@st.composite
def cases(draw):
    pair = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(2))  # noqa: E731
    kernel, stride, dilation = pair(1, 3), pair(1, 3), pair(1, 3)
    padding = tuple(draw(st.sampled_from([0, 0, 1, 2])) for _ in range(4))
    least = [max(1, d * (k - 1) + 1 - sum(p)) for d, k, p in zip(dilation, kernel, (padding[:2], padding[2:]))]
    size = tuple(draw(st.integers(low, low + 3)) for low in least)
    batch, groups = draw(st.integers(0, 2)), draw(st.integers(1, 3))
    ins, outs = (draw(st.sampled_from([1, 2, 3, 4, 8])) for _ in range(2))
    return case(
        batch=batch,
        groups=groups,
        ins=ins,
        outs=outs,
        size=size,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        seed=draw(st.integers(0, 99)),
    )


# Several blocks, steps and shares along every axis, phases of unequal length, and no two equal numbers in all of them; last,
# sums of nine terms, one more than whole steps.
HARD = [
    case(batch=2, ins=8, outs=12, size=(5, 4), kernel=(3, 2), stride=(2, 1), padding=(1, 0, 0, 1)),
    case(
        batch=3,
        groups=2,
        ins=3,
        outs=5,
        size=(4, 5),
        kernel=(2, 3),
        stride=(1, 3),
        padding=(0, 1, 1, 2),
        dilation=(2, 1),
    ),
    case(batch=2, groups=3, size=(4, 7), kernel=(2, 3), stride=(3, 2), padding=(1, 0, 2, 0), dilation=(1, 2)),
    case(groups=2, ins=4, outs=4, size=(7, 5), kernel=(3, 1), stride=(3, 2), padding=(2, 1, 0, 0), dilation=(2, 3)),
    case(size=(5, 5), kernel=(3, 3)),
]


def with_nan(name, place, *, sizes):
    """A number that is none must not be multiplied where it does not belong, not even with zero."""
    x, w, y, options = case(**sizes)
    {"x": x, "w": w, "y": y}[name][place] = np.nan
    return x, w, y, options


# For busy threads: channels that do not fill a step, phases with fewer taps than others. A NaN in w would be multiplied by
# the zeros around y, so there padding cuts off all that the transposed convolution finds there.
ODD = {"batch": 2, "groups": 2, "ins": 3, "outs": 5, "size": (5, 7), "kernel": (3, 3), "stride": (2, 2)}
FOUR = ODD | {"ins": 4, "outs": 12}
INSIDE = {"padding": (2, 2, 2, 2)}
BUSY_HARD = [
    case(**FOUR | {"outs": 20}, padding=(1, 0, 0, 1)),
    with_nan("x", (0, 2, 2, 1), sizes=ODD),
    with_nan("y", (0, 2, 1, 1), sizes=ODD | INSIDE),
    with_nan("w", (3, 1, 0, 1), sizes=ODD | INSIDE),
    with_nan("x", (1, slice(4), 1, 2), sizes=FOUR),
    with_nan("y", (1, slice(12), 1, 1), sizes=FOUR | INSIDE),
    with_nan("w", (12, 2, 1, 0), sizes=FOUR | INSIDE),
]

# each channel for itself, with an edge all around
CHANNELS = case(batch=2, groups=3, size=(5, 6), kernel=(3, 4), stride=(2, 3), padding=(1, 2, 0, 3), dilation=(1, 2))
# and 49 pixels of the output, eight shares of six and one more pixel
UNEVEN = case(groups=2, size=(7, 7), kernel=(1, 2), padding=(0, 0, 0, 1))


@settings(max_examples=40)
@given(cases(), st.sampled_from(ORDERS), st.booleans(), st.sampled_from(["float32", "float64"]))
def test_all_three_give_the_numbers_of_the_reference_in_any_order(arguments, order, biased, dtype):
    *arrays, options = arguments
    arrays = [array.astype(dtype) for array in arrays]
    expected = results(reference, *arrays, options, biased)
    with small(order):
        ours = results(convolution, *arrays, options, biased)
    for a, b in zip(ours, expected):
        assert a.dtype == dtype
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("outs", [1, 5])
def test_a_kernel_as_large_as_the_image_is_a_product_of_matrices(batch, outs):
    x, w, y, options = case(batch=batch, ins=3, outs=outs, size=(4, 2), kernel=(4, 2), stride=(3, 1))
    with (
        small(),
        mock.patch.object(implicit_gemm, "correlation_kernel", wraps=implicit_gemm.correlation_kernel) as made,
    ):
        ours = results(convolution, x, w, y, options, biased=True)
    assert same(ours, results(reference, x, w, y, options, biased=True))
    for (correlated, *_), _ in made.call_args_list:
        assert correlated.rows.taps == correlated.columns.taps == (1,)


@settings(max_examples=10)
@given(cases())
def test_each_is_the_others_adjoint(arguments):
    x, w, y, options = arguments
    with small():
        c, t, g = results(convolution, x, w, y, options)
    inner = [np.vdot(a.astype(np.float64), b) for a, b in ((c, y), (x, t), (w, g))]
    assert inner[0] == inner[1] == inner[2]


@pytest.mark.parametrize("tile", TILES + NARROW_TILES, ids=str)
def test_every_tile_of_the_table_gives_the_numbers_of_the_reference(tile):
    x, w, y, options = case(batch=2, ins=8, outs=12, size=(5, 4), kernel=(2, 2), stride=(2, 1), padding=(1, 0, 0, 1))
    with small(tile=tile, least=1000):
        assert same(results(convolution, x, w, y, options), results(reference, x, w, y, options))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("tile", TILES + NARROW_TILES, ids=str)
def test_every_sum_of_a_tile_is_right_and_what_hangs_over_it_too(tile, dtype):
    many, outs = tile.rows + 4, tile.columns + 4
    wide = case(ins=4, outs=outs, size=(2, many // 2), kernel=(1, 1))  # many pixels
    deep = case(ins=many, outs=outs, size=(2, 3), kernel=(1, 1))  # many rows of w
    for (*arrays, options), functions in ((wide, ALL[:1]), (deep, ALL[2:])):
        arrays = [array.astype(dtype) for array in arrays]
        with small(tile=tile, least=1000):
            ours = results(convolution, *arrays, options, functions=functions)
        assert same(ours, results(reference, *arrays, options, functions=functions))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_arrays_may_lie_in_memory_as_they_like(layout):
    *arrays, options = HARD[0]
    moved = [LAYOUTS[layout](array) for array in arrays]
    with small():
        ours = results(convolution, *moved, options)
    assert same(ours, results(reference, *arrays, options))
    assert ours[0].transpose(0, 2, 3, 1).flags.c_contiguous
    assert ours[2].flags.c_contiguous


def test_results_have_the_same_bits_whatever_the_order_of_threads_and_blocks():
    rng = np.random.default_rng(0)
    x, w, y, options = HARD[0]
    x, w, y = (rng.standard_normal(a.shape).astype(np.float32) for a in (x, w, y))
    found = []
    for order in ORDERS:
        with small(order):
            found.append(results(convolution, x, w, y, options))
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def right(arguments, functions=ALL):
    expected = results(reference, *arguments, biased=True, functions=functions)
    try:
        return same(results(convolution, *arguments, biased=True, functions=functions), expected)
    except KernelFault:
        return False


def survives(module, functions):
    """Whether a kernel's module gives the right answers all the same in the place of the real one."""
    name = next(real.__name__.rpartition(".")[2] for real, its in KERNELS.items() if its == functions)
    depthwise_cases = [*HARD[2:], CHANNELS, UNEVEN]
    hunt = [(SMALL, depthwise_cases)] if name == "depthwise" else [(SMALL, HARD), (BUSY, BUSY_HARD), (NARROW, HARD[:2])]
    for tile, hard in hunt:
        shares = mock.patch.object(module, "LEAST_PIXELS", 5, create=True)
        with small(tile=tile), shares, mock.patch.object(convolution, name, module):
            if not all(right(arguments, functions) for arguments in hard):
                return False
    return True


@pytest.mark.parametrize("module", KERNELS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_kernel_without_a_barrier_or_with_an_index_moved_is_told_apart(module, mutants):
    broken = list(mutants(module))
    assert len(broken) > 4
    assert sum("without cuda.syncthreads()" in what for what, _ in broken) == (module is not depthwise)
    assert survives(module, KERNELS[module])
    for what, mutant in broken:
        assert not survives(mutant, KERNELS[module]), what


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        (implicit_gemm, "j // 4 * (ACROSS * 4)", "j // 4 * (ACROSS + 4)"),
        (implicit_gemm, "and c + k < DEPTH", ""),
        (implicit_gemm, "+ c + k)", "+ c - k)"),
        (implicit_gemm, "and pu < taps_h", ""),
        (implicit_gemm, "and qu < taps_w", ""),
        (implicit_gemm, "and qk < taps_w", ""),
        (implicit_gemm, "and ck < DEPTH", ""),
        (implicit_gemm, "four < STEP * COLUMNS // 4", "four <= STEP * COLUMNS // 4"),
        (weight_gradient, "j // 4 * (ACROSS * 4)", "j // 4 * (ACROSS + 4)"),
        (weight_gradient, "four < STEP * COLUMNS // 4", "four <= STEP * COLUMNS // 4"),
        (depthwise, "narrow(min(begin + each, pixels))", "narrow(begin + each)"),
        (depthwise, "0 <= h < H", "0 <= h <= H"),
        (depthwise, "0 <= v < W", "0 <= v <= W"),
        (depthwise, "FIRST_W[phase_w] + EVERY_W * q", "EVERY_W * q - FIRST_W[phase_w]"),
    ],
)
def test_a_line_that_matters_at_an_edge_or_with_busy_threads_alone_is_told_apart(module, line, broken, changed):
    assert not survives(changed(module, line, broken), KERNELS[module])


def test_a_product_in_registers_with_an_index_moved_is_told_apart(mutants):
    broken = list(mutants(tiles))
    assert len(broken) > 8
    for what, mutant in broken:
        with small(), mock.patch.object(implicit_gemm, "multiplier", mutant.multiplier):
            implicit_gemm._function.cache_clear()
            assert not right(HARD[0]), what
    implicit_gemm._function.cache_clear()


@settings(max_examples=100)
@given(cases())
def test_every_tap_is_in_one_phase_so_that_no_zero_is_multiplied(arguments):
    x, w, _, options = arguments
    geometry = check_convolution("conv2d", {"x": x, "w": w}, *options)
    found = correlation.transposed(geometry)
    for axis, stride, size, taps in zip(found[3:], geometry.stride, geometry.in_size, geometry.kernel_size):
        assert axis.phases == min(stride, size)
        assert sum(axis.taps) == taps or size < stride
        assert -(-size // axis.phases) == axis.longest


def test_a_sum_is_cut_by_shapes_alone_into_shares_that_cover_it():
    for pixels in (1, 7, 255, 256, 1000, 10**6):
        for blocks in (1, 3, 300):
            count, each = weight_gradient.shares(pixels, blocks)
            assert (count - 1) * each < pixels <= count * each
            assert count == 1 or each >= weight_gradient.LEAST_PIXELS


def test_small_images_get_small_tiles_and_few_channels_narrow_ones():
    assert tiles.choose(32 * 28 * 28, 128) == Tile(128, 128, 8, 8, 8)
    assert tiles.choose(64 * 7 * 7, 256) == Tile(64, 64, 16, 4, 4)
    assert tiles.choose(10**6, 3).columns == 4
    assert tiles.choose(10**6, 5).columns == 8
    assert tiles.choose(25, 64) == Tile(32, 32, 16, 4, 4)


def test_another_batch_is_the_same_kernel_with_another_grid():
    x, w, _, options = HARD[0]
    geometry = check_convolution("conv2d", {"x": x, "w": w}, *options)
    kernels = [
        implicit_gemm.correlation_kernel(correlation.convolution(geometry._replace(batch=0)), batch, "float32", False)
        for batch in (2, 3)
    ]
    assert kernels[0].function is kernels[1].function


def test_an_array_too_large_for_32_bit_indices_is_refused_as_input_and_as_result():
    x = np.broadcast_to(np.float32(0), (1 << 16, 1 << 15))
    sentence = r"shape \(65536, 32768\) has more than 2147482624 numbers.*split the batch"
    with pytest.raises(ValueError, match=sentence):
        memory.packed(x)
    with pytest.raises(ValueError, match=sentence):
        memory.empty(x, x.shape)


def test_an_array_off_the_beat_of_16_bytes_is_copied():
    whole = np.zeros(20, np.float32)
    start = (-whole.ctypes.data // 4) % 4
    assert memory.packed(aligned := whole[start : start + 8]) is aligned
    assert memory.packed(whole[start + 1 : start + 9]).base is None  # memory of its own


def test_wrong_shapes_get_the_sentence_that_every_convolution_gives():
    x, w, y, (stride, padding, dilation, _) = HARD[0]
    with pytest.raises(ValueError, match="channels, but has 8"):
        convolution.conv2d(x, w, stride, padding, dilation, 3)
    with pytest.raises(ValueError, match="a convolution maps"):
        convolution.conv_transpose2d(y, w, stride, padding, dilation, 1, (9, 9))
