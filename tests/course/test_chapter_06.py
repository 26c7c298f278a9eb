"""Chapter 6: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

from minigen import course
from minigen.random import Generator


def log_normal(x, mean, covariance, constant=None, log_det=0.5, form=0.5, inverse=True):
    centred, d = x - mean, len(mean)
    middle = np.linalg.inv(covariance) if inverse else covariance
    square = np.einsum("nd,de,ne->n", centred, middle, centred)
    constant = d if constant is None else constant
    return -0.5 * constant * np.log(2 * np.pi) - log_det * np.linalg.slogdet(covariance)[1] - form * square


def by_determinant(x, mean, covariance):
    square = np.einsum("nd,de,ne->n", x - mean, np.linalg.inv(covariance), x - mean)
    return -0.5 * (len(mean) * np.log(2 * np.pi) + np.log(np.linalg.det(covariance)) + square)


def e_step(a):
    top = a.max(axis=1, keepdims=True)
    log_prob = top + np.log(np.exp(a - top).sum(axis=1, keepdims=True))
    return log_prob[:, 0], np.exp(a - log_prob)


def naive(a):
    joint = np.exp(a)
    return np.log(joint.sum(axis=1)), joint / joint.sum(axis=1, keepdims=True)


def one_top(a):
    joint = np.exp(a - a.max())
    return a.max() + np.log(joint.sum(axis=1)), joint / joint.sum(axis=1, keepdims=True)


def m_step(x, r, mean=None, weigh=None, over=None):
    size = r.sum(axis=0)
    means = r.T @ x / size[:, None]
    over = size if over is None else over(x, size)
    weigh = r if weigh is None else weigh(r)
    covariances = []
    for k in range(r.shape[1]):
        c = x - (means[k] if mean is None else mean(x))
        covariances.append((weigh[:, k, None] * c).T @ c / over[k])
    return size / len(x), means, np.stack(covariances)


def replaced(part, place):
    def wrong(x, r):
        results = list(m_step(x, r))
        results[place] = part(x, r, results)
        return tuple(results)

    return wrong


def hard(x, r):
    return m_step(x, np.eye(r.shape[1])[r.argmax(axis=1)])


def by_np_cov(x, r):
    return (*m_step(x, r)[:2], np.stack([np.cov(x.T, aweights=r[:, k]) for k in range(r.shape[1])]))


def of_fixed_numbers(weights, means, covariances, n, generator):
    k = np.repeat(np.arange(len(weights)), np.round(weights * n).astype(int))
    noise = generator.normal((n, 2), dtype=np.float64)
    return means[k] + np.einsum("nij,nj->ni", np.linalg.cholesky(covariances)[k], noise)


def free(k, d):
    return k - 1 + k * d + k * d * (d + 1) // 2


def criteria(count=free, sign=1.0, fit=2.0, price=2.0, log=np.log, log_price=1.0):
    def values(a, components, d, n):
        k = count(components, d)
        return sign * (price * k - fit * a), sign * (log_price * k * log(n) - fit * a)

    return values


def sample(root=np.linalg.cholesky, choose=None, transposed=False, centre=None, seed=None):
    def draw(weights, means, covariances, n, generator):
        generator = generator if seed is None else Generator(seed)
        u = generator.uniform((n,), dtype=np.float64)
        k = np.searchsorted(np.cumsum(weights)[:-1], u) if choose is None else choose(u, len(weights))
        roots = np.stack([root(c) for c in covariances])[k]
        roots = roots.swapaxes(1, 2) if transposed else roots
        noise = np.einsum("nij,nj->ni", roots, generator.normal((n, 2), dtype=np.float64))
        return (means[k] if centre is None else centre(weights, means)) + noise

    return draw


def unseeded(weights, means, covariances, n, generator):
    return means[np.arange(n) % 3] + np.random.default_rng().normal(size=(n, 2))


def one_noise(weights, means, covariances, n, generator):
    return np.tile(means[:1] + generator.normal((1, 2)), (n, 1))


WRONG = [
    ("06.1", lambda x, m, c: log_normal(x, m, c, constant=1), "each of the D dimensions"),
    ("06.1", lambda x, m, c: log_normal(x, m, c, constant=0), "½·D·ln 2π is missing"),
    ("06.1", lambda x, m, c: log_normal(x, m, c, log_det=1), "*root* of the determinant"),
    ("06.1", lambda x, m, c: log_normal(x, m, c, log_det=-0.5), "wrong sign"),
    ("06.1", lambda x, m, c: log_normal(x, m, c, log_det=0), "ln det Σ is missing"),
    ("06.1", lambda x, m, c: log_normal(x, m, c, log_det=0.25), "only half is there"),
    ("06.1", lambda x, m, c: log_normal(x, m, c, form=1), "lacks its ½"),
    ("06.1", lambda x, m, c: log_normal(x, m, c, inverse=False), "it is Σ⁻¹"),
    ("06.1", lambda x, m, c: np.exp(log_normal(x, m, c)), "the density itself"),
    ("06.1", lambda x, m, c: log_normal(x, m, np.diag(np.diag(c))), "only the diagonal"),
    ("06.1", lambda x, m, c: log_normal(x, m, c).sum(), "one number for each row"),
    ("06.1", by_determinant, "no float64 holds"),
    ("06.2", lambda a: (a.max(axis=1), e_step(a)[1]), "not the largest of them"),
    ("06.2", lambda a: (e_step(a)[0] - a.max(axis=1), e_step(a)[1]), "must be added again"),
    ("06.2", lambda a: (np.exp(e_step(a)[0]), e_step(a)[1]), "return its logarithm"),
    ("06.2", lambda a: (e_step(a)[0], a - e_step(a)[0][:, None]), "logarithms of the responsibilities"),
    ("06.2", lambda a: (e_step(a)[0], np.exp(a) / np.exp(a).sum(axis=0)), "for each *point*"),
    ("06.2", lambda a: (e_step(a)[0], np.eye(a.shape[1])[a.argmax(axis=1)]), "as k-means does"),
    ("06.2", lambda a: (e_step(a)[0], np.exp(a)), "not divided by their sum"),
    ("06.2", lambda a: (a.sum(axis=1), e_step(a)[1]), "that of a product"),
    ("06.2", lambda a: e_step(a)[::-1], "other order"),
    ("06.2", naive, "subtract the largest number of each row"),
    ("06.2", one_top, "is not enough"),
    ("06.3", hard, "that is k-means"),
    ("06.3", replaced(lambda x, r, p: r.sum(axis=0), 0), "divide them by n"),
    ("06.3", replaced(lambda x, r, p: r.T @ x / len(x), 1), "and not by n"),
    ("06.3", lambda x, r: m_step(x, r, over=lambda x, size: np.full(len(size), len(x))), "must be by nₖ"),
    ("06.3", lambda x, r: m_step(x, r, over=lambda x, size: size - 1), "nₖ - 1"),
    ("06.3", lambda x, r: m_step(x, r, mean=lambda x: x.mean(axis=0)), "mean of all points"),
    ("06.3", lambda x, r: m_step(x, r, mean=lambda x: 0.0), "never subtracted"),
    ("06.3", lambda x, r: m_step(x, r, weigh=np.ones_like, over=lambda x, s: 0 * s + len(x)), "not weighed"),
    ("06.3", replaced(lambda x, r, p: p[2] * np.eye(x.shape[1]), 2), "only the variances"),
    ("06.3", lambda x, r: m_step(x, r, weigh=np.square), "are squared"),
    ("06.4", criteria(lambda k, d: free(k, d) + 1), "K - 1 are free"),
    ("06.4", criteria(lambda k, d: k - 1 + k * d + k * d * d), "D(D + 1)/2 are free"),
    ("06.4", criteria(lambda k, d: k + k * d + k * d * d), "and the weights K times"),
    ("06.4", criteria(lambda k, d: k), "counts the components"),
    ("06.4", criteria(lambda k, d: free(k, d) - k + 1), "weights are not counted"),
    ("06.4", criteria(sign=-1), "opposite sign"),
    ("06.4", criteria(fit=1), "counts twice"),
    ("06.4", criteria(fit=-2), "is subtracted"),
    ("06.4", lambda a, k, d, n: criteria()(a * n, k, d, n), "do not multiply"),
    ("06.4", criteria(log=np.log10), "natural logarithm"),
    ("06.4", criteria(log_price=2), "no 2 before"),
    ("06.5", lambda w, m, c, n, g: sample()(w, m, c, n, g)[:-1], "wrong shape"),
    ("06.5", unseeded, "from the generator"),
    ("06.5", sample(seed=3), "do not come from the generator"),
    ("06.5", one_noise, "more than once"),
    ("06.5", sample(centre=lambda w, m: w @ m), "does not average"),
    ("06.5", sample(centre=lambda w, m: m.sum(axis=0)), "far from every mean"),
    ("06.5", sample(choose=lambda u, k: np.zeros(len(u), int)), "for *each* point"),
    ("06.5", sample(choose=lambda u, k: (u * k).astype(int)), "weights are not used"),
    ("06.5", sample(choose=lambda u, k: (u**2 * k).astype(int)), "with their weights"),
    ("06.5", sample(root=lambda c: np.eye(2)), "Σₖ is not used"),
    ("06.5", sample(root=lambda c: c), "LLᵀ = Σ"),
    ("06.5", sample(transposed=True), "u @ L.T"),
    ("06.5", sample(root=lambda c: np.diag(np.sqrt(np.diag(c)))), "Only the variances"),
    ("06.5", sample(root=lambda c: np.diag(np.diag(c))), "the root is missing"),
    ("06.3", by_np_cov, "unless it gets ddof=0"),
    ("06.4", lambda *args: tuple(2 * value for value in criteria()(*args)), "Every result is 2 times"),
    ("06.5", of_fixed_numbers, "fixed at n·πₖ"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(6)}
