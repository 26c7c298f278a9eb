"""Our side of the comparison: steps, operations, convolutions and products as `minigen train` computes them on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen import ones
from minigen.bench import convolution
from minigen.bench.convolution import Kernel
from minigen.bench.cpu.cases import Task
from minigen.bench.cpu.chain import chain_of
from minigen.bench.steps.ours import make_step
from minigen.random import Generator


def make_kernel(kernel: Kernel, direction: str) -> Callable[[], np.ndarray]:
    """One convolution in one direction, on images that lie in memory channels last, as they do in training."""
    from minigen_kernels import cpu

    noise, size, out = Generator(0), kernel.size, kernel.out_size
    x = noise.normal((kernel.batch, size, size, kernel.in_channels)).transpose(0, 3, 1, 2)
    y = noise.normal((kernel.batch, out, out, kernel.out_channels)).transpose(0, 3, 1, 2)
    return convolution.ours(kernel, direction, x, noise.normal(kernel.w_shape), y, cpu)


def prepare(task: Task) -> Callable[[], Any]:
    """What a task asks for, ready to be called again and again."""
    if "model" in task:
        return make_step(task["model"], task["batch"], task["shape"])
    if "chain" in task:
        return chain_of(ones(4, requires_grad=True), task["link"], task["chain"], task["backward"])
    if "kernel" in task:
        return make_kernel(Kernel(*task["kernel"]), task["direction"])
    from minigen_kernels.cpu import matmul

    a = Generator(0).normal((task["matmul"], task["matmul"]))
    return lambda: matmul(a, a)


def start(threads: int) -> None:
    """Set up this process as a training run is."""
    from minigen_kernels.cpu import set_num_threads
    from minigen_kernels.cpu.memory import keep_freed_memory

    keep_freed_memory()
    set_num_threads(threads)
    np.seterr(all="ignore")
