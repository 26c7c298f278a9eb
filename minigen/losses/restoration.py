"""What holds a restored image to its target, and what a restored image should be like whatever its target.

A correction autoencoder minimizes E ‖x - g(f(x̃))‖² + λ·R(g(f(x̃))), x̃ the damaged image that it is given and x the
clean one (Vincent et al. 2008). R is the total variation, the edge or the structural loss, or what a discriminator makes
of the restored image (`minigen.losses.adversarial`). A restoration GAN minimizes -E log D(G(x̃, z)) + λ·‖y - G(x̃, z)‖₁ (Isola et al.
2017, arXiv 1611.07004). All are sums over pixels and means over the batch.
"""

from __future__ import annotations

import numpy as np

from minigen.functional import abs, conv2d, pad, reshape, sqrt, square
from minigen.tensor import Tensor

_SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8  # the derivative along a row, smoothed down the columns


def absolute_error(restored: Tensor, image: Tensor) -> Tensor:
    """(1/N) Σₙ ‖x̂ₙ - xₙ‖₁.

    pix2pix weighs it by λ = 100 as a *mean* over the values of an image; as this sum, that is 100/(C·H·W).

    Args:
        restored, image: x̂ and x, (N, *).

    >>> import minigen
    >>> absolute_error(minigen.zeros(2, 3), minigen.tensor([[1.0, 1.0, 1.0], [0.0, 0.0, -2.0]])).item()
    2.5
    """
    return abs(restored - image).sum() / image.shape[0]


def total_variation(images: Tensor, isotropic: bool = True, eps: float = 1e-3) -> Tensor:
    """How much neighbouring pixels differ (Rudin, Osher & Fatemi 1992): low for flat parts, whatever their borders.

    With the differences to the right, ∂ₕ = x[i, j+1] - x[i, j], and below, ∂ᵥ = x[i+1, j] - x[i, j], both 0 at the last
    column and row:

        isotropic    (1/N) Σ √(∂ₕ² + ∂ᵥ² + ε²) - ε    smooth at 0, and the same for edges of any direction as ε → 0
        anisotropic  (1/N) Σ |∂ₕ| + |∂ᵥ|              its subgradient at 0 is 0

    Args:
        images: (N, C, H, W), of any size; each channel counts for itself.
        isotropic: which of the two.
        eps: ε, on the scale of the pixels; of the isotropic form only.

    >>> import minigen
    >>> step = minigen.tensor([[[[0.0, 0.0, 1.0, 1.0]]]])
    >>> total_variation(step, isotropic=False).item()  # one step of height 1
    1.0
    """
    right = images[:, :, :, 1:] - images[:, :, :, :-1]  # (N, C, H, W-1)
    below = images[:, :, 1:] - images[:, :, :-1]  # (N, C, H-1, W)
    if not isotropic:
        return (abs(right).sum() + abs(below).sum()) / images.shape[0]
    slope = square(pad(right, (0, 1))) + square(pad(below, (0, 0, 0, 1)))  # (N, C, H, W)
    return (sqrt(slope + eps**2) - eps).sum() / images.shape[0]


def edge_loss(restored: Tensor, image: Tensor) -> Tensor:
    """(1/N) Σₙ ‖∇x̂ₙ - ∇xₙ‖²: edges are to be as steep as in the target, and where they are there.

    ∇ are Sobel's two derivatives (Sobel & Feldman 1968) over 8, so that a ramp of slope 1 has the derivative 1; pixels
    beyond the border repeat the last one. A restored image that is too smooth pays here even where its error is small.

    Args:
        restored, image: (N, C, H, W).

    >>> import minigen
    >>> x = minigen.rand(1, 1, 8, 8, generator=minigen.Generator(0))
    >>> bool(edge_loss(x + 0.5, x) < 1e-6)  # a change of brightness moves no edge
    True
    """
    n, c, h, w = image.shape
    kernels = np.stack([_SOBEL, _SOBEL.T])[:, None].astype(image.dtype)  # (2, 1, 3, 3)
    difference = reshape(restored - image, (n * c, 1, h, w))  # the derivative is linear: once is enough
    around = pad(difference, (1, 1, 1, 1), "replicate")
    return square(conv2d(around, Tensor._wrap(image.device.constant(kernels), image.device))).sum() / n


def structural_loss(restored: Tensor, image: Tensor) -> Tensor:
    """(1/N) Σₙ Σ 1 - SSIM over the windows of each channel (Wang et al. 2004; as a loss, Zhao et al. 2017, arXiv 1511.08861).

    The least squared error where much is uncertain is the mean of what might be there: too flat. Of two images with the
    same correlation to the target, this loss prefers the one whose contrast is the target's too.

        SSIM = (2·μ₁μ₂ + C₁)(2·σ₁₂ + C₂) / ((μ₁² + μ₂² + C₁)(σ₁² + σ₂² + C₂)),  C₁ = 0.01², C₂ = 0.03²

    in Gaussian windows of 11×11, σ 1.5, that lie within the image; of the largest odd side that fits in a smaller one.

    Args:
        restored, image: (N, C, H, W) from 0 to 1.

    >>> import minigen
    >>> x = minigen.rand(1, 1, 16, 16, generator=minigen.Generator(0))
    >>> bool(structural_loss(x, x).abs() < 1e-3), bool(structural_loss(x * 0.5, x) > 1)
    (True, True)
    """
    n, c, h, w = image.shape
    radius = (min(11, h, w) - 1) // 2
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / 1.5) ** 2)
    line = (line / line.sum()).astype(image.dtype)
    down, across = (
        Tensor._wrap(image.device.constant(line.reshape(shape)), image.device)
        for shape in ((1, 1, -1, 1), (1, 1, 1, -1))
    )

    def local(x: Tensor) -> Tensor:  # the mean in each window, (N·C, 1, H - 2·radius, W - 2·radius)
        return conv2d(conv2d(reshape(x, (n * c, 1, h, w)), down), across)

    mean_1, mean_2 = local(restored), local(image)
    both = square(mean_1) + square(mean_2)
    spread = local(square(restored) + square(image)) - both  # σ₁² + σ₂²
    together = local(restored * image) - mean_1 * mean_2  # σ₁₂
    similarity = (2 * mean_1 * mean_2 + 1e-4) * (2 * together + 9e-4) / ((both + 1e-4) * (spread + 9e-4))
    return (1 - similarity).sum() / n
