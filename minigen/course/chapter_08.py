"""Chapter 8: a GAN by hand on a mixture in the plane; mode collapse, counted and cured."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.course import planted_steps
from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.course.words import right_so_far
from minigen.data.mixtures import ring_centers
from minigen.metrics.modes import mode_report
from minigen.random import Generator
from minigen.tensor import Tensor


def _softplus(a: Any) -> Any:
    return np.logaddexp(0, a)


def _sigmoid(a: Any) -> Any:
    return np.exp(-_softplus(-a))


@exercise(
    "08.1",
    "Both losses, from logits",
    hints=(
        "D(x) = σ(r) and 1 - σ(f) = σ(-f), so that everything is -log σ of something: -log σ(a) = log(1 + exp(-a)).",
        "log(1 + exp(a)) without an overflow is np.logaddexp(0, a).",
    ),
)
def two_losses(trial: Trial) -> str:
    """Write losses(real, fake): L_D and the non-saturating L_G, two numbers, of arrays of logits of real and of generated
    samples."""
    losses = trial.function("losses")

    def right(r: np.ndarray, f: np.ndarray) -> tuple[float, float]:
        return _softplus(-r).mean() + _softplus(f).mean(), _softplus(-f).mean()

    def lose(d: float, g: float) -> tuple[float, float]:
        return d, g

    mistakes = {
        "L_D is the value V that D *maximizes*. What is minimized is -V: a discriminator that descends V learns to be "
        "fooled (the sign that one article has wrong).": lambda r, f: lose(-right(r, f)[0], right(r, f)[1]),
        "In L_D the labels are exchanged: this D takes generated samples for real ones (as another article has it).": (
            lambda r, f: lose(_softplus(r).mean() + _softplus(-f).mean(), right(r, f)[1])
        ),
        "L_G has the wrong sign: this is E log D(G(z)), and a generator that descends it makes D surer of its fakes.": (
            lambda r, f: lose(right(r, f)[0], -right(r, f)[1])
        ),
        "L_G is the minimax form E log(1 - D(G(z))); asked for is the non-saturating one, -E log D(G(z)).": (
            lambda r, f: lose(right(r, f)[0], -_softplus(f).mean())
        ),
        "L_G is E -log(1 - D(G(z))), D's own term for generated samples: G wants the opposite of it.": (
            lambda r, f: lose(right(r, f)[0], _softplus(f).mean())
        ),
        "L_D is half of what it should be: a mean over real and generated samples together. (It is used, and only halves "
        "D's rate; here the two means are added.)": lambda r, f: lose(right(r, f)[0] / 2, right(r, f)[1]),
        "The terms are summed over the batch; take their means.": (
            lambda r, f: lose(_softplus(-r).sum() + _softplus(f).sum(), _softplus(-f).sum())
        ),
        "The sigmoid is in it twice: what comes in are logits, and log(1 + exp(±σ(a))) is the loss of logits σ(a), which "
        "never leave the interval from 0 to 1.": lambda r, f: right(_sigmoid(r), _sigmoid(f)),
    }
    random = trial.generator.normal
    for r, f in (
        (np.array([0.5, 2.0]), np.array([-1.0, 0.3])),
        (2 * random((5, 1), dtype=np.float64), 3 * random((5, 1), dtype=np.float64)),
        (3 * random((4,), dtype=np.float64), random((7,), dtype=np.float64)),
    ):
        trial.compare(losses, right, r, f, mistakes=mistakes)
    r, f = np.array([800.0, -800.0]), np.array([-800.0, 900.0])
    got = trial.call(losses, r, f)
    trial.require(
        all(np.isfinite(np.asarray(value, dtype=np.float64)).all() for value in got),
        "It is right for moderate logits, but for large ones a probability is rounded to 0 and its logarithm to -∞, or "
        "exp overflows. Do without probabilities: -log σ(a) = log(1 + exp(-a)) = np.logaddexp(0, -a).",
        "losses(array([800., -800.]), array([-800., 900.]))",
        str(got),
        str(right(r, f)),
    )
    tried = "losses(array([800., -800.]), array([-800., 900.]))"
    trial.require(
        all(np.ndim(value) or value > 0.9 * limit for value, limit in zip(got, right(r, f))),
        "It is right for moderate logits, but large ones are held back: -log(p + ε) is never more than -log ε, and its "
        "gradient is 0 where p is. Neither a small ε nor clipping p mends that; -log σ(a) = np.logaddexp(0, -a) needs neither.",
        tried,
        str(got),
        str(right(r, f)),
    )
    trial.equal(got, right(r, f), tried)
    return (
        "For equal networks L_D = 2 log 2 = 1.386 and L_G = log 2 = 0.693: where D cannot tell, and need not be good."
    )


@exercise(
    "08.2",
    "What reaches the generator",
    hints=(
        "The derivative of log(1 + exp(a)) is σ(a).",
        "Minimax: d/df of -log(1 + exp(f)) is -σ(f). Non-saturating: d/df of log(1 + exp(-f)) is -σ(-f). Both are means.",
    ),
)
def generator_slopes(trial: Trial) -> str:
    """Write slopes(f): for an array f of the logits of n generated samples, the derivatives of the minimax and of the
    non-saturating L_G by each of them, two arrays of f's shape."""
    slopes = trial.function("slopes")

    def right(f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return -_sigmoid(f) / f.size, -_sigmoid(-f) / f.size

    mistakes = {
        "Each loss is a mean over the batch: the factor 1/n is missing.": lambda f: (-_sigmoid(f), -_sigmoid(-f)),
        "Both have the wrong sign: raising a logit makes either loss smaller.": (
            lambda f: (_sigmoid(f) / f.size, _sigmoid(-f) / f.size)
        ),
        "These are the losses' values, and asked for are their derivatives.": (
            lambda f: (-_softplus(f) / f.size, _softplus(-f) / f.size)
        ),
        "The derivative of σ, σ(1 - σ), stands there alone: the logarithm outside has the derivative 1/σ or 1/(1 - σ), which "
        "cancels one of its factors.": (
            lambda f: (-_sigmoid(f) * _sigmoid(-f) / f.size, -_sigmoid(f) * _sigmoid(-f) / f.size)
        ),
        "The derivative by D itself: these are -1/(1 - D) and -1/D. By the logit there is one more factor, D(1 - D).": (
            lambda f: (-1 / _sigmoid(-f) / f.size, -1 / _sigmoid(f) / f.size)
        ),
    }
    for f in (np.array([0.0, -3.0, 2.0]), 2 * trial.generator.normal((4, 1), dtype=np.float64), np.array([-9.0])):
        trial.compare(slopes, right, f, mistakes=mistakes)
    return (
        "A fake that is found out, f = -9, has a slope of -0.0001 from the one and -0.9999 from the other. Both have one "
        "direction and one fixed point; only the strength differs."
    )


@exercise(
    "08.3",
    "Six wrong steps",
    hints=(
        "Write the step above for a Game, do it and each of the seven from equal games, with the same points, and compare "
        "the weights: which network moves otherwise, and does it already in the first step?",
        "Then look at one step: do G's weights move at all? Does σ(D(x)) of real points rise, and σ(D(G(z))) after G's part? "
        "Do D's weights move as far as its own loss says?",
    ),
)
def planted_bugs(trial: Trial) -> str:
    """Fill in the dictionary answers: for each letter, A to G, one of the seven kinds."""
    answers = trial.answer
    letters, kinds = ", ".join(planted_steps.STEPS), ", ".join(f'"{kind}"' for kind in planted_steps.KINDS)
    if not isinstance(answers, dict):
        trial.fail(f"Give check the dictionary: a letter of {letters} → one of {kinds}.")
    if all(answer in (None, ...) for answer in answers.values()):
        trial.not_written("answers")
    for found, (letter, place) in enumerate(planted_steps.TRUTH.items()):
        answer, truth = answers.get(letter, ...), planted_steps.KINDS[place]
        if answer in (None, ...):
            trial.fail(f"{right_so_far(found)}; {letter} has no answer yet.")
        if answer not in planted_steps.KINDS:
            trial.fail(f"{answer!r}, for {letter}, is none of {kinds}.")
        if answer != truth:
            trial.fail(f"{right_so_far(found)}. {_evidence(letter, answer, truth)}")
    return "All seven. None of these bugs raises an error: only the weights know."


def _evidence(letter: str, answer: str, truth: str) -> str:
    """What speaks against an answer, without the right one."""
    if truth == "right":
        return f"{letter} is not guilty: each network moves along its own loss, once, and nothing is left over."
    if answer != "right":
        return f'{letter} has a bug, but not "{answer}": {_DOUBTS[answer]}'
    return f"{letter} is not right: {_difference(letter)}"


_DOUBTS = {
    "labels exchanged": "does D's part really lower the logits of real points?",
    "G downhill": "do G's weights move, and does G's part really lower the logits of generated points, with D held still?",
    "G outside the graph": "do G's weights really stay where they are?",
    "gradients left over": "is the first step, from a fresh game, really right, and the second wrong?",
    "D helps G": "is D really moved twice in one step, the second time so that generated points look more real?",
    "sigmoid twice": "are both networks' movements really a right step's in direction, roughly, and much too small?",
}


def _difference(letter: str) -> str:
    """How the weights differ from those of the right step, in the first step in which they do."""
    draws = Generator(1)
    ours, theirs = planted_steps.Game(), planted_steps.Game()
    right = next(name for name, place in planted_steps.TRUTH.items() if planted_steps.KINDS[place] == "right")
    step, gaps = 0, {"G": 0.0, "D": 0.0}
    while max(gaps.values()) < 1e-4:
        real, z = Tensor(draws.normal((8, 2)) + 1), Tensor(draws.normal((8, 3)))
        planted_steps.STEPS[right](ours, real, z)
        planted_steps.STEPS[letter](theirs, real, z)
        step += 1
        for name, a, b in (
            ("G", ours.generator, theirs.generator),
            ("D", ours.discriminator, theirs.discriminator),
        ):
            gaps[name] = max(float(np.abs(p.numpy() - q.numpy()).max()) for p, q in zip(a.parameters(), b.parameters()))
    where = " and ".join(f"the weights of {name} (by up to {gap:.1g})" for name, gap in gaps.items() if gap >= 1e-4)
    return f"in step {step} from a fresh game {where} go elsewhere than those of a right step."


@exercise(
    "08.4",
    "Counting modes",
    hints=(
        "All distances at once: np.linalg.norm(samples[:, None] - centers, axis=2), (n, K); then argmin and min over axis 1.",
        "Shares: np.bincount(nearest, minlength=K) / n. In Σ p·log(K·p) leave out modes with p = 0, where the limit is 0.",
    ),
)
def counting_modes(trial: Trial) -> str:
    """Write count(samples, centers, radius): how many modes have a sample within the radius whose nearest they are; the share
    of samples within the radius of their nearest mode; and Σ p log(K p), where p are the shares of all samples by nearest
    mode."""
    count = trial.function("count")

    def right(x: np.ndarray, centers: np.ndarray, radius: float) -> tuple[int, float, float]:
        report = mode_report(x, centers, 1.0, radius)
        return report["modes_covered"], report["high_quality_share"], report["reverse_kl"]

    def variant(x: np.ndarray, centers: np.ndarray, radius: float, kind: str) -> tuple[float, float, float]:
        covered, share, kl = right(x, centers, radius)
        distances = np.linalg.norm(x[:, None] - centers, axis=2)
        nearest, good = distances.argmin(axis=1), distances.min(axis=1) <= radius
        k = len(centers)
        p = np.bincount(nearest, minlength=k) / len(x)
        of_good = np.bincount(nearest[good], minlength=k) / max(good.sum(), 1)
        q, h = p[p > 0], of_good[of_good > 0]
        return {
            "all nearest": (len(np.unique(nearest)), share, kl),
            "squared": (
                len(np.unique(nearest[distances.min(axis=1) ** 2 <= radius])),
                float((distances.min(axis=1) ** 2 <= radius).mean()),
                kl,
            ),
            "of good": (covered, share, float((h * np.log(h * k)).sum())),
            "entropy": (covered, share, float(-(q * np.log(q)).sum())),
            "no K": (covered, share, float((q * np.log(q)).sum())),
            "bits": (covered, share, kl / np.log(2)),
            "forward": (covered, share, float(-np.log(np.maximum(p, 1e-300) * k).mean())),
            "share of modes": (covered, covered / k, kl),
            "nan": (covered, share, np.nan),
        }[kind]

    def planted(kind: str) -> Callable[..., tuple[float, float, float]]:
        return lambda x, centers, radius: variant(x, centers, radius, kind)

    mistakes = {
        "The first number counts a mode that no sample of high quality reaches: samples far from every mode have a nearest "
        "one, too.": planted("all nearest"),
        "Squared distances were compared with the radius: take the root, or square the radius.": planted("squared"),
        "p counts the samples of high quality alone. Here every sample counts for its nearest mode: otherwise the spread of "
        "a generator that makes nothing good would be 0/0.": planted("of good"),
        "The third is the entropy of the shares, which is highest where all is well; the divergence from uniform is "
        "log K minus it.": planted("entropy"),
        "The third lacks the K: Σ p log p is minus the entropy, and is 0 for one mode alone.": planted("no K"),
        "The third is in bits: the logarithm is the natural one.": planted("bits"),
        "The divergence is taken the other way, Σ (1/K)·log(1/(K p)): it is infinite as soon as one mode is "
        "missed.": planted("forward"),
        "The second is the share of *modes*; asked for is that of samples.": planted("share of modes"),
        "The third is NaN, 0·log 0: leave out the modes without samples, whose limit is 0.": planted("nan"),
    }
    generator = trial.generator
    for modes, used, spread in ((4, 2, 0.08), (8, 3, 0.15), (8, 8, 0.06), (5, 1, 0.02)):
        centers = ring_centers(modes).astype(np.float64)
        x = centers[generator.integers(0, used, (40,))] + spread * generator.normal((40, 2), dtype=np.float64)
        x[:3] = 0.2 * centers[-1] + 0.01 * generator.normal(
            (3, 2), dtype=np.float64
        )  # nearest to a mode, and far from it
        tried = f"count(samples, centers, 0.1): 40 samples around {used} of {modes} modes, three far from all"
        got = trial.call(count, x, centers, 0.1, tried=tried)
        wrong = {sentence: mistake(x, centers, 0.1) for sentence, mistake in mistakes.items()}
        if isinstance(got, (tuple, list)) and len(got) == 3 and np.isposinf(got[2]):
            got = (*got[:2], variant(x, centers, 0.1, "forward")[2])
        trial.equal(got, right(x, centers, 0.1), tried, wrong)
    return "That is minigen.metrics.mode_report. The third number tells ten samples in a mode from ten thousand."


@exercise(
    "08.5",
    "Two players turn in circles",
    hints=(
        "With D(x) = ψx the real sample, 0, has the logit 0, and the fake the logit ψθ; ∇D(x) = ψ everywhere.",
        "L_G = log(1 + exp(-ψθ)) by θ; L_D = log 2 + log(1 + exp(ψθ)) + ½γψ² by ψ; each with a minus.",
    ),
)
def dirac_gan(trial: Trial) -> str:
    """Write field(theta, psi, gamma): minus the derivative of L_G by θ and minus that of L_D, with the penalty, by ψ; two
    numbers."""
    field = trial.function("field")

    def right(theta: float, psi: float, gamma: float) -> tuple[float, float]:
        d = float(_sigmoid(psi * theta))
        return psi * (1 - d), -theta * d - gamma * psi

    def sigma(theta: float, psi: float) -> float:
        return float(_sigmoid(psi * theta))

    mistakes = {
        "Both have the wrong sign: the players *descend*, so that it is minus each derivative.": (
            lambda t, p, g: (-right(t, p, g)[0], -right(t, p, g)[1])
        ),
        "D goes the way of G: -θσ is +θσ here. D lowers the logit of the fake, and G raises it.": (
            lambda t, p, g: (right(t, p, g)[0], t * sigma(t, p) - g * p)
        ),
        "The penalty has the wrong sign: it pulls ψ to 0.": (
            lambda t, p, g: (right(t, p, g)[0], -t * sigma(t, p) + g * p)
        ),
        "The penalty's derivative is γψ: that of ½γψ² has no ½ any more.": (
            lambda t, p, g: (right(t, p, g)[0], -t * sigma(t, p) - g * p / 2)
        ),
        "The derivative of the penalty is γψ; this is its value, ½γψ².": (
            lambda t, p, g: (right(t, p, g)[0], -t * sigma(t, p) - g * p**2 / 2)
        ),
        "The penalty is missing.": lambda t, p, g: right(t, p, 0.0),
        "The penalty belongs to D's loss alone; G does not know of it.": (
            lambda t, p, g: (right(t, p, g)[0] - g * p, right(t, p, g)[1])
        ),
        "G's is that of the minimax loss, ψσ(ψθ); that of the non-saturating one is ψσ(-ψθ).": (
            lambda t, p, g: (p * sigma(t, p), right(t, p, g)[1])
        ),
        "θ and ψ are exchanged: L_G is differentiated by what G can move, θ, and L_D by ψ.": (
            lambda t, p, g: (t * (1 - sigma(t, p)), -p * sigma(t, p) - g * p)
        ),
    }
    draws = trial.generator.normal((3, 2), dtype=np.float64).tolist()
    for theta, psi, gamma in ((1.0, 0.5, 0.0), (1.0, 0.5, 1.0), *((t, p, 0.7) for t, p in draws)):
        trial.compare(field, right, theta, psi, gamma, mistakes=mistakes)
    return (
        "Near (0, 0) it is the matrix ((0, ½), (-½, -γ)): its eigenvalues are ±½i for γ = 0, circles, and have the "
        "real part -γ/2 up to γ = 1: spirals inward (Mescheder et al. 2018)."
    )
