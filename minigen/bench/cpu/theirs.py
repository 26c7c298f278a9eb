"""PyTorch's side of the comparison: eager PyTorch as it comes, which is imported by the functions that use it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigen.bench import convolution
from minigen.bench.convolution import Kernel
from minigen.bench.cpu.cases import Task
from minigen.bench.steps.theirs import make_step


def make_chain(length: int, backward: bool) -> Callable[[], Any]:
    """As `ours.make_chain`."""
    import torch

    w = torch.ones(4, requires_grad=True)

    def run() -> Any:
        y = w
        for _ in range(length):
            y = y * w
        if backward:
            w.grad = None
            y.sum().backward()
        return y

    return run


def prepare(task: Task) -> Callable[[], Any]:
    """What a task asks for, with its ``memory_format``, ready to be called again and again."""
    import torch

    if "model" in task:
        return make_step(task["model"], task["batch"], task["shape"], task["memory_format"])
    if "chain" in task:
        return make_chain(task["chain"], task["backward"])
    if "kernel" in task:
        kernel = Kernel(*task["kernel"])
        return convolution.theirs(kernel, task["direction"], *convolution.their_arrays(kernel, task["memory_format"]))
    a = torch.randn(task["matmul"], task["matmul"])
    return lambda: a @ a


def start(threads: int) -> None:
    """Set the number of threads of this process."""
    import torch

    torch.set_num_threads(threads)
