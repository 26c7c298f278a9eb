"""Chapter 12: the CPU kernel, from loops to the vector units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minigen.course.exercise import exercise
from minigen.course.trial import Trial


def _work(
    batch: int, ins: int, outs: int, size: int, kernel: int, stride: int, padding: int, **other: int
) -> tuple[int, int]:
    """FLOP and bytes; `other` puts mistakes in the place of what is right."""
    out = other.get("out", (size + 2 * padding - kernel) // stride + 1)
    flop = other.get("each", 2) * batch * out * out * outs * ins * other.get("taps", kernel**2)
    weights = other.get("weights", outs * ins * kernel**2)
    read, written = batch * ins * size**2, other.get("y", batch * outs * out**2)
    return flop, other.get("item", 4) * (read + weights + written)


@exercise(
    "12.1",
    "Work and bytes",
    hints=(
        "There are batch·outs·OH² outputs, OH = (size + 2·padding - kernel)//stride + 1. How many operations is each of them?",
        "The least is: every number of x, of w and of y moved once. How many bytes has a float32?",
    ),
)
def work_and_bytes(trial: Trial) -> str:
    """Write work(batch, ins, outs, size, kernel, stride, padding): the FLOP of a convolution of square images, taps on the
    padding counted too, and the bytes that it moves when x, w and y are float32 and moved once each."""
    work = trial.function("work")

    def wrong(**changes: Callable[..., int]) -> Callable[..., tuple[int, int]]:
        return lambda *a: _work(*a, **{name: value(*a) for name, value in changes.items()})

    mistakes = {
        "The FLOP are half of what they should be: a multiplication and an addition are two operations.": wrong(
            each=lambda *a: 1
        ),
        "The number of outputs is that of the inputs: stride and padding decide how many places there are.": wrong(
            out=lambda n, c, o, size, k, s, p: size
        ),
        "Padding lies on both sides: it counts twice in the size of the output.": wrong(
            out=lambda n, c, o, size, k, s, p: (size + p - k) // s + 1
        ),
        "The kernel has kernel² taps, not kernel.": wrong(taps=lambda n, c, o, size, k, s, p: k),
        "These are numbers, not bytes: a float32 has 4.": wrong(item=lambda *a: 1),
        "A float32 has 4 bytes, not 8.": wrong(item=lambda *a: 8),
        "The bytes of the weights are missing.": wrong(weights=lambda *a: 0),
        "The bytes of the output are missing: it is written.": wrong(y=lambda *a: 0),
        "The weights are the same for the whole batch: they are moved once, not once for each image.": wrong(
            weights=lambda n, c, o, size, k, s, p: n * c * o * k**2
        ),
    }
    for case in (
        (1, 2, 1, 5, 3, 1, 0),
        (16, 64, 64, 28, 3, 1, 1),
        (256, 64, 128, 14, 5, 2, 2),
        (32, 3, 64, 64, 4, 2, 1),
    ):
        trial.compare(work, _work, *case, mistakes=mistakes)
    flop, moved = _work(16, 64, 64, 28, 3, 1, 1)
    return f"Our convolution of 16 images makes {flop / moved:.0f} FLOP a byte: memory is not its limit, if each byte moves once."


def _misses(addresses: Sequence[int], lines: int, line: int, refresh: bool = True, newest: bool = False) -> int:
    cache: list[int] = []  # the least recently used first
    count = 0
    for address in addresses:
        number = int(address) // line
        if number in cache:
            if refresh:
                cache.remove(number)
                cache.append(number)
            continue
        count += 1
        if len(cache) == lines:
            cache.pop(-1 if newest else 0)
        cache.append(number)
    return count


@exercise(
    "12.2",
    "A cache",
    hints=(
        "The byte at an address lies in the line number address // line. Keep a list of the lines in the cache.",
        "Keep the list in the order of use: a line that is found moves to the end, and what is dropped is the first.",
    ),
)
def cache(trial: Trial) -> str:
    """Write misses(addresses, lines, line): how many reads do not find their line in a cache of `lines` lines of `line` bytes
    each, empty at first, which drops the line that was not used for the longest time."""
    misses = trial.function("misses")
    mistakes: dict[str, Callable[..., int]] = {
        "A line that is found was *used*: it becomes the last to be dropped. This drops what came in first (FIFO).": (
            lambda a, n, b: _misses(a, n, b, refresh=False)
        ),
        "The line used last is dropped; it should be the one that was not used for the longest time.": (
            lambda a, n, b: _misses(a, n, b, newest=True)
        ),
        "This is a cache of single bytes: when one is missing, its whole line comes, and with it its neighbours.": (
            lambda a, n, b: _misses(a, n, 1)
        ),
        "Nothing is ever dropped: the cache holds only so many lines.": lambda a, n, b: _misses(a, len(a) + 1, b),
        "This counts the reads that find their line, the hits.": lambda a, n, b: len(a) - _misses(a, n, b),
        "The cache holds one line more than it should.": lambda a, n, b: _misses(a, n + 1, b),
        "The cache holds one line less than it should.": lambda a, n, b: _misses(a, n - 1, b) if n > 1 else len(a),
    }
    trial.compare(misses, _misses, [4, 192, 68, 128, 64, 4, 0, 64, 128, 4], 2, 64, mistakes=mistakes)
    rows = [4 * (12 * i + j) for i in range(12) for j in range(12)]  # a 12×12 matrix of float32
    down = [4 * (12 * i + j) for j in range(12) for i in range(12)]
    for name, addresses in (("line by line", rows), ("column by column", down)):
        tried = f"the addresses of a 12×12 float32 matrix, read {name}: misses(addresses, 8, 16)"
        trial.compare(misses, _misses, addresses, 8, 16, mistakes=mistakes, tried=tried)
    for lines in (1, 3, 5):
        numbers = trial.generator.integers(0, 40, (60,)).tolist()
        trial.compare(
            misses, _misses, numbers, lines, 4, mistakes=mistakes, tried=f"60 random addresses, {lines} lines of 4"
        )
    by_rows, by_columns = _misses(rows, 8, 16), _misses(down, 8, 16)
    return f"A 12×12 matrix and 8 lines of 16 bytes: {by_rows} misses line by line, {by_columns} column by column."


def _best(registers: int, cost: Callable[[int, int], int], worth: Callable[[int, int], float]) -> tuple[int, int]:
    tiles = [(r, v) for r in range(1, registers + 1) for v in range(1, registers + 1) if cost(r, v) <= registers]
    return min(tiles, key=lambda tile: worth(*tile))


def _loads(r: int, v: int) -> float:
    return 1 / r + 1 / v


@exercise(
    "12.3",
    "The best tile",
    hints=(
        "Count registers: R·V for the sums, V for a row of weights, one for the number that is spread. Which (R, V) fit?",
        "Try them all, and take the one with the least 1/R + 1/V.",
    ),
)
def best_tile(trial: Trial) -> str:
    """Write best_tile(registers): the (R, V) with the least 1/R + 1/V, of all whose R·V sums, V vectors of weights and one
    spread number fit into so many registers."""
    function = trial.function("best_tile")

    def right(registers: int) -> tuple[int, int]:
        return _best(registers, lambda r, v: r * v + v + 1, _loads)

    mistakes = {
        "The spread number needs a register too.": lambda n: _best(n, lambda r, v: r * v + v, _loads),
        "The V vectors of weights need registers too.": lambda n: _best(n, lambda r, v: r * v + 1, _loads),
        "Only the sums are counted; the vectors of weights and the spread number need registers too.": (
            lambda n: _best(n, lambda r, v: r * v, _loads)
        ),
        "All R spread numbers were given registers of their own; one is enough, they are used one after another.": (
            lambda n: _best(n, lambda r, v: r * v + r + v, _loads)
        ),
        "This is the tile with the most sums. What counts is 1/R + 1/V: a long thin tile loads more.": (
            lambda n: _best(n, lambda r, v: r * v + v + 1, lambda r, v: -r * v)
        ),
        "This tile loads the most for each multiply-add, not the least.": (
            lambda n: _best(n, lambda r, v: r * v + v + 1, lambda r, v: -_loads(r, v))
        ),
    }
    for registers in (20, 32, 16, 8, 64):
        trial.compare(function, right, registers, mistakes=mistakes)
    return (
        "With 32 registers 5 × 5 is best, 0.400 loads for each multiply-add. minigen takes 6 × 4, 0.417: four vectors of 16 make "
        "64 outputs, and channels come in such numbers."
    )


@exercise(
    "12.4",
    "Taps inside the image",
    hints=(
        "Tap p of this place falls on row place·stride - before + p.",
        "The first p is where that row is at least 0, and no less than 0 itself; the end is where the row reaches size, or the "
        "kernel ends.",
    ),
)
def taps_inside(trial: Trial) -> str:
    """Write taps_inside(place, size, kernel, stride, before): the pair (first, end) such that exactly the taps first ≤ p < end
    of this place of the kernel fall on rows 0 … size - 1 of the image, which has `before` rows of zeros above it."""
    function = trial.function("taps_inside")

    def right(place: int, size: int, kernel: int, stride: int, before: int) -> tuple[int, int]:
        top = place * stride - before
        return max(0, -top), min(kernel, size - top)

    mistakes = {
        "The stride is missing: this place begins at row place·stride - before.": (
            lambda i, n, k, s, b: right(i, n, k, 1, b)
        ),
        "The zeros above the image shift every place up by `before` rows.": lambda i, n, k, s, b: right(i, n, k, s, 0),
        "The end is the tap after the last one inside, not the last one.": (
            lambda i, n, k, s, b: (right(i, n, k, s, b)[0], right(i, n, k, s, b)[1] - 1)
        ),
        "It begins before tap 0 or ends after the last: a kernel has the taps 0 … kernel - 1 only.": (
            lambda i, n, k, s, b: (b - i * s, n + b - i * s)
        ),
        "The lower border was forgotten: the last places run out of the image.": (
            lambda i, n, k, s, b: (right(i, n, k, s, b)[0], k)
        ),
        "The upper border was forgotten: the first places begin above the image.": (
            lambda i, n, k, s, b: (0, right(i, n, k, s, b)[1])
        ),
        "These are rows of the image; taps of the kernel were asked for.": (
            lambda i, n, k, s, b: (max(0, i * s - b), min(n, i * s - b + k))
        ),
    }
    for size, kernel, stride, before in ((4, 5, 1, 2), (7, 3, 1, 1), (7, 5, 1, 2), (9, 5, 2, 2), (8, 4, 2, 1)):
        for place in range((size + 2 * before - kernel) // stride + 1):
            trial.compare(function, right, place, size, kernel, stride, before, mistakes=mistakes)
    return "plans.py sorts the pixels of an image by this pair, down and across: a tile holds only pixels of one kind."


class _Counted:
    """A number that knows what it is made of, and counts products of something of d by something of g."""

    def __init__(self, value: float, made_of: frozenset[str], products: list[str]) -> None:
        self.value, self.made_of, self.products = value, made_of, products

    def _with(self, other: Any, value: Callable[[float, float], float], product: bool = False) -> _Counted:
        if not isinstance(other, _Counted):
            return _Counted(value(self.value, float(other)), self.made_of, self.products)
        if product:
            self.products.append("·".join(sorted(self.made_of | other.made_of)))
        return _Counted(value(self.value, other.value), self.made_of | other.made_of, self.products)

    def __add__(self, other: Any) -> _Counted:
        return self._with(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> _Counted:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> _Counted:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> _Counted:
        return self._with(other, lambda a, b: a * b, product=True)

    def __truediv__(self, other: Any) -> _Counted:
        return self._with(other, lambda a, b: a / b, product=True)

    def __neg__(self) -> _Counted:
        return self * -1.0

    __radd__ = __add__
    __rmul__ = __mul__


def _sums(d: Sequence[float], g: Sequence[float]) -> tuple[float, float]:
    return d[0] * g[0] + d[1] * g[1] + d[2] * g[2], d[1] * g[0] + d[2] * g[1] + d[3] * g[2]


def _products(d: Sequence[float], g: Sequence[float], half: float = 0.5) -> tuple[float, float, float, float]:
    return (
        (d[0] - d[2]) * g[0],
        (d[1] + d[2]) * half * (g[0] + g[1] + g[2]),
        (d[2] - d[1]) * half * (g[0] - g[1] + g[2]),
        (d[1] - d[3]) * g[2],
    )


@exercise(
    "12.5",
    "Two outputs for four multiplications",
    hints=(
        "One of the products is (d₁ + d₂)·(g₀ + g₁ + g₂)/2, another (d₂ - d₁)·(g₀ - g₁ + g₂)/2. What is their sum, and their "
        "difference?",
        "Their sum is d₁g₁ + d₂(g₀ + g₂): compared with y₀ it has d₂g₀ too much, and lacks d₀g₀. The difference does the same "
        "for y₁, with g₂. One product mends each.",
    ),
)
def two_outputs(trial: Trial) -> str:
    """Write two_outputs(d, g): y₀ = d₀g₀ + d₁g₁ + d₂g₂ and y₁ = d₁g₀ + d₂g₁ + d₃g₂, with four multiplications of something
    made of d by something made of g."""
    function = trial.function("two_outputs")

    def combined(first: Sequence[int], second: Sequence[int], half: float = 0.5) -> Callable[..., tuple[float, float]]:
        def wrong(d: Sequence[float], g: Sequence[float]) -> tuple[float, float]:
            m = _products(d, g, half)
            return sum(s * p for s, p in zip(first, m)), sum(s * p for s, p in zip(second, m))

        return wrong

    mistakes = {
        "The products at the points 1 and -1 are twice too large: the sum of both needs half of each.": combined(
            (1, 1, 1, 0), (0, 1, -1, -1), 1.0
        ),
        "y₁ is right but for a sign: the product with g₂ is to be taken the other way round.": combined(
            (1, 1, 1, 0), (0, 1, -1, 1)
        ),
        "y₁ has the product at the point -1 with the wrong sign: it is the difference of the two.": combined(
            (1, 1, 1, 0), (0, 1, 1, -1)
        ),
        "The kernel is turned round: y₀ = d₀g₀ + d₁g₁ + d₂g₂, both counting up.": lambda d, g: _sums(d, g[::-1]),
    }
    cases = [([1.0, 0.0, 0.0, 0.0], [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0, 5.0], [1.0, 2.0, 4.0])]
    cases += [(numbers[:4], numbers[4:]) for numbers in trial.generator.normal((3, 7), dtype="float64").tolist()]
    for d, g in cases:
        trial.compare(function, _sums, d, g, mistakes=mistakes, rtol=1e-9)
    products: list[str] = []
    counting = [
        [_Counted(value, frozenset(name), products) for value in values]
        for name, values in zip("dg", ([1.0, 2.0, 3.0, 5.0], [1.0, 2.0, 4.0]))
    ]
    try:
        function(*counting)
    except Exception as error:
        trial.fail(
            "The results are right, but the multiplications cannot be counted: take the numbers d[0], g[0], ... as they come, "
            f"and make no tensors of them. ({type(error).__name__})",
            "two_outputs(d, g)",
        )
    count = sum(product == "d·g" for product in products)
    among = len(products) - count
    trial.require(
        count <= 4,
        f"The results are right, with {count} multiplications of something of d by something of g. "
        + ("That is the sum as it stands. " if count == 6 else "")
        + "Four are enough: sums of d times sums of g, at the points 0, 1, -1 and ∞.",
        "two_outputs(d, g)",
        f"{count} multiplications",
        "4",
    )
    trial.require(
        count == 4 and among == 0,
        f"The results are right, but {among} multiplications of numbers of d among themselves, or of g, were made on the way; "
        "only sums, differences and halves of them are free.",
        "two_outputs(d, g)",
    )
    return "Down and across, it is 16 multiplications for four outputs instead of 36: F(2×2, 3×3), the smallest of the family."
