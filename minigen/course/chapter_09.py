"""Chapter 9: a DCGAN on digits: normalization, initialization, losses that mean something, and judging samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.metrics.frechet import frechet_distance
from minigen.metrics.manifold import density_coverage, precision_recall

Three = tuple[Any, Any, Any]


def _batch_norm(
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    training: bool,
    momentum: float,
    eps: float,
    axes: tuple[int, ...] = (0, 2, 3),
    ddof: int = 0,
    ddof_kept: int = 1,
    with_eps: Callable[[np.ndarray, float], np.ndarray] = lambda v, eps: np.sqrt(v + eps),
    keep: Callable[[Any, Any, float], Any] = lambda old, now, momentum: (1 - momentum) * old + momentum * now,
    by_batch: bool | None = None,
    kept: bool | None = None,
) -> Three:
    """Batch norm, with parts that can be exchanged for wrong ones."""
    n = int(np.prod([x.shape[axis] for axis in axes]))
    now_mean, now_var = x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)
    shape = (1, -1, 1, 1)
    used = training if by_batch is None else by_batch
    m, v = (now_mean, now_var * n / (n - ddof)) if used else (mean.reshape(shape), var.reshape(shape))
    y = (x - m) / with_eps(v, eps)
    if not (training if kept is None else kept):
        return y, mean, var
    batch_mean, batch_var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3), ddof=ddof_kept)
    return y, keep(mean, batch_mean, momentum), keep(var, batch_var, momentum)


@exercise(
    "09.1",
    "Batch norm, in both modes",
    hints=(
        "A channel has one mean and one variance, over the batch and all places: axis=(0, 2, 3), with keepdims=True for y.",
        "y takes the variance over n, what is kept takes that over n - 1; kept ← (1 - momentum)·kept + momentum·batch. In "
        "evaluation nothing of the batch is looked at.",
    ),
)
def batch_norm(trial: Trial) -> str:
    """Write batch_norm(x, mean, var, training, momentum, eps): y for x of shape (N, C, H, W), and the kept mean and variance,
    both (C,), as they are afterwards."""
    function = trial.function("batch_norm")

    def wrong(**parts: Any) -> Callable[..., Three]:
        return lambda *arguments: _batch_norm(*arguments, **parts)

    mistakes = {
        "y is normalized by statistics over each image by itself: that is instance norm. Here the batch shares them, "
        "axis=(0, 2, 3).": wrong(axes=(2, 3)),
        "y is normalized over all channels at once: each channel has statistics of its own, axis=(0, 2, 3).": (
            wrong(axes=(0, 1, 2, 3))
        ),
        "y is normalized at every place by itself: the statistics of a channel are over the batch *and* its places, "
        "axis=(0, 2, 3).": wrong(axes=(0,)),
        "y is divided by the variance: take its root.": wrong(with_eps=lambda v, eps: v + eps),
        "eps stands outside of the root, √var + eps; it belongs inside, √(var + eps).": (
            wrong(with_eps=lambda v, eps: np.sqrt(v) + eps)
        ),
        "eps is missing.": wrong(with_eps=lambda v, eps: np.sqrt(v)),
        "y takes the variance over n - 1; it takes that over n (what is kept takes the other).": wrong(ddof=1),
        "The kept variance takes the batch's over n; it takes that over n - 1, as it estimates that of all data.": (
            wrong(ddof_kept=0)
        ),
        "momentum is the share of the *old* value here, as in Keras; asked for is PyTorch's, the share of the batch.": (
            wrong(keep=lambda old, now, momentum: momentum * old + (1 - momentum) * now)
        ),
        "What is kept forgets all but this batch: kept ← (1 - momentum)·kept + momentum·batch.": (
            wrong(keep=lambda old, now, momentum: now)
        ),
        "In evaluation it looks at the batch; there y is computed with the kept statistics, so that an image does not depend "
        "on its neighbours.": wrong(by_batch=True),
        "In training y is computed with the kept statistics; it takes those of the batch.": wrong(by_batch=False),
        "In evaluation the kept statistics are changed; nothing is learnt there.": wrong(kept=True),
        "In training the kept statistics stay as they were: evaluation would then know nothing of the data.": wrong(
            kept=False
        ),
    }
    for n, c, h in ((4, 2, 3), (3, 4, 2)):
        for training in (True, False):
            x = 2 * trial.generator.normal((n, c, h, h), dtype=np.float64) + np.arange(c)[:, None, None]
            mean = trial.generator.normal((c,), dtype=np.float64)
            var = np.exp(trial.generator.normal((c,), dtype=np.float64))
            tried = f"batch_norm(x, mean, var, {training}, 0.1, 0.01), x of shape {x.shape}"
            trial.compare(function, _batch_norm, x, mean, var, training, 0.1, 0.01, mistakes=mistakes, tried=tried)
    return "That is nn.BatchNorm2d before its weight and bias. Two modes, two variances, two meanings of momentum."


@exercise(
    "09.2",
    "A start that keeps the signal",
    hints=(
        "How many products does an output of the transposed convolution sum? Each of the kernel² places of the kernel meets an "
        "input pixel only for one in stride² outputs.",
        "n = channels·kernel²/stride²; after the convolution the variance is n·std², after the activation E[x²] is "
        "(1 + slope²)/2 times that. Make it 1.",
    ),
)
def start_std(trial: Trial) -> str:
    """Write start_std(channels, kernel, stride, slope): the standard deviation of the weights of a transposed convolution with
    so many input channels, such that E[x²] stays the same through it and the LeakyReLU after it."""
    function = trial.function("start_std")

    def right(channels: int, kernel: int, stride: int, slope: float) -> float:
        return float(np.sqrt(2 / (1 + slope**2) * stride**2 / (channels * kernel**2)))

    mistakes = {
        "This would be right for a convolution: an output of a transposed one with stride s sums s² times fewer products.": (
            lambda c, k, s, a: right(c, k, 1, a)
        ),
        "The stride works in both directions: its square is needed.": lambda c, k, s, a: right(c, k, 1, a) * np.sqrt(s),
        "The activation is left out: LeakyReLU multiplies E[x²] by (1 + slope²)/2.": (
            lambda c, k, s, a: s / np.sqrt(c * k**2)
        ),
        "The slope enters squared: E[x²] is multiplied by (1 + slope²)/2.": (
            lambda c, k, s, a: np.sqrt(2 / (1 + a)) * s / np.sqrt(c * k**2)
        ),
        "This is the variance; its root is asked for.": lambda c, k, s, a: right(c, k, s, a) ** 2,
        "The kernel has kernel² places.": lambda c, k, s, a: np.sqrt(2 / (1 + a**2) * s**2 / (c * k)),
        "The factor is upside down: what shrinks the signal must make the weights larger.": (
            lambda c, k, s, a: np.sqrt((1 + a**2) / 2) * s / np.sqrt(c * k**2)
        ),
        "For slope 0 this is right; LeakyReLU lets a part of the negative side through.": lambda c, k, s, a: right(
            c, k, s, 0
        ),
    }
    for channels, kernel, stride, slope in ((64, 5, 2, 0.3), (16, 4, 2, 0.2), (128, 5, 1, 0.5), (8, 6, 3, 0.1)):
        trial.compare(function, right, channels, kernel, stride, slope, mistakes=mistakes)
    return "He et al. 2015, with the fan of a transposed convolution. Batch norm forgives a wrong size, but the last layer and D have none."


@exercise(
    "09.3",
    "The Fréchet distance",
    hints=(
        "np.cov(a, rowvar=False) is Σ over n - 1. The eigenvalues of Σ₁Σ₂ are real and not negative; the trace of a root is the "
        "sum of the roots of the eigenvalues.",
        "((μ₁ - μ₂)**2).sum() + np.trace(Σ₁ + Σ₂) - 2·np.sqrt(eigenvalues of Σ₁@Σ₂).sum(), real part, clipped at 0.",
    ),
)
def frechet(trial: Trial) -> str:
    """Write frechet(a, b): the Fréchet distance of two sets of features, (n, d) and (m, d), each taken for a Gaussian."""
    function = trial.function("frechet")

    def parts(a: np.ndarray, b: np.ndarray, ddof: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        cov = [np.atleast_2d(np.cov(x, rowvar=False, ddof=ddof)) for x in (a, b)]
        return a.mean(0) - b.mean(0), cov[0], cov[1]

    def root(matrix: np.ndarray) -> np.ndarray:
        values, axes = np.linalg.eigh(matrix)
        return (axes * np.sqrt(np.maximum(values, 0))) @ axes.T

    def overlap(s: np.ndarray, t: np.ndarray) -> float:
        return float(np.sqrt(np.maximum(np.linalg.eigvals(s @ t).real, 0)).sum())

    def of(rule: Callable[..., Any], ddof: int = 1) -> Callable[..., Any]:
        def distance(a: np.ndarray, b: np.ndarray) -> Any:
            with np.errstate(all="ignore"):
                return rule(*parts(a, b, ddof))

        return distance

    mistakes = {
        "Σ is the covariance over n; here it is that over n - 1.": of(
            lambda d, s, t: d @ d + np.trace(s + t) - 2 * overlap(s, t), ddof=0
        ),
        "The root of Σ₁Σ₂ was taken element by element; what is meant is the matrix whose square is Σ₁Σ₂.": of(
            lambda d, s, t: d @ d + np.trace(s + t) - 2 * np.trace(np.sqrt(s @ t))
        ),
        "tr(√Σ₁√Σ₂) is not tr((Σ₁Σ₂)^½), unless the two matrices commute.": of(
            lambda d, s, t: d @ d + np.trace(s + t) - 2 * np.trace(root(s) @ root(t))
        ),
        "Only the variances were used: the covariances between features are missing.": of(
            lambda d, s, t: d @ d + ((np.sqrt(np.diag(s)) - np.sqrt(np.diag(t))) ** 2).sum()
        ),
        "The 2 before the root is missing.": of(lambda d, s, t: d @ d + np.trace(s + t) - overlap(s, t)),
        "The distance of the means enters squared.": of(
            lambda d, s, t: np.linalg.norm(d) + np.trace(s + t) - 2 * overlap(s, t)
        ),
        "The distance of the means is missing.": of(lambda d, s, t: np.trace(s + t) - 2 * overlap(s, t)),
        "Only the means were compared: two clouds of one centre may look quite different.": of(lambda d, s, t: d @ d),
        "Its root was taken: what is called Fréchet distance here, and in FID, is the squared one.": of(
            lambda d, s, t: np.sqrt(d @ d + np.trace(s + t) - 2 * overlap(s, t))
        ),
    }
    random = trial.generator.normal
    for n, m, d in ((40, 30, 2), (60, 60, 5), (50, 20, 3)):
        mix = random((d, d), dtype=np.float64)
        a, b = random((n, d), dtype=np.float64) @ mix + 1, random((m, d), dtype=np.float64)
        tried = f"frechet(a, b), a of shape {a.shape}, b of shape {b.shape}"
        got = trial.call(function, a, b, tried=tried)
        if np.iscomplexobj(got):
            got = np.real(got) if abs(np.imag(got)) < 1e-6 * abs(np.real(got)) else got
        wrong = {sentence: mistake(a, b) for sentence, mistake in mistakes.items()}
        trial.equal(got, frechet_distance(a, b), tried, wrong, rtol=1e-5)
    return "On features of the Inception network it is called FID; on others it may not be, nor be compared with FIDs."


def _coverage(real: np.ndarray, fake: np.ndarray, k: int) -> float:
    return density_coverage(real, fake, k)[1]


@exercise(
    "09.4",
    "Coverage",
    hints=(
        "All distances: np.linalg.norm(real[:, None] - real, axis=2). Sorted along a row, the first is 0: the point itself.",
        "radius = np.sort(distances, axis=1)[:, k]; then is any fake within the radius of real i? The mean of that over i.",
    ),
)
def coverage(trial: Trial) -> str:
    """Write coverage(real, fake, k): the share of real points that have a fake within the distance to their k-th nearest
    neighbour among the other real ones."""
    function = trial.function("coverage")

    mistakes = {
        "The point itself was counted as its first neighbour: the radius is the distance to the k-th *other* point.": (
            lambda real, fake, k: _with_radius(real, fake, k - 1)
        ),
        "The radius reaches to the (k + 1)-th neighbour.": lambda real, fake, k: _coverage(real, fake, k + 1),
        "This is the share of *fakes* in a ball of a real point, precision: a generator that makes one perfect sample again "
        "and again has it at 1.": lambda real, fake, k: precision_recall(real, fake, k)[0],
        "The balls are those of the fakes: that is recall, and a single fake far away makes a ball that holds everything.": (
            lambda real, fake, k: precision_recall(real, fake, k)[1]
        ),
        "This is density, how many balls a fake lies in: it rewards crowding.": (
            lambda real, fake, k: density_coverage(real, fake, k)[0]
        ),
        "Real and fake are exchanged: the balls are those of the real points.": (
            lambda real, fake, k: _coverage(fake, real, k)
        ),
    }
    random = trial.generator.normal
    for n, m, d, k in ((30, 20, 2, 3), (40, 60, 4, 5), (25, 25, 1, 2)):
        real, fake = random((n, d), dtype=np.float64), 0.7 * random((m, d), dtype=np.float64) + 0.5
        tried = f"coverage(real, fake, {k}), {n} real and {m} generated points in {d} dimensions"
        trial.compare(function, _coverage, real, fake, k, mistakes=mistakes, tried=tried)
    return "Naeem et al. 2020. For fakes of the right distribution about 1 - 2⁻ᵏ: 0.97 for k = 5."


def _with_radius(real: np.ndarray, fake: np.ndarray, k: int) -> float:
    radius = np.sort(np.linalg.norm(real[:, None] - real, axis=2), axis=1)[:, k]
    return float((np.linalg.norm(real[:, None] - fake, axis=2) <= radius[:, None]).any(axis=1).mean())


@exercise(
    "09.5",
    "What a discriminator's loss says",
    hints=(
        "For the best D, L_D = log 4 - 2·JS. Any other D has a larger loss.",
        "JS ≥ log 2 - L_D/2, with L_D = mean log(1 + exp(-r)) + mean log(1 + exp(f)).",
    ),
)
def divergence_bound(trial: Trial) -> str:
    """Write js_bound(real, fake): what the logits of a discriminator on real and on generated samples prove about the
    Jensen–Shannon divergence of the two, a lower bound in nats."""
    function = trial.function("js_bound")

    def loss(r: np.ndarray, f: np.ndarray) -> float:
        return float(np.logaddexp(0, -r).mean() + np.logaddexp(0, f).mean())

    def right(r: np.ndarray, f: np.ndarray) -> float:
        return float(np.log(2)) - loss(r, f) / 2

    mistakes = {
        "This is L_D itself.": loss,
        "This is log 4 - L_D, twice the bound: V = 2·JS - log 4.": lambda r, f: 2 * right(r, f),
        "This is log 2 - L_D: L_D contains JS twice.": lambda r, f: np.log(2) - loss(r, f),
        "This is in bits; nats are asked for.": lambda r, f: right(r, f) / np.log(2),
        "The sign is wrong: the larger D's loss, the less it has seen of a difference.": lambda r, f: -right(r, f),
        "A bound below 0 was cut off. It says nothing, but averaged over batches the cut would make it too large: leave it.": (
            lambda r, f: max(right(r, f), 0.0)
        ),
        "Real and fake are exchanged: D's logits are high for real samples.": lambda r, f: right(f, r),
    }
    random = trial.generator.normal
    for r, f in (
        (np.array([2.0, 1.0]), np.array([-1.0, -3.0])),
        (random((6, 1), dtype=np.float64) + 1, random((9, 1), dtype=np.float64) - 1),
        (random((4,), dtype=np.float64) - 1, random((4,), dtype=np.float64) + 1),
    ):
        trial.compare(function, right, r, f, mistakes=mistakes)
    return "A loss of 2·log 2 = 1.386 proves nothing: the samples may be perfect, or D blind. On data that D was trained on it is no bound."
