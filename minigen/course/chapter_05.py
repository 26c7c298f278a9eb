"""Chapter 5: principal components and autoencoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.course.exercise import exercise
from minigen.course.trial import Trial
from minigen.data import load_digits
from minigen.metrics import pca_error
from minigen.metrics.ranking import auroc

CODE = 8  # numbers, in exercise 05.4
WANTED = 1.1  # its held-out error; 8 principal components leave 1.54, and the nearest training digit 1.16


def _components(train: np.ndarray, k: int) -> np.ndarray:
    return np.linalg.svd(train, full_matrices=False)[2][:k]


def _reconstruct(train: np.ndarray, images: np.ndarray, k: int) -> np.ndarray:
    mean = train.mean(axis=0)
    rows = _components(train - mean, k)
    return mean + (images - mean) @ rows.T @ rows


def _not_centred(train: np.ndarray, images: np.ndarray, k: int) -> np.ndarray:
    rows = _components(train, k)
    return images @ rows.T @ rows


def _mean_left_off(train: np.ndarray, images: np.ndarray, k: int) -> np.ndarray:
    return _reconstruct(train, images, k) - train.mean(axis=0)


def _own_mean(train: np.ndarray, images: np.ndarray, k: int) -> np.ndarray:
    rows = _components(train - train.mean(axis=0), k)
    return images.mean(axis=0) + (images - images.mean(axis=0)) @ rows.T @ rows


def _columns(train: np.ndarray, images: np.ndarray, k: int) -> np.ndarray:
    mean = train.mean(axis=0)
    columns = np.linalg.svd(train - mean, full_matrices=False)[2][:, :k]
    if len(columns) != train.shape[1]:
        return np.zeros(())
    return mean + (images - mean) @ columns @ columns.T


def _smallest(train: np.ndarray, images: np.ndarray, k: int) -> np.ndarray:
    mean = train.mean(axis=0)
    vectors = np.linalg.eigh((train - mean).T @ (train - mean))[1][:, :k]
    return mean + (images - mean) @ vectors @ vectors.T


@exercise(
    "05.1",
    "Principal components",
    hints=(
        "In this order: subtract the mean of train, find the components of what is left, project, add the mean again.",
        "components = np.linalg.svd(train - mean, full_matrices=False)[2][:k] has the components as rows, so codes are "
        "(images - mean) @ components.T.",
    ),
)
def principal_components(trial: Trial) -> str:
    """Write pca_reconstruct(train, images, k): the images (m, D), each replaced by the nearest point of the flat through
    the mean of train (n, D) that its first k principal components span."""
    function = trial.function("pca_reconstruct")
    mistakes: dict[str, Callable[..., Any]] = {
        "The data were not centred: the first direction then points at the mean, and says little about how digits differ.": (
            _not_centred
        ),
        "The mean was subtracted and never added again.": _mean_left_off,
        "The images were centred by their own mean: a model knows only the mean of the data it was fitted to.": _own_mean,
        "Components and mean are those of the images: they must come from train alone.": (
            lambda train, images, k: _reconstruct(images, images, k)
        ),
        "These are columns of svd's third result; the components are its rows.": _columns,
        "These are the directions of *smallest* variance: np.linalg.eigh sorts from the smallest eigenvalue up.": _smallest,
    }
    line = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0], [6.0, 7.0]])
    random = trial.generator.normal
    cases = (
        (line, np.array([[1.0, 3.0], [5.0, 5.0]]), 1),
        (random((30, 5), mean=2.0, dtype=np.float64), random((7, 5), mean=1.0, dtype=np.float64), 2),
        (random((6, 9), mean=-1.0, dtype=np.float64), random((4, 9), dtype=np.float64), 3),
    )
    for train, images, k in cases:
        tried = f"pca_reconstruct(train, images, {k}), train {train.shape}, images {images.shape}"
        trial.compare(function, _reconstruct, train, images, k, mistakes=mistakes, tried=tried)
    return "No linear autoencoder has a smaller error on the training data: this is the one to beat."


def _gradients(x: np.ndarray, v: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z = x @ v.T
    bar = 2 * (z @ w.T - x) / len(x)
    return (bar @ w).T @ x, bar.T @ z


@exercise(
    "05.2",
    "The gradients of a linear autoencoder",
    hints=(
        "Write it in steps, Z = XVᵀ, X̂ = ZWᵀ, and go back: the bar of X̂ is 2(X̂ - X)/N.",
        "Of Y = XWᵀ, W̄ = ȲᵀX and X̄ = ȲW. Use it twice: the bar of Z is what the decoder hands on.",
    ),
)
def linear_gradients(trial: Trial) -> str:
    """Write gradients(x, v, w): ∂L/∂V and ∂L/∂W of L = 1/N·Σ‖xₙ - W V xₙ‖² for images x (n, D) in rows, v (k, D) and
    w (D, k)."""
    function = trial.function("gradients")

    def scaled(factor: Callable[[np.ndarray], float]) -> Callable[..., Any]:
        def wrong(x: np.ndarray, v: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            gv, gw = _gradients(x, v, w)
            return factor(x) * gv, factor(x) * gw

        return wrong

    def past_the_decoder(x: np.ndarray, v: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bar = 2 * (x @ v.T @ w.T - x) / len(x)
        return (bar @ v.T).T @ x, bar.T @ (x @ v.T)

    def through_the_image(x: np.ndarray, v: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bar = 2 * (x @ v.T @ w.T - x) / len(x)
        return (bar @ w).T @ (x @ v.T @ w.T), bar.T @ (x @ v.T)

    mistakes: dict[str, Callable[..., Any]] = {
        "The 2 of the square is missing.": scaled(lambda x: 0.5),
        "The mean over the images is missing: divide by N.": scaled(len),
        "This is the mean over the pixels too: L sums over pixels, and divides by the number of images alone.": (
            scaled(lambda x: 1 / x.shape[1])
        ),
        "Both have the wrong sign: the bar of X̂ is 2(X̂ - X)/N, not 2(X - X̂)/N.": scaled(lambda x: -1.0),
        "∂L/∂W is right; on the way to V the error must go back through the decoder, by W, and not by Vᵀ.": past_the_decoder,
        "∂L/∂W is right; in ∂L/∂V the error that has come back is multiplied by what went into V, which is x, not x̂.": (
            through_the_image
        ),
    }
    random = trial.generator.normal
    x = np.array([[1.0, 2.0, 0.0, 1.0], [0.0, 1.0, 1.0, -1.0], [2.0, 0.0, 1.0, 0.0]])
    first = (x, np.array([[1.0, 0.5, 0.0, -1.0]]), np.array([[1.0], [-1.0], [0.5], [0.0]]))
    for n, d, k in ((0, 0, 0), (7, 5, 2), (4, 3, 3)):
        args = tuple(random(s, dtype=np.float64) for s in ((n, d), (k, d), (d, k))) if n else first
        tried = f"gradients(x, v, w) of shapes {', '.join(str(a.shape) for a in args)}"
        trial.compare(function, _gradients, *args, mistakes=mistakes, tried=tried)
    return "Where these vanish and W has full rank, the columns of W span an invariant space of the covariance."


def _cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    singular = np.linalg.svd(np.linalg.qr(a)[0].T @ np.linalg.qr(b)[0], compute_uv=False)
    return np.clip(singular, -1, 1)


@exercise(
    "05.3",
    "The angle between two spaces",
    hints=(
        "np.linalg.qr(a)[0] is an orthonormal basis of the columns of a.",
        "The singular values of Q₁ᵀQ₂ are cosines; the largest angle has the smallest cosine. Rounding can lift a cosine "
        "just above 1.",
    ),
)
def principal_angle(trial: Trial) -> str:
    """Write largest_angle(a, b): the largest principal angle, in radians, between the spaces that the columns of a and of
    b span, both (D, k)."""
    function = trial.function("largest_angle")

    def right(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.arccos(_cosines(a, b)).max())

    def unit_columns(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a / np.linalg.norm(a, axis=0), b / np.linalg.norm(b, axis=0)
        return float(np.arccos(np.clip(np.linalg.svd(a.T @ b, compute_uv=False), -1, 1)).max())

    def between_columns(a: np.ndarray, b: np.ndarray) -> float:
        a, b = a / np.linalg.norm(a, axis=0), b / np.linalg.norm(b, axis=0)
        return float(np.arccos(np.clip((a * b).sum(axis=0), -1, 1)).max())

    mistakes: dict[str, Callable[..., Any]] = {
        "This is the smallest angle: the largest one belongs to the smallest singular value.": (
            lambda a, b: np.arccos(_cosines(a, b)).min()
        ),
        "This is the cosine of the angle.": lambda a, b: _cosines(a, b).min(),
        "This is in degrees; radians were asked for.": lambda a, b: np.degrees(right(a, b)),
        "The columns were made of length 1, but are not perpendicular to one another: take a basis by np.linalg.qr.": (
            unit_columns
        ),
        "These are angles between single columns, which depend on the basis: two spaces can be the same while their bases "
        "differ.": between_columns,
    }
    a = np.array([[1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])
    b = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 2.0]])  # angles of 45° and 63.4°
    random = trial.generator.normal
    cases = (
        (a, b),
        *((random((d, k), dtype=np.float64), random((d, k), dtype=np.float64)) for d, k in ((6, 2), (9, 3))),
    )
    for a, b in cases:
        tried = f"largest_angle(a, b), a and b of shape {a.shape}"
        trial.compare(function, right, a, b, mistakes=mistakes, tried=tried)
    for seed in range(8):  # one of them is sure to have a cosine just above 1
        random = trial.generator.spawn(seed).normal
        a = random((20, 4), dtype=np.float64)
        b = a @ random((4, 4), dtype=np.float64)
        tried = "largest_angle(a, a @ m), m an invertible matrix: the same space"
        got = trial.call(function, a, b, tried=tried)
        trial.require(
            not np.isnan(got),
            "For the same space rounding makes a cosine a little larger than 1, and arccos gives NaN: clip it to 1.",
            tried,
            "nan",
            "0, up to rounding",
        )
        trial.require(
            abs(got) < 1e-5,
            "The two matrices span the same space, so the angle is 0: it must not depend on the basis.",
            tried,
            f"{float(got):.4g}",
            "0, up to rounding",
        )
    return "scipy.linalg.subspace_angles gives all of them; through sines it is accurate for small angles, too."


@exercise(
    "05.4",
    "Beat principal components",
    hints=(
        "The network of this notebook will do: 64 – 128 – 8 – 128 – 64, ReLU inside, sigmoid at the end, Adam with rate "
        "0.003 to 0.005, batches of 64.",
        "encode and decode turn arrays into tensors and back: lambda x: encoder(minigen.tensor(x)).numpy().",
        "If the error hardly falls, look at single steps: is zero_grad called, are all weights in the optimizer, is the "
        "loss a sum over pixels?",
    ),
)
def beat_components(trial: Trial) -> str:
    """Write make_autoencoder(images), which trains on images (n, 64) from 0 to 1 and returns two functions of arrays,
    encode, (m, 64) to codes (m, 8), and decode, codes to images (m, 64)."""
    function = trial.function("make_autoencoder")
    train, test = (load_digits(split)[0].reshape(-1, 64) for split in ("train", "test"))
    made = trial.call(function, train, tried="encode, decode = make_autoencoder(training digits)")
    if not (isinstance(made, (tuple, list)) and len(made) == 2 and all(map(callable, made))):
        trial.fail("It should return two functions, encode and decode: return encode, decode.")
    encode, decode = made

    def array(f: Any, given: np.ndarray, shape: tuple[int, int], tried: str) -> np.ndarray:
        got = trial.call(f, given, tried=tried)
        got = trial.run(lambda: np.asarray(got.numpy() if hasattr(got, "numpy") else got, dtype=np.float64), tried)
        if got.shape != shape and f is encode and got.ndim == 2:
            trial.fail(
                f"The code has {got.shape[1]} numbers, and may have {CODE}: with more, components too would do better.",
                tried,
                str(got.shape),
                str(shape),
            )
        trial.require(got.shape == shape, "It has the wrong shape.", tried, str(got.shape), str(shape))
        return got

    codes = array(encode, test, (len(test), CODE), "encode(held-out digits)")
    back = array(decode, codes.astype(np.float32), test.shape, "decode(their codes)")
    turned = array(decode, codes[::-1].astype(np.float32), test.shape, "decode(the codes in reverse order)")
    trial.require(
        np.abs(turned[::-1] - back).max() < 1e-3,
        "decode gives another image for the same code when the codes come in another order: it must know nothing of the "
        "images but their codes, and treat each by itself.",
        "decode(codes[::-1])",
    )
    error = float(((back - test) ** 2).sum(axis=1).mean())
    components = pca_error(train, test, CODE)
    measured = {"tried": "the mean of ‖x - decode(encode(x))‖² over the held-out digits", "got": f"{error:.3f}"}
    measured["expected"] = f"below {WANTED}; {CODE} principal components leave {components:.3f}"
    trial.require(np.isfinite(error), "The reconstruction is not finite: lower the learning rate.", **measured)
    nothing = float(((test - train.mean(axis=0)) ** 2).sum(axis=1).mean())
    if error > 0.97 * nothing:
        trial.fail(
            f"That is no better than drawing the mean digit every time, which leaves {nothing:.2f}. Has it been trained? Do "
            "the weights move?",
            **measured,
        )
    mean = train.mean(axis=0)
    rows = _components(train - mean, CODE)
    apart = float(((back - mean - (test - mean) @ rows.T @ rows) ** 2).sum(axis=1).mean())
    if apart < 0.1 * components:
        trial.fail(
            "These are the principal components again, or very nearly: without a nonlinear layer on both sides of the code "
            "there is nothing better to find.",
            **measured,
        )
    on_train = float(
        ((array(decode, array(encode, train, (len(train), CODE), ""), train.shape, "") - train) ** 2).sum()
    )
    on_train /= len(train)
    if error >= WANTED and on_train < 0.8 * error:
        trial.fail(
            f"On the training digits it is {on_train:.2f}: it knows them by heart. Train for less time, or take fewer weights.",
            **measured,
        )
    trial.require(
        error < WANTED, "Not enough yet: train longer, with another rate, or with wider hidden layers.", **measured
    )
    return f"{error:.3f} on held-out digits, {100 * error / components:.0f} % of what {CODE} components leave."


@exercise(
    "05.5",
    "The area under the ROC curve",
    hints=(
        "Take every pair of an anomaly and a normal one: scores[anomalous][:, None] against scores[~anomalous][None, :].",
        "The mean of (a > b) over all pairs, plus half the mean of (a == b).",
    ),
)
def roc_area(trial: Trial) -> str:
    """Write area(scores, anomalous): the probability that a random anomaly has a higher score than a random normal
    sample, ties counted one half, for scores (n,) and booleans anomalous (n,)."""
    function = trial.function("area")

    def pairs(scores: np.ndarray, anomalous: np.ndarray) -> np.ndarray:
        return scores[anomalous][:, None] - scores[~anomalous][None, :]

    mistakes: dict[str, Callable[..., Any]] = {
        "Ties are counted as won; each counts one half.": lambda s, a: (pairs(s, a) >= 0).mean(),
        "Ties are not counted; each counts one half.": lambda s, a: (pairs(s, a) > 0).mean(),
        "This is the probability that the *normal* sample scores higher.": lambda s, a: 1 - auroc(s, a),
        "This is the number of pairs that are right: divide by how many pairs there are.": (
            lambda s, a: auroc(s, a) * a.sum() * (~a).sum()
        ),
        "This is a number of pairs (and ties do not count one half in it): divide by how many pairs there are.": (
            lambda s, a: (pairs(s, a) > 0).sum()
        ),
        "This is a number of pairs (and ties count whole in it): divide by how many pairs there are.": (
            lambda s, a: (pairs(s, a) >= 0).sum()
        ),
        "This was divided by n²; the pairs are of one anomaly and one normal sample, and there are n₊·n₋ of them.": (
            lambda s, a: auroc(s, a) * a.sum() * (~a).sum() / len(a) ** 2
        ),
        "This is the share right at one threshold, the mean score; the area does not depend on a threshold.": (
            lambda s, a: ((s > s.mean()) == a).mean()
        ),
    }
    small = (np.array([0.1, 0.4, 0.4, 0.9, 0.5]), np.array([False, False, True, True, False]))
    generator = trial.generator
    cases = [small]
    for n in (12, 40):
        anomalous = np.arange(n) % 3 == 0
        scores = generator.integers(0, 8, (n,)) / 4 + 0.5 * anomalous
        cases.append((scores, anomalous))
    for scores, anomalous in cases:
        trial.compare(function, auroc, scores, anomalous, mistakes=mistakes)
    return "½ says nothing, 1 separates all. With ranks in place of pairs it takes n log n: minigen/metrics/ranking.py."
