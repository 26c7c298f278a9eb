"""Solutions of chapter 5."""

import numpy as np

import minigen
from minigen import Generator, nn, optim
from minigen.losses import squared_error


def pca_reconstruct(train, images, k):
    """μ + (x - μ) AᵀA, with μ and A of the training images."""
    mean = train.mean(axis=0)
    _, _, rows = np.linalg.svd(train - mean, full_matrices=False)
    components = rows[:k]  # (k, D)
    return mean + (images - mean) @ components.T @ components


def gradients(x, v, w):
    """With E = X̂ - X: ∂L/∂W = 2/N·EᵀZ, and ∂L/∂V is what arrives at the code, 2/N·EW, times what made it."""
    z = x @ v.T
    bar = 2 * (z @ w.T - x) / len(x)
    return (bar @ w).T @ x, bar.T @ z


def largest_angle(a, b):
    """The arc cosine of the smallest singular value of Q₁ᵀQ₂."""
    q1, q2 = np.linalg.qr(a)[0], np.linalg.qr(b)[0]
    cosines = np.linalg.svd(q1.T @ q2, compute_uv=False)
    return np.arccos(np.clip(cosines, -1, 1)).max()


def make_autoencoder(images):
    """64 – 128 – 8 – 128 – 64 with ReLU, by Adam."""
    minigen.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 8))
    decoder = nn.Sequential(nn.Linear(8, 128), nn.ReLU(), nn.Linear(128, 64), nn.Sigmoid())
    optimizer = optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=5e-3)
    generator = Generator(0)
    for _ in range(20):
        order = generator.permutation(len(images))
        for start in range(0, len(images), 64):
            x = minigen.tensor(images[order[start : start + 64]].astype(np.float32))
            loss = squared_error(decoder(encoder(x)), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    def encode(x):
        return encoder(minigen.tensor(x.astype(np.float32))).numpy()

    def decode(z):
        return decoder(minigen.tensor(z.astype(np.float32))).numpy()

    return encode, decode


def area(scores, anomalous):
    """Over all pairs of an anomaly and a normal one."""
    difference = scores[anomalous][:, None] - scores[~anomalous][None, :]
    return (difference > 0).mean() + 0.5 * (difference == 0).mean()


SOLUTIONS = {
    "05.1": pca_reconstruct,
    "05.2": gradients,
    "05.3": largest_angle,
    "05.4": make_autoencoder,
    "05.5": area,
}
