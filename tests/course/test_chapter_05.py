"""Chapter 5: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

from minigen import course


def rows_of(train, k):
    return np.linalg.svd(train, full_matrices=False)[2][:k]


def pca(train, images, k, mean=None, centre=None, back=None):
    """Principal components with other means than there should be."""
    own = train.mean(axis=0)
    mean = own if mean is None else mean
    rows = rows_of(train - mean, k)
    centre = mean if centre is None else centre
    return (centre if back is None else back) + (images - centre) @ rows.T @ rows


def svd_columns(train, images, k):
    mean = train.mean(axis=0)
    columns = np.linalg.svd(train - mean)[2][:, :k]
    return mean + (images - mean) @ columns @ columns.T


def eigh_smallest(train, images, k):
    mean = train.mean(axis=0)
    vectors = np.linalg.eigh(np.cov(train.T))[1][:, :k]
    return mean + (images - mean) @ vectors @ vectors.T


def steps(x, v, w):
    z = x @ v.T
    return z, 2 * (z @ w.T - x) / len(x)


def gradients(x, v, w, factor=1.0):
    z, bar = steps(x, v, w)
    return factor * (bar @ w).T @ x, factor * bar.T @ z


def by_encoder(x, v, w):
    z, bar = steps(x, v, w)
    return (bar @ v.T).T @ x, bar.T @ z


def by_reconstruction(x, v, w):
    z, bar = steps(x, v, w)
    return (bar @ w).T @ (z @ w.T), bar.T @ z


def angle(a, b, basis=lambda a: np.linalg.qr(a)[0], clip=True):
    cosines = np.linalg.svd(basis(a).T @ basis(b), compute_uv=False)
    return np.arccos(np.clip(cosines, -1, 1) if clip else cosines)


def unit(a):
    return a / np.linalg.norm(a, axis=0)


def linear(k):
    """An "autoencoder" of principal components."""

    def make(images):
        mean = images.mean(axis=0)
        rows = rows_of(images - mean, k)
        return lambda x: (x - mean) @ rows.T, lambda z: mean + z @ rows

    return make


def few(images):
    """Four principal components and four zeros."""
    encode, decode = linear(4)(images)
    return lambda x: np.pad(encode(x), ((0, 0), (0, 4))), lambda z: decode(z[:, :4])


def mean_image(images):
    mean = images.mean(axis=0)
    return lambda x: np.zeros((len(x), 8)), lambda z: np.tile(mean, (len(z), 1))


def remembers(images):
    """It hands the image past the code."""
    seen = {}

    def encode(x):
        seen["x"] = x
        return x[:, :8]

    return encode, lambda z: seen["x"]


def by_heart(images):
    """The code is the number of the nearest training image."""

    def encode(x):
        squares = (x**2).sum(axis=1)[:, None] + (images**2).sum(axis=1) - 2 * x @ images.T
        return np.repeat(squares.argmin(axis=1)[:, None], 8, axis=1).astype(np.float32)

    return encode, lambda z: images[z[:, 0].round().astype(int)]


def pairs(scores, anomalous):
    return scores[anomalous][:, None] - scores[~anomalous][None, :]


def won(scores, anomalous):
    d = pairs(scores, anomalous)
    return (d > 0).sum() + 0.5 * (d == 0).sum()


def uncentred(train, images, k):
    rows = rows_of(train, k)
    return images @ rows.T @ rows


WRONG = [
    ("05.1", uncentred, "not centred"),
    ("05.1", lambda t, x, k: pca(t, x, k, back=0.0), "never added again"),
    ("05.1", lambda t, x, k: pca(t, x, k, centre=x.mean(axis=0)), "by their own mean"),
    ("05.1", lambda t, x, k: pca(x, x, k), "must come from train"),
    ("05.1", svd_columns, "its rows"),
    ("05.1", eigh_smallest, "*smallest* variance"),
    ("05.1", lambda t, x, k: (x - t.mean(axis=0)) @ rows_of(t - t.mean(axis=0), k).T, "It has the shape"),
    ("05.2", lambda x, v, w: gradients(x, v, w, 0.5), "2 of the square"),
    ("05.2", lambda x, v, w: gradients(x, v, w, len(x)), "divide by N"),
    ("05.2", lambda x, v, w: gradients(x, v, w, 1 / x.shape[1]), "mean over the pixels too"),
    ("05.2", lambda x, v, w: gradients(x, v, w, -1), "wrong sign"),
    ("05.2", by_encoder, "by W, and not by Vᵀ"),
    ("05.2", by_reconstruction, "which is x, not x̂"),
    ("05.2", lambda x, v, w: gradients(x, v, w)[::-1], "other order"),
    ("05.2", lambda x, v, w: tuple(g.T for g in gradients(x, v, w)), "transposed"),
    ("05.3", lambda a, b: angle(a, b).min(), "smallest angle"),
    ("05.3", lambda a, b: np.cos(angle(a, b)).min(), "cosine of the angle"),
    ("05.3", lambda a, b: np.degrees(angle(a, b).max()), "in degrees"),
    ("05.3", lambda a, b: angle(a, b, unit).max(), "perpendicular to one another"),
    ("05.3", lambda a, b: np.arccos((unit(a) * unit(b)).sum(axis=0)).max(), "between single columns"),
    ("05.3", lambda a, b: angle(a, b, clip=False).max(), "clip it to 1"),
    ("05.3", lambda a, b: angle(a, b), "shape (2,)"),
    ("05.4", linear(16), "The code has 16 numbers"),
    ("05.4", linear(8), "principal components again"),
    ("05.4", mean_image, "drawing the mean digit"),
    ("05.4", remembers, "in another order"),
    ("05.4", by_heart, "by heart"),
    ("05.4", few, "Not enough yet"),
    ("05.4", lambda images: images, "two functions"),
    ("05.4", lambda images: (lambda x: x[:, :8], lambda z: z), "wrong shape"),
    ("05.5", lambda s, a: (pairs(s, a) >= 0).mean(), "counted as won"),
    ("05.5", lambda s, a: (pairs(s, a) > 0).mean(), "not counted"),
    ("05.5", lambda s, a: 1 - won(s, a) / pairs(s, a).size, "*normal* sample"),
    ("05.5", won, "how many pairs"),
    ("05.5", lambda s, a: won(s, a) / len(a) ** 2, "n₊·n₋"),
    ("05.5", lambda s, a: ((s > s.mean()) == a).mean(), "one threshold"),
    ("05.5", lambda s, a: 1.0, "off by"),
    ("05.5", lambda s, a: (s[a][:, None] > s[~a]).sum(), "ties do not count one half in it"),
    ("05.5", lambda s, a: (s[a][:, None] >= s[~a]).sum(), "ties count whole in it"),
    ("05.3", lambda a, b: 0.0, "zero everywhere"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(5)}
