"""How near is a restored image to the clean one?

Each metric takes an image (H, W) or (C, H, W), or a batch (N, C, H, W) of any size, and gives one number: the mean over
the images of the batch. Structural similarity is that of each channel on its own, averaged over the channels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen.errors import ShapeError, UserError
from minigen.metrics.arrays import as_numbers

WINDOW, SIGMA = 11, 1.5  # of structural similarity: the Gaussian window's side and standard deviation, in pixels
K1, K2 = 0.01, 0.03
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # the weights of `ms_ssim`, the full size first


def psnr_of_mse(mean_squared_error: float, data_range: float = 1.0) -> float:
    """Peak signal-to-noise ratio 10·log₁₀(L²/MSE) in decibels.

    Args:
        mean_squared_error: MSE, a mean over pixels; at 0 the ratio is infinite.
        data_range: L, as for `psnr`.

    >>> round(psnr_of_mse(0.01), 9)
    20.0
    """
    return math.inf if mean_squared_error == 0 else 10 * math.log10(data_range**2 / mean_squared_error)


def psnr(image: Any, reference: Any, data_range: float = 1.0) -> float:
    """10·log₁₀(L²/MSE) in decibels, MSE the mean over the pixels and channels of one image; infinite for equal ones.

    The mean over a batch is that of its images' decibels, which is not `psnr_of_mse` of their mean error.

    Args:
        image: what a model made, (H, W), (C, H, W) or (N, C, H, W).
        reference: the clean image, of the same shape.
        data_range: L, the distance from black to white: 1, or 255 for bytes, or 2 for images from -1 to 1.

    Raises:
        ShapeError: no images, or of different shapes.
        UserError: NaN, infinity, or a reference that spans more than `data_range`.

    >>> psnr([[0.0, 0.5]], [[0.0, 1.0]])  # MSE ⅛
    9.030899869919436
    """
    x, y = _images("psnr", image, reference, data_range)
    errors = ((x - y) ** 2).mean(axis=(1, 2, 3))
    return float(np.mean([psnr_of_mse(float(error), data_range) for error in errors]))


def ssim(image: Any, reference: Any, data_range: float = 1.0) -> float:
    """Structural similarity (Wang et al. 2004), from -1 to 1, which equal images have.

    The mean of (2·μ₁μ₂ + C₁)(2·σ₁₂ + C₂) / ((μ₁² + μ₂² + C₁)(σ₁² + σ₂² + C₂)) over all places of an 11×11 Gaussian window
    of σ 1.5 that lie within the image; the (co)variances are the window's own, not over n - 1; C₁ = (0.01·L)²,
    C₂ = (0.03·L)². scikit-image gives the same with ``gaussian_weights=True, sigma=1.5, use_sample_covariance=False``.

    An image with a side below 11 has the largest window of odd side that fits: 7×7 on digits of 8×8. Such values
    compare with others of that size only.

    Args:
        image, reference, data_range: as for `psnr`.

    Raises:
        ShapeError, UserError: as for `psnr`.

    >>> from minigen import Generator
    >>> x = Generator(0).uniform((16, 16))
    >>> round(ssim(x, x), 6), ssim(x * 0.5, x) < 0.9
    (1.0, True)
    """
    x, y = _images("ssim", image, reference, data_range)
    return float(np.mean([np.prod(_similarity(a, b, data_range), axis=0).mean() for a, b in zip(x, y)]))


def ms_ssim(image: Any, reference: Any, data_range: float = 1.0) -> float:
    """Structural similarity at five scales (Wang, Simoncelli & Bovik 2003), from 0 to 1.

    The second factor of `ssim`, contrast and structure, (2·σ₁₂ + C₂)/(σ₁² + σ₂² + C₂), at each of the scales 1, ½, ¼, ⅛, and all of
    `ssim` at 1/16: the product of their means (no less than 0), each to the power of its weight. From one scale to the
    next, pixels are averaged 2 by 2; an odd last row or column is repeated first.

    Args:
        image, reference, data_range: as for `psnr`; both sides of an image at least 161, so that the window fits at 1/16.

    Raises:
        ShapeError, UserError: as for `psnr`, and for smaller images.

    >>> from minigen import Generator
    >>> x = Generator(0).uniform((192, 192))
    >>> round(ms_ssim(x, x), 6)
    1.0
    """
    x, y = _images("ms_ssim", image, reference, data_range)
    least = (WINDOW - 1) * 2 ** (len(SCALES) - 1) + 1
    if min(x.shape[2:]) < least:
        raise ShapeError(
            f"ms_ssim: images have sides of at least {least} pixels, not {x.shape[2]}×{x.shape[3]}; use ssim for these."
        )
    return float(np.mean([_multiscale(a, b, data_range) for a, b in zip(x, y)]))


def _multiscale(a: np.ndarray, b: np.ndarray, data_range: float) -> float:
    product = np.ones(len(a))  # a channel each
    for scale, weight in enumerate(SCALES, 1):
        luminance, structure = _similarity(a, b, data_range)
        value = structure if scale < len(SCALES) else luminance * structure
        product *= value.mean(axis=(1, 2)).clip(0) ** weight
        a, b = _halve(a), _halve(b)
    return float(product.mean())


def _similarity(a: np.ndarray, b: np.ndarray, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """The two factors of SSIM at each place of the window, (C, H - w + 1, W - w + 1) each, of images (C, H, W)."""
    from scipy.ndimage import correlate1d

    side = min(WINDOW, *a.shape[1:])
    radius = (side - 1) // 2
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * SIGMA**2))
    weights /= weights.sum()

    def window_mean(x: np.ndarray) -> np.ndarray:
        x = correlate1d(correlate1d(x, weights, axis=1), weights, axis=2)
        return x[:, radius : x.shape[1] - radius, radius : x.shape[2] - radius]

    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    mean_a, mean_b = window_mean(a), window_mean(b)
    var_a, var_b = window_mean(a * a) - mean_a**2, window_mean(b * b) - mean_b**2
    covariance = window_mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return luminance, (2 * covariance + c2) / (var_a + var_b + c2)


def _halve(x: np.ndarray) -> np.ndarray:
    _, h, w = x.shape
    x = np.pad(x, ((0, 0), (0, h % 2), (0, w % 2)), mode="edge")
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def _images(metric: str, image: Any, reference: Any, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64 batches (N, C, H, W)."""
    x, y = as_numbers(metric, image), as_numbers(metric, reference)
    if x.shape != y.shape:
        raise ShapeError(f"{metric}: the image and its reference have the same shape, not {x.shape} and {y.shape}.")
    if not 2 <= x.ndim <= 4:
        raise ShapeError(f"{metric}: takes an image (H, W) or (C, H, W), or a batch (N, C, H, W), not {x.shape}.")
    if x.ndim > 2 and x.shape[-3] > 4 >= x.shape[-1]:
        raise ShapeError(f"{metric}: the channels of an image come first, (C, H, W); {x.shape} has them last.")
    span = y.max() - y.min()
    if not 0 < data_range < math.inf or span > data_range * (1 + 1e-6):
        raise UserError(
            f"{metric}: data_range={data_range!r} is the distance from black to white, and the reference spans {span:.6g}."
        )
    shape = (1,) * (4 - x.ndim) + x.shape
    return x.reshape(shape), y.reshape(shape)
