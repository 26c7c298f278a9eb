"""The variational autoencoder's objective (Kingma & Welling 2014, arXiv 1312.6114).

A VAE *minimizes*, over encoder q(z|x) = N(μ, σ²) and decoder p(x|z) together,

    -ELBO = E_x [ E_{q(z|x)} [ -log p(x|z) ] + β · KL( q(z|x) ‖ N(0, I) ) ],   z = μ + σ·ε, ε ~ N(0, I),

with β = 1 (Higgins et al. 2017 vary it). The encoder gives log σ², so σ = exp(½ log σ²), not exp(log σ²).
"""

from __future__ import annotations

from minigen.functional import exp, square
from minigen.tensor import Tensor


def reparametrize(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """z = μ + exp(½ log σ²)·ε: a sample of N(μ, σ²) through which the gradient reaches μ and σ. All (N, Z)."""
    return mu + exp(logvar * 0.5) * noise


def kl_to_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """(1/N) Σₙ KL(N(μₙ, σₙ²) ‖ N(0, I)) = (1/N) Σₙ ½ Σ (μ² + σ² - 1 - log σ²), never negative. Both (N, Z)."""
    return (square(mu) + exp(logvar) - 1 - logvar).sum() * (0.5 / mu.shape[0])


def negative_elbo(reconstruction_nll: Tensor, kl: Tensor, beta: float = 1.0) -> Tensor:
    """E[-log p(x|z)] + β·KL, to be minimized. The first term is a sum over pixels, or β means something else."""
    return reconstruction_nll + beta * kl
