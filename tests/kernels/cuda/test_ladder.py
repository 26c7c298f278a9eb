"""Every rung of the ladder against the reference, in several orders of the threads, and with a line of it broken.

Arrays hold small whole numbers, so that sums are exact in any order and results can be compared to the last bit.
"""

from functools import partial
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels import reference
from minigen_kernels.cuda import ladder
from minigen_kernels.cuda.intrinsics import tf32
from minigen_kernels.cuda.ladder import edges
from minigen_kernels.cuda.ladder.shapes import TILE, Tile, tile_for
from minigen_kernels.cuda.simulator import KernelFault, simulate
from minigen_kernels.cuda.simulator.twins import TWINS
from minigen_kernels.geometry import check_convolution

# small blocks, for the rungs that have a choice
BLOCKS_OF_16 = dict.fromkeys(("register_tile", "vector_loads", "unrolled", "constant_shapes"), Tile(16, 16, 4, 4, 4))
TWO_WARPS = dict.fromkeys(("warp_tiling", "double_buffer", "cp_async"), Tile(32, 32, 8, 4, 4))
SMALL = {"shared_memory": 4, **BLOCKS_OF_16, **TWO_WARPS, "tf32": Tile(16, 16, 16, 2, 2)}
TILES = {rung: {"tile": tile} for rung, tile in SMALL.items()}
FROM_THE_FIFTH = list(ladder.RUNGS)[4:]
# few threads with much to do: as on a GPU, each has more than four sums along both axes, or fetches several numbers of both
BUSY = {
    **dict.fromkeys(BLOCKS_OF_16, Tile(32, 16, 8, 8, 8)),
    **dict.fromkeys(TWO_WARPS, Tile(32, 64, 8, 8, 8)),
    "register_tile": Tile(16, 8, 8, 2, 2),
    "tf32": Tile(32, 16, 16, 4, 4),
}
BUSY_TILES = TILES | {rung: {"tile": tile} for rung, tile in BUSY.items()}
LARGE = dict.fromkeys(("constant_shapes", *TWO_WARPS), TILE) | {"tf32": TILE._replace(BK=16)}  # where there is a choice
ORDERS = ("forward", "reverse", 7)


def arrays(batch, groups, ins, outs, size, kernel, seed=0):
    rng = np.random.default_rng(seed)
    shapes = (batch, groups * ins, *size), (groups * outs, ins, *kernel)
    return [rng.integers(-3, 4, shape).astype(np.float32) for shape in shapes]


def case(*, batch=1, groups=1, ins=1, outs=1, size, kernel, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1)):
    return *arrays(batch, groups, ins, outs, size, kernel), stride, padding, dilation, groups


@st.composite
def cases(draw):
    pair = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(2))  # noqa: E731
    kernel, stride, dilation = pair(1, 3), pair(1, 3), pair(1, 2)
    padding = tuple(draw(st.sampled_from([0, 0, 1, 2])) for _ in range(4))
    least = [max(1, d * (k - 1) + 1 - sum(p)) for d, k, p in zip(dilation, kernel, (padding[:2], padding[2:]))]
    size = tuple(draw(st.integers(low, low + 3)) for low in least)
    batch, groups, ins, outs = (draw(st.integers(low, high)) for low, high in ((0, 2), (1, 3), (1, 5), (1, 5)))
    x, w = arrays(batch, groups, ins, outs, size, kernel, seed=draw(st.integers(0, 99)))
    return x, w, stride, padding, dilation, groups


# The first has sizes that no tile divides, and more than one block and step along every axis. The next two have no two
# numbers (N, H, C, strides, ...) that are the same in both, so that one taken for another shows. The fourth has channels in
# fours, and more of them than a step takes; the last has one channel, the least that a step is made for.
HARD = [
    case(batch=2, groups=2, ins=3, outs=5, size=(8, 4), kernel=(3, 2), stride=(2, 1), padding=(1, 0, 1, 2)),
    case(groups=2, ins=2, outs=3, size=(6, 4), kernel=(2, 3), stride=(3, 1), padding=(0, 0, 0, 1), dilation=(2, 1)),
    case(batch=2, ins=2, outs=2, size=(5, 6), kernel=(2, 2), padding=(1, 1, 0, 1), dilation=(3, 3)),
    case(groups=2, ins=20, outs=20, size=(4, 3), kernel=(2, 2), stride=(1, 2), padding=(0, 1, 1, 0)),
    case(size=(3, 3), kernel=(2, 2)),
]
CHEAPEST_FIRST = sorted(HARD, key=lambda arguments: arguments[0].size * arguments[1].size)  # to hunt mutants with


def with_nan():
    """Where a number that is none lies beside what is summed, it may not be multiplied, not even with zero."""
    x, w, *rest = case(groups=2, ins=3, outs=2, size=(4, 3), kernel=(1, 3), padding=(0, 0, 1, 1))
    x[0, 3:, 2, 1] = np.nan
    return x, w, *rest


# for threads with much to do: the channels are a whole number of steps, and both they and the pixels overfill a tile
BUSY_HARD = [case(ins=16, outs=36, size=(6, 7), kernel=(2, 1)), with_nan()]


@pytest.mark.parametrize("rung", ladder.RUNGS)
@settings(max_examples=12)
@given(cases(), st.sampled_from(ORDERS))
def test_a_rung_gives_the_numbers_of_the_reference_in_any_order(rung, arguments, order):
    run = partial(simulate, order=order)
    y = ladder.conv2d(*arguments, rung=rung, run=run, **TILES.get(rung, {}))
    np.testing.assert_array_equal(y, reference.conv2d(*arguments))


@pytest.mark.parametrize(("rung", "tile"), [*((rung, None) for rung in ladder.RUNGS), *LARGE.items()])
def test_every_sum_of_the_tiles_on_a_gpu_is_right_and_what_hangs_over_them_too(rung, tile):
    arguments = case(ins=4, outs=132, size=(10, 13), kernel=(1, 1))  # 130 pixels: more than a tile has both ways
    y = ladder.conv2d(*arguments, rung=rung, **({"tile": tile} if tile else {}))
    np.testing.assert_array_equal(y, reference.conv2d(*arguments))


def test_the_tile_is_small_where_large_ones_would_be_few_or_mostly_beyond_the_last_channel():
    def tile(batch, channels, size, groups=1):
        x, w = np.zeros((batch, groups, size, size), np.float32), np.zeros((groups * channels, 1, 1, 1), np.float32)
        return tile_for(check_convolution("conv2d", {"x": x, "w": w}, (1, 1), (0, 0, 0, 0), (1, 1), groups))

    assert tile(32, 128, 28) == tile(32, 65, 28) == tile(16, 128, 28, groups=2) == TILE
    assert {tile(64, 128, 7).BN, tile(32, 64, 28).BN, tile(16, 128, 28).BN} == {64}


def survives(rung, run=simulate):
    """Whether a broken rung gives the right answers all the same."""
    hunt = *((arguments, TILES) for arguments in CHEAPEST_FIRST), *((arguments, BUSY_TILES) for arguments in BUSY_HARD)
    return all(right(arguments, rung, run, tiles) for arguments, tiles in hunt)


def right(arguments, rung, run=simulate, tiles=TILES):
    try:
        y = ladder.conv2d(*arguments, rung=rung, run=run, **tiles.get(rung, {}))
    except KernelFault:
        return False
    return np.array_equal(y, reference.conv2d(*arguments), equal_nan=True)


@pytest.mark.parametrize("rung", ladder.RUNGS)
def test_a_rung_without_a_barrier_or_with_an_index_moved_is_told_apart(rung, mutants):
    broken = list(mutants(ladder.RUNGS[rung]))
    assert len(broken) > 2
    assert survives(rung)
    for what, module in broken:
        with mock.patch.dict(ladder.RUNGS, {rung: module}):
            assert not survives(rung), what


@pytest.mark.parametrize(
    ("rung", "line", "broken"),
    [
        ("shared_memory", "and k < K", ""),
        ("register_tile", "k < K and 0", "0"),
        *((rung, f"{t} * {i}", f"8 * {i}") for rung in list(BLOCKS_OF_16)[1:] for t, i in (("TY", "i"), ("TX", "j"))),
        *((rung, "start >= channels", "start > channels") for rung in FROM_THE_FIFTH),
        *((rung, "channels - (start + ka)", "channels - start") for rung in FROM_THE_FIFTH),
    ],
)
def test_a_line_that_matters_with_busy_threads_or_a_nan_alone_is_told_apart(rung, line, broken, changed):
    with mock.patch.dict(ladder.RUNGS, {rung: changed(ladder.RUNGS[rung], line, broken)}):
        assert not survives(rung)


def test_four_floats_at_an_edge_with_an_index_moved_are_told_apart(mutants):
    broken = list(mutants(edges))
    assert len(broken) > 10
    for what, module in broken:
        found = False
        for rung in ("vector_loads", "cp_async"):
            names = {name: getattr(module, name) for name in vars(ladder.RUNGS[rung]) if name.endswith("_up_to_4")}
            with mock.patch.multiple(ladder.RUNGS[rung], **names):
                found = found or not survives(rung)
        assert found, what


def rounded_to_tf32(values):
    bits = [TWINS[tf32](value) for value in values.ravel()]
    return np.array(bits, np.uint32).view(np.float32).reshape(values.shape)


def test_tensor_cores_round_what_they_read_and_nothing_else():
    rng = np.random.default_rng(3)
    x, w = (rng.standard_normal(shape).astype(np.float32) for shape in ((1, 20, 3, 5), (12, 20, 3, 2)))
    rest = (1, 1), (1, 1, 0, 1), (1, 1), 1
    y = ladder.conv2d(x, w, *rest, rung="tf32", **TILES["tf32"])
    exact = reference.conv2d(x.astype(np.float64), w.astype(np.float64), *rest)
    of_rounded = reference.conv2d(*(rounded_to_tf32(a).astype(np.float64) for a in (x, w)), *rest)
    size = reference.conv2d(abs(x).astype(np.float64), abs(w).astype(np.float64), *rest)  # of the sums' terms
    assert np.max(abs(y - of_rounded) / size) < 1e-6
    assert 1e-5 < np.max(abs(y - exact) / size) < 1e-3


def test_a_mutant_is_made_of_each_barrier(mutants):
    source = [what for what, _ in mutants(ladder.RUNGS["shared_memory"])]
    assert sum("without cuda.syncthreads()" in what for what in source) == 2


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rung", ["shared_memory", "double_buffer", "cp_async"])
def test_without_the_watch_for_races_a_missing_barrier_still_changes_the_numbers(rung, order, mutants):
    silent = mock.patch("minigen_kernels.cuda.simulator.memory.SharedMemory.check_order")
    for what, module in mutants(ladder.RUNGS[rung]):
        if "without" in what:
            with silent, mock.patch.dict(ladder.RUNGS, {rung: module}):
                run = partial(simulate, order=order)
                assert not all(right(arguments, rung, run) for arguments in CHEAPEST_FIRST), what


def test_an_unknown_rung_is_answered_with_those_that_there_are():
    with pytest.raises(ValueError, match="Unknown rung 'tensor': there are naive, coalesced, shared_memory"):
        ladder.conv2d(*HARD[0], rung="tensor")


SIZES = [1, 2, 4, 8, 12, 16]


@pytest.mark.parametrize("rung", list(ladder.RUNGS)[3:])
@settings(max_examples=40)
@given(st.data())
def test_a_tile_is_refused_or_right(rung, data):
    tm, tn, bk = (data.draw(st.sampled_from(SIZES)) for _ in range(3))
    bm, bn = (each * data.draw(st.sampled_from(SIZES)) for each in (tm, tn))
    tile = Tile(bm, bn, bk, tm, tn)
    arguments = case(ins=5, outs=6, size=(3, 4), kernel=(2, 2))
    sentence = None
    try:
        y = ladder.conv2d(*arguments, rung=rung, tile=tile)
    except ValueError as refusal:
        sentence = str(refusal)
    if sentence is None:
        np.testing.assert_array_equal(y, reference.conv2d(*arguments))
    else:
        assert sentence.startswith(str(tile))


@pytest.mark.parametrize(
    ("rung", "tile", "sentence"),
    [
        ("naive", 4, "Rung 'naive' has no tile"),
        ("shared_memory", 33, "from 1 to 32"),
        ("shared_memory", TILE, "from 1 to 32"),
        ("register_tile", 16, r"five whole numbers above 0, Tile\(BM, BN, BK, TM, TN\), not 16"),
        ("register_tile", (16, 16, 4, 4), "five whole numbers"),
        ("register_tile", Tile(16, 16, 0, 4, 4), "five whole numbers above 0"),
        ("register_tile", Tile(18, 16, 4, 4, 4), "BM must be a multiple of 4"),
        ("register_tile", Tile(64, 64, 8, 1, 1), "wants 4096 threads in a block, which has at most 1024"),
        ("vector_loads", Tile(16, 16, 4, 2, 4), "TM must be a multiple of 4"),
        ("vector_loads", Tile(16, 16, 6, 4, 4), "BK must be a multiple of 4"),
        ("unrolled", Tile(24, 16, 8, 4, 4), "24 threads cannot share the 8 rows of b evenly, with 4 to a row"),
        ("warp_tiling", Tile(16, 16, 4, 4, 4), "BN must be a multiple of 32"),
        ("tf32", Tile(32, 32, 4, 4, 4), "BK must be a multiple of 8"),
        ("tf32", Tile(128, 128, 32, 8, 8), "wants 71680 bytes of shared memory in a block, which has at most 49152"),
        ("register_tile", Tile(256, 256, 32, 8, 8), "bytes of shared memory"),
        ("cp_async", (128, 128, 16, 8, 8), r"Tile\(BM=128, .* wants 66560 bytes of shared memory"),
        ("unrolled", Tile(True, True, True, True, True), "five whole numbers"),
    ],
)
def test_a_tile_that_no_block_can_be_cut_into_is_told_why(rung, tile, sentence):
    with pytest.raises(ValueError, match=sentence):
        ladder.conv2d(*HARD[0], rung=rung, tile=tile)


def test_wrong_shapes_get_the_sentence_that_every_convolution_gives():
    with pytest.raises(ValueError, match="channels"):
        ladder.conv2d(np.zeros((1, 3, 4, 4), np.float32), np.zeros((1, 2, 1, 1), np.float32), (1, 1), (0,) * 4, (1, 1))


def test_arrays_beyond_32_bits_are_refused():
    x = np.broadcast_to(np.float32(0), (2**17, 1, 2**7, 2**7))
    with pytest.raises(ValueError, match=r"fewer than 2\^31 numbers each, not 2147483648, 1 and 2147483648"):
        ladder.conv2d(x, np.ones((1, 1, 1, 1), np.float32), (1, 1), (0, 0, 0, 0), (1, 1))
