"""What simulated threads ask of memory: numbers, requests of warps, sectors and passes, against counts made by hand."""

from functools import partial

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels import reference
from minigen_kernels.cuda import ladder
from minigen_kernels.cuda.intrinsics import cp_async4, cp_async16, cp_async_commit, cp_async_wait, load4, store4
from minigen_kernels.cuda.kernel import Kernel
from minigen_kernels.cuda.ladder.shapes import Tile
from minigen_kernels.cuda.simulator import KernelFault, Traffic, simulate
from minigen_kernels.cuda.simulator.traffic import Count
from numba import cuda, float32


def traffic_of(function, *arrays, threads=64, blocks=1, order="forward", shared_bytes=0):
    traffic = Traffic()
    kernel = Kernel(function, ("float32*",) * len(arrays), (blocks, 1, 1), (threads, 1, 1), shared_bytes)
    simulate(kernel, arrays, order, traffic)
    return traffic


def numbers(size):
    return np.arange(size, dtype=np.float32)


@pytest.mark.parametrize("order", ["forward", "reverse", 3])
@pytest.mark.parametrize(
    ("step", "sectors", "passes"), [(0, 1, 1), (1, 4, 1), (2, 8, 2), (3, 12, 1), (8, 32, 8), (32, 32, 32)]
)
def test_the_sectors_and_passes_of_a_warp_depend_on_how_far_its_threads_are_apart(step, sectors, passes, order):
    def strided(x, y):
        thread = cuda.grid(1)
        for again in range(3):
            y[thread] = x[step * thread] + float32(again)

    traffic = traffic_of(strided, numbers(64 * 32), numbers(128), blocks=2, threads=32, order=order)
    assert traffic.loads == {"x": Count(3 * 64, 3 * 2, 3 * 2 * sectors, 3 * 2 * passes)}
    assert traffic.stores == {"y": Count(3 * 64, 3 * 2, 3 * 2 * 4, 3 * 2)}


def test_threads_of_another_warp_ask_by_themselves_and_absent_ones_do_not_count():
    def guarded(x, y):
        thread = cuda.grid(1)
        if thread < 40:
            y[thread] = x[0]

    traffic = traffic_of(guarded, numbers(1), numbers(64))
    assert traffic.loads["x"] == Count(40, 2, 2, 2)
    assert traffic.stores["y"] == Count(40, 2, 4 + 1, 2)


def test_a_vector_of_four_is_one_request_and_each_line_its_own():
    def by_fours(x, y):
        a, b, c, d = load4(x, 4 * cuda.grid(1))
        store4(y, 4 * cuda.grid(1), a, b, c, d)
        y[cuda.grid(1)] = x[cuda.grid(1)] + x[cuda.grid(1)]

    with pytest.raises(KernelFault, match="race"):  # neighbours' numbers: counting takes nothing from the checks
        traffic_of(by_fours, numbers(256), numbers(256))

    def loads_only(x, y):
        a, b, c, d = load4(x, 4 * cuda.grid(1))
        y[cuda.grid(1)] = x[cuda.grid(1)] + x[cuda.grid(1)] + a + b + c + d

    traffic = traffic_of(loads_only, numbers(256), numbers(64))
    assert traffic.loads["x"] == Count(64 * (4 + 2), 2 * 3, 2 * (16 + 4 + 4), 2 * (4 + 1 + 1))


def test_an_asynchronous_copy_is_a_load_and_a_store_where_it_begins_if_it_is_wanted():
    def copying(x, y):
        quads = cuda.shared.array(256, float32, alignment=16)
        singles = cuda.shared.array(64, float32)
        thread = cuda.threadIdx.x
        cp_async16(quads, 4 * thread, x, 4 * thread, True)
        cp_async4(singles, thread, x, thread if thread < 8 else 0, thread < 8)
        cp_async_commit()
        cp_async_wait(0)
        cuda.syncthreads()
        y[thread] = quads[thread] + singles[thread]

    traffic = traffic_of(copying, numbers(256), numbers(64))
    assert traffic.loads["x"] == Count(256 + 8, 2 + 1, 2 * 16 + 1, 2 * 4 + 1)
    assert traffic.stores["quads"].numbers == 256
    assert traffic.stores["quads"].requests == 2
    assert traffic.stores["singles"].numbers == 64 == traffic.loads["singles"].numbers


def test_shared_memory_counts_for_all_blocks_together():
    def turned(x, y):
        tile = cuda.shared.array((8, 8), float32)
        row, column = cuda.threadIdx.x // 8, cuda.threadIdx.x % 8
        tile[row, column] = x[cuda.grid(1)]
        cuda.syncthreads()
        y[cuda.grid(1)] = tile[column, row]

    traffic = traffic_of(turned, numbers(192), numbers(192), blocks=3)
    assert traffic.stores["tile"] == Count(192, 6, 24, 6)
    assert traffic.loads["tile"] == Count(192, 6, 6 * 8, 6 * 2)  # of each row of tile, two warps want a half: 4 of 8


def test_counting_changes_no_number_and_a_tile_reads_what_its_formula_says():
    rng = np.random.default_rng(0)
    x, w = (rng.integers(-3, 4, shape).astype(np.float32) for shape in ((1, 8, 4, 8), (32, 8, 1, 1)))
    for rung, tile, each in (
        ("naive", None, 2),
        ("shared_memory", 16, 2 / 16),
        ("register_tile", Tile(32, 32, 8, 4, 4), 2 / 32),
        ("cp_async", Tile(32, 32, 8, 4, 4), 2 / 32),
        ("tf32", Tile(16, 32, 16, 2, 4), 1 / 16 + 1 / 32),
    ):
        traffic = Traffic()
        tiles = {} if tile is None else {"tile": tile}
        y = ladder.conv2d(
            *(x, w, (1, 1), (0, 0, 0, 0), (1, 1)),
            rung=rung,
            run=partial(simulate, traffic=traffic),
            **tiles,
        )
        np.testing.assert_array_equal(y, reference.conv2d(x, w, (1, 1), (0, 0, 0, 0), (1, 1), 1))
        products = y.size * 8
        assert traffic.loads["x"].numbers + traffic.loads["w"].numbers == each * products, rung
