"""Chapter 4: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

from minigen import course


def places(n, stride):
    return -(-n // stride)


def in_two(total):
    return total // 2, total - total // 2


def zeros(n, kernel, stride):
    return in_two(max((places(n, stride) - 1) * stride + kernel - n, 0))


def windows(x, kernel, stride):
    """(OH, OW, C, K, K), place by place."""
    rows, columns = ((n - kernel) // stride + 1 for n in x.shape[1:])
    return np.array(
        [
            [x[:, stride * i : stride * i + kernel, stride * j : stride * j + kernel] for j in range(columns)]
            for i in range(rows)
        ]
    )


def patches(*axes, step=None, turn=False):
    """The matrix of patches with the axes in another order, or another stride, or turned kernels."""

    def answer(x, kernel, stride):
        found = windows(x, kernel, step or stride)
        found = found[..., ::-1, ::-1] if turn else found
        return found.transpose(axes).reshape(found.shape[0] * found.shape[1], -1)

    return answer


def neighbours(x, kernel, stride):
    """As many places as there should be, but side by side."""
    rows, columns = ((n - kernel) // stride + 1 for n in x.shape[1:])
    return windows(x, kernel, 1)[:rows, :columns].reshape(rows * columns, -1)


def weight_gradient(order="ocpq", step=None, turn=False, mean=False, last=False, ignore=False):
    def answer(x, g, kernel, stride):
        seen = windows(x, kernel, step or stride)[: g.shape[1], : g.shape[2]]  # (OH, OW, C, K, K)
        g = np.ones_like(g) if ignore else g
        if last:
            seen, g = seen[-1:, -1:], g[:, -1:, -1:]
        found = np.einsum(f"oij,ijcpq->{order}", g, seen)
        found = found[..., ::-1, ::-1] if turn else found
        return found / g[0].size if mean else found

    return answer


def transposed(y, w, stride, overwrite=False, turn=False, mean=False):
    size = w.shape[2]
    w = w[:, :, ::-1, ::-1] if turn else w
    x = np.zeros((w.shape[1], *(stride * (n - 1) + size for n in y.shape[1:])))
    counts = np.zeros(x.shape[1:])
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            here = np.s_[stride * i : stride * i + size, stride * j : stride * j + size]
            copy = np.tensordot(y[:, i, j], w, 1)
            x[:, *here] = copy if overwrite else x[:, *here] + copy
            counts[here] += 1
    return x / np.maximum(counts, 1) if mean else x


def with_sums(w, stride, choose):
    sums = [w[p::stride].sum() for p in range(stride)]
    m, found = choose(sums), w.copy()
    for p in range(stride):
        found[p::stride] += (m - sums[p]) / len(w[p::stride])
    return found


def by_a_factor(w, stride):
    sums, found = [w[p::stride].sum() for p in range(stride)], w.copy()
    for p in range(stride):
        found[p::stride] *= np.mean(sums) / sums[p]
    return found


WRONG = [
    ("04.1", lambda n, k, s: zeros(n, k, s)[::-1], "goes after, not before"),
    ("04.1", lambda n, k, s: in_two(k - 1), "right for stride 1 only"),
    ("04.1", lambda n, k, s: (k // 2, k // 2), "odd kernels and stride 1"),
    ("04.1", lambda n, k, s: in_two(max((n // s - 1) * s + k - n, 0)), "rounded up"),
    ("04.1", lambda n, k, s: in_two((places(n, s) - 1) * s + k - n), "A number is negative"),
    ("04.1", lambda n, k, s: (zeros(n, k, s)[0],) * 2, "one side needs one more"),
    ("04.1", lambda n, k, s: (sum(zeros(n, k, s)),) * 2, "both sides together"),
    ("04.1", lambda n, k, s: zeros(n, k, s)[1], "should return 2 results"),
    ("04.2", patches(0, 1, 3, 4, 2), "channels come last"),
    ("04.2", patches(0, 1, 2, 4, 3), "lines and columns are exchanged"),
    ("04.2", patches(1, 0, 2, 3, 4), "j runs faster than i"),
    ("04.2", patches(2, 0, 1, 3, 4), "the axes were never exchanged"),
    ("04.2", patches(0, 1, 2, 3, 4, step=1), "The stride was not used"),
    ("04.2", neighbours, "begins `stride` pixels further on"),
    ("04.2", patches(0, 1, 2, 3, 4, turn=True), "turned round"),
    ("04.2", lambda x, k, s: patches(0, 1, 2, 3, 4)(x, k, s).T, "transposed"),
    ("04.3", weight_gradient(turn=True), "turned round"),
    ("04.3", weight_gradient(step=1), "The stride is missing"),
    ("04.3", weight_gradient(mean=True), "gets the sum"),
    ("04.3", weight_gradient(last=True), "Only the last place counts"),
    ("04.3", weight_gradient(order="copq"), "The channels are exchanged"),
    ("04.3", weight_gradient(ignore=True), "g is not used"),
    ("04.4", lambda y, w, s: transposed(y, w, s, overwrite=True), "overwrite the earlier"),
    ("04.4", lambda y, w, s: transposed(y, w, s, turn=True), "The copies are turned round"),
    ("04.4", lambda y, w, s: transposed(y, w, s, mean=True), "wants the sum"),
    ("04.4", lambda y, w, s: transposed(y, w, 1), "`stride` pixels apart"),
    ("04.4", lambda y, w, s: transposed(y[:1], w[:1], s), "Only the first channel"),
    ("04.4", lambda y, w, s: transposed(y, w.swapaxes(0, 1), s), "It raised ValueError"),
    ("04.5", lambda w, s: w, "The phases' sums are"),
    ("04.5", lambda w, s: w / w.sum(), "The phases' sums are"),
    ("04.5", lambda w, s: with_sums(w, s, np.mean), "another sum costs less"),
    ("04.5", by_a_factor, "multiplied by a factor"),
    ("04.5", lambda w, s: with_sums(w, s, lambda sums: 1.0), "equal and 1"),
    ("04.5", lambda w, s: with_sums(w, s, lambda sums: 0.0), "equal and 0"),
    ("04.5", lambda w, s: np.full(len(w), w.mean()), "nothing is left of w"),
    ("04.5", lambda w, s: np.add(w, 1)[:-1], "It has the shape"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(4)}
