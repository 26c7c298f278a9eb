"""What is measured on a GPU: the ladder, the production kernels, training steps, their memory; and the goals.

A case is one line of a table, or the table of a ladder. Each of its contestants has a task, which names the side that can
do it and travels to that side's process as JSON:

    {"side": "minigen", "copy": n}                                                 copy n floats, for the bandwidth
    {"side": "minigen", "rung": name, "kernel": […]}                               one rung of the ladder
    {"side": …, "kernel": […], "direction": …, "precision": …}                     one convolution
    {"side": …, "model": …, "batch": …, "shape": …, "mode": …}                     one training step

PyTorch's tasks also have a ``memory_format``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from minigen.bench.convolution import DIRECTIONS, Kernel
from minigen.bench.cpu.cases import STEPS

PARTS = ("ladder", "kernels", "steps", "memory")
PRECISIONS = {"ieee": "FP32", "tf32": "TF32"}
FORMATS = {"contiguous_format": "NCHW", "channels_last": "channels_last"}
OURS, THEIRS = "minigen", "PyTorch"
MODES = {OURS: ("eager", "captured"), THEIRS: ("eager", "captured", "compiled")}

RUNGS = (
    *("naive", "coalesced", "shared_memory", "register_tile", "vector_loads", "unrolled", "constant_shapes"),
    *("warp_tiling", "double_buffer", "cp_async", "tf32"),
)
COPIED = 1 << 28  # floats: 1 GiB read and 1 GiB written, far more than any cache holds

SMALL = 8  # images whose results have at most so many rows are small ones
KERNEL_GOALS = {"ieee": 0.85, "tf32": 0.60}  # of cuDNN's speed, in the geometric mean
SMALL_GOAL = 1.0  # the same on small images, FP32
STEP_GOALS = {
    "dcgan": {"eager": 1.5, "captured": 1.0}
}  # our captured step, times as fast as PyTorch's eager, captured one

Task = dict[str, Any]


class Case(NamedTuple):
    """What is measured in turns.

    Attributes:
        part: of `PARTS`.
        name: unlike that of every other case of the part.
        tasks: by contestant.
    """

    part: str
    name: str
    tasks: dict[str, Task]


LADDER = (
    Kernel(32, 64, 128, 28, 3),
    Kernel(256, 128, 256, 7, 5),
    Kernel(32, 64, 64, 56, 3),
    Kernel(32, 256, 256, 14, 3),
)

SETS = {
    "DCGAN 28×28": (
        Kernel(256, 1, 64, 28, 5, stride=2),
        Kernel(256, 64, 128, 14, 5, stride=2),
        Kernel(256, 128, 256, 7, 5),
    ),
    "conv VAE 28×28": (
        Kernel(128, 1, 32, 28, 4, stride=2),
        Kernel(128, 32, 64, 14, 4, stride=2),
    ),
    "restoration GAN 64×64×3": (
        Kernel(32, 3, 16, 64, 3),
        Kernel(32, 16, 16, 64, 3),
        Kernel(32, 16, 32, 64, 2, stride=2),
        Kernel(32, 32, 32, 32, 3),
        Kernel(32, 32, 64, 32, 2, stride=2),
        Kernel(32, 64, 64, 16, 3),
        Kernel(32, 64, 128, 16, 2, stride=2),
        Kernel(32, 128, 128, 8, 3),
        Kernel(32, 16, 3, 64, 3),
        Kernel(32, 6, 32, 64, 4, stride=2),
        Kernel(32, 32, 64, 32, 4, stride=2),
        Kernel(32, 64, 128, 16, 3),
        Kernel(32, 128, 1, 16, 3),
    ),
    "ResNet 224×224": (
        Kernel(32, 3, 64, 224, 7, stride=2),
        Kernel(32, 64, 64, 56, 3),
        Kernel(32, 64, 256, 56, 1),
        Kernel(32, 256, 512, 56, 1, stride=2),
        Kernel(32, 128, 128, 28, 3),
        Kernel(32, 256, 256, 14, 3),
        Kernel(32, 512, 512, 7, 3),
    ),
}


def cases_of(parts: Sequence[str]) -> list[Case]:
    """All cases of these parts, in the order of the report.

    >>> [(part, len(cases_of([part]))) for part in PARTS]
    [('ladder', 5), ('kernels', 150), ('steps', 6), ('memory', 6)]
    """
    cases: list[Case] = []
    if "ladder" in parts:
        cases += [Case("ladder", "copy", {OURS: {"side": OURS, "copy": COPIED}}), *map(ladder_case, LADDER)]
    if "kernels" in parts:
        cases += [
            kernel_case(kernel, direction, precision)
            for kernels in SETS.values()
            for kernel in kernels
            for direction in DIRECTIONS
            for precision in PRECISIONS
        ]
    for part in ("steps", "memory"):
        if part in parts:
            cases += [Case(part, step.name, step_tasks(step.task, step.images)) for step in STEPS]
    return cases


def ladder_case(kernel: Kernel) -> Case:
    """Every rung of the ladder on one shape, and cuDNN's forward pass in both precisions and memory formats."""
    rungs = {name: {"side": OURS, "rung": name, "kernel": list(kernel)} for name in RUNGS}
    return Case("ladder", str(kernel), rungs | _cudnn(kernel, "forward", "ieee") | _cudnn(kernel, "forward", "tf32"))


def kernel_case(kernel: Kernel, direction: str, precision: str) -> Case:
    """One convolution in one direction and precision, ours and cuDNN's in both memory formats."""
    ours = {"side": OURS, "kernel": list(kernel), "direction": direction, "precision": precision}
    return Case(
        "kernels", kernel_name(kernel, direction, precision), {OURS: ours} | _cudnn(kernel, direction, precision)
    )


def kernel_name(kernel: Kernel, direction: str, precision: str) -> str:
    """The name of a kernel's case.

    >>> kernel_name(LADDER[0], "forward", "tf32")
    '32, 64→128, 28×28, 3×3: forward, TF32'
    """
    return f"{kernel}: {direction}, {PRECISIONS[precision]}"


def _cudnn(kernel: Kernel, direction: str, precision: str) -> dict[str, Task]:
    task = {"side": THEIRS, "kernel": list(kernel), "direction": direction, "precision": precision}
    return {
        f"cuDNN {PRECISIONS[precision]} {order}": {**task, "memory_format": memory_format}
        for memory_format, order in FORMATS.items()
    }


def step_tasks(task: Task, images: bool) -> dict[str, Task]:
    """A training step of every mode of either side, PyTorch's in both memory formats where it works on images."""
    tasks = {f"{OURS} {mode}": {**task, "side": OURS, "mode": mode} for mode in MODES[OURS]}
    for mode in MODES[THEIRS]:
        for memory_format, order in list(FORMATS.items())[: 2 if images else 1]:
            theirs = {**task, "side": THEIRS, "mode": mode, "memory_format": memory_format}
            tasks[f"{THEIRS} {mode} {order}"] = theirs
    return tasks


def is_small(kernel: Kernel) -> bool:
    """Whether it is one of the small images, which the goal names apart.

    >>> [is_small(Kernel(256, 64, 128, size, 5, stride=2)) for size in (14, 28)]
    [True, False]
    """
    return kernel.out_size <= SMALL
