"""The objectives of variational autoencoders (Kingma & Welling 2014, arXiv 1312.6114).

A VAE *minimizes*, over encoder q(z|x) = N(μ, σ²) and decoder p(x|z) together,

    -ELBO = E_x [ E_{q(z|x)} [ -log p(x|z) ] + β · KL( q(z|x) ‖ N(0, I) ) ],   z = μ + σ·ε, ε ~ N(0, I),

with β = 1 (Higgins et al. 2017 vary it). The encoder gives log σ², so σ = exp(½ log σ²), not exp(log σ²).

An importance-weighted autoencoder (Burda et al. 2016, arXiv 1509.00519) minimizes a tighter bound of -log p(x), made
of k samples and their weights w = p(x, z)/q(z|x).

All in nats.
"""

from __future__ import annotations

import math

from minigen.errors import ShapeError, UserError
from minigen.functional import exp, logsumexp, maximum, softmax, square
from minigen.tensor import Tensor


def reparametrize(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """z = μ + exp(½ log σ²)·ε: a sample of N(μ, σ²) through which the gradient reaches μ and σ.

    Args:
        mu, logvar: (N, Z).
        noise: ε ~ N(0, 1), (N, Z), or (k, N, Z) for k samples each.

    >>> import minigen
    >>> logvar = minigen.zeros(1, 2, requires_grad=True)
    >>> z = reparametrize(minigen.zeros(1, 2), logvar, minigen.tensor([[1.0, -2.0]]))
    >>> z.tolist(), minigen.grad(z.sum(), logvar)[0].tolist()
    ([[1.0, -2.0]], [[0.5, -1.0]])
    """
    return mu + exp(logvar * 0.5) * noise


def log_normal(z: Tensor, mu: Tensor | float, logvar: Tensor | float) -> Tensor:
    """log N(z; μ, σ²) = -½ Σ (z - μ)²/σ² + log σ² + log 2π over the last axis.

    Args:
        z: (…, Z).
        mu, logvar: μ and log σ², numbers or tensors that fit z.

    Returns:
        (…,), in nats.

    >>> import minigen
    >>> round(log_normal(minigen.zeros(2), 0.0, 0.0).item(), 4)  # -log 2π
    -1.8379
    """
    precision = math.exp(-logvar) if isinstance(logvar, (int, float)) else exp(-logvar)
    return (square(z - mu) * precision + logvar + math.log(2 * math.pi)).sum(-1) * -0.5


def kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """(1/N) Σₙ ½ (μ² + σ² - 1 - log σ²) for each dimension of z on its own.

    The prior and q(z|x) both have independent dimensions, so KL(q(z|x) ‖ N(0, I)) is their sum. A dimension near 0
    carries nothing about x: it has collapsed onto the prior.

    Args:
        mu, logvar: μ and log σ², (N, Z).

    Returns:
        (Z,), in nats.

    >>> import minigen
    >>> kl_per_dimension(minigen.tensor([[0.0, 2.0]]), minigen.zeros(1, 2))
    tensor([0., 2.])
    """
    return (square(mu) + exp(logvar) - 1 - logvar).mean(0) * 0.5


def kl_to_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    """(1/N) Σₙ KL(N(μₙ, σₙ²) ‖ N(0, I)) = (1/N) Σₙ ½ Σ (μ² + σ² - 1 - log σ²), never negative, in nats.

    Args:
        mu, logvar: μ and log σ², (N, Z).

    >>> import minigen
    >>> kl_to_standard_normal(minigen.tensor([[1.0, 2.0]]), minigen.zeros(1, 2)).item()
    2.5
    """
    return kl_per_dimension(mu, logvar).sum()


def free_bits(kl: Tensor, minimum: float) -> Tensor:
    """Σⱼ max(λ, KLⱼ): below λ nats a dimension's KL costs nothing more, so there is no gain in giving it up.

    Kingma et al. 2016 (arXiv 1606.04934), appendix C. The maximum is of the *mean over the batch*: each image may use
    less than λ as long as the batch does not. At λ = 0 it is the plain sum.

    Args:
        kl: KLⱼ, (Z,), as `kl_per_dimension` gives them; for groups of dimensions, their sums, (groups,).
        minimum: λ, in nats for each of them.

    >>> import minigen
    >>> free_bits(minigen.tensor([0.01, 2.0]), 0.5).item()
    2.5
    """
    return maximum(kl, minimum).sum()


def negative_elbo(reconstruction_nll: Tensor, kl: Tensor, beta: float = 1.0) -> Tensor:
    """E[-log p(x|z)] + β·KL, to be minimized (Kingma & Welling 2014, arXiv 1312.6114; β: Higgins et al. 2017).

    Args:
        reconstruction_nll: E[-log p(x|z)], a scalar: a sum over pixels, or β means something else.
        kl: KL(q(z|x) ‖ p(z)), a scalar.
        beta: β; 1 for the bound itself.

    >>> import minigen
    >>> negative_elbo(minigen.tensor(80.0), minigen.tensor(10.0), beta=2.0).item()
    100.0
    """
    return reconstruction_nll + beta * kl


def linear_annealing(step: int, warmup: int) -> float:
    """min(1, step/warmup): the weight of the KL term grows from 0 to 1 (Bowman et al. 2016, arXiv 1511.06349).

    While it is small the decoder learns to use z before z has to be cheap.

    Args:
        step: batches done.
        warmup: batches until the weight is 1; 0 for 1 at once.

    >>> [linear_annealing(step, 4) for step in range(6)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """
    _check_steps(step, warmup, 0, "warmup")
    return 1.0 if step >= warmup else step / warmup


def cyclical_annealing(step: int, period: int, ratio: float = 0.5) -> float:
    """min(1, τ/R), τ = (step mod period)/period: the weight grows from 0 to 1, stays, and begins again.

    Fu et al. 2019 (arXiv 1903.10145), who take four cycles and R = ½: each cycle starts from the codes of the last.

    Args:
        step: batches done.
        period: batches in a cycle.
        ratio: R, the part of a cycle in which the weight grows, from 0 (always 1) to 1 (a sawtooth).

    Raises:
        UserError: a ratio outside [0, 1], or a period below 1.

    >>> [cyclical_annealing(step, 4) for step in range(8)]
    [0.0, 0.5, 1.0, 1.0, 0.0, 0.5, 1.0, 1.0]
    """
    _check_steps(step, period, 1, "period")
    if not 0 <= ratio <= 1:
        raise UserError(f"cyclical_annealing: ratio is a part of a cycle, from 0 to 1, not {ratio!r}.")
    position = (step % period) / period
    return 1.0 if position >= ratio else position / ratio


def iwae_loss(log_w: Tensor) -> Tensor:
    """-(1/N) Σₙ log (1/k) Σᵢ wᵢₙ, the importance-weighted bound of k samples with its sign changed; to be minimized.

    wᵢₙ = p(xₙ, zᵢ)/q(zᵢ|xₙ) with zᵢ from q(z|xₙ). At k = 1 its mean is -ELBO; it falls with k, and tends to -log p(x).
    Its gradient is Σᵢ w̃ᵢ ∇(-log wᵢ): the samples that explain x *best* count most (`normalized_weights`).

    Args:
        log_w: log wᵢₙ, (k, N). From logarithms, so that nothing overflows.

    >>> import minigen
    >>> log_w = minigen.tensor([[0.0], [1.0]])
    >>> iwae_loss(log_w).item() < -log_w.mean().item()  # closer to -log p(x) than the ELBO is
    True
    """
    k = _check_weights(log_w, "iwae_loss")
    return (math.log(k) - logsumexp(log_w, 0)).mean()


def normalized_weights(log_w: Tensor) -> Tensor:
    """w̃ᵢ = wᵢ/Σⱼ wⱼ over the k samples, (k, N), as constants: no gradient flows through them.

    They weigh the samples in the gradient of `iwae_loss`, which is that of -(1/N) Σ w̃·log w. Had the weights a
    gradient of their own it would be another one. 1/Σᵢ w̃ᵢ² is how many equally good samples the k are worth.

    >>> import minigen
    >>> normalized_weights(minigen.tensor([[0.0], [1.0986123]]))  # weights 1 and 3
    tensor([[0.25],
            [0.75]])
    """
    _check_weights(log_w, "normalized_weights")
    return softmax(log_w, 0).detach()


def _check_weights(log_w: Tensor, name: str) -> int:
    if log_w.ndim != 2 or 0 in log_w.shape:
        raise ShapeError(f"{name}: log-weights have the shape (k, N), both at least 1, not {log_w.shape}.")
    return log_w.shape[0]


def _check_steps(step: int, length: int, least: int, name: str) -> None:
    if step < 0 or length < least:
        raise UserError(
            f"KL annealing counts steps from 0 and needs a {name} of at least {least}, not {step} and {length}."
        )
