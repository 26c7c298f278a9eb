"""The kernels on the GPU against the reference: every rung, the three convolutions, products, and passes over memory.

Arrays of convolutions hold small whole numbers, so that sums are exact in any order, in TF32 too.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minigen_kernels import reference

import minigen as mg
from minigen import nn
from minigen.optim import SGD, Adam, AdamW, RMSprop

ladder = pytest.importorskip("minigen_kernels.cuda.ladder", reason="the ladder needs numba-cuda")


@st.composite
def convolutions(draw, larger):
    """x, w and the geometry; a few channels and pixels, or some hundred where the device is quick."""
    pair = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(2))  # noqa: E731
    kernel, stride, dilation = pair(1, 5 if larger else 3), pair(1, 3), pair(1, 2)
    padding = tuple(draw(st.sampled_from([0, 0, 1, 2])) for _ in range(4))
    least = [max(1, d * (k - 1) + 1 - sum(p)) for d, k, p in zip(dilation, kernel, (padding[:2], padding[2:]))]
    size = tuple(draw(st.integers(low, low + (30 if larger else 3))) for low in least)
    most = 70 if larger else 5
    batch, groups, ins, outs = (draw(st.integers(*ends)) for ends in ((1, 3), (1, 3), (1, most), (1, most)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x, w = (
        rng.integers(-3, 4, shape).astype(np.float32)
        for shape in ((batch, groups * ins, *size), (groups * outs, ins, *kernel))
    )
    return x, w, stride, padding, dilation, groups


def host(array):
    return array.get() if hasattr(array, "get") else array


@pytest.mark.parametrize("rung", ladder.RUNGS)
def test_a_rung_gives_the_numbers_of_the_reference(gpu, examples, rung):
    from minigen_kernels.cuda.running import run

    @examples
    @given(convolutions(gpu.name == "cuda"))
    def holds(arguments):
        x, w, *geometry = arguments
        y = ladder.conv2d(gpu.asarray(x), gpu.asarray(w), *geometry, rung=rung, run=run)
        np.testing.assert_array_equal(host(y), reference.conv2d(x, w, *geometry))

    holds()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_three_convolutions_give_the_numbers_of_the_reference(gpu, examples, dtype):
    @examples
    @given(convolutions(gpu.name == "cuda"))
    def holds(arguments):
        x, w, *geometry = arguments
        x, w = x.astype(dtype), w.astype(dtype)
        y = reference.conv2d(x, w, *geometry)
        on_gpu = [gpu.asarray(array) for array in (x, w, y)]
        np.testing.assert_array_equal(host(gpu.kernels.conv2d(*on_gpu[:2], *geometry)), y)
        found = gpu.kernels.conv_transpose2d(on_gpu[2], on_gpu[1], *geometry, x.shape[2:])
        np.testing.assert_array_equal(host(found), reference.conv_transpose2d(y, w, *geometry, x.shape[2:]))
        found = gpu.kernels.conv2d_weight_grad(on_gpu[0], on_gpu[2], *geometry, w.shape[2:])
        expected = reference.conv2d_weight_grad(x, y, *geometry, w.shape[2:])
        close = 1e-5 * max(1.0, np.abs(expected).max()) if dtype == "float32" and gpu.name == "cuda" else 0
        np.testing.assert_allclose(host(found), expected, rtol=0, atol=close)  # sums of sums may be beyond 2^24

    holds()


@pytest.mark.parametrize(
    ("batch", "ins", "outs", "size"), [(2, 16, 16, 3), (1, 5, 24, 5), (8, 64, 128, 14), (33, 3, 40, 9)]
)
def test_in_tf32_the_three_convolutions_of_numbers_that_it_holds_are_exact(gpu, batch, ins, outs, size):
    if gpu.name == "cudasim" and batch > 2:
        pytest.skip("too many numbers for a simulated GPU")
    rng = np.random.default_rng(batch)
    x, w, y = (
        rng.integers(-1, 2, shape).astype(np.float32)
        for shape in ((batch, ins, size, size), (outs, ins, 3, 3), (batch, outs, size, size))
    )
    geometry = (1, 1), (1, 1, 1, 1), (1, 1), 1
    on_gpu = [gpu.asarray(array) for array in (x, w, y)]
    mg.set_float32_precision("tf32")
    try:
        found = [
            gpu.kernels.conv2d(*on_gpu[:2], *geometry),
            gpu.kernels.conv_transpose2d(on_gpu[2], on_gpu[1], *geometry, (size, size)),
            gpu.kernels.conv2d_weight_grad(on_gpu[0], on_gpu[2], *geometry, (3, 3)),
        ]
    finally:
        mg.set_float32_precision("ieee")
    expected = [
        reference.conv2d(x, w, *geometry),
        reference.conv_transpose2d(y, w, *geometry, (size, size)),
        reference.conv2d_weight_grad(x, y, *geometry, (3, 3)),
    ]
    for ours, theirs in zip(found, expected):
        np.testing.assert_array_equal(host(ours), theirs)


def test_tf32_rounds_factors_and_the_cpu_s_numbers_never_change(gpu):
    a, b = (mg.tensor(mg.Generator(seed).normal((32, 32)), device=gpu) for seed in (0, 1))
    exact = (a @ b).numpy()
    mg.set_float32_precision("tf32")
    try:
        error = np.abs((a @ b).numpy() - exact).max()
    finally:
        mg.set_float32_precision("ieee")
    assert error == 0 if gpu.name == "cpu" else 1e-5 < error < 2e-2


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 2), (17, 130, 9), (200, 64, 100), (4, 4000, 3)])
def test_products_are_numpy_s(gpu, shape):
    m, k, n = shape if gpu.name != "cudasim" else [min(size, 40) for size in shape]
    rng = np.random.default_rng(k)
    a, b = (rng.integers(-3, 4, size).astype(np.float32) for size in ((m, k), (k, n)))
    np.testing.assert_array_equal(host(gpu.kernels.matmul(gpu.asarray(a), gpu.asarray(b))), a @ b)


def test_a_weight_gradient_is_the_same_to_the_bit_every_time(gpu):
    batch = 64 if gpu.name == "cuda" else 2
    noise = mg.Generator(0)
    x, y = (gpu.asarray(noise.normal((batch, channels, 9, 9))) for channels in (12, 20))
    found = [host(gpu.kernels.conv2d_weight_grad(x, y, (1, 1), (1, 1, 1, 1), (1, 1), 1, (3, 3))) for _ in range(2)]
    assert np.array_equal(*found)


# ---- passes over memory -----------------------------------------------------------------------------------------


def on_both(gpu, function):
    """What a function of a device returns, arrays or tensors, on the CPU and on the GPU."""
    return [[t.numpy() for t in function(mg.device(d))] for d in ("cpu", gpu)]


def check(gpu, function, rtol=1e-4, atol=1e-5):
    for expected, found in zip(*on_both(gpu, function), strict=True):
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("shape", [(5, 3), (2, 8, 3, 3), (64, 33, 9, 9)])
def test_batch_norm_activation_and_dropout_are_the_cpu_s_and_so_are_their_gradients(gpu, shape):
    if gpu.name == "cudasim" and math.prod(shape) > 1000:
        pytest.skip("too many numbers for a simulated GPU")

    def run(device):
        mg.manual_seed(0)
        norm = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(shape[1])
        network = nn.Sequential(norm, nn.LeakyReLU(0.3), nn.Dropout(0.4)).to(device)
        x = mg.tensor(mg.Generator(1).normal(shape), device=device).requires_grad_()
        y = network(x)
        (y * y).sum().backward()
        statistics = [norm.running_mean, norm.running_var]
        return [y.detach(), x.grad, *(p.grad for p in network.parameters()), *statistics]

    check(gpu, run, atol=1e-4)


@pytest.mark.parametrize("size", [3, 1000])
def test_cross_entropy_and_sums_are_the_cpu_s(gpu, size):
    size = size if gpu.name != "cudasim" else min(size, 70)

    def run(device):
        noise = mg.Generator(2)
        logits = mg.tensor(noise.normal((size, 5), 0.0, 10.0), device=device).requires_grad_()
        targets = mg.tensor(noise.uniform((size, 5)), device=device)
        loss = mg.functional.binary_cross_entropy_with_logits(logits, targets)
        loss.backward()
        return [loss.detach(), logits.grad, logits.detach().sum(0), logits.detach().mean(1), logits.detach().var(0)]

    check(gpu, run)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda weights: SGD(weights, lr=0.1, momentum=0.9),
        lambda weights: Adam(weights, lr=0.01, betas=(0.5, 0.9)),
        lambda weights: AdamW(weights, lr=0.01),
        lambda weights: RMSprop(weights, lr=0.01),
    ],
    ids=["SGD", "Adam", "AdamW", "RMSprop"],
)
def test_an_optimizer_s_steps_are_the_cpu_s(gpu, optimizer):
    shapes = [(3, 4), (7,), (), (65, 33) if gpu.name != "cudasim" else (5, 13)]

    def run(device):
        noise = mg.Generator(4)
        weights = [mg.tensor(noise.normal(shape), device=device).requires_grad_() for shape in shapes]
        stepping = optimizer(weights)
        for _ in range(3):
            stepping.zero_grad()
            sum((w * w * w).sum() for w in weights).backward()
            stepping.step()
        return [w.detach() for w in weights]

    check(gpu, run, rtol=1e-5, atol=1e-6)
