"""Chapter 13: CUDA kernels, run in the simulator."""

# mypy: no-check-untyped-defs

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import numpy as np

from minigen.course.exercise import exercise
from minigen.course.trial import Trial

Dim = tuple[int, int, int]

CURES = {
    "'a pointer'": "x and y are pointers, not NumPy's arrays: a thread reads and writes single numbers, such as x[i].",
    "is out of bounds": "An index lies outside an array. Threads that have no number to work on must do nothing with memory: "
    "guard it with `if`; where that is done, the index itself is wrong.",
    "race on y": "Two threads touch the same number of y, so it depends on the order what is there in the end: is the index "
    "of the thread in its block taken for that in the whole grid, or does every thread do the work of all?",
    "race on": "Threads share a number with no barrier between, so it depends on the order what they get: "
    "cuda.syncthreads() belongs between the writing and the reading, where all threads come by, not inside an `if`.",
    "have returned": "Some threads never reach the barrier at which the others wait: no `return` before a barrier, and no "
    "barrier inside an `if` that not all threads take.",
}


def _of_kernel(trial: Trial, name: str, arguments: Sequence[str]) -> Callable[..., Any]:
    """The answer, a plain function with these arguments."""
    function = trial.function(name)
    trial.require(
        not hasattr(function, "py_func"), "Leave `@cuda.jit` away: the check makes the kernel from the plain function."
    )
    taken = list(inspect.signature(function).parameters)
    trial.require(
        len(taken) == len(arguments),
        f"{name} takes the arguments {', '.join(arguments)}, and this function takes {', '.join(taken) or 'none'}.",
    )
    trial.require(function.__name__ != "<lambda>", f"Write the kernel with `def {name}(...):`, not as a lambda.")
    return function


def _run(
    trial: Trial,
    function: Callable[..., Any],
    arguments: Sequence[Any],
    grid: Dim,
    block: Dim,
    order: Any,
    tried: str,
) -> Any:
    """Simulate the student's kernel; a fault ends the trial with its cure. Returns the traffic."""
    from minigen_kernels.cuda.kernel import Kernel
    from minigen_kernels.cuda.simulator import KernelFault, Traffic, simulate

    kinds = tuple("float32*" if isinstance(a, np.ndarray) else "int32" for a in arguments)
    traffic = Traffic()

    def launch() -> str:
        try:
            simulate(Kernel(function, kinds, grid, block), arguments, order, traffic)
        except KernelFault as fault:
            return str(fault).replace("CountedMemory", "a pointer")
        return ""

    fault = trial.run(launch, tried)
    for words, cure in CURES.items():
        trial.require(words not in fault, f"{cure} The simulator says: {fault}.", tried)
    trial.require(not fault, f"The simulator says: {fault}.", tried)
    return traffic


def _written(trial: Trial, y: np.ndarray, tried: str) -> None:
    """End the trial if a number of y, which held NaN, has not been written."""
    missing = np.flatnonzero(np.isnan(y))
    if len(missing):
        trial.fail(f"{len(missing)} of {y.size} numbers of y were never written, the first is y[{missing[0]}].", tried)


@exercise(
    "13.1",
    "A first kernel",
    hints=(
        "i = cuda.grid(1) is the thread's number in the whole grid. There may be more threads than numbers.",
        "Everything stands in `if i < size:`. The bias of number i is b[i % C].",
    ),
)
def first_kernel(trial: Trial) -> str:
    """Write the kernel bias_relu(x, b, y, size, C): y[i] = max(x[i] + b[i % C], 0) for i < size, each i by the thread of that
    number."""
    from minigen_kernels.cuda.kernel import blocks_for

    function = _of_kernel(trial, "bias_relu", ("x", "b", "y", "size", "C"))
    for size, channels, order in ((64, 4, "forward"), (40, 5, "reverse"), (105, 7, 3)):
        x, b = trial.generator.normal((size,)), trial.generator.normal((channels,))
        y, i = np.full(size, np.nan, np.float32), np.arange(size)
        tried = f"bias_relu(x, b, y, {size}, {channels}) in {blocks_for(size, 32)} blocks of 32 threads"
        traffic = _run(
            trial, function, (x, b, y, size, channels), (blocks_for(size, 32), 1, 1), (32, 1, 1), order, tried
        )
        _written(trial, y, tried)
        mistakes = {
            "Numbers below zero were not cut off.": x + b[i % channels],
            "The bias is missing.": np.maximum(x, 0),
            "The larger of the two was asked for, max, and this is the smaller.": np.minimum(x + b[i % channels], 0),
            "The bias was added after cutting off; it belongs inside.": np.maximum(x, 0) + b[i % channels],
            "The channel is that of a channels-first array, i // (size // C); channels-last they alternate, i % C.": (
                np.maximum(x + b[i * channels // size], 0)
            ),
            "The channel was computed from the thread's number in its block; it takes that in the whole grid.": (
                np.maximum(x + b[i % 32 % channels], 0)
            ),
        }
        trial.equal(y, np.maximum(x + b[i % channels], 0), tried, mistakes)
        asked = traffic.loads["x"]
        trial.require(
            asked.numbers == size,
            f"The numbers are right, but x is read {asked.numbers} times for {size} numbers: read it once and keep it.",
            tried,
        )
        trial.require(
            asked.requests == blocks_for(size, 32),
            f"The numbers are right, but it takes {asked.requests} requests of a warp to read x, and {blocks_for(size, 32)} "
            "would do: each thread works on the number that is its own, all at once.",
            tried,
        )
    return "Such a kernel moves 8 bytes for two operations: its speed is that of memory, whatever it computes."


TILE = 4
MARKS = "ABCDEF"


def _product(marks: set[str]) -> Callable[..., None]:
    """The kernel of the exercise with barriers at these marks."""
    from numba import cuda, float32

    at_a, at_b, at_c, at_d, at_e, at_f = (mark in marks for mark in MARKS)

    def product(a, b, c, M, N, K):
        left = cuda.shared.array((4, 4), float32)
        right = cuda.shared.array((4, 4), float32)
        tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
        row, column = 4 * cuda.blockIdx.y + ty, 4 * cuda.blockIdx.x + tx
        total = float32(0)
        if at_a:
            cuda.syncthreads()
        for start in range(0, K, 4):
            left[ty, tx] = a[row * K + start + tx] if row < M and start + tx < K else float32(0)
            if at_b:
                cuda.syncthreads()
            right[ty, tx] = b[(start + ty) * N + column] if start + ty < K and column < N else float32(0)
            if at_c:
                cuda.syncthreads()
            for k in range(4):
                total += left[ty, k] * right[k, tx]
                if at_d:
                    cuda.syncthreads()
            if at_e:
                cuda.syncthreads()
        if at_f:
            cuda.syncthreads()
        if row < M and column < N:
            c[row * N + column] = total

    return product


def _fault_with(marks: set[str]) -> str:
    """What the simulator says about the product with barriers at these marks; empty if nothing."""
    from minigen_kernels.cuda.kernel import Kernel
    from minigen_kernels.cuda.simulator import KernelFault, Order, simulate

    M, N, K = 5, 6, 10
    a, b, c = np.ones(M * K, np.float32), np.ones(K * N, np.float32), np.zeros(M * N, np.float32)
    kernel = Kernel(_product(marks), ("float32*",) * 3 + ("int32",) * 3, (2, 2, 1), (TILE, TILE, 1))
    orders: tuple[Order, ...] = ("forward", "reverse")
    for order in orders:
        try:
            simulate(kernel, (a, b, c, M, N, K), order)
        except KernelFault as fault:
            return str(fault).split(": ", 1)[1]
    return ""


@exercise(
    "13.2",
    "Where the barriers stand",
    hints=(
        "Ask of left and of right: who writes a number of it, who reads it, and could one of them be late?",
        "A number is written in one step, read in the same step, and overwritten in the next: two pairs to keep apart.",
    ),
)
def where_barriers_stand(trial: Trial) -> str:
    """Name the marks at which product needs a barrier, as few as will do, as letters such as "AF"."""
    answer = trial.answer
    if answer is None or answer is ... or (isinstance(answer, str) and not answer.strip()):
        trial.not_written()
    marks = set(answer.upper()) - set(" ,") if isinstance(answer, str) else set()
    if not marks or not marks <= set(MARKS):
        trial.fail('Give the letters of the marks as one string, such as "AF".', got=repr(answer))
    tried = f"the kernel with barriers at {', '.join(sorted(marks))}, M = 5, N = 6, K = 10"
    fault = _fault_with(marks)
    if fault and not marks & {"C"}:
        trial.fail(
            "Nothing stands between fetching and multiplying: a thread multiplies numbers that others have not fetched yet. "
            f"The simulator says: {fault}.",
            tried,
        )
    if fault and "B" in marks:
        trial.fail(
            "The next step overwrites left while others may still multiply with it: B comes too late for that, as left is "
            f"written before it. The simulator says: {fault}.",
            tried,
        )
    if fault:
        trial.fail(
            "The first step is safe, but the next one overwrites the tiles while others may still multiply. "
            f"The simulator says: {fault}.",
            tried,
        )
    idle = [mark for mark in sorted(marks) if not _fault_with(marks - {mark})]
    if idle:
        trial.fail(
            f"No race is left, but there are more barriers than it takes: without {idle[0]} there is none either.",
            tried,
        )
    if "D" in marks:
        trial.fail(
            "No race is left, but D is in the inner loop: everybody waits after every multiply-add, four times as often as "
            "needed.",
            tried,
        )
    return (
        "Two barriers a step: one so that all has come, one so that nobody needs it any more. Rung 9 saves the second."
    )


@exercise(
    "13.3",
    "Arithmetic intensity",
    hints=(
        "Operations: for each number of y, C·K·K multiply-adds of two operations. How many numbers has y?",
        "Bytes: 4 for each number of x (N, C, H, W), of w (O, C, K, K) and of y (N, O, H, W).",
    ),
)
def arithmetic_intensity(trial: Trial) -> str:
    """Write intensity(x_shape, w_shape): operations a byte of the convolution of x (N, C, H, W) with w (O, C, K, K), as many
    pixels out as in, when x, w and y each move once in float32."""
    intensity = trial.function("intensity")

    def given(
        operations: float = 2,
        number: float = 4,
        of_x: Callable[[int], float] = lambda k: 1,
        of_w: int = 1,
        of_y: int = 1,
    ) -> Callable[..., float]:
        def result(x_shape: Sequence[int], w_shape: Sequence[int]) -> float:
            n, c, h, w = x_shape
            o, _, k, _ = w_shape
            moved = of_x(k) * n * c * h * w + of_w * o * c * k * k + of_y * n * o * h * w
            return operations * n * h * w * o * c * k * k / (number * moved)

        return result

    mistakes = {
        "A multiply-add is two operations, one multiplication and one addition.": given(operations=1),
        "These are operations for each number; a number of float32 has 4 bytes.": given(number=1),
        "The weight moves, too.": given(of_w=0),
        "The result moves, too: it is written.": given(of_y=0),
        "x counts K² times, once for each tap. Each array moves once: that is the least that any kernel can do.": (
            given(of_x=lambda k: k * k)
        ),
        "These are bytes for each operation: turn it round.": lambda x, w: 1 / given()(x, w),
    }
    for x_shape, w_shape in (
        ((1, 2, 4, 4), (3, 2, 1, 1)),
        ((32, 64, 28, 28), (128, 64, 3, 3)),
        ((4, 3, 10, 12), (8, 3, 5, 5)),
    ):
        trial.compare(intensity, given(), x_shape, w_shape, mistakes=mistakes)
    return "With many channels it grows like the harmonic mean of C·K² and O; a layer of three channels is limited by memory."


@exercise(
    "13.4",
    "The share that counts",
    hints=(
        "Tiles: ⌈pixels/BM⌉·⌈channels/BN⌉, as the last along each axis may reach beyond. Rounds: ⌈tiles/multiprocessors⌉.",
        "In all rounds together the machine could do rounds·multiprocessors·BM·BN outputs, and pixels·channels count.",
    ),
)
def useful_share(trial: Trial) -> str:
    """Write useful_share(pixels, channels, BM, BN, multiprocessors): useful outputs over all that the multiprocessors could
    compute in the rounds it takes, each a tile of BM by BN in a round."""
    share = trial.function("useful_share")

    def tiles(pixels: int, channels: int, bm: int, bn: int) -> int:
        return ceil(pixels / bm) * ceil(channels / bn)

    def right(pixels: int, channels: int, bm: int, bn: int, many: int) -> float:
        return pixels * channels / (ceil(tiles(pixels, channels, bm, bn) / many) * many * bm * bn)

    mistakes = {
        "Rounds are whole: in the last one, multiprocessors without a tile wait for the others.": (
            lambda p, c, bm, bn, many: p * c / (tiles(p, c, bm, bn) * bm * bn)
        ),
        "This is rounded down: a round that is not full is a round.": (
            lambda p, c, bm, bn, many: p * c / (max(tiles(p, c, bm, bn) // many, 1) * many * bm * bn)
        ),
        "Tiles are whole along each axis, pixels and channels, and not only in their product.": (
            lambda p, c, bm, bn, many: p * c / (ceil(ceil(p * c / (bm * bn)) / many) * many * bm * bn)
        ),
        "The multiprocessors are missing: in each round all of them could compute a tile.": (
            lambda p, c, bm, bn, many: p * c / (ceil(tiles(p, c, bm, bn) / many) * bm * bn)
        ),
        "These are the rounds, and not yet the share.": (
            lambda p, c, bm, bn, many: float(ceil(tiles(p, c, bm, bn) / many))
        ),
    }
    for case in (
        (33, 17, 32, 16, 1),
        (64, 64, 32, 32, 4),
        (100, 24, 32, 16, 3),
        (65, 33, 32, 32, 4),
        (64 * 49, 128, 128, 128, 132),
        (90, 10, 16, 8, 7),
    ):
        trial.compare(share, right, *case, mistakes=mistakes)
    return (
        f"64 images of 7 by 7 and 128 channels on 132 multiprocessors: {right(3136, 128, 128, 128, 132):.2f} with tiles of "
        f"128 by 128, {right(3136, 128, 64, 64, 132):.2f} with 64 by 64, {right(3136, 128, 32, 32, 132):.2f} with 32 by 32. "
        "Loads ask for the opposite; only a measurement settles it."
    )


def _tiles_in_place(matrix: np.ndarray) -> np.ndarray:
    """The transposition of whole tiles of 32 by 32, none of them turned inside; zeros where they do not fit."""
    rows, columns = matrix.shape
    found = np.zeros((columns, rows), np.float32)
    for r in range(0, rows - 31, 32):
        for c in range(0, columns - 31, 32):
            found[c : c + 32, r : r + 32] = matrix[r : r + 32, c : c + 32]
    return found.ravel()


@exercise(
    "13.5",
    "Transposition without scattered memory",
    hints=(
        "Load: row 32·blockIdx.y + ty, column 32·blockIdx.x + tx. Store: the block's place in y is the other way round, and "
        "tx again runs along a row, now of y: row 32·blockIdx.x + ty, column 32·blockIdx.y + tx.",
        "Between them the tile is written as tile[ty, tx], read as tile[tx, ty], with a barrier between that no `if` surrounds.",
        "tile[tx, ty] for 32 neighbours lies in one bank if rows are 32 apart. What if they were 33 apart?",
    ),
)
def transposition(trial: Trial) -> str:
    """Write the kernel transpose(x, y, rows, columns) for blocks of 32 by 32 threads: y[c * rows + r] = x[r * columns + c], by
    a tile in shared memory, with coalesced loads and stores and one pass of the banks for each request."""
    from minigen_kernels.cuda.kernel import blocks_for

    function = _of_kernel(trial, "transpose", ("x", "y", "rows", "columns"))
    for rows, columns, order in ((32, 32, "forward"), (64, 32, "reverse"), (33, 40, 5)):
        x, y = np.arange(rows * columns, dtype=np.float32), np.full(rows * columns, np.nan, np.float32)
        grid = blocks_for(columns, 32), blocks_for(rows, 32), 1
        tried = f"transpose(x, y, {rows}, {columns}) in {grid[0]} by {grid[1]} blocks"
        traffic = _run(trial, function, (x, y, rows, columns), grid, (32, 32, 1), order, tried)
        _written(trial, y, tried)
        matrix = x.reshape(rows, columns)
        mistakes = {
            "Each tile is at its place, but none was turned inside: what is written as tile[ty, tx] is read as tile[tx, ty].": (
                _tiles_in_place(matrix)
            )
        }
        trial.equal(y, matrix.T.ravel(), tried, mistakes)
        if rows % 8 or columns % 8:
            continue
        least = rows * columns // 8
        for what, count in (("loads of x", traffic.loads["x"]), ("stores to y", traffic.stores["y"])):
            trial.require(
                count.sectors == least,
                f"The numbers are right, but the {what} are scattered: they touch {count.sectors} sectors, and {least} would "
                "do. Neighbouring threads (tx) must take neighbouring numbers in both; the tile turns them.",
                tried,
            )
        for name, count in (*traffic.loads.items(), *traffic.stores.items()):
            trial.require(
                name in ("x", "y") or count.passes == count.requests,
                f"Right and coalesced, but {name} takes {count.passes // count.requests} passes for a request: the 32 threads "
                "want different numbers of one bank. Make its rows one number longer.",
                tried,
            )
    return "One unused column in the tile moves each row by a bank. The rungs' LDA = BM + 4 is the same trick."
