"""Chapter 8: a wrong answer is refused, with a sentence that names the mistake."""

import numpy as np
import pytest

from minigen import course
from minigen.course import planted_steps

TRUTH = {letter: planted_steps.KINDS[place] for letter, place in planted_steps.TRUTH.items()}


def softplus(a):
    return np.logaddexp(0, a)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def right_losses(r, f):
    return softplus(-r).mean() + softplus(f).mean(), softplus(-f).mean()


def pair(d=lambda r, f: right_losses(r, f)[0], g=lambda r, f: right_losses(r, f)[1]):
    return lambda r, f: (d(r, f), g(r, f))


def naive(r, f):
    return (
        -(np.log(sigmoid(r)).mean() + np.log(1 - sigmoid(f)).mean()),
        -np.log(sigmoid(f)).mean(),
    )


def overflowing(r, f):
    return np.log(1 + np.exp(-r)).mean() + np.log(1 + np.exp(f)).mean(), np.log(1 + np.exp(-f)).mean()


def counter(
    good=lambda d, radius: d.min(axis=1) <= radius,
    reached=lambda nearest, good: nearest[good],
    counted=lambda nearest, good: nearest,
    divergence=lambda p: (p[p > 0] * np.log(len(p) * p[p > 0])).sum(),
    share=lambda good, covered, k: good.mean(),
):
    """A count of modes with parts that can be exchanged for wrong ones."""

    def count(samples, centers, radius):
        d = np.linalg.norm(samples[:, None] - centers, axis=2)
        nearest, fine = d.argmin(axis=1), good(d, radius)
        who = counted(nearest, fine)
        p = np.bincount(who, minlength=len(centers)) / len(who)
        covered = len(np.unique(reached(nearest, fine)))
        return covered, share(fine, covered, len(centers)), divergence(p)

    return count


def drift(g=lambda t, p: p * sigmoid(-p * t), d=lambda t, p, gamma: -t * sigmoid(p * t) - gamma * p):
    return lambda t, p, gamma: (g(t, p), d(t, p, gamma))


def with_epsilon(r, f):
    def log(p):
        return np.log(p + 1e-12)

    real, fake = 1 / (1 + np.exp(-r)), 1 / (1 + np.exp(-f))
    return -log(real).mean() - log(1 - fake).mean(), -log(fake).mean()


WRONG = [
    ("08.1", pair(d=lambda r, f: -right_losses(r, f)[0]), "learns to be fooled"),
    ("08.1", pair(d=lambda r, f: right_losses(f, r)[0]), "labels are exchanged"),
    ("08.1", pair(g=lambda r, f: -right_losses(r, f)[1]), "L_G has the wrong sign"),
    ("08.1", pair(g=lambda r, f: -softplus(f).mean()), "minimax form"),
    ("08.1", pair(g=lambda r, f: softplus(f).mean()), "D's own term"),
    ("08.1", pair(d=lambda r, f: right_losses(r, f)[0] / 2), "half of what it should be"),
    ("08.1", lambda r, f: (softplus(-r).sum() + softplus(f).sum(), softplus(-f).sum()), "summed over the batch"),
    ("08.1", lambda r, f: right_losses(sigmoid(r), sigmoid(f)), "twice"),
    ("08.1", naive, "rounded to 0"),
    ("08.1", overflowing, "rounded to 0"),
    ("08.1", lambda r, f: right_losses(r, f)[::-1], "in the other order"),
    ("08.1", lambda r, f: right_losses(r, f)[0], "2 results"),
    ("08.2", lambda f: (-sigmoid(f), -sigmoid(-f)), "1/n is missing"),
    ("08.2", lambda f: (sigmoid(f) / f.size, sigmoid(-f) / f.size), "Both have the wrong sign"),
    ("08.2", lambda f: (-sigmoid(-f) / f.size, -sigmoid(f) / f.size), "in the other order"),
    ("08.2", lambda f: (-softplus(f) / f.size, softplus(-f) / f.size), "the losses' values"),
    ("08.2", lambda f: (-sigmoid(f) * sigmoid(-f) / f.size,) * 2, "cancels one of its factors"),
    ("08.2", lambda f: (-1 / (1 - sigmoid(f)) / f.size, -1 / sigmoid(f) / f.size), "by D itself"),
    ("08.3", ["A"], "Give check the dictionary"),
    ("08.3", dict.fromkeys(TRUTH, ...), "still empty"),
    ("08.3", {**TRUTH, "B": ...}, "1 is right so far; B has no answer yet"),
    ("08.3", {**TRUTH, "B": "wrong"}, "none of"),
    ("08.3", {**TRUTH, "E": "sigmoid twice"}, "E is not guilty"),
    *[
        ("08.3", {**TRUTH, letter: "right"}, f"{letter} is not right: in step {2 if letter == 'B' else 1} ")
        for letter in "ABCDFG"
    ],
    *[("08.3", {**TRUTH, "C": kind}, "C has a bug, but not") for kind in planted_steps.KINDS[1:6]],
    ("08.3", {**TRUTH, "A": "sigmoid twice"}, "much too small"),
    ("08.4", counter(reached=lambda nearest, good: nearest), "no sample of high quality reaches"),
    ("08.4", counter(good=lambda d, radius: d.min(axis=1) ** 2 <= radius), "Squared distances"),
    ("08.4", counter(counted=lambda nearest, good: nearest[good]), "high quality alone"),
    ("08.4", counter(divergence=lambda p: -(p[p > 0] * np.log(p[p > 0])).sum()), "the entropy of the shares"),
    ("08.4", counter(divergence=lambda p: (p[p > 0] * np.log(p[p > 0])).sum()), "lacks the K"),
    ("08.4", counter(divergence=lambda p: (p[p > 0] * np.log2(len(p) * p[p > 0])).sum()), "in bits"),
    ("08.4", counter(divergence=lambda p: -np.log(len(p) * p).mean()), "the other way"),
    ("08.4", counter(divergence=lambda p: (p * np.log(len(p) * p)).sum()), "0·log 0"),
    ("08.4", counter(share=lambda good, covered, k: covered / k), "the share of *modes*"),
    ("08.4", lambda samples, centers, radius: 3, "3 results"),
    ("08.5", lambda t, p, gamma: (-p * sigmoid(-p * t), t * sigmoid(p * t) + gamma * p), "Both have the wrong sign"),
    ("08.5", drift(d=lambda t, p, gamma: t * sigmoid(p * t) - gamma * p), "D goes the way of G"),
    ("08.5", drift(d=lambda t, p, gamma: -t * sigmoid(p * t) + gamma * p), "The penalty has the wrong sign"),
    ("08.5", drift(d=lambda t, p, gamma: -t * sigmoid(p * t) - gamma * p / 2), "no ½ any more"),
    ("08.5", drift(d=lambda t, p, gamma: -t * sigmoid(p * t) - gamma * p * p / 2), "this is its value"),
    ("08.5", drift(d=lambda t, p, gamma: -t * sigmoid(p * t)), "The penalty is missing"),
    ("08.5", lambda t, p, gamma: (p * sigmoid(-p * t) - gamma * p, drift()(t, p, gamma)[1]), "to D's loss alone"),
    ("08.5", drift(g=lambda t, p: p * sigmoid(p * t)), "minimax loss"),
    ("08.5", lambda t, p, gamma: (t * sigmoid(-p * t), -p * sigmoid(p * t) - gamma * p), "exchanged"),
    ("08.5", lambda t, p, gamma: drift()(t, p, gamma)[::-1], "in the other order"),
    ("08.1", with_epsilon, "large ones are held back"),
]


@pytest.mark.parametrize(("number", "answer", "words"), WRONG)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_wrong_answer_is_told_its_mistake(number, answer, words):
    result = course.check(number, answer)
    assert not result
    assert words in result.message, result


def test_every_exercise_has_wrong_answers():
    assert {number for number, *_ in WRONG} == {e.number for e in course.exercises(8)}


@pytest.mark.parametrize("letter", TRUTH)
def test_a_planted_step_shows_the_bug_it_is_said_to_have(letter):
    from minigen.random import Generator
    from minigen.tensor import Tensor

    game, draws = planted_steps.Game(), Generator(0)
    real, z = Tensor(draws.normal((64, 2)) + 2), Tensor(draws.normal((64, 3)))

    def weights():
        return [p.numpy().copy() for p in game.generator.parameters()]

    before, d_real = weights(), game.discriminator(real).numpy().mean()
    planted_steps.STEPS[letter](game, real, z)
    moved = any(np.abs(a - b).max() > 0 for a, b in zip(weights(), before))
    assert moved == (TRUTH[letter] != "G outside the graph")
    rises = game.discriminator(real).numpy().mean() > d_real
    assert rises == (TRUTH[letter] != "labels exchanged")
