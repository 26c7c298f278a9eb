"""Chapter 7: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

from minigen import course


def each(mu, logvar, variance=np.exp, half=0.5, one=1.0, sign=1.0, square=np.square):
    return half * (square(mu) + variance(logvar) - one - sign * logvar)


def kl(mu, logvar, **change):
    return each(mu, logvar, **change).sum(axis=1).mean()


def other_way(mu, logvar):
    return (0.5 * ((1 + mu**2) / np.exp(logvar) - 1 + logvar)).sum(axis=1).mean()


ANSWERS = {
    "A": "a VAE",
    "B": "bad drawings",
    "C": "no noise",
    "D": "codes flee",
    "E": "empty codes",
    "F": "both",
    "G": "both",
}


def score(by_mu=None, by_logvar=None, std=lambda logvar: np.exp(0.5 * logvar), reduce=np.mean):
    def estimate(f, mu, logvar, noise):
        sigma = std(logvar)
        value = f(mu + sigma * noise)
        first = value * noise / sigma if by_mu is None else by_mu(value, sigma, noise)
        second = value * 0.5 * (noise**2 - 1) if by_logvar is None else by_logvar(value, sigma, noise)
        return reduce(first), reduce(second)

    return estimate


def predict(level=lambda sigma2, beta: sigma2 * beta, dims=None, change=None):
    def values(e, n, sigma2, beta):
        n, s = n if dims is None else len(e), level(sigma2, beta)
        kept = e[:n]
        used = kept > s
        rate = 0.5 * np.log(kept[used] / s).sum()
        lost = np.where(used, s, kept).sum() + e[n:].sum()
        results = (used.sum(), rate, lost)
        return results if change is None else change(results, e, n, s)

    return values


WRONG = [
    ("07.1", lambda m, v: -kl(m, v), "never negative"),
    ("07.1", lambda m, v: kl(m, v, half=1.0), "½ is missing"),
    ("07.1", lambda m, v: each(m, v).mean(), "the sum over them"),
    ("07.1", lambda m, v: each(m, v).sum(), "divide by how many"),
    ("07.1", lambda m, v: kl(m, 2 * v), "taken for ln σ"),
    ("07.1", lambda m, v: kl(m, v, variance=lambda v: np.exp(v / 2)), "which is σ"),
    ("07.1", lambda m, v: (0.5 * (m**2 + v - 1 - np.log(v))).sum(axis=1).mean(), "logarithm of a negative"),
    ("07.1", lambda m, v: kl(m, v, one=0.0), "the KL is 0"),
    ("07.1", lambda m, v: kl(m, v, sign=-1.0), "a small variance must cost"),
    ("07.1", lambda m, v: kl(m, v, square=lambda m: m), "must be squared"),
    ("07.1", other_way, "other way round"),
    ("07.1", lambda m, v: each(m, v).sum(axis=1), "one number"),
    ("07.2", "a VAE", "the dictionary"),
    ("07.2", {**ANSWERS, "B": ...}, "B has no answer"),
    ("07.2", {**ANSWERS, "C": "overfits"}, "is none of"),
    ("07.2", {**ANSWERS, "A": "bad drawings"}, "minus the evidence lower bound"),
    ("07.2", {**ANSWERS, "B": "a VAE"}, "What is -nll?"),
    ("07.2", {**ANSWERS, "C": "a VAE"}, "who pays the encoder"),
    ("07.2", {**ANSWERS, "D": "empty codes"}, "when -kl is made small"),
    ("07.2", {**ANSWERS, "E": "a VAE"}, "Multiply it by 64"),
    ("07.2", {**ANSWERS, "F": "a VAE"}, "term by term"),
    ("07.2", {**ANSWERS, "G": "bad drawings"}, "Where must q(z|x) go"),
    ("07.3", score(std=np.exp), "the variance"),
    ("07.3", score(by_logvar=lambda v, s, e: v * (e**2 - 1)), "the ½ is missing"),
    ("07.3", score(by_logvar=lambda v, s, e: v * (e**2 - 1) / s), "derivative by σ, and"),
    ("07.3", score(by_logvar=lambda v, s, e: v * (e**2 - 1) / (2 * s**2)), "derivative by σ², and"),
    ("07.3", score(by_logvar=lambda v, s, e: v * e**2 / 2), "normalizing constant"),
    ("07.3", score(by_mu=lambda v, s, e: v * e), "σ is missing"),
    ("07.3", score(by_mu=lambda v, s, e: v * e / s**2), "once more"),
    ("07.3", score(lambda v, s, e: e / s, lambda v, s, e: (e**2 - 1) / 2), "f(z) is missing"),
    ("07.3", score(reduce=lambda a: -a.mean()), "wrong sign"),
    ("07.3", score(reduce=np.sum), "take means"),
    ("07.3", score(reduce=lambda a: a), "one for each draw"),
    ("07.4", predict(level=lambda sigma2, beta: sigma2), "β is not used"),
    ("07.4", predict(level=lambda sigma2, beta: sigma2 / beta), "σ²/β"),
    ("07.4", predict(level=lambda sigma2, beta: beta * sigma2**2), "was squared"),
    ("07.4", predict(dims=64), "only latent_dim dimensions"),
    ("07.4", predict(change=lambda r, e, n, s: (r[0], 2 * r[1], r[2])), "lacks its ½"),
    ("07.4", predict(change=lambda r, e, n, s: (r[0], r[1] / np.log(2), r[2])), "in bits"),
    ("07.4", predict(change=lambda r, e, n, s: (r[0], 0.5 * np.log(e[:n] / s).sum(), r[2])), "cost nothing"),
    ("07.4", predict(change=lambda r, e, n, s: (r[0], r[1], r[2] - e[n:].sum())), "beyond latent_dim"),
    ("07.4", predict(change=lambda r, e, n, s: (r[0], r[1], r[2] - r[0] * s)), "s each"),
    ("07.4", predict(change=lambda r, e, n, s: (r[0], r[1], r[0] * s + e[n:].sum())), "collapsed dimensions"),
    ("07.4", predict(change=lambda r, e, n, s: (r[0], r[1], e[r[0] :].sum())), "principal components"),
    ("07.5", lambda m, v, a: np.maximum(each(m, v), a).mean(axis=0).sum(), "*mean over the batch*"),
    ("07.5", lambda m, v, a: max(kl(m, v), a), "before the sum"),
    ("07.5", lambda m, v, a: max(kl(m, v), a * m.shape[1]), "compared with Z·λ"),
    ("07.5", lambda m, v, a: np.minimum(each(m, v).mean(axis=0), a).sum(), "*above* λ free"),
    ("07.5", lambda m, v, a: np.maximum(each(m, v).mean(axis=0) - a, 0).sum(), "was subtracted"),
    ("07.5", lambda m, v, a: (each(m, v).mean(axis=0) + a).sum(), "changes no gradient"),
    ("07.5", lambda m, v, a: kl(m, v), "plain sum"),
    ("07.5", lambda m, v, a: np.maximum(each(m, v).mean(axis=0), a), "one by one"),
    ("07.5", lambda m, v, a: np.maximum(each(m, v).mean(axis=0), a).mean(), "mean over the dimensions"),
    ("07.5", lambda m, v, a: np.maximum(each(m, v, half=1.0).mean(axis=0), a).sum(), "½ of the KL"),
    ("07.5", lambda m, v, a: np.maximum(each(m, v).sum(axis=0), a).sum(), "images were summed"),
    ("07.5", lambda m, v, a: np.maximum(each(m, v).sum(axis=1), a).mean(), "own sums"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(7)}
