"""PyTorch's side of the comparison: eager PyTorch as it comes, which is imported by the functions that use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigen.bench import convolution
from minigen.bench.convolution import Kernel
from minigen.bench.cpu.cases import Task
from minigen.bench.cpu.chain import chain_of
from minigen.bench.steps.theirs import make_step


def prepare(task: Task) -> Callable[[], Any]:
    """What a task asks for, with its ``memory_format``, ready to be called again and again."""
    import torch

    if "model" in task:
        return make_step(task["model"], task["batch"], task["shape"], task["memory_format"])
    if "chain" in task:
        return chain_of(torch.ones(4, requires_grad=True), task["link"], task["chain"], task["backward"])
    if "kernel" in task:
        kernel = Kernel(*task["kernel"])
        return convolution.theirs(kernel, task["direction"], *convolution.their_arrays(kernel, task["memory_format"]))
    a = torch.randn(task["matmul"], task["matmul"])
    return lambda: a @ a


def start(threads: int) -> None:
    """Set the number of threads of this process."""
    import torch

    torch.set_num_threads(threads)
