"""What a kernel is, before anybody runs it: a Python function, what it takes, and how many threads run it.

The same `Kernel` is compiled for a GPU (`build`) and run by the simulator (`simulator.simulate`). Its function keeps to
what both understand:

- A pointer argument is flat: `x[i]` with one index, in elements. There are no shapes, strides or bounds on a GPU; the
  simulator checks the bounds.
- Sizes that the compiler should know are variables of the enclosing function (a closure); the rest are int32 arguments.
- `from numba import cuda, float32`, and under those names; functions called by a kernel are
  `@cuda.jit(device=True, inline="always")`.
- Dynamic shared memory (`cuda.shared.array(0, float32)`) is one array of one type; its parts are offsets into it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Dim = tuple[int, int, int]
Architecture = tuple[int, int]

ARCHITECTURES: tuple[Architecture, ...] = ((7, 5), (8, 0), (8, 6), (9, 0), (10, 0), (12, 0))
NUMBERS = ("float32", "float64", "int32", "uint32")
POINTERS = (*(f"{number}*" for number in NUMBERS), "uint8*")
TABLES = ("float32**", "float64**")
MOST_THREADS = 1024  # of a block
STATIC_LIMIT = 48 << 10  # bytes of shared memory that a block gets without asking the driver for more
PARAMETERS = POINTERS + NUMBERS + TABLES


@dataclass(frozen=True)
class Kernel:
    """A kernel and its launch.

    Args:
        function: the Python function that each thread runs; it returns nothing.
        parameters: the type of each of its arguments, from `PARAMETERS`; a star marks a pointer to device memory,
            two stars a table of such pointers: the argument is a tuple of arrays, and in the kernel `table[k][i]` is element i
            of array k.
        grid: how many blocks there are along x, y and z.
        block: how many threads a block has along x, y and z; at most 1024 in all.
        shared_bytes: dynamic shared memory of each block; what `cuda.shared.array(shape, ...)` takes is not counted.
        blocks_per_sm: how many blocks must fit on one multiprocessor at once. The compiler keeps to
            65536 / (blocks_per_sm * threads) registers a thread, and would rather spill than take more.
        oldest: the oldest architecture that has the instructions, such as (8, 0) for cp.async.

    >>> def fill(x, value):
    ...     x[cuda.grid(1)] = value
    >>> Kernel(fill, ("float32*", "float32"), grid=(4, 1, 1), block=(64, 1, 1)).threads
    64
    """

    function: Callable[..., None]
    parameters: tuple[str, ...]
    grid: Dim
    block: Dim
    shared_bytes: int = 0
    blocks_per_sm: int = 1
    oldest: Architecture = (7, 5)

    def __post_init__(self) -> None:
        taken = self.function.__code__.co_argcount
        if taken != len(self.parameters) or not set(self.parameters) <= set(PARAMETERS):
            raise ValueError(
                f"kernel {self.name}: parameters {self.parameters} must name a type for each of its {taken} arguments, "
                f"out of {', '.join(PARAMETERS)}."
            )
        if self.blocks_per_sm < 1:
            raise ValueError(f"kernel {self.name}: blocks_per_sm must be at least 1, not {self.blocks_per_sm}.")
        if min(*self.grid, *self.block) < 1 or self.threads > MOST_THREADS:
            raise ValueError(
                f"kernel {self.name}: grid {self.grid} and block {self.block} must be at least 1 along each axis, and a "
                f"block at most {MOST_THREADS} threads; launch nothing for an empty array."
            )

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def threads(self) -> int:
        """Threads in a block."""
        x, y, z = self.block
        return x * y * z

    def architectures(self) -> list[Architecture]:
        """Those of `ARCHITECTURES` that have the kernel's instructions."""
        return [arch for arch in ARCHITECTURES if arch >= self.oldest]


def blocks_for(count: int, each: int) -> int:
    """How many blocks of `each` cover `count`: count / each, rounded up.

    >>> blocks_for(65, 32)
    3
    """
    return -(-count // each)
