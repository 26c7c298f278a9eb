"""Chapter 11: what losses ask for, perception against distortion, and the losses of a restoration GAN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen import functional as F
from minigen import nn
from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.tensor import Tensor


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    order = values.argsort()
    return float(values[order][np.searchsorted(weights[order].cumsum(), 0.5 * weights.sum())])


@exercise(
    "11.1",
    "What a loss asks for",
    hints=(
        "Set the derivative of Σ pₖ (vₖ - a)² to zero for the first.",
        "Σ pₖ |vₖ - a| has the slope (weight of all values below a) - (weight of all above): where does it change its "
        "sign?",
        "Sort the values, add up their weights in this order, and take the value at which the sum first reaches ½.",
    ),
)
def minimizers(trial: Trial) -> str:
    """Write best_guesses(values, weights): the number a with the least Σ pₖ(vₖ - a)², and the one with the least Σ
    pₖ|vₖ - a|, for values (K,) and their probabilities (K,)."""
    function = trial.function("best_guesses")

    def right(v: np.ndarray, p: np.ndarray) -> tuple[float, float]:
        return float((p * v).sum()), _median(v, p)

    mistakes: dict[str, Callable[..., Any]] = {
        "The second is the most likely value. The least absolute error is at the median, where half of the "
        "probability is below.": lambda v, p: (right(v, p)[0], v[p.argmax()]),
        "The median does not use the probabilities: half of the *probability* is below it, not half of the values.": (
            lambda v, p: (right(v, p)[0], np.median(v))
        ),
        "The mean does not use the probabilities.": lambda v, p: (v.mean(), right(v, p)[1]),
        "Neither uses the probabilities.": lambda v, p: (v.mean(), np.median(v)),
        "Both are the mean; the absolute error has its least value elsewhere.": lambda v, p: (right(v, p)[0],) * 2,
        "The weights were added up without sorting the values first.": (
            lambda v, p: (right(v, p)[0], v[np.searchsorted(p.cumsum(), 0.5)])
        ),
    }
    cases = [(np.array([5.0, 1.0, 0.0, 2.0]), np.array([0.45, 0.2, 0.1, 0.25]))]
    for k in (4, 7):
        p = trial.generator.uniform((k,), 0.1, 1.0, np.float64)
        cases.append((trial.generator.normal((k,), std=3.0, dtype=np.float64), p / p.sum()))
    cases.append((np.array([4.0, -2.0, 3.0, 9.0]), np.array([0.15, 0.25, 0.05, 0.55])))
    for v, p in cases:
        trial.compare(function, right, v, p, mistakes=mistakes)
    return "The mean is a value that may never occur; the median always is one of them. Neither is drawn from them."


def _slope(sigma: float, p: float) -> float:
    return max(1 / (1 + sigma**2), (1 - p) / np.sqrt(1 + sigma**2))


def _gaussian_error(sigma: float, a: float) -> float:
    return float((1 - a) ** 2 + a**2 * sigma**2)


@exercise(
    "11.2",
    "Perception against distortion, for a Gaussian",
    hints=(
        "E(x - a·y)² = (1 - a)² + a²σ². Its least value is at a = 1/(1 + σ²).",
        "There the standard deviation a·√(1 + σ²) is 1/√(1 + σ²), less than 1: to come nearer to 1, a must grow.",
        "a = max(1/(1 + σ²), (1 - p)/√(1 + σ²)).",
    ),
)
def gaussian_curve(trial: Trial) -> str:
    """Write least_error(sigma, p): the least E(x - a·y)² over all a with |1 - a·√(1 + σ²)| ≤ p, where x ~ N(0, 1), y =
    x + σ·n, n ~ N(0, 1)."""
    function = trial.function("least_error")

    def right(sigma: float, p: float) -> float:
        return _gaussian_error(sigma, _slope(sigma, p))

    mistakes: dict[str, Callable[..., Any]] = {
        "This is the least error of all, σ²/(1 + σ²), whatever p: for a small p that estimate varies too little. (Or "
        "was min taken for max?)": (lambda s, p: s**2 / (1 + s**2)),
        "This is the error at p = 0 whatever p is.": lambda s, p: _gaussian_error(s, 1 / np.sqrt(1 + s**2)),
        "This holds a at (1 - p)/√(1 + σ²) even where the estimate of least error is allowed already: the curve "
        "becomes flat there, and never rises again.": lambda s, p: _gaussian_error(s, (1 - p) / np.sqrt(1 + s**2)),
        "The variance a²(1 + σ²) was held near 1; it is the standard deviation.": (
            lambda s, p: _gaussian_error(s, max(1 / (1 + s**2), np.sqrt(max(1 - p, 0) / (1 + s**2))))
        ),
        "The standard deviation was taken for the largest allowed, 1 + p: the error grows with a beyond its least "
        "value, so the smallest allowed a is best.": lambda s, p: _gaussian_error(s, (1 + p) / np.sqrt(1 + s**2)),
        "This is a, not the error that it makes.": _slope,
        "The noise is missing from the error: it is (1 - a)² + a²σ².": lambda s, p: (1 - _slope(s, p)) ** 2,
    }
    cases = [(1.0, 0.0), (1.0, 0.1), (1.0, 0.25), (0.5, 0.04), (1.0, 0.6), (2.0, 0.9)]
    for sigma, p in cases:
        trial.compare(function, right, sigma, p, mistakes=mistakes)
    return "From the least error the curve rises to 2 - 2/√(1 + σ²) at p = 0: that is what looking real costs here."


class _Spy(nn.Module):
    """A network of one number that notes what it was given."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(np.array(start))


class _Generator(_Spy):
    def forward(self, damaged: Tensor) -> Tensor:
        return self.scale * damaged + 0.1


class _Discriminator(_Spy):
    def forward(self, images: Tensor) -> Tensor:
        return self.scale * (images * images - 0.4 * images).mean((1, 2, 3)) + 0.3


def _minus_log(p: np.ndarray) -> float:
    return float(-np.log(p).mean())


@exercise(
    "11.3",
    "The two losses of a restoration GAN",
    hints=(
        "restored = generator(damaged). For D: discriminator(clean) and discriminator(restored.detach()).",
        "-log σ(a) = F.softplus(-a), and -log(1 - σ(a)) = F.softplus(a).",
        "The distance is abs(restored - clean).sum() / len(clean): a sum over pixels, a mean over the batch.",
    ),
)
def gan_losses(trial: Trial) -> str:
    """Write losses(generator, discriminator, damaged, clean, weight), which returns L_D = -E log σ(D(y)) - E log(1 -
    σ(D(G(x̃)))) and L_G = -E log σ(D(G(x̃))) + weight·E‖y - G(x̃)‖₁, two tensors, with L_D leaving the generator
    alone."""
    function = trial.function("losses")
    weight = 0.3
    for shape in ((3, 1, 2, 2), (2, 3, 4, 3)):
        clean = trial.generator.uniform(shape, dtype=np.float64)
        damaged = clean + trial.generator.normal(shape, std=0.5, dtype=np.float64)
        generator, discriminator = _Generator(0.7), _Discriminator(-1.5)
        tried = f"losses(G, D, damaged, clean, {weight}), images {shape}, D gives one logit an image"
        given = (generator, discriminator, Tensor(damaged), Tensor(clean), weight)
        got = trial.call(function, *given, tried=tried)
        if not (isinstance(got, (tuple, list)) and len(got) == 2 and all(isinstance(part, Tensor) for part in got)):
            trial.fail("It should return two tensors, the losses of D and of G: return d_loss, g_loss.", tried)
        trial.equal(tuple(got), _right_losses(damaged, clean, weight), tried, _wrong_losses(damaged, clean, weight))
        d_loss, g_loss = got
        trial.require(
            d_loss.requires_grad and g_loss.requires_grad,
            "The numbers are right, but there is nothing to go backward through: detach the restored images for "
            "L_D, and neither the logits nor the losses.",
            "d_loss.requires_grad, g_loss.requires_grad",
            f"{d_loss.requires_grad}, {g_loss.requires_grad}",
            "True, True",
        )
        trial.run(lambda d_loss=d_loss: d_loss.backward(retain_graph=True), tried)  # type: ignore[misc]
        trial.require(
            generator.scale.grad is None,
            "The numbers are right, but the gradient of L_D goes on into the generator: show D a restored.detach().",
            "d_loss.backward(); generator.scale.grad",
            "a gradient",
            "None",
        )
        trial.run(lambda g_loss=g_loss: g_loss.backward(), tried)  # type: ignore[misc]
        found = generator.scale.grad
        trial.require(
            found is not None,
            "The numbers are right, but L_G gives the generator no gradient: the restored images are detached there, "
            "too.",
            "g_loss.backward(); generator.scale.grad",
            "None",
            "a gradient",
        )
        own = _Generator(0.7)
        restored = own(Tensor(damaged))
        logits = _Discriminator(-1.5)(restored)
        whole = F.softplus(-logits).mean() + weight * abs(restored - Tensor(clean)).sum() / len(clean)
        whole.backward()
        distance = float((np.sign(0.7 * damaged + 0.1 - clean) * damaged).sum() / len(clean)) * weight
        trial.equal(
            found,
            own.scale.grad,
            "g_loss.backward(); generator.scale.grad",
            {
                "L_G has the right value, but only its distance reaches the generator: D is shown a detached image "
                "there.": (np.array(distance))
            },
        )
    return "minigen.training.restoration.train_restoration_gan is these two lines and two optimizers."


def _probabilities(images: np.ndarray) -> np.ndarray:
    logits = -1.5 * (images * images - 0.4 * images).mean(axis=(1, 2, 3)) + 0.3
    return 1 / (1 + np.exp(-logits))


def _right_losses(damaged: np.ndarray, clean: np.ndarray, weight: float) -> tuple[float, float]:
    restored = 0.7 * damaged + 0.1
    p, q = _probabilities(clean), _probabilities(restored)
    d_loss = _minus_log(p) + _minus_log(1 - q)
    return d_loss, _minus_log(q) + weight * float(abs(restored - clean).sum()) / len(clean)


def _wrong_losses(damaged: np.ndarray, clean: np.ndarray, weight: float) -> dict[str, tuple[float, float]]:
    restored = 0.7 * damaged + 0.1
    p, q, r = (_probabilities(images) for images in (clean, restored, damaged))
    d, g = _right_losses(damaged, clean, weight)
    n, fooled = len(clean), _minus_log(q)
    distance = g - fooled

    def apart(error: np.ndarray) -> float:
        return weight * float(error.sum()) / n

    return {
        "D was shown the *damaged* images as real ones, as an article has it: then G learns to give the damage "
        "back. Real are the clean ones.": (_minus_log(r) + _minus_log(1 - q), g),
        "The labels of L_D are exchanged: clean images go up, restored ones down.": (
            _minus_log(1 - p) + _minus_log(q),
            g,
        ),
        "L_G has no distance: nothing ties a restored image to *its* clean one, and any clean image would do.": (
            d,
            fooled,
        ),
        "L_G has the wrong sign at log D: G would minimize how real its images look.": (d, -fooled + distance),
        "L_G has log(1 - D(G)), which saturates: where D is sure of itself it has hardly a gradient. Take -log D(G).": (
            d,
            -_minus_log(1 - q) + distance,
        ),
        "L_G teaches D's lesson: -log(1 - D(G)) is least where D is sure that the image is restored.": (
            d,
            _minus_log(1 - q) + distance,
        ),
        "The distance is a mean over the pixels too; it is a sum over the pixels and a mean over the batch, or the "
        "weight depends on the size of the images.": (d, fooled + distance / clean[0].size),
        "The distance is summed over the batch too: divide by the number of images.": (d, fooled + distance * n),
        "The distance is squared: that is L2.": (d, fooled + apart((restored - clean) ** 2)),
        "The distance is that to the damaged image; it is to the clean one.": (
            d,
            fooled + apart(abs(restored - damaged)),
        ),
        "L_D looks at clean images only.": (_minus_log(p), g),
        "L_D looks at restored images only.": (_minus_log(1 - q), g),
        "L_D has half the size of that asked for, and the weight of a mean over both halves; add them.": (0.5 * d, g),
    }


def _width(layers: list[tuple[int, int]]) -> int:
    width, jump = 1, 1
    for kernel, stride in layers:
        width += (kernel - 1) * jump
        jump *= stride
    return width


def _stride_first(layers: list[tuple[int, int]]) -> int:
    width, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        width += (kernel - 1) * jump
    return width


@exercise(
    "11.4",
    "How much a logit sees",
    hints=(
        "One pixel of the first layer's output sees `kernel` pixels. Two neighbours see windows that are `stride` "
        "apart.",
        "Keep two numbers: the width seen, and how far neighbours are apart, in pixels of the image; both are 1 at "
        "first. A layer adds (kernel - 1) times the distance, and then multiplies the distance by its stride.",
    ),
)
def receptive_field(trial: Trial) -> str:
    """Write patch_width(layers): how many pixels of the image, in a row, one output sees through layers, a list of
    (kernel, stride) from the first to the last."""
    function = trial.function("patch_width")
    mistakes: dict[str, Callable[..., Any]] = {
        "The strides are not used: after a stride of 2 neighbours are two pixels apart, and a kernel spans "
        "twice as much.": (lambda layers: 1 + sum(k - 1 for k, _ in layers)),
        "The kernels were added up; windows overlap, so each layer adds kernel - 1 steps.": (
            lambda layers: sum(k for k, _ in layers)
        ),
        "The kernels were multiplied, as if windows did not overlap.": lambda layers: int(
            np.prod([k for k, _ in layers])
        ),
        "A layer's own stride was applied before its kernel: it sets its *outputs* apart, not its "
        "inputs.": _stride_first,
        "The layers were taken from the last to the first with the rule for the other direction.": (
            lambda layers: _width(layers[::-1])
        ),
        "This is how far apart the patches of neighbours are, the product of the strides.": (
            lambda layers: int(np.prod([s for _, s in layers]))
        ),
        "The 1 to begin with is missing: one output of no layer sees one pixel.": lambda layers: _width(layers) - 1,
    }
    cases = [[(3, 1)], [(4, 2), (4, 2), (3, 1)], [(5, 1), (3, 2), (3, 1)], [(2, 3), (5, 2), (7, 1), (3, 1)]]
    for layers in cases:
        trial.compare(function, _width, layers, mistakes=mistakes)
    return "70 pixels in pix2pix: three layers (4, 2), two (4, 1). Layers (4, 2), (4, 2), (3, 1), (3, 1) see 26."
