"""The CUDA convolutions and products in TF32 against the reference, in several orders of the threads, and with a line broken.

Small whole numbers are the same in TF32, and their sums exact in any order, so results can be compared to the last bit.
"""

import sys
from contextlib import ExitStack
from functools import partial
from types import ModuleType, SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels import reference
from minigen_kernels.cuda import (
    convolution,
    implicit_gemm_tf32,
    memory,
    precision,
    running,
    tensor_cores,
    tiles,
    weight_gradient,
    weight_gradient_tf32,
)
from minigen_kernels.cuda.build import compile_kernel
from minigen_kernels.cuda.kernel import Kernel
from minigen_kernels.cuda.production import matmul
from minigen_kernels.cuda.simulator import KernelFault, simulate
from minigen_kernels.cuda.tensor_cores import TILES, WarpTile, nearest_tf32
from minigen_kernels.cuda.tiles import Tile
from minigen_kernels.geometry import conv_output_size
from numba import cuda

ALL = ("conv2d", "conv_transpose2d", "conv2d_weight_grad")
ORDERS = ("forward", "reverse", 7)
ONE_WARP, TWO_WARPS = WarpTile(32, 32, 32, 32), WarpTile(32, 64, 32, 32)
TALL_WARPS, WIDE_WARPS = WarpTile(64, 64, 64, 32), WarpTile(64, 64, 32, 64)


@pytest.fixture(autouse=True)
def tf32():
    precision.choose("tf32")
    yield
    precision.choose("ieee")


def small(order="forward", tile=ONE_WARP, least=20):
    """Tensor cores for products of any size, with small tiles and shares, and memory that is poisoned."""
    stack = ExitStack()
    stack.enter_context(mock.patch.multiple(tensor_cores, TILES=(tile,), LEAST=1))
    stack.enter_context(mock.patch.object(running, "simulate", partial(simulate, order=order)))
    stack.enter_context(mock.patch.object(weight_gradient, "LEAST_PIXELS", least))
    stack.enter_context(mock.patch.object(convolution, "empty", poisoned))
    return stack


def poisoned(like, shape, dtype=None):
    array = memory.empty(like, shape, dtype)
    array[...] = np.nan
    return array


def kernels_of(compute, *, simulated=False):
    """The names of the kernels that are run, and the result, of no meaning unless they are simulated."""
    with mock.patch.object(convolution, "run", wraps=convolution.run if simulated else lambda *_: None) as run:
        result = compute()
    return [call.args[0].name for call in run.call_args_list], result


def case(
    *, batch=1, groups=1, ins=1, outs=1, size, kernel, stride=(1, 1), padding=(0,) * 4, dilation=(1, 1), draw=None
):
    """x, w, y and the options of a convolution; `draw(shape)` gives the numbers, small and whole ones if None."""
    rng = np.random.default_rng(0)
    draw = draw or (lambda shape: rng.integers(-3, 4, shape).astype(np.float32))
    out = conv_output_size(size, kernel, stride, padding, dilation)
    shapes = (batch, groups * ins, *size), (groups * outs, ins, *kernel), (batch, groups * outs, *out)
    return *map(draw, shapes), (stride, padding, dilation, groups)


def results(kernels, x, w, y, options, functions=ALL):
    """C(x, w), T(y, w) and W(x, y), the first two with a bias, by the given kernels."""
    b, c = (np.arange(1, 1 + a.shape[1], dtype=a.dtype) for a in (y, x))
    arguments = {
        "conv2d": (x, w, *options, b),
        "conv_transpose2d": (y, w, *options, x.shape[2:], c),
        "conv2d_weight_grad": (x, y, *options, w.shape[2:]),
    }
    return tuple(getattr(kernels, name)(*arguments[name]) for name in functions)


def same(ours, expected):
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, expected))


def to_tf32(array):
    """float32 rounded to 10 bits of fraction, halves to even."""
    bits = array.view(np.uint32).astype(np.uint64)
    return ((bits + 0xFFF + (bits >> 13 & 1)) & 0xFFFFE000).astype(np.uint32).view(np.float32)


@st.composite
def geometries(draw):
    pair = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(2))  # noqa: E731
    kernel, stride, dilation = pair(1, 3), pair(1, 3), pair(1, 2)
    padding = tuple(draw(st.sampled_from([0, 0, 1, 2])) for _ in range(4))
    least = [max(1, d * (k - 1) + 1 - sum(p)) for d, k, p in zip(dilation, kernel, (padding[:2], padding[2:]))]
    ins, outs = (draw(st.sampled_from([1, 2, 3, 4, 8, 16, 20])) for _ in range(2))
    return {
        "batch": draw(st.integers(0, 3)),
        "groups": draw(st.integers(1, 2)),
        "ins": ins,
        "outs": outs,
        "size": tuple(draw(st.integers(low, low + 3)) for low in least),
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
    }


@settings(max_examples=12)
@given(geometries(), st.sampled_from(ORDERS), st.sampled_from([ONE_WARP, TWO_WARPS]))
def test_all_three_give_the_numbers_of_the_reference_in_any_order(geometry, order, tile):
    arguments = case(**geometry)
    with small(order, tile):
        ours = results(convolution, *arguments)
    for a, b in zip(ours, results(reference, *arguments)):
        np.testing.assert_array_equal(a, b)


DEPTHWISE = {"batch": 1, "groups": 2, "ins": 1, "outs": 1, "size": (1, 1), "kernel": (1, 1)}
DEPTHWISE |= {"stride": (1, 1), "padding": (0,) * 4, "dilation": (1, 1)}


@settings(max_examples=5)
@given(geometries(), st.integers(0, 99))
@example(DEPTHWISE, 0)
@example(DEPTHWISE | {"outs": 2}, 0)
def test_factors_are_rounded_to_tf32_and_sums_are_not(geometry, seed):
    rng = np.random.default_rng(seed)
    x, w, y, options = case(**geometry, draw=lambda shape: rng.standard_normal(shape).astype(np.float32))
    with small():
        ours = results(convolution, x, w, y, options)
    # Depthwise: no matrices for tensor cores to multiply.
    in_full = geometry["groups"] > 1 and geometry["ins"] == geometry["outs"] == 1
    rounded = [(a if in_full else to_tf32(a)).astype(np.float64) for a in (x, w, y)]
    for a, b in zip(ours, results(reference, *rounded, options)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=5e-5)


def with_nan(which, place):
    """x, w or y (0 to 2) with a number that is none. Padding cuts off all that would find zeros around y beside it."""
    arguments = case(batch=2, groups=2, ins=3, outs=5, size=(5, 7), kernel=(3, 3), stride=(2, 2), padding=(2,) * 4)
    arguments[which][place] = np.nan
    return arguments


# Several blocks, warps, steps and shares, phases of unequal length; channels that divide by 16, by 4 and by neither. The
# two of LARGE have several tiles along every axis, steps for each stage twice, and more than 32 rows and columns for a warp.
# Then a share of the pixels is one more than a whole step, and ends with the first pixel of an image; and so are channels
# times taps. At the end, a number that is none in y or w: phases with fewer taps than others may not multiply it, not even
# with zero.
LARGE = case(ins=36, outs=68, size=(11, 7), kernel=(2, 1))
HARD = [  # and on which tiles, with at least how many pixels for a share
    (case(batch=2, ins=4, outs=80, size=(3, 4), kernel=(2, 1), stride=(1, 2)), TWO_WARPS, 20),
    (
        case(
            batch=2,
            groups=3,
            ins=7,
            outs=5,
            size=(4, 7),
            kernel=(2, 4),
            stride=(1, 3),
            padding=(0, 1, 1, 2),
            dilation=(2, 1),
        ),
        WarpTile(64, 32, 32, 32),
        6,
    ),
    (
        case(batch=2, ins=8, outs=20, size=(7, 5), kernel=(3, 1), stride=(3, 2), padding=(2, 1, 0, 0), dilation=(2, 3)),
        TWO_WARPS,
        20,
    ),
    (case(batch=3, ins=16, outs=36, size=(5, 4), kernel=(3, 2), stride=(2, 1), padding=(1, 0, 0, 1)), TWO_WARPS, 50),
    (LARGE, WIDE_WARPS, 50),
    (LARGE, TALL_WARPS, 50),
    (case(batch=17, ins=4, outs=4, size=(2, 2), kernel=(1, 2)), ONE_WARP, 17),
    (case(ins=11, outs=11, size=(4, 3), kernel=(3, 1)), ONE_WARP, 20),
    (with_nan(2, (0, 2, 1, 1)), ONE_WARP, 20),
    (with_nan(1, (3, 1, 0, 1)), ONE_WARP, 20),
]
EXPECTED = [results(reference, *arguments) for arguments, _, _ in HARD]


def survives(number, functions=ALL, **replaced):
    """Whether the numbers are right with modules of `convolution` replaced by mutants."""
    arguments, tile, least = HARD[number]
    with small(tile=tile, least=least) as stack:
        for name, mutant in replaced.items():
            stack.enter_context(mock.patch.object(convolution, name, mutant))
        try:
            ours = results(convolution, *arguments, functions=functions)
        except KernelFault:
            return False
    return same(ours, [EXPECTED[number][ALL.index(name)] for name in functions])


def test_the_kernels_pass_where_their_mutants_must_not():
    assert all(survives(number) for number in range(len(HARD)))


@pytest.mark.parametrize(
    ("module", "functions"),
    [(implicit_gemm_tf32, ALL[:2]), (weight_gradient_tf32, ALL[2:])],
    ids=["implicit_gemm_tf32", "weight_gradient_tf32"],
)
def test_a_kernel_without_a_barrier_or_with_an_index_moved_is_told_apart(module, functions, mutants):
    broken = list(mutants(module))
    assert len(broken) > 30
    for barrier in ("cuda.syncthreads()", "cp_async_wait(UNDER_WAY)"):
        assert sum(f"without {barrier}" in what for what, _ in broken) == 1
    name = module.__name__.rpartition(".")[2]
    for what, mutant in broken:
        everywhere = ((number, [function]) for number in range(len(HARD)) for function in functions)
        assert not all(survives(*place, **{name: mutant}) for place in everywhere), what


def test_a_product_on_tensor_cores_with_an_index_moved_is_told_apart(mutants):
    def passes(mutant):
        """Whether the products of two matrices by the one kernel and by the other are right in spite of the mutant."""
        for module, left in ((implicit_gemm_tf32, a), (weight_gradient_tf32, np.ascontiguousarray(a.T).T)):
            module._function.cache_clear()
            with small(), mock.patch.multiple(module, multiplier=mutant.multiplier, line_place=mutant.line_place):
                try:
                    right = np.array_equal(convolution.product(left, b, None), a @ b)
                except KernelFault:
                    right = False
            module._function.cache_clear()
            if not right:
                return False
        return True

    rng = np.random.default_rng(0)
    a, b = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((30, 18), (18, 31)))
    assert passes(tensor_cores)
    broken = list(mutants(tensor_cores))
    assert len(broken) > 50
    for what, mutant in broken:
        assert not passes(mutant), what


def test_results_have_the_same_bits_whatever_the_order_of_threads_and_blocks():
    rng = np.random.default_rng(0)
    *arrays, options = HARD[2][0]
    arrays = [rng.standard_normal(a.shape).astype(np.float32) for a in arrays]
    found = []
    for order in ORDERS:
        with small(order, TWO_WARPS):
            found.append(results(convolution, *arrays, options))
    assert same(found[0], found[1])
    assert same(found[0], found[2])


@pytest.mark.parametrize("tile", TILES, ids=str)
def test_every_tile_of_the_table_multiplies_matrices_of_almost_its_size(tile):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((tile.rows - 2, 20), (20, tile.columns - 4)))
    with small(tile=tile):
        for left in (a, np.ascontiguousarray(a.T).T):  # the one kernel, and the other one
            np.testing.assert_array_equal(convolution.product(left, b, None), a @ b)


def test_products_run_on_tensor_cores_one_or_a_stack():
    rng = np.random.default_rng(1)
    for stack in ((), (2,)):
        a, b = (rng.standard_normal((*stack, 17, 18)).astype(np.float32) for _ in range(2))
        b = b.swapaxes(-1, -2)
        names, c = kernels_of(lambda a=a, b=b: matmul(a, b), simulated=True)
        assert names == ["correlate_tf32"]
        np.testing.assert_allclose(
            c, np.matmul(*(to_tf32(m.copy()).astype(float) for m in (a, b))), rtol=1e-5, atol=1e-5
        )


def test_a_nan_stays_one_and_an_infinity_does_not_pass_for_a_number():
    for bits in (0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000, 0x7F800000):  # the GPU's own NaN first
        a = np.ones((16, 16), np.float32)
        a[3, 5] = np.uint32(bits).view(np.float32)
        c = matmul(a, np.ones((16, 16), np.float32))
        assert not np.isfinite(c[3]).any()
        assert np.isfinite(np.delete(c, 3, axis=0)).all()


def test_rounding_is_to_the_nearest_and_of_two_to_the_even_one():
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 4000, np.uint32)
    bits[::4] = bits[::4] & 0xFFFFE000 | 0x1000  # halfway
    bits[1::4] = bits[1::4] & 0xFF800000 | rng.integers(0, 1 << 10, 1000, np.uint32)  # just above a power of two
    bits[2::4] = bits[2::4] | 0x7FFC00  # and just below
    values = bits.view(np.float32)
    values = values[(np.abs(values) >= 2.0**-126) & (np.abs(values) < 2.0**114)]
    out = np.zeros(len(values), np.uint32)

    def round_all(x, y):
        y[cuda.threadIdx.x] = nearest_tf32(x[cuda.threadIdx.x])

    for start in range(0, len(values), 1000):
        part = np.ascontiguousarray(values[start : start + 1000])
        found = np.zeros(len(part), np.uint32)
        simulate(Kernel(round_all, ("float32*", "uint32*"), (1, 1, 1), (len(part), 1, 1)), (part, found))
        out[start : start + 1000] = found
    np.testing.assert_array_equal(out, to_tf32(values).view(np.uint32))


def test_rounding_is_two_fused_instructions(monkeypatch):
    def probe(x, y):
        y[0] = nearest_tf32(x[0])

    from minigen_kernels.cuda import build as building

    seen = []
    monkeypatch.setattr(building, "_resources", lambda log, ptx: seen.append(ptx))
    try:
        compile_kernel(Kernel(probe, ("float32*", "uint32*"), (1, 1, 1), (1, 1, 1)), (8, 0))
    except ImportError as error:
        pytest.skip(str(error))
    assert seen[0].count("fma.rn.f32") == 2
    assert "mul" not in seen[0].replace("mul.wide", "")


CHOSEN = {  # rows, columns and numbers of the sum of C(x, w), then whether it runs on tensor cores
    "few channels, many taps": (case(batch=2, ins=1, outs=16, size=(6, 6), kernel=(4, 4)), True),
    "a short sum": (case(batch=2, ins=1, outs=16, size=(6, 6), kernel=(3, 5)), False),
    "few output channels": (case(batch=2, ins=16, outs=15, size=(6, 6), kernel=(3, 3)), False),
    "few pixels": (case(batch=5, ins=16, outs=16, size=(3, 1), kernel=(1, 1)), False),
    "groups": (case(batch=2, groups=2, ins=16, outs=16, size=(6, 6), kernel=(1, 1)), True),
    "groups of one channel": (case(batch=2, groups=16, size=(6, 6), kernel=(4, 4)), False),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_tensor_cores_are_left_alone_where_most_of_a_tile_would_be_padding(name):
    (x, w, y, options), fitting = CHOSEN[name]
    names, _ = kernels_of(lambda: results(convolution, x, w, y, options, ALL[:1]))
    assert names[0].endswith("_tf32") == fitting


def test_double_precision_and_ieee_are_what_they_were():
    *arrays, options = case(ins=3, outs=5, size=(4, 3), kernel=(2, 2), stride=(1, 2))
    arrays = [a.astype(np.float64) + 1 / 3 for a in arrays]
    found = {}
    for choice in ("ieee", "tf32", "ieee"):
        precision.choose(choice)
        for dtype in ("float64", "float32"):
            cast = [a.astype(dtype) for a in arrays]
            with small(), mock.patch.object(tiles, "TILES", (Tile(16, 8, 4, 4, 4),)):
                names, ours = kernels_of(lambda cast=cast: results(convolution, *cast, options), simulated=True)
            in_tf32 = choice == "tf32" and dtype == "float32"
            assert [name.endswith("_tf32") for name in names] == [in_tf32] * 3 + [False]
            if not in_tf32:
                assert same(found.setdefault(dtype, ours), ours)


def test_a_gpu_older_than_the_instructions_computes_in_float32(monkeypatch):
    x = np.zeros(4, np.float32)
    assert precision.in_tf32(x)
    capabilities = [(7, 5), (8, 0), (12, 0)]
    core = ModuleType("cuda.core")
    core.Device = lambda number: SimpleNamespace(
        compute_capability=SimpleNamespace(major=capabilities[number][0], minor=capabilities[number][1])
    )
    monkeypatch.setitem(sys.modules, "cuda.core", core)
    precision._capability.cache_clear()
    for number, able in enumerate((False, True, True)):
        monkeypatch.setattr(running, "place", lambda array, number=number: (number, 7))
        assert precision.in_tf32(x) == able
    precision._capability.cache_clear()


@pytest.mark.parametrize("width", [32, 64, 128])
def test_eight_lanes_that_are_served_at_once_read_from_all_32_banks(width):
    place = tensor_cores.line_place.py_func
    for four in range(4):
        for first in range(0, 8, 2):
            starts = {place(4 * four + t, 4 * g, width) % 32 for g in (first, first + 1) for t in range(4)}
            assert starts == set(range(0, 32, 4))


def test_small_images_get_small_tiles():
    assert tensor_cores.choose(32 * 28 * 28, 128) == WarpTile(128, 128, 64, 64)
    assert tensor_cores.choose(64 * 7 * 7, 256) == WarpTile(64, 64, 32, 32)
    assert tensor_cores.choose(25, 64) == WarpTile(32, 32, 32, 32)
