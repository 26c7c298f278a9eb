"""Chapter 10: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

import minigen
from minigen import Generator, course, nn, optim
from minigen.losses import squared_error


def frequencies(kernel, shape, roll=True):
    padded = np.zeros(shape)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    if roll:
        padded = np.roll(padded, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1))
    return np.fft.fft2(padded)


def filtering(formula, roll=True, real=True):
    def deconvolve(y, kernel, r):
        back = np.fft.ifft2(formula(frequencies(kernel, y.shape, roll), r) * np.fft.fft2(y))
        return back.real if real else back

    return deconvolve


def wiener(k, r):
    return k.conj() / (np.abs(k) ** 2 + r)


def adjoint(p):
    found = np.zeros(p.shape[1:])
    found[:-1] -= p[0, :-1]
    found[1:] += p[0, :-1]
    found[:, :-1] -= p[1, :, :-1]
    found[:, 1:] += p[1, :, :-1]
    return found


def all_backward(p):
    down, right = p[0].copy(), p[1].copy()
    down[1:] -= p[0, :-1]
    right[:, 1:] -= p[1, :, :-1]
    return down + right


def differences(p, first):
    found = np.zeros(p.shape[1:])
    rows = slice(1, None) if first else slice(None, -1)
    found[rows] += p[0, 1:] - p[0, :-1]
    found[:, rows] += p[1, :, 1:] - p[1, :, :-1]
    return found


def distances(damaged, images):
    return ((damaged[:, None] - images[None]) ** 2).sum(axis=2)


def mean_by(exponent, images, axis=1, shift=True):
    weights = np.exp(exponent - (exponent.max(axis=axis, keepdims=True) if shift else 0))
    return weights / weights.sum(axis=axis, keepdims=True) @ images


def conditional(factor):
    """The conditional mean with another factor of -d²."""
    return lambda d, x, s: mean_by(-distances(d, x) * factor(s), x)


def linear(images, sigma):
    mean, covariance = images.mean(axis=0), np.cov(images.T)
    matrix = covariance @ np.linalg.inv(covariance + sigma**2 * np.eye(64))
    return lambda noisy: mean + (noisy - mean) @ matrix.T


def mean_digit(images, sigma):
    return lambda noisy: np.tile(images.mean(axis=0), (len(noisy), 1))


def of_the_batch(images, sigma):
    filtered = linear(images, sigma)
    return lambda noisy: filtered(noisy) + 0.3 * (noisy[::-1] - noisy.mean(axis=0))


def by_heart(images, sigma):
    """The nearest of the first 200 training digits."""
    chosen = images[:200]
    return lambda noisy: chosen[distances(noisy, chosen).argmin(axis=1)]


def trained_on_clean_input(images, sigma):
    minigen.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 128), nn.LeakyReLU(0.3), nn.Linear(128, 64))
    optimizer, generator = optim.Adam(model.parameters(), lr=3e-3), Generator(0)
    for _ in range(20):
        order = generator.permutation(len(images))
        for start in range(0, len(images) - 63, 64):
            x = minigen.tensor(images[order[start : start + 64]])
            loss = squared_error(model(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return lambda noisy: model(minigen.tensor(noisy)).numpy()


WRONG = [
    ("10.1", filtering(lambda k, r: k / (np.abs(k) ** 2 + r)), "where its conjugate belongs"),
    ("10.1", filtering(wiener, roll=False), "The image is shifted"),
    ("10.1", filtering(lambda k, r: k.conj() / (np.abs(k) + r)), "it is |K|² + r"),
    ("10.1", filtering(lambda k, r: 1 / k), "the inverse filter"),
    ("10.1", filtering(lambda k, r: k.conj() / (np.abs(k) ** 2 + r**2)), "r was squared"),
    ("10.1", filtering(lambda k, r: 1 / (k + r)), "adds r to K"),
    ("10.1", filtering(lambda k, r: k.conj()), "blurs once more"),
    ("10.1", filtering(wiener, real=False), "take .real"),
    ("10.2", adjoint, "*minus* that"),
    ("10.2", all_backward, "whatever u is"),
    ("10.2", lambda p: differences(p, first=False), "differences forward, p[i+1]"),
    ("10.2", lambda p: differences(p, first=True), "first row and column"),
    ("10.2", lambda p: -adjoint(np.stack([p[0], 0 * p[1]])), "Only the direction down"),
    ("10.2", lambda p: -adjoint(np.stack([0 * p[0], p[1]])), "Only the direction to the right"),
    ("10.2", lambda p: np.gradient(p[0], axis=0) + np.gradient(p[1], axis=1), "central differences"),
    ("10.3", lambda d, x, s: x[distances(d, x).argmin(axis=1)], "the likeliest one"),
    ("10.3", conditional(lambda s: 1 / s**2), "divided by σ²"),
    ("10.3", conditional(lambda s: 1 / (2 * s)), "divided by 2σ:"),
    ("10.3", conditional(lambda s: -1 / (2 * s**2)), "wrong sign"),
    ("10.3", lambda d, x, s: conditional(lambda s: 1 / (2 * s**2 * x.shape[1]))(d, x, s), "averaged over the pixels"),
    ("10.3", lambda d, x, s: mean_by(-np.sqrt(distances(d, x)) / (2 * s**2), x), "not squared"),
    ("10.3", lambda d, x, s: mean_by(-distances(d, x) / (2 * s**2), x, axis=0), "sums over the damaged"),
    ("10.3", lambda d, x, s: mean_by(-distances(d, x) / (2 * s**2), x, shift=False), "least distance"),
    ("10.3", lambda d, x, s: np.exp(-distances(d, x) / (2 * s**2)) @ x, "do not have the sum 1"),
    ("10.3", lambda d, x, s: np.tile(x.mean(axis=0), (len(d), 1)), "whatever was seen"),
    ("10.4", linear, "best linear filter, or very nearly"),
    ("10.4", mean_digit, "the mean digit"),
    ("10.4", lambda images, sigma: lambda noisy: noisy, "noise and all"),
    ("10.4", trained_on_clean_input, "trained on clean input"),
    ("10.4", of_the_batch, "which others come with it"),
    ("10.4", by_heart, "knows them by heart"),
    ("10.4", lambda images, sigma: lambda noisy: 0.82 * linear(images, sigma)(noisy) + 0.18 * noisy, "Not enough yet"),
    ("10.4", lambda images, sigma: lambda noisy: noisy[0], "wrong shape"),
    ("10.4", lambda images, sigma: images, "return a function"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(10)}
