"""The simulator: what it must notice in a kernel that is wrong, and what a kernel that is right may count on."""

import inspect
import linecache
import os
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels.cuda.kernel import Kernel
from minigen_kernels.cuda.simulator import KernelFault, simulate
from numba import cuda, float32, njit

ORDERS = ("forward", "reverse", 0, 1)


def run(function, *arrays, threads=64, blocks=1, order="forward", **options):
    parameters = tuple(f"{a.dtype}*" if isinstance(a, np.ndarray) else "int32" for a in arrays)
    simulate(Kernel(function, parameters, (blocks, 1, 1), (threads, 1, 1), **options), arrays, order)
    return arrays[-1]


def floats(count):
    return np.full(count, np.nan, np.float32)


def fault(function, *arrays, text, match, **options):
    """Runs a kernel that must fail at the line that contains `text`."""
    lines, first = inspect.getsourcelines(function)
    (number,) = [first + k for k, line in enumerate(lines) if text in line]
    with pytest.raises(KernelFault, match=match) as caught:
        run(function, *arrays, **options)
    assert f"test_simulator.py line {number}" in str(caught.value)


def reversed_block(x, y):
    s = cuda.shared.array(64, float32)
    t = cuda.threadIdx.x
    s[t] = x[cuda.grid(1)]
    cuda.syncthreads()
    y[cuda.grid(1)] = s[63 - t]


@pytest.mark.parametrize("order", ORDERS)
def test_threads_meet_at_a_barrier_in_every_order(order):
    x = np.arange(192, dtype=np.float32)
    y = run(reversed_block, x, floats(192), blocks=3, order=order)
    np.testing.assert_array_equal(y, x.reshape(3, 64)[:, ::-1].ravel())


def test_the_process_simulates_and_compiles_for_the_cpu_with_no_environment_variable():
    assert "NUMBA_ENABLE_CUDASIM" not in os.environ
    x = np.ones(64, np.float32)
    assert run(reversed_block, x, floats(64)).sum() == njit(lambda a: a.sum())(x)


@pytest.mark.parametrize("index", [-1, 64])
def test_an_index_outside_a_pointer_is_a_fault_at_its_line(index):
    def reads(x, y, index):
        y[cuda.threadIdx.x] = 0
        y[0] = x[index]  # here

    x, y = np.zeros(64, np.float32), floats(64)
    fault(reads, x, y, index, threads=1, text="# here", match=rf"x\[{index}\] is out of bounds, 0 to 63")


def test_an_index_outside_shared_or_local_memory_is_a_fault():
    def shared(y):
        s = cuda.shared.array((4, 8), float32)
        s[0, 8] = 1  # here
        y[0] = 0

    def local(y):
        a = cuda.local.array((4, 8), float32)
        y[0] = a[-1, 0]  # here

    def flat(y):
        s = cuda.shared.array((4, 8), float32)
        s[3] = 1  # here
        y[0] = 0

    fault(flat, floats(1), threads=1, text="# here", match=r"s\[3\] must have an index for each of the axes, 2")
    fault(shared, floats(1), threads=1, text="# here", match=r"s\[\(0, 8\)\] is out of bounds, 0 to 3, 0 to 7")
    fault(local, floats(1), threads=1, text="# here", match=r"a\[\(-1, 0\)\] is out of bounds")


def test_a_fault_in_a_device_function_has_the_function_s_line():
    @cuda.jit(device=True, inline="always")
    def beyond(x):
        return x[1000]

    def kernel(x, y):
        y[0] = beyond(x)

    with pytest.raises(KernelFault, match=rf"line {inspect.getsourcelines(beyond.py_func)[1] + 2}, .*x\[1000\]"):
        run(kernel, floats(4), floats(1), threads=1)


@pytest.mark.parametrize("order", ORDERS)
def test_a_missing_barrier_is_a_race_whatever_the_order(order):
    def racing(x, y):
        s = cuda.shared.array(64, float32)
        s[cuda.threadIdx.x] = x[cuda.threadIdx.x]
        y[cuda.threadIdx.x] = s[63 - cuda.threadIdx.x]

    with pytest.raises(KernelFault, match=r"race on s\["):
        run(racing, np.ones(64, np.float32), floats(64), order=order)


@pytest.mark.parametrize("order", ORDERS)
def test_overwriting_what_others_may_not_have_read_yet_is_a_race(order):
    def racing(y):
        s = cuda.shared.array(64, float32)
        for step in range(2):
            s[cuda.threadIdx.x] = step
            cuda.syncthreads()
            y[cuda.threadIdx.x] = s[63 - cuda.threadIdx.x]

    with pytest.raises(KernelFault, match=r"race on s\["):
        run(racing, floats(64), order=order)


def test_two_blocks_that_write_one_element_race():
    def racing(y):
        y[cuda.threadIdx.x] = cuda.blockIdx.x

    with pytest.raises(KernelFault, match=r"race on y\[0\]: it was written by .* writes it"):
        run(racing, floats(64), blocks=2)


@pytest.mark.parametrize("order", ORDERS)
def test_reading_what_another_block_writes_is_a_race(order):
    def racing(x):
        x[cuda.blockIdx.x] = x[1 - cuda.blockIdx.x]

    with pytest.raises(KernelFault, match=r"race on x\["):
        run(racing, floats(2), threads=1, blocks=2, order=order)


@pytest.mark.parametrize("readers", [2, 64])
def test_writing_what_several_have_read_since_the_barrier_is_a_race(readers):
    def racing(y):
        s = cuda.shared.array(1, float32)
        t = cuda.threadIdx.x
        if t == 0:
            s[0] = 1
        cuda.syncthreads()
        if t < readers:
            y[t] = s[0]
        if t == 1:
            s[0] = 2

    for order in ORDERS:
        with pytest.raises(KernelFault, match=r"race on s\[0\]"):
            run(racing, floats(64), order=order)


def test_one_array_given_twice_is_one_memory():
    def shifts(x, y):
        value = x[cuda.threadIdx.x]
        cuda.syncthreads()
        y[(cuda.threadIdx.x + 1) % 64] = value

    def races(x, y):
        y[(cuda.threadIdx.x + 1) % 64] = x[cuda.threadIdx.x]

    x = np.arange(64, dtype=np.float32)
    np.testing.assert_array_equal(run(shifts, x, x), np.roll(np.arange(64), 1))
    with pytest.raises(KernelFault, match="race on x"):
        run(races, x, x)


def test_a_barrier_of_the_warp_orders_the_warp_and_nobody_else():
    def within(y):
        s = cuda.shared.array(64, float32)
        t = cuda.threadIdx.x
        s[t] = t
        cuda.syncwarp()
        y[t] = s[t ^ 1]

    def across(y):
        s = cuda.shared.array(64, float32)
        t = cuda.threadIdx.x
        s[t] = t
        cuda.syncwarp()
        y[t] = s[t ^ 32]

    np.testing.assert_array_equal(run(within, floats(64)), np.arange(64) ^ 1)
    with pytest.raises(KernelFault, match=r"race on s\["):
        run(across, floats(64))


def test_shared_memory_is_poisoned_anew_for_every_block():
    def leaves(y):
        s = cuda.shared.array(64, float32)
        if cuda.blockIdx.x == 0:
            s[cuda.threadIdx.x] = 1
        y[cuda.grid(1)] = s[cuda.threadIdx.x]

    y = run(leaves, floats(128), blocks=2)
    assert (y[:64] == 1).all()
    assert np.isnan(y[64:]).all()


def test_local_memory_is_poisoned():
    def reads(y):
        a = cuda.local.array(2, float32)
        a[0] = 1
        y[0] = a[0]
        y[1] = a[1]

    y = run(reads, floats(2), threads=1)
    assert y[0] == 1
    assert np.isnan(y[1])


def test_a_barrier_that_some_threads_never_reach_is_a_fault():
    def leaves_early(y):
        if cuda.threadIdx.x > 3:
            return
        cuda.syncthreads()
        y[cuda.threadIdx.x] = 0

    def parts(y):
        if cuda.threadIdx.x > 3:
            cuda.syncthreads()
        else:
            cuda.syncthreads()
            y[cuda.threadIdx.x] = 0

    def warp_and_block(y):
        if cuda.threadIdx.x > 3:
            cuda.syncthreads()
        else:
            cuda.syncwarp()
        y[cuda.threadIdx.x] = 0

    for function, match in (
        (leaves_early, "4 of the block's 64 threads wait at this barrier"),
        (parts, "different barriers"),
        (warp_and_block, "wait for each other at different barriers"),
    ):
        with pytest.raises(KernelFault, match=match):
            run(function, floats(64))


def test_two_arrays_asked_for_on_one_line_are_two():
    def two(y):
        a, b = cuda.shared.array(4, float32), cuda.shared.array(4, float32)
        a[0] = 1
        b[0] = 2
        y[0] = a[0]

    assert run(two, floats(1), threads=1)[0] == 1


def test_dynamic_shared_memory_has_the_bytes_of_the_launch():
    def dynamic(y):
        s = cuda.shared.array(0, float32)
        s[cuda.threadIdx.x] = 1
        y[cuda.threadIdx.x] = s[cuda.threadIdx.x]

    assert run(dynamic, floats(8), threads=8, shared_bytes=32).sum() == 8
    with pytest.raises(KernelFault, match=r"s\[7\] is out of bounds, 0 to 6"):
        run(dynamic, floats(8), threads=8, shared_bytes=28)


@pytest.mark.parametrize("order", ORDERS)
def test_the_lanes_of_a_warp_exchange_values(order):
    def collectives(y):
        t = cuda.threadIdx.x
        lane = cuda.laneid
        y[t] = cuda.shfl_xor_sync(0xFFFFFFFF, t, 5)
        y[64 + t] = cuda.shfl_down_sync(0xFFFFFFFF, t, 2)
        y[128 + t] = cuda.shfl_up_sync(0xFFFFFFFF, t, 2)
        y[192 + t] = cuda.shfl_sync(0xFFFFFFFF, t, 3)
        y[256 + t] = cuda.ballot_sync(0xFFFFFFFF, lane < 3)
        y[320 + t] = cuda.any_sync(0xFFFFFFFF, t == 40) + 2 * cuda.all_sync(0xFFFFFFFF, t < 32)
        y[384 + t] = cuda.syncthreads_count(t % 3 == 0)
        y[448 + t] = cuda.syncthreads_and(t < 63) + 2 * cuda.syncthreads_or(t == 9)

    y = run(collectives, floats(512), order=order).reshape(8, 64)
    t = np.arange(64)
    lane, warp = t % 32, t // 32 * 32
    np.testing.assert_array_equal(y[0], t ^ 5)
    np.testing.assert_array_equal(y[1], np.where(lane < 30, t + 2, t))
    np.testing.assert_array_equal(y[2], np.where(lane > 1, t - 2, t))
    np.testing.assert_array_equal(y[3], warp + 3)
    np.testing.assert_array_equal(y[4], 7)
    np.testing.assert_array_equal(y[5], np.where(t < 32, 2, 1))
    np.testing.assert_array_equal(y[6], 22)
    np.testing.assert_array_equal(y[7], 2)


def test_half_a_warp_may_meet_alone():
    def halves(y):
        t = cuda.threadIdx.x
        if t < 16:
            y[t] = cuda.shfl_xor_sync(0xFFFF, t, 1)
        else:
            y[t] = t

    np.testing.assert_array_equal(run(halves, floats(32), threads=32)[:16], np.arange(16) ^ 1)


def test_a_shuffle_from_a_lane_that_takes_no_part_is_a_fault():
    def asks(y):
        y[cuda.threadIdx.x] = cuda.shfl_sync(0xFFFFFFFF, 1, 20)

    with pytest.raises(KernelFault, match="asks lane 20"):
        run(asks, floats(16), threads=16)


def test_a_device_function_may_wait():
    @cuda.jit(device=True, inline="always")
    def total(value):
        for step in (16, 8, 4, 2, 1):
            value += cuda.shfl_xor_sync(0xFFFFFFFF, value, step)
        return value

    def sums(y):
        y[cuda.threadIdx.x] = total(cuda.threadIdx.x)

    assert (run(sums, floats(32), threads=32) == 496).all()


def test_a_grid_of_three_axes_is_numbered_as_the_hardware_does():
    seen = np.zeros(2 * 3 * 4 * 2, np.int32)

    def numbers(y):
        block = cuda.blockIdx.x + cuda.gridDim.x * (cuda.blockIdx.y + cuda.gridDim.y * cuda.blockIdx.z)
        thread = cuda.threadIdx.x + cuda.blockDim.x * cuda.threadIdx.y
        y[block * 4 + thread] = block * 4 + thread

    simulate(Kernel(numbers, ("int32*",), (3, 2, 2), (2, 2, 1)), (seen,))
    np.testing.assert_array_equal(seen, np.arange(48))


def test_an_exception_in_a_kernel_names_the_thread():
    def divides(y):
        y[cuda.threadIdx.x] = 1 // (cuda.threadIdx.x - 3)

    with pytest.raises(KernelFault, match=r"thread \(3, 0, 0\) of block \(0, 0, 0\): integer division"):
        run(divides, floats(32), threads=32)


@pytest.mark.parametrize(
    "argument", [np.zeros(4), np.zeros((4, 4), np.float32).T, [1.0], SimpleNamespace(dtype=np.float32)]
)
def test_an_argument_that_a_pointer_cannot_be_is_refused(argument):
    def kernel(y):
        y[0] = 0

    with pytest.raises(TypeError, match=r"y must be a C-contiguous NumPy array of float32"):
        simulate(Kernel(kernel, ("float32*",), (1, 1, 1), (1, 1, 1)), (argument,))


@pytest.mark.parametrize(("number", "error"), [(2**31, OverflowError), (1.5, TypeError)])
def test_a_number_that_an_int32_cannot_be_is_refused(number, error):
    def kernel(n):
        pass

    with pytest.raises(error):
        simulate(Kernel(kernel, ("int32",), (1, 1, 1), (1, 1, 1)), (number,))


def test_a_number_of_arguments_that_is_not_the_kernel_s_is_refused():
    with pytest.raises(TypeError, match="takes 2 arguments, not 1"):
        simulate(Kernel(reversed_block, ("float32*",) * 2, (1, 1, 1), (64, 1, 1)), (floats(64),))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"parameters": ("float32*",)}, "must name a type for each of its 2 arguments"),
        ({"parameters": ("float32*", "float16*")}, "out of float32"),
        ({"block": (2048, 1, 1)}, "at most 1024 threads"),
        ({"grid": (0, 1, 1)}, "at least 1"),
    ],
)
def test_a_kernel_that_cannot_be_is_refused(change, match):
    fields = {"parameters": ("float32*",) * 2, "grid": (1, 1, 1), "block": (64, 1, 1)} | change
    with pytest.raises(ValueError, match=match):
        Kernel(reversed_block, **fields)


def test_a_fault_quotes_the_line_and_says_that_it_is_a_cells_instead_of_the_name_of_its_file():
    text, file = "def kernel(x):\n    x[1] = x[cuda.grid(1)]\n", "/tmp/ipykernel_1/4224.py"
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    names = {"cuda": cuda}
    exec(compile(text, file, "exec"), names)
    with pytest.raises(
        KernelFault, match=r"kernel, the cell's line 2, `x\[1\] = x\[cuda.grid\(1\)\]`, thread \(0, 0, 0\)"
    ):
        simulate(Kernel(names["kernel"], ("float32*",), (1, 1, 1), (1, 1, 1)), (np.zeros(1, np.float32),))
