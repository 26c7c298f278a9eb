"""Activation, dropout, batch norm, sums of columns and cross-entropy on CUDA: the CPU's numbers, in any order of the threads.

Masks, states and what an activation makes are the same to the last bit. Sums of whole numbers are exact, other sums and what
follows from them are held to a tolerance. Blocks are made small, so that small arrays have several shares and tiles.
"""

from contextlib import ExitStack, suppress
from functools import partial
from unittest import mock

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels import cpu, philox
from minigen_kernels.cuda import activation, loss, memory, normalization, running, sums
from minigen_kernels.cuda.philox import words
from minigen_kernels.cuda.simulator import KernelFault, simulate

ORDERS = ("forward", "reverse", 7)
CHAINS = [(0.3, 0.4), (0.0, 0.25), (1.0, 0.5), (0.2, 0.0), (0.0, 0.0), (2.0, 1.0)]
SHAPES = [(1, 1), (2, 3), (37, 6), (100, 5), (9, 70), (200, 2)]
CLOSE = {np.float32: 3e-6, np.float64: 1e-13}
SMALL = {"THREADS": 32, "WIDTH": 4, "LEAST_ROWS": 2, "ENOUGH_BLOCKS": 6}


def small(order="forward", summing=sums):
    """Small blocks of threads, which run in this order, and memory that is poisoned; sums by a module in the place of `sums`."""
    stack = ExitStack()
    names = {"THREADS": SMALL["THREADS"], **{name: getattr(summing, name) for name in ("adder", "cut", "share_kernel")}}
    stack.enter_context(mock.patch.multiple(summing, **SMALL))
    stack.enter_context(mock.patch.multiple(normalization, **names))
    stack.enter_context(mock.patch.object(running, "simulate", partial(simulate, order=order)))
    for module in (activation, loss, normalization, summing):
        stack.enter_context(mock.patch.object(module, "empty", poisoned))
    for clear in (False, True):
        for built in (summing._shares, summing.adder, summing._total, normalization._moments, normalization._gradients):
            stack.callback(built.cache_clear) if clear else built.cache_clear()
    return stack


def poisoned(like, shape, dtype=None):
    array = memory.empty(like, shape, dtype)
    array[...] = np.nan if array.dtype.kind == "f" else 77
    return array


def draw(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) * 2 + 1).astype(dtype), rng.standard_normal(shape).astype(dtype)


def same(ours, expected):
    return all(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True) for a, b in zip(ours, expected))


def keyed(arguments):
    """The arguments for CUDA, whose kernels read the key, the last of them, from memory."""
    return *arguments[:-1], words(arguments[-1])


def both(name, *arguments, broken=None):
    """What a function of `activation` gives on CUDA and on the CPU."""
    ours = getattr(broken or activation, name)(*(keyed(arguments) if name == "activate_and_drop" else arguments))
    expected = getattr(cpu.activation, name)(*arguments)
    return (ours, expected) if isinstance(ours, tuple) else ((ours,), (expected,))


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize(("slope", "p"), CHAINS)
def test_activation_and_dropout_are_the_cpu_s_to_the_bit(slope, p, dtype):
    for order, size in zip((*ORDERS, "forward"), (0, 1, 65, 300)):
        x, g = draw(size, dtype)
        x[: size // 3] = 0
        with small(order):
            ours, expected = both("activate_and_drop", x, slope, p, 2**40 + 11)
            assert same(ours, expected)
            assert same(*both("scale_by_state", g, ours[1], slope, p))


def test_what_is_dropped_or_cut_off_leaves_no_nan_behind_but_a_nan_that_is_kept_stays():
    x = np.array([np.inf, -np.inf, np.nan] * 40, np.float32)
    ours, expected = both("activate_and_drop", x, 0.0, 0.5, 3)
    assert same(ours, expected)
    assert np.isnan(ours[0]).any()
    assert same(*both("scale_by_state", np.full(120, np.inf, np.float32), ours[1], 0.0, 0.5))


def test_an_array_on_end_is_counted_as_it_is_indexed():
    x, _ = draw((9, 8), np.float32)
    y, states = activation.activate_and_drop(x.T, 0.3, 0.4, words(5))
    assert same((y, states), cpu.activation.activate_and_drop(x.T.copy(), 0.3, 0.4, 5))


def test_an_activation_with_an_index_moved_is_told_apart(mutants):
    x, g = draw(100, np.float32)
    states = cpu.activation.activate_and_drop(x, 0.3, 0.4, 5)[1]
    broken = list(mutants(activation))
    assert len(broken) == 6
    for what, mutant in broken:
        with suppress(KernelFault):
            assert not (
                same(*both("activate_and_drop", x, 0.3, 0.4, 5, broken=mutant))
                and same(*both("scale_by_state", g, states, 0.3, 0.4, broken=mutant))
            ), what


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("shape", [(0, 3), (5, 0), *SHAPES])
def test_sums_of_columns_are_numpys(shape, dtype):
    x = np.random.default_rng(0).integers(-9, 10, shape).astype(dtype)
    for order in ORDERS:
        with small(order):
            assert same((sums.column_sums(x),), (x.sum(axis=0, dtype=dtype),))


def test_sums_lose_no_digits():
    x = np.full((3000, 2), 0.1, np.float32)
    with small():
        np.testing.assert_array_equal(sums.column_sums(x), x.sum(axis=0, dtype=np.float64).astype(np.float32))


def test_infinity_and_what_is_too_large_become_infinite():
    x = np.full((100, 2), 3e38, np.float32)
    x[5, 0] = np.nan
    found = sums.column_sums(x)
    assert np.isnan(found[0])
    assert found[1] == np.inf


def test_sums_are_cut_by_shapes_alone_into_shares_that_cover_them():
    for rows in (1, 7, 255, 256, 1000, 10**6):
        for columns in (1, 3, 32, 33, 5000):
            how = sums.cut(rows, columns)
            assert (how.shares - 1) * how.each < rows <= how.shares * how.each
            assert how.across * how.tiles >= columns > how.across * (how.tiles - 1)


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize("shape", SHAPES)
def test_moments_are_exact_for_a_constant_and_far_from_zero(shape, dtype):
    x, _ = draw(shape, dtype)
    x += 1000
    with small():
        mean, variance = normalization.moments(x)
        np.testing.assert_allclose(mean, x.astype(np.float64).mean(0), rtol=1e-9)
        np.testing.assert_allclose(variance, x.astype(np.float64).var(0), rtol=1e-6 if dtype == np.float32 else 1e-9)
        mean, variance = normalization.moments(np.full(shape, 1e6 / 3, dtype))
    assert (mean == dtype(1e6 / 3)).all()
    assert not variance.any()
    assert mean.dtype == variance.dtype == np.float64


@pytest.mark.parametrize("dtype", CLOSE)
@pytest.mark.parametrize(("slope", "p"), [(0.3, 0.4), (0.0, 0.0), (1.0, 0.0)])
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_batch_norm_with_what_follows_it_is_the_cpu_s_and_so_is_its_gradient(shape, slope, p, dtype):
    x, g = draw(shape, dtype, 1)
    weight, bias = draw(shape[1], dtype, 2)
    mean, variance = cpu.normalization.moments(x)
    inverse, close = 1 / np.sqrt(variance + 0.1), {"rtol": CLOSE[dtype], "atol": CLOSE[dtype]}
    for order, w, b in zip(ORDERS, (weight, 1.0, weight.astype(np.float64)), (bias, 0.5, bias)):
        with small(order):
            y, states = normalization.normalize(x, w * inverse, mean, b, slope, p, words(5))
            expected, marks = cpu.normalization.normalize(x, w * inverse, mean, b, slope, p, 5)
            np.testing.assert_allclose(y, expected, **close)
            assert y.dtype == dtype
            if p or slope != 1:
                np.testing.assert_array_equal(states, marks)
            else:
                assert states is marks is None
            arguments = g, x, states, mean, inverse, w, slope, p
            ours = normalization.normalize_grad(*arguments, True)
            alone = normalization.normalize_grad(*arguments, False)
        for a, wanted in zip(ours, cpu.normalization.normalize_grad(*arguments, True)):
            np.testing.assert_allclose(a, wanted, rtol=CLOSE[dtype], atol=CLOSE[dtype] * (1 + np.abs(g).sum(0).max()))
            assert a.dtype == wanted.dtype
        assert alone[0] is None
        assert same(alone[1:], ours[1:])


def test_an_empty_array_is_normalized_without_a_kernel():
    x, nothing = np.zeros((0, 3), np.float32), np.zeros(3)
    y, states = normalization.normalize(x, nothing, nothing, 0.0, 0.3, 0.4, words(5))
    assert y.shape == states.shape == (0, 3)


def test_results_have_the_same_bits_whatever_the_order_of_threads_and_blocks():
    x, g = draw((60, 6), np.float32)
    found = []
    for order in ORDERS:
        with small(order):
            mean, variance = normalization.moments(x)
            y, states = normalization.normalize(x, 1 / variance, mean, 0.5, 0.3, 0.2, words(9))
            grads = normalization.normalize_grad(g, x, states, mean, 1 / variance, 1.0, 0.3, 0.2, True)
            found.append([mean, variance, y, states, *grads, sums.column_sums(x)])
    assert same(found[0], found[1])
    assert same(found[0], found[2])


def test_normalized_numbers_far_from_zero_and_close_together_are_right():
    """What float32 takes from the centre is given back: without it, the numbers below are off by 0.003."""
    x = (1000 + 0.01 * np.random.default_rng(0).standard_normal((300, 5))).astype(np.float32)
    exact = x.astype(np.float64)
    mean, inverse = exact.mean(0), 1 / exact.std(0)
    for bias in (None, np.full(5, 0.25, np.float32)):
        y, _ = normalization.normalize(x, inverse, mean, 0.5 if bias is None else bias, 1.0, 0.0, words(5))
        expected = (exact - mean) * inverse + (0.5 if bias is None else 0.25)
        np.testing.assert_allclose(y, expected, rtol=1e-6, atol=1e-6)


def is_right(module=normalization, summing=sums):
    """Whether sums, moments, batch norm and gradients are the CPU's, for numbers whose sums are exact though float32 is not."""
    rng = np.random.default_rng(3)
    x = rng.choice([0, 1, -3, 5, 2048, -2048], (41, 6)).astype(np.float32)
    g = rng.choice([0, 1, -3, 1 << 12, -(1 << 12)], x.shape).astype(np.float32)
    mean, inverse = 1000 + rng.uniform(0, 1e-5, 6), rng.uniform(0.5, 2, 6)
    weight = rng.uniform(0.5, 2, 6).astype(np.float32)
    ours, expected = [summing.column_sums(g)], [g.sum(axis=0)]
    ours += module.moments(x)
    expected += cpu.normalization.moments(x)
    for slope, p in ((0.5, 0.5), (1.0, 0.0)):
        for w in (weight, 1.0):
            y, states = module.normalize(x, w * inverse, mean, w, slope, p, words(5))
            wanted, marks = cpu.normalization.normalize(x, w * inverse, mean, w, slope, p, 5)
            grads = module.normalize_grad(g, x, marks, mean, inverse, w, slope, p, True)
            wanted_grads = cpu.normalization.normalize_grad(g, x, marks, mean, inverse, w, slope, p, True)
            if not (marks is states or np.array_equal(states, marks)):
                return False
            if not all(
                np.allclose(a, b, rtol=3e-6, atol=3e-6 * np.abs(b).max())
                for a, b in ((y, wanted), (grads[0], wanted_grads[0]))
            ):
                return False
            ours += grads[1:]
            expected += wanted_grads[1:]
    return all(np.allclose(a, b, rtol=1e-12, atol=0) for a, b in zip(ours, expected))


def survives(*modules):
    try:
        return is_right(*modules)
    except KernelFault:
        return False


def test_batch_norm_passes_where_its_mutants_must_not(mutants):
    with small():
        assert is_right()
    broken = list(mutants(normalization))
    assert len(broken) > 30
    for what, mutant in broken:
        with small(), mock.patch.object(mutant, "THREADS", SMALL["THREADS"]):
            assert not survives(mutant), what


def test_sums_without_a_barrier_or_with_an_index_moved_are_told_apart(mutants):
    broken = list(mutants(sums))
    assert len(broken) > 30
    assert sum("without cuda.syncthreads()" in what for what, _ in broken) == 4
    for what, mutant in broken:
        with small(summing=mutant):
            assert not survives(normalization, mutant), what


@pytest.mark.parametrize("dtype", CLOSE)
def test_cross_entropy_and_its_gradient_are_the_cpu_s(dtype):
    rng = np.random.default_rng(0)
    x, y, g = (
        (rng.standard_normal((20, 15)) * 20).astype(dtype),
        rng.uniform(0, 1, (20, 15)),
        rng.uniform(1, 2, (20, 15)),
    )
    y, g = y.astype(dtype), g.astype(dtype)
    x[0, :7] = 0, 200, -200, np.inf, -np.inf, np.nan, -0.0
    for order in ORDERS:
        with small(order):
            ours = loss.bce_with_logits(x, y), loss.bce_with_logits_grad(g, x, y)
        expected = cpu.loss.bce_with_logits(x, y), cpu.loss.bce_with_logits_grad(g, x, y)
        for a, b in zip(ours, expected):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=10 * CLOSE[dtype], atol=CLOSE[dtype] / 10)
    nothing = np.zeros((0, 3), dtype)
    assert loss.bce_with_logits(nothing, nothing).shape == loss.bce_with_logits_grad(*[nothing] * 3).shape == (0, 3)


def test_a_cross_entropy_with_an_index_moved_is_told_apart(mutants):
    x, y = draw(9, np.float64)
    expected = cpu.loss.bce_with_logits(x, y), cpu.loss.bce_with_logits_grad(y, x, y)
    broken = list(mutants(loss))
    assert len(broken) == 8
    for what, mutant in broken:
        try:
            ours = mutant.bce_with_logits(x, y), mutant.bce_with_logits_grad(y, x, y)
            assert not all(np.allclose(a, b, rtol=1e-9) for a, b in zip(ours, expected)), what
        except KernelFault:
            pass


def test_masks_are_words_of_the_stream():
    x = np.ones(130, np.float32)
    kept = philox.random_bits(9, 130) >= philox.dropout_threshold(0.4)
    np.testing.assert_array_equal(activation.activate_and_drop(x, 1.0, 0.4, words(9))[1], np.where(kept, 2, 0))
