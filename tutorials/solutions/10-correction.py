"""Solutions of chapter 10."""

import numpy as np

import minigen
from minigen import Generator, nn, optim
from minigen.losses import squared_error


def deconvolve(y, kernel, r):
    """conj(K)·Y / (|K|² + r), the kernel's middle at (0, 0)."""
    padded = np.zeros(y.shape)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    K = np.fft.fft2(np.roll(padded, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), (0, 1)))
    return np.fft.ifft2(np.conj(K) / (np.abs(K) ** 2 + r) * np.fft.fft2(y)).real


def divergence(p):
    """u[i] occurs in (u[i+1] - u[i])·p[i] and in (u[i] - u[i-1])·p[i-1]: minus the adjoint is p[i] - p[i-1]."""
    down, right = p[0, :-1], p[1, :, :-1]  # the last ones multiply slopes that are always 0
    found = np.zeros(p.shape[1:])
    found[:-1] += down
    found[1:] -= down
    found[:, :-1] += right
    found[:, 1:] -= right
    return found


def conditional_mean(damaged, images, sigma):
    """Weights by likelihood, the likeliest image's being 1 before they are normalized."""
    d2 = ((damaged[:, None] - images[None]) ** 2).sum(axis=2)  # (n, K)
    weights = np.exp(-(d2 - d2.min(axis=1, keepdims=True)) / (2 * sigma**2))
    return weights / weights.sum(axis=1, keepdims=True) @ images


def make_denoiser(images, sigma):
    """64 – 256 – 256 – 64 with ReLU, by Adam, with new noise in every batch."""
    minigen.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 64), nn.Sigmoid()
    )
    optimizer, generator = optim.Adam(model.parameters(), lr=2e-3), Generator(0)
    for _ in range(25):
        order = generator.permutation(len(images))
        for start in range(0, len(images) - 63, 64):
            x = images[order[start : start + 64]]
            noisy = x + generator.normal(x.shape, std=sigma)
            loss = squared_error(model(minigen.tensor(noisy)), minigen.tensor(x))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return lambda noisy: model(minigen.tensor(noisy.astype(np.float32))).numpy()


SOLUTIONS = {"10.1": deconvolve, "10.2": divergence, "10.3": conditional_mean, "10.4": make_denoiser}
