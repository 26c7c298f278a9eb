"""Noise: Gaussian, salt and pepper, Poisson. Images (N, C, H, W) from 0 to 1; one value of each parameter an image."""

from __future__ import annotations

import numpy as np

from minigen.random import Generator


def gaussian_noise(images: np.ndarray, generator: Generator, sigma: np.ndarray) -> np.ndarray:
    """x + (σ/255)·ε, ε ~ N(0, I): σ on the scale of bytes, as papers on denoising give it, and nothing clipped.

    Args:
        sigma: (N,).
    """
    return images + _each(sigma / 255) * generator.normal(images.shape)


def salt_pepper(images: np.ndarray, generator: Generator, amount: np.ndarray) -> np.ndarray:
    """A share `amount` (N,) of the pixels turns black or white, all channels together and both as often."""
    n, _, h, w = images.shape
    u = generator.uniform((n, 1, h, w))
    amount = _each(amount)
    return np.where(u < amount / 2, np.float32(0), np.where(u < amount, np.float32(1), images))


def poisson_noise(images: np.ndarray, generator: Generator, peak: np.ndarray) -> np.ndarray:
    """Poisson(peak·x)/peak: the counts of photons where a white pixel catches `peak` (N,) of them on average."""
    peak = _each(peak)
    return (generator.numpy.poisson(np.clip(images, 0, None) * peak) / peak).astype(np.float32)


def _each(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32).reshape(-1, 1, 1, 1)
