"""The twins of the GPU instructions against what the instructions are documented to do."""

import struct

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels.cuda.intrinsics import (
    cp_async16,
    cp_async_commit,
    cp_async_wait,
    load4,
    mma_m16n8k8,
    store4,
    tf32,
)
from minigen_kernels.cuda.kernel import Kernel
from minigen_kernels.cuda.simulator import KernelFault, simulate
from minigen_kernels.cuda.simulator.twins import TWINS
from numba import cuda, float32

ORDERS = ("forward", "reverse", 0)


def run(function, *arrays, threads=32, order="forward"):
    parameters = tuple(f"{a.dtype}*" if isinstance(a, np.ndarray) else "int32" for a in arrays)
    simulate(Kernel(function, parameters, (1, 1, 1), (threads, 1, 1), oldest=(8, 0)), arrays, order)
    return arrays[-1]


def floats(count):
    return np.full(count, np.nan, np.float32)


def test_four_floats_travel_together():
    def kernel(x, y):
        s = cuda.shared.array(32, float32, alignment=16)
        t = 4 * cuda.threadIdx.x
        a, b, c, d = load4(x, t)
        store4(s, t, d, c, b, a)
        a, b, c, d = load4(s, t)
        store4(y, t, a, b, c, d)

    y = run(kernel, np.arange(32, dtype=np.float32), floats(32), threads=8)
    np.testing.assert_array_equal(y.reshape(8, 4)[:, ::-1].ravel(), np.arange(32))


@pytest.mark.parametrize(
    ("index", "alignment", "match"),
    [
        (2, 16, r"\[2\] is not aligned to 16 bytes"),
        (4, 4, "alignment=16"),
        (32, 16, "out of bounds"),
        (-4, 16, "bounds"),
    ],
)
def test_four_floats_that_are_not_aligned_or_not_all_there_are_a_fault(index, alignment, match):
    def loads(y, index):
        s = cuda.shared.array(32, float32, alignment=alignment)
        y[0] = load4(s, index)[0]

    def stores(y, index):
        s = cuda.shared.array(32, float32, alignment=alignment)
        store4(s, index, 0, 0, 0, 0)

    def copies(y, index):
        s = cuda.shared.array(32, float32, alignment=alignment)
        cp_async16(s, index, y, 0, True)

    for function in (loads, stores, copies):
        with pytest.raises(KernelFault, match=match) as caught:
            run(function, floats(4), index, threads=1)
        assert "test_intrinsics.py line" in str(caught.value)


def copied(waits, wanted=True):
    """A kernel that copies by cp.async, in two groups, and reads the first after `waits` groups at most are left."""

    def kernel(x, y):
        s = cuda.shared.array(256, float32, alignment=16)
        t = cuda.threadIdx.x
        cp_async16(s, 4 * t, x, 4 * t, wanted)
        cp_async_commit()
        cp_async16(s, 128 + 4 * t, x, 0, wanted)
        cp_async_commit()
        cp_async_wait(waits)
        cuda.syncthreads()
        for k in range(4):
            y[4 * t + k] = s[127 - 4 * t - k]

    return kernel


@pytest.mark.parametrize("order", ORDERS)
def test_an_asynchronous_copy_is_there_once_it_was_waited_for_and_not_before(order):
    x = np.arange(128, dtype=np.float32)
    for left, there in ((0, True), (1, True), (2, False)):
        y = run(copied(left), x, floats(128), order=order)
        assert np.array_equal(y, x[::-1]) == there
        assert np.isnan(y).any() != there


def test_an_asynchronous_copy_of_no_bytes_writes_zeros():
    y = run(copied(0, wanted=False), np.ones(128, np.float32), floats(128))
    assert (y == 0).all()


def test_an_asynchronous_copy_into_what_others_still_read_is_a_race():
    def kernel(x, y):
        s = cuda.shared.array(128, float32, alignment=16)
        t = cuda.threadIdx.x
        s[t] = 0
        cuda.syncthreads()
        y[t] = s[31 - t]
        cp_async16(s, 4 * t, x, 4 * t, True)
        cuda.syncthreads()
        cp_async_commit()
        cp_async_wait(0)

    for order in ORDERS:
        with pytest.raises(KernelFault, match=r"race on s\["):
            run(kernel, np.ones(128, np.float32), floats(128), order=order)


def float_of(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def test_tf32_rounds_to_ten_bits_of_fraction_and_halves_away_from_zero():
    round_to = lambda value: float_of(TWINS[tf32](np.float32(value)))  # noqa: E731
    unit = 2.0**-10
    for value, expected in (
        (1.0, 1.0),
        (1 + 0.49 * unit, 1.0),
        (1 + 0.5 * unit, 1 + unit),
        (1 + 1.5 * unit, 1 + 2 * unit),
        (-1 - 0.5 * unit, -1 - unit),
        (2 - 0.1 * unit, 2.0),
        (np.inf, np.inf),
        (-np.inf, -np.inf),
        (0.0, 0.0),
    ):
        assert round_to(value) == expected, value
    assert np.isnan(round_to(np.nan))


def multiply(a, b, c, d):
    t = cuda.threadIdx.x
    g = t // 4
    r = t % 4
    i = g * 8 + r
    k = g * 8 + 2 * r
    d0, d1, d2, d3 = mma_m16n8k8(
        *(tf32(a[i]), tf32(a[i + 64]), tf32(a[i + 4]), tf32(a[i + 68])),
        *(tf32(b[r * 8 + g]), tf32(b[(r + 4) * 8 + g])),
        *(c[k], c[k + 1], c[k + 64], c[k + 65]),
    )
    d[k] = d0
    d[k + 1] = d1
    d[k + 64] = d2
    d[k + 65] = d3


@pytest.mark.parametrize("order", ORDERS)
def test_a_warp_multiplies_matrices(order):
    rng = np.random.default_rng(0)
    a, b, c = (rng.integers(-9, 10, n).astype(np.float32) for n in (128, 64, 128))
    d = run(multiply, a, b, c, floats(128), order=order)
    np.testing.assert_array_equal(d, (a.reshape(16, 8) @ b.reshape(8, 8)).ravel() + c)


def test_a_product_of_matrices_needs_the_whole_warp():
    a, b, c = (np.ones(n, np.float32) for n in (128, 64, 128))
    with pytest.raises(KernelFault, match=r"test_intrinsics.py line \d+, .*all 32 lanes"):
        run(multiply, a, b, c, floats(128), threads=31)
