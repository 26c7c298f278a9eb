"""Chapter 9: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

from minigen import course


def normalizer(
    axes=(0, 2, 3),
    root=lambda v, eps: np.sqrt(v + eps),
    ddof=0,
    kept_ddof=1,
    keep=lambda old, now, m: (1 - m) * old + m * now,
    by_batch=lambda training: training,
    updates=lambda training: training,
):
    """Batch norm with parts that can be exchanged for wrong ones."""

    def batch_norm(x, mean, var, training, momentum, eps):
        m, v = x.mean(axes, keepdims=True), x.var(axes, keepdims=True, ddof=ddof)
        if not by_batch(training):
            m, v = mean[:, None, None], var[:, None, None]
        y = (x - m) / root(v, eps)
        if updates(training):
            mean = keep(mean, x.mean((0, 2, 3)), momentum)
            var = keep(var, x.var((0, 2, 3), ddof=kept_ddof), momentum)
        return y, mean, var

    return batch_norm


def right_std(c, k, s, a):
    return np.sqrt(2 / (1 + a**2)) * s / np.sqrt(c) / k


def matrix_root(matrix):
    values, axes = np.linalg.eigh(matrix)
    return (axes * np.sqrt(values)) @ axes.T


def overlap(s, t):
    return np.sqrt(np.linalg.eigvals(s @ t).real).sum()


def distance(rule, ddof=1):
    def frechet(a, b):
        s, t = np.cov(a, rowvar=False, ddof=ddof), np.cov(b, rowvar=False, ddof=ddof)
        return rule(a.mean(0) - b.mean(0), s, t)

    return frechet


def distances(a, b):
    return np.linalg.norm(a[:, None] - b, axis=2)


def radii(points, place):
    return np.sort(distances(points, points), axis=1)[:, place]


def covered(real, fake, place):
    return (distances(real, fake) <= radii(real, place)[:, None]).any(axis=1).mean()


def loss(r, f):
    return np.log1p(np.exp(-r)).mean() + np.log1p(np.exp(f)).mean()


WRONG = [
    ("09.1", normalizer(axes=(2, 3)), "instance norm"),
    ("09.1", normalizer(axes=(0, 1, 2, 3)), "over all channels at once"),
    ("09.1", normalizer(axes=(0,)), "at every place by itself"),
    ("09.1", normalizer(root=lambda v, eps: v + eps), "divided by the variance"),
    ("09.1", normalizer(root=lambda v, eps: np.sqrt(v) + eps), "outside of the root"),
    ("09.1", normalizer(root=lambda v, eps: np.sqrt(v)), "eps is missing"),
    ("09.1", normalizer(ddof=1), "y takes the variance over n - 1"),
    ("09.1", normalizer(kept_ddof=0), "The kept variance"),
    ("09.1", normalizer(keep=lambda old, now, m: m * old + (1 - m) * now), "as in Keras"),
    ("09.1", normalizer(keep=lambda old, now, m: now), "forgets all but this batch"),
    ("09.1", normalizer(by_batch=lambda training: True), "In evaluation it looks at the batch"),
    ("09.1", normalizer(by_batch=lambda training: False), "In training y is computed with the kept"),
    ("09.1", normalizer(updates=lambda training: True), "nothing is learnt there"),
    ("09.1", normalizer(updates=lambda training: False), "stay as they were"),
    ("09.1", lambda x, mean, var, training, momentum, eps: x, "3 results"),
    ("09.2", lambda c, k, s, a: right_std(c, k, 1, a), "right for a convolution"),
    ("09.2", lambda c, k, s, a: right_std(c, k, 1, a) * np.sqrt(s), "its square is needed"),
    ("09.2", lambda c, k, s, a: s / np.sqrt(c) / k, "activation is left out"),
    ("09.2", lambda c, k, s, a: right_std(c, k, s, a) ** 2, "its root is asked for"),
    ("09.2", lambda c, k, s, a: right_std(c, k, s, a) * np.sqrt(k), "kernel² places"),
    ("09.2", lambda c, k, s, a: np.sqrt(2 / (1 + a)) * s / np.sqrt(c) / k, "The slope enters squared"),
    ("09.2", lambda c, k, s, a: np.sqrt((1 + a**2) / 2) * s / np.sqrt(c) / k, "upside down"),
    ("09.2", lambda c, k, s, a: right_std(c, k, s, 0), "For slope 0"),
    ("09.3", distance(lambda d, s, t: d @ d + np.trace(s + t) - 2 * overlap(s, t), ddof=0), "over n - 1"),
    (
        "09.3",
        distance(lambda d, s, t: d @ d + np.trace(s + t) - 2 * np.trace(np.sqrt(np.abs(s @ t)))),
        "element by element",
    ),
    (
        "09.3",
        distance(lambda d, s, t: d @ d + np.trace(s + t) - 2 * np.trace(matrix_root(s) @ matrix_root(t))),
        "unless the two matrices commute",
    ),
    (
        "09.3",
        distance(lambda d, s, t: d @ d + ((np.diag(s) ** 0.5 - np.diag(t) ** 0.5) ** 2).sum()),
        "Only the variances",
    ),
    ("09.3", distance(lambda d, s, t: d @ d + np.trace(s + t) - overlap(s, t)), "The 2 before the root"),
    ("09.3", distance(lambda d, s, t: (d @ d) ** 0.5 + np.trace(s + t) - 2 * overlap(s, t)), "enters squared"),
    ("09.3", distance(lambda d, s, t: np.trace(s + t) - 2 * overlap(s, t)), "distance of the means is missing"),
    ("09.3", distance(lambda d, s, t: d @ d), "Only the means"),
    (
        "09.3",
        distance(lambda d, s, t: np.sqrt(d @ d + np.trace(s + t) - 2 * overlap(s, t))),
        "Its root was taken",
    ),
    ("09.3", distance(lambda d, s, t: s + t), "One number was expected"),
    ("09.4", lambda real, fake, k: covered(real, fake, k - 1), "counted as its first neighbour"),
    ("09.4", lambda real, fake, k: covered(real, fake, k + 1), "(k + 1)-th"),
    ("09.4", lambda real, fake, k: (distances(real, fake) <= radii(real, k)[:, None]).any(0).mean(), "precision"),
    ("09.4", lambda real, fake, k: (distances(real, fake) <= radii(fake, k)).any(1).mean(), "that is recall"),
    (
        "09.4",
        lambda real, fake, k: (distances(real, fake) <= radii(real, k)[:, None]).sum() / k / len(fake),
        "This is density",
    ),
    ("09.4", lambda real, fake, k: covered(fake, real, k), "exchanged"),
    ("09.5", loss, "L_D itself"),
    ("09.5", lambda r, f: np.log(4) - loss(r, f), "twice the bound"),
    ("09.5", lambda r, f: np.log(2) - loss(r, f), "contains JS twice"),
    ("09.5", lambda r, f: 1 - loss(r, f) / 2 / np.log(2), "in bits"),
    ("09.5", lambda r, f: loss(r, f) / 2 - np.log(2), "The sign is wrong"),
    ("09.5", lambda r, f: max(np.log(2) - loss(r, f) / 2, 0.0), "was cut off"),
    ("09.5", lambda r, f: np.log(2) - loss(f, r) / 2, "exchanged"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(9)}
