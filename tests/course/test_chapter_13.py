"""Chapter 13: a wrong answer is refused, with a sentence that names the mistake."""

from math import ceil

import pytest

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from numba import cuda, float32

from minigen import course


def bias_relu(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size:
        y[i] = max(x[i] + b[i % C], float32(0))


def unguarded(x, b, y, size, C):
    i = cuda.grid(1)
    y[i] = max(x[i] + b[i % C], float32(0))


def by_a_wrong_index(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size:
        y[i] = max(x[i] + b[i // C], float32(0))


def of_the_block(x, b, y, size, C):
    i = cuda.threadIdx.x
    if i < size:
        y[i] = max(x[i] + b[i % C], float32(0))


def without_the_last(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size - 1:
        y[i] = max(x[i] + b[i % C], float32(0))


def linear(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size:
        y[i] = x[i] + b[i % C]


def unbiased(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size:
        y[i] = max(x[i], float32(0))


def smaller(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size:
        y[i] = min(x[i] + b[i % C], float32(0))


def biased_late(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size:
        y[i] = max(x[i], float32(0)) + b[i % C]


def channels_first(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size:
        y[i] = max(x[i] + b[i // (size // C)], float32(0))


def channel_of_the_block(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size:
        y[i] = max(x[i] + b[cuda.threadIdx.x % C], float32(0))


def one_does_all(x, b, y, size, C):
    if cuda.grid(1) == 0:
        for i in range(size):
            y[i] = max(x[i] + b[i % C], float32(0))


def reads_twice(x, b, y, size, C):
    i = cuda.grid(1)
    if i < size:
        y[i] = x[i] + b[i % C] if x[i] + b[i % C] > 0 else float32(0)


def whole_arrays(x, b, y, size, C):
    y[cuda.grid(1)] = max(x + b, 0)


def stops(x, b, y, size, C):
    y[cuda.grid(1)] = undefined_name  # noqa: F821


def transposition(width=33, barrier=True, guarded=True):
    """The solution's kernel with one thing changed."""

    def transpose(x, y, rows, columns):
        tile = cuda.shared.array((32, width), float32)
        tx = cuda.threadIdx.x
        ty = cuda.threadIdx.y
        row = 32 * cuda.blockIdx.y + ty
        column = 32 * cuda.blockIdx.x + tx
        if not guarded or (row < rows and column < columns):
            tile[ty, tx] = x[row * columns + column]
        if barrier:
            cuda.syncthreads()
        row = 32 * cuda.blockIdx.x + ty
        column = 32 * cuda.blockIdx.y + tx
        if not guarded or (row < columns and column < rows):
            y[row * rows + column] = tile[tx, ty]

    return transpose


def scattered_stores(x, y, rows, columns):
    row = 32 * cuda.blockIdx.y + cuda.threadIdx.y
    column = 32 * cuda.blockIdx.x + cuda.threadIdx.x
    if row < rows and column < columns:
        y[column * rows + row] = x[row * columns + column]


def scattered_loads(x, y, rows, columns):
    row = 32 * cuda.blockIdx.y + cuda.threadIdx.x
    column = 32 * cuda.blockIdx.x + cuda.threadIdx.y
    if row < rows and column < columns:
        y[column * rows + row] = x[row * columns + column]


def copy(x, y, rows, columns):
    row = 32 * cuda.blockIdx.y + cuda.threadIdx.y
    column = 32 * cuda.blockIdx.x + cuda.threadIdx.x
    if row < rows and column < columns:
        y[row * columns + column] = x[row * columns + column]


def unturned(x, y, rows, columns):
    """Tiles at the places of y, not turned inside."""
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = 32 * cuda.blockIdx.x + ty, 32 * cuda.blockIdx.y + tx
    if row < columns and column < rows:
        y[row * rows + column] = x[(32 * cuda.blockIdx.y + ty) * columns + 32 * cuda.blockIdx.x + tx]


def barrier_in_if(x, y, rows, columns):
    tile = cuda.shared.array((32, 33), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = 32 * cuda.blockIdx.y + ty, 32 * cuda.blockIdx.x + tx
    if row < rows and column < columns:
        tile[ty, tx] = x[row * columns + column]
        cuda.syncthreads()
    row, column = 32 * cuda.blockIdx.x + ty, 32 * cuda.blockIdx.y + tx
    if row < columns and column < rows:
        y[row * rows + column] = tile[tx, ty]


def returns_early(x, y, rows, columns):
    tile = cuda.shared.array((32, 33), float32)
    tx, ty = cuda.threadIdx.x, cuda.threadIdx.y
    row, column = 32 * cuda.blockIdx.y + ty, 32 * cuda.blockIdx.x + tx
    if row >= rows or column >= columns:
        return
    tile[ty, tx] = x[row * columns + column]
    cuda.syncthreads()
    row, column = 32 * cuda.blockIdx.x + ty, 32 * cuda.blockIdx.y + tx
    if row < columns and column < rows:
        y[row * rows + column] = tile[tx, ty]


def tiles(pixels, channels, bm, bn):
    return ceil(pixels / bm) * ceil(channels / bn)


def intensity(x, w, flops=2, number=4, parts=(1, 1, 1)):
    n, c, height, width = x
    o, _, k, _ = w
    moved = parts[0] * n * c * height * width + parts[1] * o * c * k * k + parts[2] * n * o * height * width
    return flops * n * height * width * o * c * k * k / (number * moved)


WRONG = [
    ("13.1", unguarded, "Threads that have no number to work on must do nothing"),
    ("13.1", of_the_block, "taken for that in the whole grid"),
    ("13.1", without_the_last, "1 of 64 numbers of y were never written, the first is y[63]"),
    ("13.1", linear, "below zero were not cut off"),
    ("13.1", unbiased, "The bias is missing"),
    ("13.1", smaller, "this is the smaller"),
    ("13.1", biased_late, "it belongs inside"),
    ("13.1", channels_first, "channels-first"),
    ("13.1", channel_of_the_block, "thread's number in its block"),
    ("13.1", one_does_all, "64 requests of a warp to read x, and 2 would do"),
    ("13.1", reads_twice, "times for 64 numbers"),
    ("13.1", stops, "undefined_name"),
    ("13.1", whole_arrays, "x and y are pointers"),
    ("13.1", lambda x, b, y, size, C: x[0], "not as a lambda"),
    ("13.1", cuda.jit(bias_relu), "Leave `@cuda.jit` away"),
    ("13.1", lambda x, y: x, "takes the arguments x, b, y, size, C"),
    ("13.1", None, "Give check the function"),
    ("13.2", "E", "between fetching and multiplying"),
    ("13.2", "D", "between fetching and multiplying"),
    ("13.2", "BC", "B comes too late"),
    ("13.2", "C", "the next one overwrites the tiles"),
    ("13.2", "cf", "the next one overwrites the tiles"),
    ("13.2", "ACE", "without A there is none either"),
    ("13.2", "B, C, E", "without B there is none either"),
    ("13.2", "CD", "D is in the inner loop"),
    ("13.2", "XY", "as one string"),
    ("13.2", ["C", "E"], "as one string"),
    ("13.3", lambda x, w: intensity(x, w, flops=1), "two operations"),
    ("13.3", lambda x, w: intensity(x, w, number=1), "has 4 bytes"),
    ("13.3", lambda x, w: intensity(x, w, parts=(1, 0, 1)), "The weight moves"),
    ("13.3", lambda x, w: intensity(x, w, parts=(1, 1, 0)), "it is written"),
    ("13.3", lambda x, w: intensity(x, w, parts=(w[2] ** 2, 1, 1)), "once for each tap"),
    ("13.3", lambda x, w: 1 / intensity(x, w), "turn it round"),
    ("13.4", lambda p, c, m, n, s: p * c / (tiles(p, c, m, n) * m * n), "Rounds are whole"),
    ("13.4", lambda p, c, m, n, s: p * c / (max(tiles(p, c, m, n) // s, 1) * s * m * n), "rounded down"),
    ("13.4", lambda p, c, m, n, s: p * c / (ceil(ceil(p * c / (m * n)) / s) * s * m * n), "whole along each axis"),
    ("13.4", lambda p, c, m, n, s: p * c / (ceil(p / m * c / n / s) * s * m * n), "whole along each axis"),
    ("13.4", lambda p, c, m, n, s: p * c / (ceil(tiles(p, c, m, n) / s) * m * n), "multiprocessors are missing"),
    ("13.4", lambda p, c, m, n, s: ceil(tiles(p, c, m, n) / s), "not yet the share"),
    ("13.5", transposition(barrier=False), "no barrier between"),
    ("13.5", transposition(guarded=False), "An index lies outside an array"),
    ("13.5", transposition(width=32), "takes 32 passes for a request"),
    ("13.5", scattered_stores, "stores to y are scattered"),
    ("13.5", scattered_loads, "loads of x are scattered"),
    ("13.5", copy, "none was turned inside"),
    ("13.5", unturned, "none was turned inside"),
    ("13.5", barrier_in_if, "not inside an `if`"),
    ("13.5", returns_early, "Some threads never reach the barrier"),
    ("13.1", by_a_wrong_index, "the index itself is wrong"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


@pytest.mark.parametrize("answer", ["CE", "ec", "C, E"])
def test_the_two_barriers_are_right_in_any_order(answer):
    assert course.check("13.2", answer)


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(13)}
