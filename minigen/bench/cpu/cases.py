"""What is measured: six training steps, the engine, eight convolutions in three directions, how a step grows, its memory.

A case names a task, which is what a side is asked to prepare: a training step (``{"model": …, "batch": …, "shape": …}``),
a chain of small operations (``{"chain": n, "link": …, "backward": …}``), a convolution (``{"kernel": …, "direction": …}``)
or a product of matrices (``{"matmul": n}``). Tasks are plain numbers and words, so that they travel to another process as JSON.
Steps and convolutions are the listed ones, or those that the command line names (`minigen.bench.cpu.given`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from minigen.bench.convolution import DIRECTIONS, Kernel
from minigen.bench.cpu.chain import LINKS

PARTS = ("steps", "engine", "kernels", "growth", "memory")

Task = dict[str, Any]


class Case(NamedTuple):
    """One line of a table.

    Attributes:
        part: of `PARTS`.
        name: unlike that of every other case of the part.
        task: for both sides.
        images: whether it works on images, which PyTorch is then given in either memory format.
        goal: how many times as fast as PyTorch we mean to be; None where we have set no goal.
    """

    part: str
    name: str
    task: Task
    images: bool = True
    goal: float | None = None


STEPS = (
    Case("steps", "DCGAN 28×28, batch 256", {"model": "dcgan", "batch": 256, "shape": [1, 28, 28]}, goal=2.0),
    Case("steps", "conv VAE 28×28, batch 128", {"model": "conv-vae", "batch": 128, "shape": [1, 28, 28]}, goal=1.5),
    Case(
        "steps",
        "dense autoencoder 784–256–256–784, batch 256",
        {"model": "dense-autoencoder", "batch": 256, "shape": [1, 28, 28]},
        images=False,
        goal=1.2,
    ),
    Case(
        "steps",
        "restoration GAN 64×64×3, batch 32",
        {"model": "restoration-gan", "batch": 32, "shape": [3, 64, 64]},
        goal=1.3,
    ),
    Case(
        "steps",
        "GAN of points, 3×128 MLPs, batch 500",
        {"model": "gan2d", "batch": 500, "shape": [2]},
        images=False,
        goal=1.2,
    ),
    Case("steps", "WGAN-GP critic 28×28, batch 64", {"model": "critic", "batch": 64, "shape": [1, 28, 28]}, goal=1.2),
)

CHAIN = 1000  # links of operations on four numbers: their time is the engine's
ENGINE = tuple(
    Case("engine", f"{link}, {name}", {"chain": CHAIN, "link": link, "backward": backward}, images=False, goal=1.0)
    for link in LINKS
    for name, backward in (("forward", False), ("forward and backward", True))
)

KERNELS = (
    Kernel(256, 1, 64, 28, 5, stride=2),
    Kernel(256, 64, 128, 14, 5, stride=2),
    Kernel(256, 128, 256, 7, 5),
    Kernel(64, 64, 128, 32, 4, stride=2),
    Kernel(64, 64, 64, 28, 3),
    Kernel(64, 3, 64, 64, 4, stride=2),
    Kernel(32, 256, 256, 8, 1),
    Kernel(64, 64, 64, 28, 3, groups=64),
)
PRODUCTS = (1024, 2048, 4096)  # n of the products of n×n matrices, the fastest of which is the machine's peak

BATCHES, SIDE_OF_BATCHES = (16, 32, 64, 128, 256, 512, 1024), 28
SIDES, BATCH_OF_SIDES = (16, 32, 64, 128), 64


def cases_of(parts: Sequence[str], kernels: Sequence[Kernel] = KERNELS, steps: Sequence[Case] = STEPS) -> list[Case]:
    """All cases of these parts, in the order of the report.

    Args:
        parts: of `PARTS`.
        kernels: what the part of that name measures, besides products of matrices.
        steps: what the parts 'steps' and 'memory' measure.

    >>> [(part, len(cases_of([part]))) for part in PARTS]
    [('steps', 6), ('engine', 10), ('kernels', 27), ('growth', 11), ('memory', 6)]
    """
    cases: list[Case] = []
    if "steps" in parts:
        cases += steps
    if "engine" in parts:
        cases += ENGINE
    if "kernels" in parts:
        cases += [Case("kernels", f"SGEMM {n}", {"matmul": n}, images=False) for n in PRODUCTS]
        cases += [kernel_case(kernel, direction) for kernel in kernels for direction in DIRECTIONS]
    if "growth" in parts:
        cases += [growth_case(f"batch {n}", n, SIDE_OF_BATCHES) for n in BATCHES]
        cases += [growth_case(f"side {side}", BATCH_OF_SIDES, side) for side in SIDES]
    if "memory" in parts:
        cases += [case._replace(part="memory", goal=None) for case in steps]
    return cases


def kernel_case(kernel: Kernel, direction: str) -> Case:
    """One convolution in one direction."""
    return Case("kernels", f"{kernel}: {direction}", {"kernel": list(kernel), "direction": direction})


def growth_case(name: str, batch: int, side: int) -> Case:
    """A training step of a convolutional autoencoder whose depth does not depend on the size of the image."""
    return Case("growth", name, {"model": "conv-autoencoder", "batch": batch, "shape": [1, side, side]})


def smallest(task: Task) -> Task:
    """The step of a task on two samples, images of 8×8: it takes little memory, and the same code.

    >>> smallest({"model": "dcgan", "batch": 256, "shape": [1, 28, 28]})
    {'model': 'dcgan', 'batch': 2, 'shape': [1, 8, 8]}
    """
    channels, *size = task["shape"]
    return {**task, "batch": 2, "shape": [channels, *(8 for _ in size)]}
