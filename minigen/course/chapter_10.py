"""Chapter 10: Wiener's filter, total variation, conditional means, and networks that correct images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.data import load_digits

NOISE, WANTED = 0.3, 1.3  # of exercise 10.4


def _frequencies(kernel: np.ndarray, shape: tuple[int, ...], roll: bool = True) -> np.ndarray:
    padded = np.zeros(shape)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    if roll:
        padded = np.roll(padded, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1))
    return np.fft.fft2(padded)


def _by(formula: Callable[[np.ndarray, float], np.ndarray], roll: bool = True) -> Callable[..., np.ndarray]:
    """The deconvolution that multiplies each frequency by formula(K, r)."""

    def deconvolve(y: np.ndarray, kernel: np.ndarray, r: float) -> np.ndarray:
        factor = formula(_frequencies(kernel, y.shape, roll), r)
        return np.fft.ifft2(factor * np.fft.fft2(y)).real

    return deconvolve


@exercise(
    "10.1",
    "Wiener's filter undoes a blur",
    hints=(
        "padded = np.zeros(y.shape); padded[:KH, :KW] = kernel; np.roll(padded, (-(KH // 2), -(KW // 2)), (0, 1)) puts "
        "the middle at (0, 0). K = np.fft.fft2 of that.",
        "Multiply np.fft.fft2(y) by np.conj(K) / (np.abs(K)**2 + r), go back by np.fft.ifft2, and take .real.",
    ),
)
def wiener(trial: Trial) -> str:
    """Write deconvolve(y, kernel, r): conj(K)·Y / (|K|² + r), frequency by frequency, as a real image, the kernel's
    middle being the origin."""
    function = trial.function("deconvolve")
    right = _by(lambda k, r: k.conj() / (abs(k) ** 2 + r))
    mistakes: dict[str, Callable[..., Any]] = {
        "K stands where its conjugate belongs: this moves everything by the blur once more. With a kernel that is "
        "its own mirror image K is real, and nobody notices.": _by(lambda k, r: k / (abs(k) ** 2 + r)),
        "The image is shifted: the kernel's middle, not its corner, belongs at index (0, 0). Roll it by half its size, "
        "to the left and up.": _by(lambda k, r: k.conj() / (abs(k) ** 2 + r), roll=False),
        "This divides by |K| + r; it is |K|² + r.": _by(lambda k, r: k.conj() / (abs(k) + r)),
        "This divides by K, the inverse filter, and r is not used: what noise there is grows without bound where K is "
        "small.": _by(lambda k, r: 1 / k),
        "r was squared: it is σ²/S already.": _by(lambda k, r: k.conj() / (abs(k) ** 2 + r**2)),
        "This adds r to K, 1/(K + r): where K is negative or complex that may be next to nothing.": (
            _by(lambda k, r: 1 / (k + r))
        ),
        "This blurs once more, by conj(K) alone: divide by |K|² + r.": _by(lambda k, r: k.conj()),
    }
    generator = trial.generator
    for shape, sides in (((8, 8), (3, 3)), ((9, 12), (3, 5)), ((16, 10), (5, 1))):
        kernel = generator.uniform(sides, 0.1, 1.0, np.float64)
        kernel /= kernel.sum()  # not its own mirror image
        y = generator.normal(shape, dtype=np.float64)
        tried = f"deconvolve(y, kernel, 0.05), y of shape {shape} and a kernel of {sides} that is not symmetric"
        got = trial.call(function, y, kernel, 0.05, tried=tried)
        trial.require(
            not np.iscomplexobj(got),
            "The result is complex: its imaginary part is rounding only, so take .real.",
            tried,
            "complex numbers",
            "real ones",
        )
        wrong = {sentence: mistake(y, kernel, 0.05) for sentence, mistake in mistakes.items()}
        trial.equal(got, right(y, kernel, 0.05), tried, wrong)
    return "With r → 0 it is the inverse filter. r is how much noise there is for each part of signal."


def _divergence(p: np.ndarray) -> np.ndarray:
    found = np.zeros(p.shape[1:])
    found[:-1] += p[0, :-1]
    found[1:] -= p[0, :-1]
    found[:, :-1] += p[1, :, :-1]
    found[:, 1:] -= p[1, :, :-1]
    return found


def _counts_last(p: np.ndarray) -> np.ndarray:
    """Backward differences, in which the last row and column of p count too."""
    down, right = p[0].copy(), p[1].copy()
    down[1:] -= p[0, :-1]
    right[:, 1:] -= p[1, :, :-1]
    return down + right


def _forward(p: np.ndarray) -> np.ndarray:
    found = np.zeros(p.shape[1:])
    found[:-1] += p[0, 1:] - p[0, :-1]
    found[:, :-1] += p[1, :, 1:] - p[1, :, :-1]
    return found


def _no_first(p: np.ndarray) -> np.ndarray:
    found = np.zeros(p.shape[1:])
    found[1:] += p[0, 1:] - p[0, :-1]
    found[:, 1:] += p[1, :, 1:] - p[1, :, :-1]
    return found


@exercise(
    "10.2",
    "The divergence, minus the adjoint of the gradient",
    hints=(
        "⟨∇u, p⟩ = Σ (u[i+1] - u[i])·p[i] along one direction, i up to the last but one. Collect what multiplies u[i].",
        "u[i] is multiplied by p[i-1] - p[i]; at i = 0 there is no p[i-1], at the last i no p[i]. The divergence is "
        "minus that.",
    ),
)
def divergence(trial: Trial) -> str:
    """Write divergence(p), p (2, H, W) → (H, W), with ⟨slopes(u), p⟩ = -⟨u, divergence(p)⟩ for all u and p."""
    function = trial.function("divergence")
    mistakes: dict[str, Callable[..., Any]] = {
        "This is the adjoint ∇ᵀp itself; the divergence is *minus* that.": lambda p: -_divergence(p),
        "The last row and column of p count here, but slopes(u) is 0 there whatever u is: with them the two inner "
        "products differ.": _counts_last,
        "These are differences forward, p[i+1] - p[i]. The adjoint of a difference forward is one backward: u[i] "
        "occurs with p[i] and with p[i-1].": _forward,
        "The first row and column are not right: there is no p[i-1] at i = 0, but p[i] still counts.": _no_first,
        "Only the direction down counts here; add that to the right.": (
            lambda p: _divergence(np.stack([p[0], 0 * p[1]]))
        ),
        "Only the direction to the right counts here; add that down.": (
            lambda p: _divergence(np.stack([0 * p[0], p[1]]))
        ),
        "These are central differences, as np.gradient has them; slopes(u) takes differences forward.": (
            lambda p: np.gradient(p[0], axis=0) + np.gradient(p[1], axis=1)
        ),
    }
    for shape in ((2, 3, 2), (2, 5, 4), (2, 7, 9)):
        p = trial.generator.normal(shape, dtype=np.float64)
        trial.compare(function, _divergence, p, mistakes=mistakes, tried=f"divergence(p), p of shape {shape}")
    return "It sums to 0: what flows out of one pixel flows into the next, and nothing across the border."


def _distances(damaged: np.ndarray, images: np.ndarray) -> np.ndarray:
    return ((damaged[:, None] - images[None]) ** 2).sum(axis=2)  # (n, K)


def _weighted(exponent: np.ndarray, images: np.ndarray, axis: int = 1) -> np.ndarray:
    weights = np.exp(exponent - exponent.max(axis=axis, keepdims=True))
    return (weights / weights.sum(axis=axis, keepdims=True)) @ images


@exercise(
    "10.3",
    "The best estimate of all",
    hints=(
        "d2 = ((damaged[:, None] - images[None])**2).sum(axis=2) has the shape (n, K).",
        "w = np.exp(-(d2 - d2.min(axis=1, keepdims=True)) / (2 * sigma**2)); divide each row by its sum; then w @ "
        "images.",
    ),
)
def conditional_mean(trial: Trial) -> str:
    """Write conditional_mean(damaged, images, sigma), the mean of images (K, D) with weights proportional to exp(-‖x̃
    - x_k‖²/2σ²), for each x̃ of damaged (n, D)."""
    function = trial.function("conditional_mean")

    def right(damaged: np.ndarray, images: np.ndarray, sigma: float) -> np.ndarray:
        return _weighted(-_distances(damaged, images) / (2 * sigma**2), images)

    mistakes: dict[str, Callable[..., Any]] = {
        "This is the nearest image alone, the likeliest one. It has not the least squared error: others may have "
        "been there too.": lambda d, x, s: x[_distances(d, x).argmin(axis=1)],
        "The exponent is divided by σ²: it is 2σ².": lambda d, x, s: _weighted(-_distances(d, x) / s**2, x),
        "The exponent is divided by 2σ: it is 2σ².": lambda d, x, s: _weighted(-_distances(d, x) / (2 * s), x),
        "The distances are not squared.": lambda d, x, s: _weighted(-np.sqrt(_distances(d, x)) / (2 * s**2), x),
        "The squared differences were averaged over the pixels: each pixel is evidence of its own, and they add up.": (
            lambda d, x, s: _weighted(-_distances(d, x) / (2 * s**2 * x.shape[1]), x)
        ),
        "The exponent has the wrong sign: far images count most.": (
            lambda d, x, s: _weighted(_distances(d, x) / (2 * s**2), x)
        ),
        "The weights were divided by sums over the damaged images; for each damaged image the weights of the K must "
        "have the sum 1.": lambda d, x, s: _weighted(-_distances(d, x) / (2 * s**2), x, axis=0),
        "The weights do not have the sum 1: divide by it.": (
            lambda d, x, s: np.exp(-_distances(d, x) / (2 * s**2)) @ x
        ),
        "This is the mean of all images, whatever was seen.": lambda d, x, s: np.tile(x.mean(axis=0), (len(d), 1)),
    }
    random = trial.generator.normal
    for n, k, d, sigma in ((2, 3, 2, 0.8), (4, 6, 5, 1.3)):
        images, damaged = random((k, d), dtype=np.float64), random((n, d), dtype=np.float64)
        tried = f"conditional_mean(damaged, images, {sigma}), damaged {damaged.shape}, images {images.shape}"
        trial.compare(function, right, damaged, images, sigma, mistakes=mistakes, tried=tried)
    images = 30 * random((4, 50), dtype=np.float64)
    damaged = images[:2] + 5.0
    tried = "conditional_mean(damaged, images, 0.5) where every distance is large"
    got = np.asarray(trial.call(function, damaged, images, 0.5, tried=tried), dtype=np.float64)
    trial.require(
        np.isfinite(got).all(),
        "Every exponential has become 0, and 0/0 is NaN: subtract each row's least distance before taking them. A "
        "common factor of the weights does not matter.",
        tried,
        "nan",
        "finite numbers",
    )
    trial.equal(got, right(damaged, images, 0.5), tried)
    return "No f(x̃) whatsoever has a smaller mean squared error. Squared error asks every network for this mean."


def _error(restored: np.ndarray, images: np.ndarray) -> float:
    return float(((restored - images) ** 2).sum(axis=1).mean())


@exercise(
    "10.4",
    "Beat the best linear filter",
    hints=(
        "Damage each batch anew: x + sigma * generator.normal(x.shape). That is the input, and x is the target.",
        "64 – 256 – 64 with ReLU inside, Adam with rate 0.003, 25 epochs of batches of 64 will do; more hidden "
        "units or a second hidden layer do better.",
        "Return a function of arrays: lambda noisy: model(minigen.tensor(noisy)).numpy().",
    ),
)
def beat_linear(trial: Trial) -> str:
    """Write make_denoiser(images, sigma), which trains on clean images (n, 64) and returns a function from noisy
    images (m, 64) to restored ones."""
    function = trial.function("make_denoiser")
    train, test = (load_digits(split)[0].reshape(-1, 64) for split in ("train", "test"))
    denoise = trial.call(function, train, NOISE, tried=f"denoise = make_denoiser(training digits, {NOISE})")
    trial.require(callable(denoise), "It should return a function from noisy images to restored ones: return denoise.")
    noisy = (test + trial.generator.normal(test.shape, std=NOISE)).astype(np.float32)

    def restored(given: np.ndarray, tried: str) -> np.ndarray:
        got = trial.call(denoise, given, tried=tried)
        got = got.numpy() if hasattr(got, "numpy") else np.asarray(got)
        trial.require(got.shape == given.shape, "It has the wrong shape.", tried, str(got.shape), str(given.shape))
        return got.astype(np.float64)

    got = restored(noisy, "denoise(noisy held-out digits)")
    error, kept = _error(got, test), _error(noisy, test)
    mean = train.mean(axis=0)
    covariance = np.cov(train.T)
    filter_ = covariance @ np.linalg.inv(covariance + NOISE**2 * np.eye(64))
    linear_result = mean + (noisy - mean) @ filter_.T
    linear = _error(linear_result, test)
    facts = {
        "tried": "the mean of ‖x - denoise(x + noise)‖² over the held-out digits",
        "got": f"{error:.3f}",
        "expected": f"below {WANTED}; the best linear filter leaves {linear:.3f}",
    }
    trial.require(np.isfinite(error), "The result is not finite: lower the learning rate.", **facts)
    if _error(got, noisy) < 0.05 * kept:
        trial.fail(
            "It gives back what it is given, noise and all. Was it trained with the damaged image as the target? "
            "The target is the clean one.",
            **facts,
        )
    on_clean = _error(restored(test, "denoise(clean held-out digits)"), test)
    if error > 1.2 * linear and on_clean < 0.3 * error and error < kept:
        trial.fail(
            f"It draws clean digits again (error {on_clean:.2f}) and leaves most of the noise in noisy ones: was it "
            "trained on clean input? The input is the damaged image, the target the clean one.",
            **facts,
        )
    if error > 0.9 * _error(np.tile(mean, (len(test), 1)), test):
        trial.fail(
            "That is no better than the mean digit every time. Has it been trained? Do the weights move?", **facts
        )
    if _error(got, linear_result) < 0.05 * linear:
        trial.fail("This is the best linear filter, or very nearly: a nonlinear layer is missing.", **facts)
    alone = restored(noisy[:50], "denoise(the first 50 of them)")
    trial.require(
        _error(alone, got[:50]) < 1e-3,
        "Its answer for an image depends on which others come with it; treat each by itself (batch normalization: "
        "call eval() on the model first).",
        **facts,
    )
    if error >= WANTED:
        by_heart = (train[:200] + trial.generator.normal((200, 64), std=NOISE)).astype(np.float32)
        on_train = _error(restored(by_heart, "denoise(noisy training digits)"), train[:200])
        trial.require(
            on_train > 0.8 * error,
            f"On training digits it is {on_train:.2f}: it knows them by heart, perhaps with their noise. Damage each "
            "batch anew.",
            **facts,
        )
        trial.fail("Not enough yet: train longer, with another rate, or with more hidden units.", **facts)
    return f"{error:.3f} on held-out digits, where the best linear filter leaves {linear:.3f}."
