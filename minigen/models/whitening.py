"""Whitening: points turned to their principal axes, with standard deviation 1 along each."""

from __future__ import annotations

import numpy as np

from minigen import nn
from minigen.tensor import Tensor

FLAT = 1e-5  # of the largest standard deviation; along an axis with less, points do not vary but for rounding


class Whitening(nn.Module):
    """x ↦ (x - mean) A / std, and back: the principal components of points, each of standard deviation 1.

    The columns of A (D, k) are eigenvectors of the points' covariance, that of the largest eigenvalue first, and std
    (k,) the roots of their eigenvalues. Directions in which the points do not vary are left out, so that k may be less
    than D, and what is brought back lies where the points lie. All three are buffers.

    `standardizing` makes the plainer one that keeps the axes and has one std for all, and `identity` that which changes
    nothing. Where all directions vary alike, `of` turns the axes for no reason, and learning may suffer from it: what lay
    along one axis, such as the rows of a grid, now needs two.

    >>> points = np.array([[0.0, 10.0], [2.0, 8.0], [4.0, 6.0]])  # on a line
    >>> whitening = Whitening.of(points)
    >>> white = whitening(points)
    >>> white.shape, float(white.std())
    ((3, 1), 1.0)
    >>> whitening.undo(white).round(5).tolist()
    [[0.0, 10.0], [2.0, 8.0], [4.0, 6.0]]
    """

    def __init__(self, mean: np.ndarray, axes: np.ndarray, std: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("mean", Tensor(mean.astype(np.float32)))
        self.register_buffer("axes", Tensor(axes.astype(np.float32)))
        self.register_buffer("std", Tensor(std.astype(np.float32)))

    @classmethod
    def of(cls, points: np.ndarray) -> Whitening:
        """That of points (N, D)."""
        mean = points.mean(axis=0, dtype=np.float64)
        centered = points - mean
        variances, axes = np.linalg.eigh(centered.T @ centered / len(points))
        std, axes = np.sqrt(variances[::-1].clip(0)), axes[:, ::-1]
        std = std[std > FLAT * std[0]]
        if len(std) == 0:  # one point, again and again: it is only moved
            std = np.ones(points.shape[1])
        axes = axes[:, : len(std)]
        largest = axes[np.abs(axes).argmax(axis=0), np.arange(len(std))]
        return cls(mean, axes * np.sign(largest), std)  # of an eigenvector and its opposite, one

    @classmethod
    def standardizing(cls, points: np.ndarray) -> Whitening:
        """The one that brings points (N, D) to mean 0 and standard deviation 1 over all numbers, and turns nothing."""
        dim = points.shape[1]
        mean = points.mean(axis=0, dtype=np.float64)
        std = np.sqrt(np.square(points - mean).mean())
        return cls(mean, np.eye(dim), np.full(dim, std if std > 0 else 1.0))

    @classmethod
    def identity(cls, dim: int) -> Whitening:
        """The one that changes nothing."""
        return cls(np.zeros(dim), np.eye(dim), np.ones(dim))

    @property
    def proportions(self) -> np.ndarray:
        """std / max std: how large the components were beside one another, (k,)."""
        std = self.std.cpu().numpy()
        return std / std.max()

    def forward(self, points: np.ndarray) -> np.ndarray:
        """Points (N, D) to components (N, k), float32."""
        mean, axes, std = self._arrays()
        return ((points - mean) @ axes / std).astype(np.float32)

    def undo(self, components: np.ndarray) -> np.ndarray:
        """And back."""
        mean, axes, std = self._arrays()
        return ((components * std) @ axes.T + mean).astype(np.float32)

    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.mean.cpu().numpy(), self.axes.cpu().numpy(), self.std.cpu().numpy()
