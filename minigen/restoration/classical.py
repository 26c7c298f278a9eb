"""Restoration without learning: the filters and solvers that a trained network has to beat.

Each takes one image (C, H, W) from 0 to 1, of any size, with its parameters, and returns one of the same shape and type.
"""

from __future__ import annotations

import numpy as np

from minigen.errors import ShapeError


def gaussian_filter(image: np.ndarray, sigma: float) -> np.ndarray:
    """The mean of the surroundings, weighed by a Gaussian.

    Args:
        image: (C, H, W), as in all of this file.
        sigma: of the Gaussian, in pixels.

    >>> spike = np.zeros((1, 5, 5))
    >>> spike[0, 2, 2] = 1
    >>> gaussian_filter(spike, 0.5).round(2)[0, 2].tolist()
    [0.0, 0.08, 0.62, 0.08, 0.0]
    """
    from scipy import ndimage

    return ndimage.gaussian_filter(image, (0, sigma, sigma), mode="reflect")


def median_filter(image: np.ndarray, size: int) -> np.ndarray:
    """The median of a square of `size` pixels a side around each pixel of `image` (C, H, W), each channel for itself.

    >>> spike = np.zeros((1, 5, 5))
    >>> spike[0, 2, 2] = 1  # one pixel of nine is never the median
    >>> float(median_filter(spike, 3).max())
    0.0
    """
    from scipy import ndimage

    return ndimage.median_filter(image, (1, size, size), mode="reflect")


def wiener_filter(image: np.ndarray, sigma: float, size: int) -> np.ndarray:
    """The local linear estimate with least squared error: m + max(v - σ², 0)/max(v, σ²)·(x - m) (Lee 1980).

    m and v are the mean and the variance within a square of `size` pixels a side, σ² the variance of the noise: where
    the image varies no more than the noise would, only the mean is left.

    Args:
        image: x, (C, H, W).
        sigma: of the noise, on the scale of the pixels.
        size: pixels a side.

    >>> noisy = 0.5 + 0.1 * np.indices((6, 6)).sum(0)[None] % 0.2
    >>> float(wiener_filter(noisy, sigma=1.0, size=3).std()) < float(noisy.std())
    True
    """
    from scipy.ndimage import uniform_filter

    x = image.astype(np.float64)
    mean = uniform_filter(x, (1, size, size), mode="reflect")
    variance = np.clip(uniform_filter(x * x, (1, size, size), mode="reflect") - mean**2, 0, None)
    noise = sigma**2
    gain = np.clip(variance - noise, 0, None) / np.maximum(np.maximum(variance, noise), 1e-12)
    return (mean + gain * (x - mean)).astype(image.dtype)


def wiener_deconvolution(image: np.ndarray, kernel: np.ndarray, balance: float) -> np.ndarray:
    """Undo a known blur: X = conj(K)·Y / (|K|² + balance·|Λ|²), frequency by frequency (Wiener 1949; Hunt 1973).

    balance·|Λ|², Λ the Laplacian's frequencies, stands for the noise over the signal: natural images are weak where
    frequencies are high. The image is continued by its mirror image, for which a blur that did the same at the borders
    is a periodic convolution: nothing rings there if the kernel is symmetric.

    Args:
        kernel: (KH, KW), odd sides, sum 1.
        balance: positive; more of it is smoother.

    >>> from minigen.data.corruptions import gaussian_kernel
    >>> edge = np.repeat([0.0, 1.0], 8) * np.ones((1, 16, 16))
    >>> blurred = gaussian_filter(edge, 1.0)
    >>> sharp = wiener_deconvolution(blurred, gaussian_kernel(1.0), balance=1e-4)
    >>> float(np.abs(sharp - edge).mean()) < float(np.abs(blurred - edge).mean())
    True
    """
    from scipy import fft

    _, h, w = image.shape
    mirrored = np.pad(image.astype(np.float64), ((0, 0), (0, h), (0, w)), mode="symmetric")  # (C, 2H, 2W)
    blur = _frequencies(kernel, mirrored.shape[1:])
    roughness = _frequencies(np.array([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]]), mirrored.shape[1:])
    inverse = blur.conj() / (abs(blur) ** 2 + balance * abs(roughness) ** 2)
    return fft.irfft2(fft.rfft2(mirrored) * inverse, mirrored.shape[1:])[:, :h, :w].astype(image.dtype)


def total_variation_denoising(
    image: np.ndarray, weight: float, iterations: int = 200, tolerance: float = 1e-4
) -> np.ndarray:
    """The u with the least ½‖u - x‖² + weight·TV(u) (Rudin, Osher & Fatemi 1992), by Chambolle's projection (2004).

    u = x - weight·div p, where the field p, no longer than 1 anywhere, follows p ← (p + τ∇s)/(1 + τ|∇s|),
    s = div p - x/weight, with τ = ¼. TV is isotropic, and each channel counts for itself.

    Args:
        image: x, (C, H, W).
        weight: positive; more of it is flatter.
        iterations: at most so many,
        tolerance: or until u changes by less than this, as a root mean square.

    >>> from minigen import Generator
    >>> edge = np.repeat([0.0, 1.0], 8) * np.ones((1, 16, 16))
    >>> noisy = edge + 0.1 * Generator(0).normal((1, 16, 16))
    >>> clean = total_variation_denoising(noisy, weight=0.2)
    >>> float(np.abs(clean - edge).mean()) < float(np.abs(noisy - edge).mean()) / 2
    True
    """
    x = image.astype(np.float64)
    p = np.zeros((2, *x.shape))  # below, right
    u = x
    for _ in range(iterations):
        slope = _gradient(_divergence(p) - x / weight)
        p = (p + 0.25 * slope) / (1 + 0.25 * np.sqrt((slope**2).sum(axis=0)))
        before, u = u, x - weight * _divergence(p)
        if np.sqrt(np.mean((u - before) ** 2)) < tolerance:
            break
    return u.astype(image.dtype)


def non_local_means(
    image: np.ndarray, sigma: float, h: float, patch_size: int = 5, patch_distance: int = 10
) -> np.ndarray:
    """The mean of all pixels about which the image looks alike (Buades, Coll & Morel 2005).

    A pixel at most `patch_distance` rows and columns away counts by exp(-max(d² - 2σ², 0)/h²), d² being the mean
    squared difference of the two patches, 2σ² what noise alone would make of it. Taken offset by offset: for one
    offset all patches are compared at once by a moving average, and one comparison serves both of its ends.

    Args:
        sigma: of the noise, on the scale of the pixels.
        h: how unlike patches may be, on the same scale; about 0.8·sigma.
        patch_size: side of a patch, odd.
        patch_distance: how far to look.

    >>> from minigen import Generator
    >>> edge = np.repeat([0.0, 1.0], 8) * np.ones((1, 16, 16))
    >>> noisy = edge + 0.1 * Generator(0).normal((1, 16, 16))
    >>> clean = non_local_means(noisy, sigma=0.1, h=0.1)
    >>> float(np.abs(clean - edge).mean()) < float(np.abs(noisy - edge).mean()) / 2
    True
    """
    from scipy.ndimage import uniform_filter

    _, rows, columns = image.shape
    radius = patch_size // 2
    around = ((0, 0), (radius, radius), (radius, radius))
    x = image.astype(np.float64)
    padded = np.pad(x, around, mode="symmetric")
    total, weights = x.copy(), np.ones((rows, columns))  # each pixel itself, with weight 1
    for down in range(min(patch_distance, rows - 1) + 1):
        for right in range(-min(patch_distance, columns - 1), min(patch_distance, columns - 1) + 1):
            if (down, right) <= (0, 0):
                continue  # its opposite covers it
            here, there = _overlap(down, right, (rows, columns))
            padded_here, padded_there = _overlap(down, right, padded.shape[1:])
            unlike = ((padded[:, *padded_here] - padded[:, *padded_there]) ** 2).mean(axis=0)
            patches = uniform_filter(unlike, patch_size)[radius : -radius or None, radius : -radius or None]
            weight = np.exp(-np.clip(patches - 2 * sigma**2, 0, None) / max(h, 1e-6) ** 2)
            total[:, *here] += weight * x[:, *there]
            total[:, *there] += weight * x[:, *here]
            weights[here] += weight
            weights[there] += weight
    return (total / weights).astype(image.dtype)


def biharmonic_inpainting(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Fill what is missing by the surface with Δ²u = 0 there, which goes on with the slopes of the borders.

    Δ is the five-point Laplacian, the image continued by its mirror image; the missing pixels are the unknowns of one
    sparse linear system (Damelin & Hoang 2018). Values are kept within those of the known pixels. With no known pixel
    at all the image becomes grey, 0.5.

    Args:
        image: (C, H, W).
        mask: (H, W), 1 where a pixel is known and 0 where it is missing.

    Raises:
        ShapeError: a mask of another size than the image.

    >>> ramp = np.linspace(0.0, 1.0, 5) * np.ones((1, 5, 5))
    >>> mask = np.ones((5, 5))
    >>> mask[:, 2] = 0  # a column is lost, and its slope goes on
    >>> biharmonic_inpainting(ramp * mask, mask)[0, 0].round(3).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    from scipy import sparse
    from scipy.sparse.linalg import spsolve

    if mask.shape != image.shape[1:]:
        raise ShapeError(f"A mask for images of shape {image.shape} is {image.shape[1:]}, not {mask.shape}.")
    missing = mask.reshape(-1) < 0.5
    if not missing.any():
        return image.copy()
    if missing.all():
        return np.full_like(image, 0.5)
    _, h, w = image.shape
    laplacian = sparse.kronsum(_second_difference(w), _second_difference(h), format="csr")
    rows = (laplacian @ laplacian)[missing]  # Δ² at the missing pixels, (M, H·W)
    known = image.reshape(len(image), -1)[:, ~missing].astype(np.float64)  # (C, K)
    values = spsolve(rows[:, missing].tocsc(), -(rows[:, ~missing] @ known.T))  # (M, C), or (M,) for one channel
    filled = image.reshape(len(image), -1).copy()
    filled[:, missing] = np.clip(values.reshape(-1, len(image)).T, known.min(1)[:, None], known.max(1)[:, None])
    return filled.reshape(image.shape)


def fill_missing(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """`biharmonic_inpainting` of a batch.

    Args:
        images: (N, C, H, W).
        masks: (N, 1, H, W), 1 where a pixel is known.

    Returns:
        (N, C, H, W).

    >>> ramp = np.linspace(0.0, 1.0, 5) * np.ones((1, 1, 5, 5))
    >>> mask = np.ones((1, 1, 5, 5))
    >>> mask[..., 2, 2] = 0
    >>> round(float(fill_missing(ramp * mask, mask)[0, 0, 2, 2]), 3)
    0.5
    """
    filled = [biharmonic_inpainting(image, mask[0]) for image, mask in zip(images, masks)]
    return np.stack(filled) if filled else images


def _frequencies(kernel: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The transfer function of a convolution with `kernel`, whose centre is the origin, on a periodic image."""
    from scipy import fft

    height, width = kernel.shape
    rows = (np.arange(height) - height // 2) % shape[0]
    columns = (np.arange(width) - width // 2) % shape[1]
    wrapped = np.zeros(shape)
    np.add.at(wrapped, (rows[:, None], columns), kernel)  # a kernel larger than the image goes round it
    return fft.rfft2(wrapped)


def _gradient(u: np.ndarray) -> np.ndarray:
    """(2, C, H, W): the differences to the pixel below and to the right, 0 at the last row and column."""
    slope = np.zeros((2, *u.shape))
    slope[0, :, :-1] = u[:, 1:] - u[:, :-1]
    slope[1, :, :, :-1] = u[:, :, 1:] - u[:, :, :-1]
    return slope


def _divergence(p: np.ndarray) -> np.ndarray:
    """Minus the adjoint of `_gradient`."""
    below, right = p
    u = np.zeros_like(below)
    u[:, :-1] += below[:, :-1]
    u[:, 1:] -= below[:, :-1]
    u[:, :, :-1] += right[:, :, :-1]
    u[:, :, 1:] -= right[:, :, :-1]
    return u


def _overlap(down: int, right: int, shape: tuple[int, ...]) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The pixels that have a neighbour at this offset (down ≥ 0), and those neighbours."""
    rows, columns = shape
    here = (slice(0, rows - down), slice(max(-right, 0), columns - max(right, 0)))
    there = (slice(down, rows), slice(max(right, 0), columns - max(-right, 0)))
    return here, there


def _second_difference(n: int) -> np.ndarray:
    """(n, n): x[i-1] - 2x[i] + x[i+1], mirrored at the ends."""
    matrix = -2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
    matrix[0, 0] += 1
    matrix[-1, -1] += 1
    return matrix
