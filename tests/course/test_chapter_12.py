"""Chapter 12: a wrong answer is refused, with a sentence that names the mistake."""

import pytest

import minigen
from minigen import course


def work(
    batch, ins, outs, size, kernel, stride, padding, each=2, same=False, sides=2, power=2, item=4, leave="", images=1
):
    out = size if same else (size + sides * padding - kernel) // stride + 1
    arrays = {
        "x": batch * ins * size**2,
        "w": images * outs * ins * kernel**2,
        "y": batch * outs * out**2,
    }
    flop = each * batch * out**2 * outs * ins * kernel**power
    return flop, item * sum(count for name, count in arrays.items() if name not in leave)


def changed(**changes):
    return lambda *args: work(*args, **changes)


def misses(addresses, lines, line, oldest=0, refresh=True):
    cache, count = [], 0
    for number in (address // line for address in addresses):
        if number not in cache:
            count += 1
            if len(cache) == lines:
                cache.pop(oldest)
            cache.append(number)
        elif refresh:
            cache.append(cache.pop(cache.index(number)))
    return count


def tile(registers, sums=1, of_a=1, of_b=None, worth=lambda r, v: 1 / r + 1 / v):
    """The best tile when of_a and of_b registers (functions of r and v) are set aside for the operands."""
    fitting = [
        (r, v)
        for r in range(1, registers + 1)
        for v in range(1, registers + 1)
        if sums * r * v + (of_a(r, v) if callable(of_a) else of_a) + (v if of_b is None else of_b(r, v)) <= registers
    ]
    return min(fitting, key=lambda rv: worth(*rv))


def inside(place, size, kernel, stride, before):
    rows = [place * stride - before + p for p in range(kernel)]
    taps = [p for p, row in enumerate(rows) if 0 <= row < size]
    return taps[0], taps[-1] + 1


def sums(d, g):
    return sum(a * b for a, b in zip(d, g)), sum(a * b for a, b in zip(d[1:], g))


def products(d, g, half=0.5, sign=1):
    p, q = half * (d[1] + d[2]) * (g[0] + g[1] + g[2]), half * (d[2] - d[1]) * (g[0] - g[1] + g[2])
    return (d[0] - d[2]) * g[0], p, q, sign * (d[1] - d[3]) * g[2]


def winograd(first, second, **changes):
    def answer(d, g):
        m = products(d, g, **changes)
        return sum(s * p for s, p in zip(first, m)), sum(s * p for s, p in zip(second, m))

    return answer


def half_way(d, g):
    """Four products for y₀ and y₁, but y₁ as it stands."""
    a, p, q, _ = products(d, g)
    return a + p + q, sums(d, g)[1]


def with_products_among_themselves(d, g):
    a, p, q, b = products(d, g)
    return a + p + q + (d[0] * d[1] - d[0] * d[1]), p - q - b


def by_tensors(d, g):
    d, g = minigen.tensor(d, dtype=minigen.float64), minigen.tensor(g, dtype=minigen.float64)
    return (d[:3] * g).sum(), (d[1:] * g).sum()


def by_float32(d, g):
    d, g = minigen.tensor(d), minigen.tensor(g)
    return (d[:3] * g).sum().item(), (d[1:] * g).sum().item()


WRONG = [
    ("12.1", changed(each=1), "a multiplication and an addition"),
    ("12.1", changed(same=True), "that of the inputs"),
    ("12.1", changed(sides=1), "on both sides"),
    ("12.1", changed(power=1), "kernel² taps"),
    ("12.1", changed(item=1), "These are numbers, not bytes"),
    ("12.1", changed(item=8), "4 bytes, not 8"),
    ("12.1", changed(leave="w"), "weights are missing"),
    ("12.1", changed(leave="y"), "it is written"),
    ("12.1", lambda *a: work(*a, images=a[0]), "once for each image"),
    ("12.1", lambda *a: work(*a)[0], "should return 2 results"),
    ("12.2", lambda a, n, b: misses(a, n, b, refresh=False), "FIFO"),
    ("12.2", lambda a, n, b: misses(a, n, b, oldest=-1), "used last is dropped"),
    ("12.2", lambda a, n, b: misses(a, n, 1), "single bytes"),
    ("12.2", lambda a, n, b: len({address // b for address in a}), "Nothing is ever dropped"),
    ("12.2", lambda a, n, b: len(a) - misses(a, n, b), "the hits"),
    ("12.2", lambda a, n, b: misses(a, n + 1, b), "one line more"),
    ("12.2", lambda a, n, b: misses(a, max(1, n - 1), b), "one line less"),
    ("12.3", lambda n: tile(n, of_a=0), "The spread number needs a register"),
    ("12.3", lambda n: tile(n, of_b=lambda r, v: 0), "vectors of weights need registers too"),
    ("12.3", lambda n: tile(n, of_a=0, of_b=lambda r, v: 0), "Only the sums are counted"),
    ("12.3", lambda n: tile(n, of_a=lambda r, v: r), "one after another"),
    ("12.3", lambda n: tile(n, of_b=lambda r, v: r), "other order"),
    ("12.3", lambda n: tile(n, worth=lambda r, v: -r * v), "most sums"),
    ("12.3", lambda n: tile(n, worth=lambda r, v: -1 / r - 1 / v), "not the least"),
    ("12.3", lambda n: tile(n)[::-1], "other order"),
    ("12.4", lambda i, n, k, s, b: inside(i, n, k, 1, b), "The stride is missing"),
    ("12.4", lambda i, n, k, s, b: inside(i, n, k, s, 0) if i * s < n else (0, 0), "shift every place up"),
    ("12.4", lambda i, *a: (inside(i, *a)[0], inside(i, *a)[1] - 1), "the tap after the last"),
    ("12.4", lambda i, n, k, s, b: (b - i * s, n + b - i * s), "0 … kernel - 1 only"),
    ("12.4", lambda i, n, k, s, b: (inside(i, n, k, s, b)[0], k), "lower border"),
    ("12.4", lambda i, n, k, s, b: (0, inside(i, n, k, s, b)[1]), "upper border"),
    ("12.4", lambda i, n, k, s, b: (max(0, i * s - b), min(n, i * s - b + k)), "rows of the image"),
    ("12.5", sums, "6 multiplications"),
    ("12.5", half_way, "10 multiplications"),
    ("12.5", winograd((1, 1, 1, 0), (0, 1, -1, -1), half=1.0), "twice too large"),
    ("12.5", winograd((1, 1, 1, 0), (0, 1, -1, 1)), "the other way round"),
    ("12.5", winograd((1, 1, 1, 0), (0, 1, 1, -1)), "the difference of the two"),
    ("12.5", lambda d, g: sums(d, g[::-1]), "The kernel is turned round"),
    ("12.5", with_products_among_themselves, "among themselves"),
    ("12.5", lambda d, g: sums(d, g)[0], "should return 2 results"),
    ("12.5", by_tensors, "make no tensors of them"),
    ("12.5", by_float32, "numbers of float32"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(12)}
