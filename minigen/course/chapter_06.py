"""Chapter 6: Gaussians, mixtures, and how to choose among them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.classical import MultivariateNormal, aic, bic, expectation, maximization
from minigen.classical.em import MixtureParameters
from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.random import Generator

Mistakes = dict[str, Callable[..., Any]]


def _covariance(generator: Generator, d: int) -> np.ndarray:
    a = generator.normal((d, d), dtype=np.float64)
    return a @ a.T / d + 0.3 * np.eye(d)


@exercise(
    "06.1",
    "The density of a Gaussian",
    hints=(
        "root = np.linalg.cholesky(covariance), then u = np.linalg.solve(root, (x - mean).T), which has a column for each "
        "point.",
        "ln det Σ = 2·Σᵢ ln Lᵢᵢ, and the quadratic form of each point is the sum of the squares of its column of u.",
    ),
)
def log_normal(trial: Trial) -> str:
    """Write log_normal(x, mean, covariance): ln N(x; μ, Σ) of each row of x (n, D), for any D, as an array (n,)."""
    function = trial.function("log_normal")

    def right(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
        return MultivariateNormal(mean, covariance).log_prob(x)

    def assembled(constant: float = 1.0, log_det: float = 0.5, form: float = 0.5, inverse: bool = True) -> Any:
        def wrong(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
            c, d = x - mean, len(mean)
            middle = np.linalg.inv(covariance) if inverse else covariance
            square = np.einsum("nd,de,ne->n", c, middle, c)
            return -0.5 * d * constant * np.log(2 * np.pi) - log_det * np.linalg.slogdet(covariance)[1] - form * square

        return wrong

    mistakes: Mistakes = {
        "ln 2π is there once; it belongs to each of the D dimensions.": (
            lambda x, mean, covariance: assembled(1 / len(mean))(x, mean, covariance)
        ),
        "The constant ½·D·ln 2π is missing.": assembled(0.0),
        "ln det Σ is counted whole: the density has the *root* of the determinant.": assembled(log_det=1.0),
        "ln det Σ has the wrong sign.": assembled(log_det=-0.5),
        "ln det Σ is missing, or ln det L was taken for it and halved.": assembled(log_det=0.0),
        "Of ln det Σ only half is there: ln det Σ = 2·ln det L.": assembled(log_det=0.25),
        "The quadratic form lacks its ½.": assembled(form=1.0),
        "The quadratic form is taken with Σ; it is Σ⁻¹ that belongs in it.": assembled(inverse=False),
        "This is the density itself: take its logarithm.": lambda x, m, c: np.exp(right(x, m, c)),
        "The covariances between features are ignored: only the diagonal of Σ is used.": (
            lambda x, m, c: right(x, m, np.diag(np.diagonal(c)))
        ),
        "These were summed: return one number for each row of x.": lambda x, m, c: right(x, m, c).sum(),
    }
    small = (np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]), np.array([0.5, 0.0]), np.array([[2.0, 0.6], [0.6, 0.5]]))
    random = trial.generator
    cases = [small]
    for n, d in ((5, 3), (3, 5)):
        x = random.normal((n, d), dtype=np.float64)
        cases.append((x, random.normal((d,), dtype=np.float64), _covariance(random, d)))
    for args in cases:
        tried = f"log_normal(x, mean, covariance), x {args[0].shape}"
        trial.compare(function, right, *args, mistakes=mistakes, tried=tried)
    for scale in (0.01, 100.0):
        d = 400
        x = scale**0.5 * random.normal((4, d), dtype=np.float64)
        tried = f"x (4, 400), mean 0, covariance {scale:g}·I"
        got = trial.call(function, x, np.zeros(d), scale * np.eye(d), tried=tried)
        trial.require(
            np.isfinite(got).all(),
            f"The determinant is {scale:g}⁴⁰⁰, which no float64 holds: take the logarithms of L's diagonal and add them up.",
            tried,
            str(np.asarray(got).tolist()),
        )
        trial.equal(got, right(x, np.zeros(d), scale * np.eye(d)), tried)
    return "With a triangular solve it takes D² steps a point, and the factor is computed once for all points."


@exercise(
    "06.2",
    "The E step in logarithms",
    hints=(
        "Subtract the largest number of each row before taking exponentials, and add it again to the logarithm.",
        "rₙₖ = exp(log_joint - log_prob), with log_prob as a column.",
    ),
)
def e_step(trial: Trial) -> str:
    """Write e_step(log_joint): from ln πₖN(xₙ; μₖ, Σₖ), (n, K), the two arrays ln p(xₙ) = ln Σₖ exp(log_joint), (n,), and
    the responsibilities rₙₖ, (n, K)."""
    function = trial.function("e_step")

    def right(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        top = a.max(axis=1, keepdims=True)
        log_prob = top + np.log(np.exp(a - top).sum(axis=1, keepdims=True))
        return log_prob[:, 0], np.exp(a - log_prob)

    def hard(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return right(a)[0], np.eye(a.shape[1])[a.argmax(axis=1)]

    def over_points(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return right(a)[0], np.exp(a) / np.exp(a).sum(axis=0)

    mistakes: Mistakes = {
        "The responsibilities are right; ln p is the sum over the components, not the largest of them.": (
            lambda a: (a.max(axis=1), right(a)[1])
        ),
        "The responsibilities are right; the largest number of each row was subtracted, and must be added again to ln p.": (
            lambda a: (right(a)[0] - a.max(axis=1), right(a)[1])
        ),
        "The first result is p(x): return its logarithm.": lambda a: (np.exp(right(a)[0]), right(a)[1]),
        "ln p is right; these are the logarithms of the responsibilities.": (
            lambda a: (right(a)[0], a - right(a)[0][:, None])
        ),
        "ln p is right; the responsibilities must add up to 1 for each *point*, and these do for each component.": (
            over_points
        ),
        "ln p is right; each point was given whole to its likeliest component, as k-means does.": hard,
        "ln p is right; the responsibilities are not divided by their sum.": lambda a: (right(a)[0], np.exp(a)),
        "Logarithms do not add like numbers: the sum of the logarithms is that of a product.": (
            lambda a: (a.sum(axis=1), right(a)[1])
        ),
    }
    for a in (np.log([[0.1, 0.3], [0.2, 0.05], [0.4, 0.1]]), trial.generator.normal((5, 3), dtype=np.float64)):
        trial.compare(function, right, a, mistakes=mistakes)
    for shift in (-1000.0, 1000.0):
        a = shift + trial.generator.normal((4, 3), std=2.0, dtype=np.float64) * np.array(
            [[1.0], [1.0], [30.0], [900.0]]
        )
        tried = f"log_joint near {shift:g}"
        got = trial.call(function, a, tried=tried)
        flat = np.concatenate([np.ravel(part) for part in got]) if isinstance(got, tuple) else np.asarray(got)
        trial.require(
            np.isfinite(np.asarray(flat, dtype=np.float64)).all(),
            f"exp({shift:g}) leaves the range of float64, and 0/0 or ∞/∞ follow: subtract the largest number of each row "
            "first. (One largest number for all points is not enough.)",
            tried,
        )
        with np.errstate(all="ignore"):
            trial.equal(got, right(a), tried, {sentence: wrong(a) for sentence, wrong in mistakes.items()})
    return "The same trick makes softmax, cross-entropy and importance weights safe."


@exercise(
    "06.3",
    "The M step",
    hints=(
        "nₖ is the sum of column k of r. The weights are nₖ/n, the means r.T @ x / nₖ.",
        "The covariance of component k: rows of x minus the mean *of k*, each weighed by r[:, k], divided by nₖ.",
    ),
)
def m_step(trial: Trial) -> str:
    """Write m_step(x, r): weights (K,), means (K, D) and covariances (K, D, D), the most likely ones for points x (n, D)
    with responsibilities r (n, K)."""
    function = trial.function("m_step")

    def right(x: np.ndarray, r: np.ndarray) -> tuple[np.ndarray, ...]:
        p = maximization(x, r, reg_covar=0.0)
        return p.weights, p.means, p.covariances

    def around(x: np.ndarray, r: np.ndarray, centres: np.ndarray, size: np.ndarray) -> np.ndarray:
        c = x[:, None] - centres  # (n, K, D)
        return np.einsum("nk,nkd,nke->kde", r, c, c) / size[:, None, None]

    def with_covariances(make: Callable[..., np.ndarray]) -> Callable[..., Any]:
        return lambda x, r: (*right(x, r)[:2], make(x, r))

    def second_moment(x: np.ndarray, r: np.ndarray) -> np.ndarray:
        return np.einsum("nk,nd,ne->kde", r, x, x) / r.sum(axis=0)[:, None, None]

    def unweighted(x: np.ndarray, r: np.ndarray) -> np.ndarray:
        return around(x, np.ones_like(r) / len(x), right(x, r)[1], np.ones(r.shape[1]))

    mistakes: Mistakes = {
        "Each point was given whole to its likeliest component: that is k-means; EM weighs with the responsibilities.": (
            lambda x, r: right(x, np.eye(r.shape[1])[r.argmax(axis=1)])
        ),
        "These weights are the sums nₖ: divide them by n, so that they add up to 1.": (
            lambda x, r: (r.sum(axis=0), *right(x, r)[1:])
        ),
        "Weights are right; each mean is divided by nₖ, the weight of its own points, and not by n.": (
            lambda x, r: (right(x, r)[0], r.T @ x / len(x), right(x, r)[2])
        ),
        "Weights and means are right; the covariances are divided by n, and must be by nₖ.": (
            with_covariances(lambda x, r: around(x, r, right(x, r)[1], np.full(r.shape[1], len(x))))
        ),
        "Weights and means are right; the covariances are divided by nₖ - 1. Maximum likelihood divides by nₖ.": (
            with_covariances(lambda x, r: around(x, r, right(x, r)[1], r.sum(axis=0) - 1))
        ),
        "Weights and means are right; the covariances are divided by nₖ - Σ r²/nₖ, as np.cov(aweights=...) does unless it "
        "gets ddof=0.": (
            with_covariances(
                lambda x, r: around(x, r, right(x, r)[1], r.sum(axis=0) - (r**2).sum(axis=0) / r.sum(axis=0))
            )
        ),
        "Weights and means are right; the covariances are taken about the mean of all points, not each component's own.": (
            with_covariances(lambda x, r: around(x, r, np.tile(x.mean(axis=0), (r.shape[1], 1)), r.sum(axis=0)))
        ),
        "Weights and means are right; of the covariances the mean was never subtracted.": with_covariances(
            second_moment
        ),
        "Weights and means are right; in the covariances the points are not weighed with their responsibilities.": (
            with_covariances(unweighted)
        ),
        "Weights and means are right; only the variances are there, the covariances between features are 0.": (
            with_covariances(lambda x, r: right(x, r)[2] * np.eye(x.shape[1]))
        ),
        "Weights and means are right; the responsibilities are squared in the covariances: weigh one factor only.": (
            with_covariances(lambda x, r: around(x, r**2, right(x, r)[1], r.sum(axis=0)))
        ),
    }
    for n, d, k in ((4, 2, 2), (12, 3, 2), (15, 2, 4)):
        x = trial.generator.normal((n, d), mean=1.0, dtype=np.float64).round(2 if n == 4 else 8)
        r = trial.generator.uniform((n, k), dtype=np.float64) + 0.05
        r /= r.sum(axis=1, keepdims=True)
        tried = f"m_step(x, r), x {x.shape}, r {r.shape}"
        trial.compare(function, right, x, r, mistakes=mistakes, tried=tried)
    return "Each component is one weighted Gaussian: no rate, no line search, and the likelihood cannot fall."


@exercise(
    "06.4",
    "AIC and BIC",
    hints=(
        "How many numbers are free? K weights that add up to 1, K means of D numbers, K symmetric D×D matrices.",
        "A symmetric D×D matrix has D(D + 1)/2 free numbers. With k of them all in all, AIC = 2k - 2 ln L and BIC = "
        "k ln n - 2 ln L.",
    ),
)
def criteria(trial: Trial) -> str:
    """Write criteria(log_likelihood, components, dimensions, n): AIC and BIC of a mixture with full covariances, where
    log_likelihood is the sum of ln p over all n points."""
    function = trial.function("criteria")

    def counted(count: Callable[[int, int], float]) -> Callable[..., tuple[float, float]]:
        def values(log_likelihood: float, components: int, dimensions: int, n: int) -> tuple[float, float]:
            k: Any = count(components, dimensions)
            return aic(log_likelihood, k), bic(log_likelihood, k, n)

        return values

    def free(k: int, d: int) -> int:
        return k - 1 + k * d + k * d * (d + 1) // 2

    right = counted(free)
    mistakes: Mistakes = {
        "The weights are counted K times; they add up to 1, so that K - 1 are free.": counted(
            lambda k, d: free(k, d) + 1
        ),
        "The covariances are counted as D² numbers each; they are symmetric, so D(D + 1)/2 are free.": (
            counted(lambda k, d: k - 1 + k * d + k * d * d)
        ),
        "The covariances are counted as D² numbers each, and the weights K times: D(D + 1)/2 and K - 1 are free.": (
            counted(lambda k, d: k + k * d + k * d * d)
        ),
        "This counts the components, not their parameters.": counted(lambda k, d: k),
        "The weights are not counted: K - 1 of them are free.": counted(lambda k, d: free(k, d) - k + 1),
        "Both have the opposite sign: as they are defined, less is better.": (
            lambda a, k, d, n: tuple(-v for v in right(a, k, d, n))
        ),
        "The likelihood counts twice: -2 ln L.": lambda a, k, d, n: tuple(v + a for v in right(a, k, d, n)),
        "ln L was added: a better fit must lower a criterion, so 2 ln L is subtracted.": (
            lambda a, k, d, n: tuple(v + 4 * a for v in right(a, k, d, n))
        ),
        "log_likelihood is the sum over the points already: do not multiply it by n.": (
            lambda a, k, d, n: tuple(v + 2 * a - 2 * a * n for v in right(a, k, d, n))
        ),
        "AIC is right; BIC takes the natural logarithm of n.": (
            lambda a, k, d, n: (right(a, k, d, n)[0], free(k, d) * np.log10(n) - 2 * a)
        ),
        "AIC is right; in BIC there is no 2 before k ln n.": (
            lambda a, k, d, n: (right(a, k, d, n)[0], 2 * free(k, d) * np.log(n) - 2 * a)
        ),
    }
    for args in ((-100.0, 2, 3, 50), (-1234.5, 5, 2, 400), (37.0, 3, 1, 20), (-9.5, 1, 4, 7)):
        trial.compare(function, right, *args, mistakes=mistakes, rtol=1e-9)
    return "From n = 8 on BIC charges more for a parameter than AIC: ln n above 2."


_WEIGHTS = np.array([0.5, 0.2, 0.3])
_MEANS = np.array([[0.0, 0.0], [300.0, 0.0], [0.0, 400.0]])
_COVARIANCES = np.array([[[4.0, 1.5], [1.5, 1.0]], [[1.0, -0.6], [-0.6, 2.0]], [[0.25, 0.0], [0.0, 9.0]]])


@exercise(
    "06.5",
    "Drawing from a mixture",
    hints=(
        "For the components: np.searchsorted(np.cumsum(weights), generator.uniform((n,))) gives each k with probability πₖ.",
        "With L = np.linalg.cholesky(Σₖ) and u ~ N(0, I) a column, μₖ + L u has the covariance LLᵀ = Σₖ. For rows u it is "
        "u @ L.T.",
    ),
)
def mixture_sample(trial: Trial) -> str:
    """Write sample(weights, means, covariances, n, generator): n points (n, D), each of a component drawn with its weight,
    with random numbers from the generator (a minigen.Generator)."""
    function = trial.function("sample")
    n = 20_000
    tried = f"sample(weights, means, covariances, {n}, generator), three components far apart"

    def draw(seed: int, count: int = n) -> np.ndarray:
        args = (_WEIGHTS, _MEANS, _COVARIANCES, count, Generator(seed))
        got = trial.call(function, *args, tried=tried)
        if isinstance(got, tuple):
            trial.fail("Return the points alone.", tried)
        return trial.run(lambda: np.asarray(got).astype(np.float64, casting="same_kind"), tried)

    x = draw(0)
    trial.require(x.shape == (n, 2), "It has the wrong shape.", tried, str(x.shape), str((n, 2)))
    trial.require(np.isfinite(x).all(), "Some points are NaN or infinite.", tried)
    trial.require(
        np.array_equal(x, draw(0)),
        "Two calls with generators of one seed give different points: take all random numbers from the generator.",
        tried,
    )
    trial.require(
        not np.array_equal(x, draw(1)),
        "Another seed gives the same points: the random numbers do not come from the generator.",
        tried,
    )
    trial.require(len(np.unique(x[:50], axis=0)) == 50, "Points come more than once.", tried)
    distances = ((x[:, None] - _MEANS) ** 2).sum(axis=2)
    nearest = distances.argmin(axis=1)
    blend = _WEIGHTS @ _MEANS
    if ((x - blend) ** 2).sum(axis=1).mean() < 100:
        trial.fail(
            "The points lie about the weighted mean of the means, where the mixture has no density: a mixture *chooses* a "
            "component for each point, and does not average them.",
            tried,
        )
    trial.require(
        np.median(distances.min(axis=1)) < 100, "The points are far from every mean: is μₖ added, once?", tried
    )
    shares = np.bincount(nearest, minlength=3) / n
    facts = (tried, f"shares {shares.round(3).tolist()}", f"about {_WEIGHTS.tolist()}")
    if shares.max() > 0.999:
        trial.fail("All points are of one component: draw a component for *each* point.", *facts)
    if np.abs(shares - 1 / 3).max() < 0.02:
        trial.fail("The components are equally frequent: the weights are not used.", *facts)
    trial.require(np.abs(shares - _WEIGHTS).max() < 0.02, "The components do not come with their weights.", *facts)
    counts = {tuple(np.bincount(((draw(seed)[:, None] - _MEANS) ** 2).sum(axis=2).argmin(axis=1))) for seed in range(3)}
    trial.require(
        len(counts) > 1,
        "Every seed gives each component exactly as many points: the numbers were fixed at n·πₖ. Draw the component of each "
        "point, so that they vary.",
        tried,
        f"{[int(count) for count in min(counts)]} each time",
        "such numbers in the mean",
    )
    for k in range(3):
        own = x[nearest == k]
        found, expected = np.cov(own.T), _COVARIANCES[k]
        facts = (tried + f"; component {k}", f"covariance {found.round(2).tolist()}", f"about {expected.tolist()}")

        def near(other: np.ndarray, found: np.ndarray = found) -> bool:
            return bool(np.abs(found - other).max() < 0.08 * np.abs(other).max())

        root = np.linalg.cholesky(expected)
        if near(expected):
            continue
        if near(np.eye(2)):
            trial.fail("Every component has the covariance I: Σₖ is not used.", *facts)
        if near(expected @ expected):
            trial.fail(
                "The covariance came out as Σ²: noise was multiplied by Σ. It takes a root L of it, LLᵀ = Σ.", *facts
            )
        if near(root.T @ root):
            trial.fail("The covariance is LᵀL instead of LLᵀ: for points in rows it is u @ L.T.", *facts)
        if near(np.diag(np.diagonal(expected))):
            trial.fail("Only the variances are used: the features of a component are correlated.", *facts)
        if near(np.diag(np.diagonal(expected) ** 2)) or near(np.diag(np.diagonal(expected)) @ expected):
            trial.fail("Variances were taken for standard deviations: the root is missing.", *facts)
        trial.fail("The covariance of a component is not Σₖ.", *facts)
    for k, mean in enumerate(_MEANS):
        trial.require(
            np.abs(x[nearest == k].mean(axis=0) - mean).max() < 0.3, f"The mean of component {k} is off.", tried
        )
    p = MixtureParameters(_WEIGHTS, _MEANS, _COVARIANCES)
    return f"A sample of it has ln p = {expectation(x, p)[0].mean():.2f} in the mean: minus the mixture's entropy."
