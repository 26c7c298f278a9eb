"""Chapter 7: the variational autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.course.words import right_so_far

Mistakes = dict[str, Callable[..., Any]]


def _terms(mu: np.ndarray, logvar: np.ndarray) -> np.ndarray:
    """The KL of each image and dimension, (N, Z)."""
    return 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar)


def _codes(trial: Trial, n: int, z: int) -> tuple[np.ndarray, np.ndarray]:
    normal = trial.generator.normal
    return normal((n, z), dtype=np.float64), normal((n, z), mean=-0.7, std=0.8, dtype=np.float64)


@exercise(
    "07.1",
    "The KL term",
    hints=(
        "In one dimension KL(N(μ, σ²) ‖ N(0, 1)) = ½(μ² + σ² - 1 - ln σ²). Where is σ² in terms of logvar?",
        "np.exp(logvar) is σ². Sum over the dimensions (axis 1), then take the mean over the images.",
    ),
)
def kl_term(trial: Trial) -> str:
    """Write kl(mu, logvar): the mean over the images of KL(N(μ, σ²) ‖ N(0, I)), a sum over the Z dimensions, for arrays
    (N, Z) of μ and ln σ²."""
    function = trial.function("kl")

    def right(mu: np.ndarray, logvar: np.ndarray) -> float:
        return float(_terms(mu, logvar).sum(axis=1).mean())

    def of_std(mu: np.ndarray, logvar: np.ndarray) -> float:
        return right(mu, 2 * logvar)

    mistakes: Mistakes = {
        "It has the wrong sign: this is -KL, as it stands in the ELBO. A KL is never negative.": (
            lambda m, v: -right(m, v)
        ),
        "The ½ is missing.": lambda m, v: 2 * right(m, v),
        "This is the mean over the dimensions; KL is the sum over them. (The mean is over the images alone.)": (
            lambda m, v: right(m, v) / m.shape[1]
        ),
        "This is the sum over the images too: divide by how many there are.": lambda m, v: right(m, v) * len(m),
        "logvar was taken for ln σ: σ² is exp(logvar).": of_std,
        "σ² was computed as exp(½ logvar), which is σ.": (
            lambda m, v: (0.5 * (m**2 + np.exp(0.5 * v) - 1 - v)).sum(axis=1).mean()
        ),
        "The - 1 is missing: at μ = 0, σ = 1 the KL is 0.": lambda m, v: right(m, v) + 0.5 * m.shape[1],
        "ln σ² has the wrong sign: a small variance must cost, and ln σ² is negative then.": (
            lambda m, v: (0.5 * (m**2 + np.exp(v) - 1 + v)).sum(axis=1).mean()
        ),
        "μ must be squared.": lambda m, v: (0.5 * (m + np.exp(v) - 1 - v)).sum(axis=1).mean(),
        "This is the KL the other way round, KL(N(0, I) ‖ N(μ, σ²)).": (
            lambda m, v: (0.5 * ((1 + m**2) * np.exp(-v) - 1 + v)).sum(axis=1).mean()
        ),
        "Return one number, the mean over the images.": lambda m, v: _terms(m, v).sum(axis=1),
    }
    small = (np.array([[1.0, 0.0], [0.0, 2.0], [0.5, 1.0]]), np.array([[0.0, -1.0], [0.5, 0.2], [0.0, 0.0]]))
    for args in (small, _codes(trial, 5, 3), _codes(trial, 2, 6), _codes(trial, 3, 1)):
        trial.compare(function, right, *args, mistakes=mistakes)
    return "It is 0 only for μ = 0 and σ = 1, and about ½μ² + (σ - 1)² near there: a spring on both."


OUTCOMES = ("a VAE", "bad drawings", "codes flee", "both", "no noise", "empty codes")
_TRUTH = {"A": 0, "B": 1, "C": 4, "D": 2, "E": 5, "F": 3, "G": 3}  # places in OUTCOMES
_QUESTIONS = {
    "A": "A is minus the evidence lower bound. Is there any term in it with a wrong sign or weight?",
    "B": "In B the KL term is as it should be. What is -nll? What happens to nll itself when -nll is made small?",
    "C": "In C nothing is said about q. What does noise in z do to the reconstruction, and who pays the encoder for any "
    "noise?",
    "D": "In D the reconstruction is as it should be. What happens to the KL when -kl is made small?",
    "E": "In E no sign is wrong. Multiply it by 64, which changes nothing about where its minimum is: what is β?",
    "F": "F is minus the right objective, term by term. Ask of each term what it rewards.",
    "G": "In G ask of each term what it rewards: -nll, and a low density of q(z|x) at the prior's draws. Where must q(z|x) "
    "go, so that the prior's draws have next to no density under it?",
}


@exercise(
    "07.2",
    "What an objective rewards",
    hints=(
        "nll is small for good drawings; kl is 0 where q(z|x) is the prior. A minus turns a punishment into a reward.",
        "One of them has the right signs and a wrong weight: which β would give the same? One is right. Two are paid for "
        "the same pair of things.",
    ),
)
def objectives(trial: Trial) -> str:
    """Fill in the dictionary answers: for each letter one of "a VAE", "bad drawings", "codes flee", "both", "no noise",
    "empty codes"."""
    answers = trial.answer
    outcomes = ", ".join(f'"{outcome}"' for outcome in OUTCOMES)
    if not isinstance(answers, dict):
        trial.fail(f"Give check the dictionary: a letter of {', '.join(_TRUTH)} → one of {outcomes}.")
    if all(answer is None or answer is ... for answer in answers.values()):
        trial.not_written("answers")
    for found, (letter, place) in enumerate(_TRUTH.items()):
        answer = answers.get(letter, ...)
        if answer is None or answer is ...:
            trial.fail(f"{right_so_far(found)}; {letter} has no answer yet.")
        if not isinstance(answer, str) or answer not in OUTCOMES:
            trial.fail(f"{answer!r}, for {letter}, is none of {outcomes}.")
        if answer != OUTCOMES[place]:
            trial.fail(f"{right_so_far(found)}. {letter} is not {answer!r}. {_QUESTIONS[letter]}")
    return "All seven. Every one of these losses falls when it is minimized, four of them without end: a falling loss proves nothing."


@exercise(
    "07.3",
    "The score function estimator",
    hints=(
        "Differentiate ln q(z) by μ and by v = ln σ² while z is held fixed; 1/σ² is exp(-v).",
        "∂ ln q/∂μ = (z - μ)/σ² = ε/σ, and ∂ ln q/∂v = ½((z - μ)²/σ² - 1) = ½(ε² - 1). Multiply each by f(z), and take "
        "the mean over the draws.",
    ),
)
def score_function(trial: Trial) -> str:
    """Write score_gradient(f, mu, logvar, noise): the two estimates of ∂E[f(z)]/∂μ and ∂E[f(z)]/∂ln σ², means over the
    draws z = μ + σ·noise of f(z)·∇ ln q(z), for numbers mu and logvar, and noise (k,)."""
    function = trial.function("score_gradient")

    def built(
        by_mu: Callable[..., Any], by_logvar: Callable[..., Any], std: Callable[[float], float] | None = None
    ) -> Callable[..., Any]:
        def values(f: Callable[..., Any], mu: float, logvar: float, noise: np.ndarray) -> tuple[float, float]:
            sigma = np.exp(0.5 * logvar) if std is None else std(logvar)
            value = f(mu + sigma * noise)
            return float(by_mu(value, sigma, noise).mean()), float(by_logvar(value, sigma, noise).mean())

        return values

    def mu_part(value: np.ndarray, sigma: float, noise: np.ndarray) -> np.ndarray:
        return value * noise / sigma

    def logvar_part(value: np.ndarray, sigma: float, noise: np.ndarray) -> np.ndarray:
        return value * 0.5 * (noise**2 - 1)

    right = built(mu_part, logvar_part)
    mistakes: Mistakes = {
        "σ is exp(½ logvar); exp(logvar) is the variance.": built(mu_part, logvar_part, np.exp),
        "By μ it is right; by ln σ² the ½ is missing.": built(mu_part, lambda v, s, e: v * (e**2 - 1)),
        "By μ it is right; the other one is the derivative by σ, and asked for is that by ln σ².": (
            built(mu_part, lambda v, s, e: v * (e**2 - 1) / s)
        ),
        "By μ it is right; the other one is the derivative by σ², and asked for is that by ln σ².": (
            built(mu_part, lambda v, s, e: v * 0.5 * (e**2 - 1) / s**2)
        ),
        "By μ it is right; by ln σ² the - 1 is missing, which comes from the logarithm of the normalizing constant.": (
            built(mu_part, lambda v, s, e: v * 0.5 * e**2)
        ),
        "By ln σ² it is right; by μ it is f(z)·ε/σ, since (z - μ)/σ² = ε/σ. Here σ is missing.": (
            built(lambda v, s, e: v * e, logvar_part)
        ),
        "By ln σ² it is right; by μ it was divided by σ² once more: (z - μ)/σ² is ε/σ.": (
            built(lambda v, s, e: v * e / s**2, logvar_part)
        ),
        "f(z) is missing: this is the mean of the score itself, which is 0 in expectation.": (
            built(lambda v, s, e: e / s, lambda v, s, e: 0.5 * (e**2 - 1))
        ),
        "Both have the wrong sign: ln q falls away from μ, so (z - μ)/σ² is positive for z above μ.": (
            lambda *args: tuple(-part for part in right(*args))
        ),
        "These are sums over the draws: take means.": (
            lambda f, mu, logvar, noise: tuple(len(noise) * part for part in right(f, mu, logvar, noise))
        ),
    }

    def square(z: np.ndarray) -> np.ndarray:
        return (z - 3) ** 2

    def step(z: np.ndarray) -> np.ndarray:
        return (z > 0.5) * 1.0  # has no derivative that would help

    normal = trial.generator.normal
    for f, name, mu, logvar, k in ((square, "(z - 3)²", 1.0, -0.6, 4), (step, "[z > 0.5]", 0.2, 0.9, 50)):
        noise = normal((k,), dtype=np.float64)
        tried = f"score_gradient(f, {mu}, {logvar}, noise), f(z) = {name}, noise ({k},)"
        got = trial.call(function, f, mu, logvar, noise, tried=tried)
        if isinstance(got, (tuple, list)) and len(got) == 2 and np.shape(got[0]) == (k,):
            trial.fail(f"These are {k} estimates, one for each draw: take their mean.", tried)
        wrong = {sentence: mistake(f, mu, logvar, noise) for sentence, mistake in mistakes.items()}
        trial.equal(got, right(f, mu, logvar, noise), tried, wrong)
    draws = normal((20_000,), dtype=np.float64)
    sigma = np.exp(-0.3)
    z = 1.0 + sigma * draws
    times = (square(z) * draws / sigma).var() / (2 * (z - 3)).var()
    return (
        f"For (z - 3)² its variance is {times:.0f} times that of the reparametrized one. But f may be a step, a game, or "
        "anything else without a derivative."
    )


def _best(eigenvalues: np.ndarray, latent_dim: int, sigma2: float, beta: float) -> tuple[int, float, float]:
    return _filled(eigenvalues, latent_dim, beta * sigma2)


def _filled(eigenvalues: np.ndarray, latent_dim: int, level: float) -> tuple[int, float, float]:
    kept = eigenvalues[:latent_dim]
    rate = 0.5 * np.log(np.maximum(kept / level, 1)).sum()
    left = np.minimum(kept, level).sum() + eigenvalues[latent_dim:].sum()
    return int((kept > level).sum()), float(rate), float(left)


@exercise(
    "07.4",
    "How many dimensions survive",
    hints=(
        "Everything depends on the level s = β·σ². Only the first latent_dim eigenvalues can get a dimension, and of those "
        "the ones above s do.",
        "What is left: s in each direction that has a dimension, λᵢ in each of the others, those beyond latent_dim "
        "included.",
    ),
)
def survivors(trial: Trial) -> str:
    """Write predict(eigenvalues, latent_dim, sigma2, beta): the number of dimensions in use, the rate in nats and the
    squared error over all directions of the best linear VAE, for eigenvalues (D,) in falling order."""
    function = trial.function("predict")

    def changed(make: Callable[..., Any]) -> Callable[..., Any]:
        def values(e: np.ndarray, latent_dim: int, sigma2: float, beta: float) -> Any:
            return make(e, latent_dim, beta * sigma2, _best(e, latent_dim, sigma2, beta))

        return values

    def no_clip(e: np.ndarray, n: int, s: float, r: tuple[int, float, float]) -> tuple[int, float, float]:
        return r[0], float(0.5 * np.log(e[:n] / s).sum()), r[2]

    mistakes: Mistakes = {
        "β is not used: the level is βσ².": lambda e, n, sigma2, beta: _filled(e, n, sigma2),
        "The level is βσ², and here it is σ²/β: a larger β must switch off more.": (
            lambda e, n, sigma2, beta: _filled(e, n, sigma2 / beta)
        ),
        "The level is β·σ²; sigma2 is σ² already, and was squared.": lambda e, n, sigma2, beta: _filled(
            e, n, beta * sigma2**2
        ),
        "A VAE has only latent_dim dimensions, however many eigenvalues are above the level.": (
            lambda e, n, sigma2, beta: _filled(e, len(e), beta * sigma2)
        ),
        "The number is right; the rate lacks its ½.": changed(lambda e, n, s, r: (r[0], 2 * r[1], r[2])),
        "The number is right; the rate is in bits: take the natural logarithm.": (
            changed(lambda e, n, s, r: (r[0], r[1] / np.log(2), r[2]))
        ),
        "The number is right; dimensions that are not in use cost nothing, and here they were counted with ½ ln(λ/s) below "
        "0.": changed(no_clip),
        "The distortion lacks the directions beyond latent_dim: nothing of them is drawn, so all of λᵢ is lost.": (
            changed(lambda e, n, s, r: (r[0], r[1], r[2] - e[n:].sum()))
        ),
        "The distortion lacks what is left in the directions in use, s each: this is the error of principal components, and "
        "the noise of a VAE adds to it.": changed(lambda e, n, s, r: (r[0], r[1], e[r[0] :].sum())),
        "The distortion lacks the collapsed dimensions: all of λᵢ is lost there.": (
            changed(lambda e, n, s, r: (r[0], r[1], r[0] * s + e[n:].sum()))
        ),
    }
    small = np.array([2.0, 1.0, 0.5, 0.3, 0.1])
    random = np.sort(trial.generator.uniform((12,), dtype=np.float64) ** 2)[::-1]
    for args in (
        (small, 3, 0.2, 3.0),
        (small, 2, 0.125, 2.0),
        (random, 6, 0.2, 0.5),
        (random, 12, 0.1, 3.0),
        (small, 4, 0.5, 6.0),
    ):
        trial.compare(function, _best, *args, mistakes=mistakes)
    return "Where the level is above the first eigenvalue, a linear VAE that says nothing is the *optimum*, not an accident."


@exercise(
    "07.5",
    "Free bits",
    hints=(
        "First the KL of each dimension, a mean over the batch, (Z,); then the maximum; then the sum.",
        "np.maximum(each, minimum).sum() with each = (0.5 * (...)).mean(axis=0).",
    ),
)
def free_bits(trial: Trial) -> str:
    """Write free_kl(mu, logvar, minimum): Σⱼ max(λ, KLⱼ), where KLⱼ is the mean over the batch of the KL of dimension j to
    N(0, 1), for arrays (N, Z) of μ and ln σ²."""
    function = trial.function("free_kl")

    def right(mu: np.ndarray, logvar: np.ndarray, minimum: float) -> float:
        return float(np.maximum(_terms(mu, logvar).mean(axis=0), minimum).sum())

    mistakes: Mistakes = {
        "Here each image has its own free bits: the maximum belongs to the *mean over the batch*, so that one image may use "
        "less while another uses more.": lambda m, v, a: np.maximum(_terms(m, v), a).mean(axis=0).sum(),
        "The whole KL was compared with Z·λ: it is each dimension that has λ nats free.": (
            lambda m, v, a: max(_terms(m, v).mean(axis=0).sum(), a * m.shape[1])
        ),
        "This is the minimum: it makes KL *above* λ free.": (
            lambda m, v, a: np.minimum(_terms(m, v).mean(axis=0), a).sum()
        ),
        "λ was subtracted, max(0, KL - λ). The gradient is the same, but the value is less than the KL term by λ in each "
        "dimension that uses its bits.": lambda m, v, a: np.maximum(_terms(m, v).mean(axis=0) - a, 0).sum(),
        "λ was added to every dimension, which changes no gradient, and so nothing.": (
            lambda m, v, a: (_terms(m, v).mean(axis=0) + a).sum()
        ),
        "This is the plain sum of the KLs: the maximum must be taken of each dimension, before the sum.": (
            lambda m, v, a: _terms(m, v).mean(axis=0).sum()
        ),
        "These are the dimensions one by one: add them up.": (lambda m, v, a: np.maximum(_terms(m, v).mean(axis=0), a)),
        "This is the mean over the dimensions: add them up.": lambda m, v, a: right(m, v, a) / m.shape[1],
        "The ½ of the KL is missing.": lambda m, v, a: np.maximum(2 * _terms(m, v).mean(axis=0), a).sum(),
        "The images were summed: take the mean over the batch before the maximum.": (
            lambda m, v, a: np.maximum(_terms(m, v).sum(axis=0), a).sum()
        ),
        "The images' own sums were compared with λ: it belongs to each dimension, after the mean over the batch.": (
            lambda m, v, a: np.maximum(_terms(m, v).sum(axis=1), a).mean()
        ),
    }
    mu = np.array([[2.0, 0.3, 0.3], [1.0, 0.3, -0.3], [0.0, 0.3, 0.1]])
    small = (mu, np.array([[0.0, 0.0, -0.2], [0.0, 0.1, 0.0], [0.0, 0.0, 0.0]]), 0.5)
    for args in (small, (*_codes(trial, 6, 4), 0.6), (*_codes(trial, 3, 5), 0.3), (*_codes(trial, 4, 2), 0.0)):
        trial.compare(function, right, *args, mistakes=mistakes)
    return "A dimension below λ has no gradient from the KL term at all: it can only gain by being used."
