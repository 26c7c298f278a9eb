"""Training variational autoencoders by the evidence lower bound, and by the tighter one of many samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from minigen import metrics
from minigen.autograd import no_grad
from minigen.creation import rand, randn
from minigen.errors import UserError
from minigen.functional import square
from minigen.losses import (
    free_bits,
    iwae_loss,
    kl_per_dimension,
    log_normal,
    negative_elbo,
    normalized_weights,
    reparametrize,
)
from minigen.models import VAE
from minigen.optim import Optimizer
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.session import Session

PIXELS_AT_ONCE = 2**21  # what is measured goes through the networks in parts of about this many pixels


def train_vae(
    model: VAE,
    optimizer: Optimizer,
    session: Session,
    noise: Generator,
    held_out: np.ndarray,
    beta: float = 1.0,
    annealing: Callable[[int], float] | None = None,
    minimum_kl: float = 0.0,
    binary: bool = False,
) -> None:
    """Minimize E[-log p(x|z)] + β·Σⱼ max(λ, KLⱼ) over the batches, z drawn once for each image.

    Args:
        model: changed in place.
        optimizer: of its weights.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        beta: β.
        noise: where ε of z = μ + σ·ε comes from.
        held_out: images (M, C, H, W) on which the bound is also measured, after every epoch.
        annealing: from the number of batches done to a factor of β, such as `linear_annealing`.
        minimum_kl: λ, the free bits of each dimension, in nats.
        binary: draw black and white images from the grey ones, anew each time.
    """
    for _ in session.epochs():
        for x in session.batches():
            if binary:
                x = binarize(x, noise)
            mu, logvar = model.encode(x)
            z = reparametrize(mu, logvar, randn(x.shape[0], model.latent_dim, generator=noise, device=x.device))
            nll, kl = model.nll(model.decode(z), x), kl_per_dimension(mu, logvar)
            weight = beta if annealing is None else beta * annealing(session.step)
            loss = negative_elbo(nll, free_bits(kl, minimum_kl), weight)
            session.log(loss=loss, nll=nll, kl=kl.sum())
            if annealing is not None:
                session.log(beta=weight)

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        test = vae_terms(model, held_out)
        objective = test.nll + beta * float(np.maximum(test.kl_per_dimension, minimum_kl).sum())
        session.end_epoch(test_loss=objective, test_nll=test.nll, test_kl=test.kl, active_units=test.active_units)


def train_iwae(
    model: VAE,
    optimizer: Optimizer,
    session: Session,
    noise: Generator,
    held_out: np.ndarray,
    k: int = 50,
    binary: bool = False,
) -> None:
    """Minimize -log (1/k) Σᵢ p(x, zᵢ)/q(zᵢ|x) over the batches, z₁ … z_k drawn from q(z|x) (Burda et al. 2016).

    Args:
        model, optimizer, session: as for `train_vae`.
        noise, held_out, binary: as for `train_vae`.
        k: samples an image; with one it is a VAE whose KL term is an estimate.
    """
    for _ in session.epochs():
        for x in session.batches():
            if binary:
                x = binarize(x, noise)
            log_w = log_weights(model, x, k, noise)  # (k, N)
            loss = iwae_loss(log_w)
            session.log(loss=loss, negative_elbo=-log_w.mean())

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        bounds, active = importance_bounds(model, held_out, k), vae_terms(model, held_out, draws=1).active_units
        session.end_epoch(test_loss=-bounds["log_likelihood"], test_negative_elbo=-bounds["elbo"], active_units=active)


def log_weights(model: VAE, x: Tensor, k: int, generator: Generator) -> Tensor:
    """log wᵢₙ = log p(xₙ|zᵢ) + log p(zᵢ) - log q(zᵢ|xₙ), with k samples zᵢ from q(z|xₙ) for each image.

    Their mean over i estimates the ELBO of xₙ, the logarithm of the mean of w the bound of `iwae_loss`.

    Args:
        model: a VAE.
        x: images (N, C, H, W).
        generator: where ε comes from.

    Returns:
        (k, N); the gradient flows through z, by reparametrization.

    Raises:
        UserError: a k below 1.
    """
    if k < 1:
        raise UserError(f"Importance weights need k of at least 1, not {k}.")
    n, latent_dim = x.shape[0], model.latent_dim
    mu, logvar = model.encode(x)
    z = reparametrize(mu, logvar, randn(k, n, latent_dim, generator=generator, device=x.device))  # (k, N, Z)
    decoded = model.decode(z.reshape(k * n, latent_dim))
    copies = x.expand(k, *x.shape).reshape(k * n, *x.shape[1:])
    log_p_x = -model.nll(decoded, copies, reduction="none").reshape(k, n)
    return log_p_x + log_normal(z, 0.0, 0.0) - log_normal(z, mu, logvar)


def binarize(x: Tensor, generator: Generator) -> Tensor:
    """Black and white images, each pixel 1 with the probability of its grey value (Salakhutdinov & Murray 2008).

    Args:
        x: grey images, (N, *) from 0 to 1.
        generator: where the pixels are drawn from.

    >>> binarize(Tensor([[0.0, 1.0]]), Generator(0))
    tensor([[0., 1.]])
    """
    return (rand(*x.shape, generator=generator, device=x.device) < x).astype(x.dtype)


@dataclass(frozen=True)
class Terms:
    """What -ELBO is made of, on held-out images: in nats an image, and how many dimensions of z carry something.

    Attributes:
        nll: E[-log p(x|z)].
        kl_per_dimension: (Z,).
        active_units: dimensions whose μ(x) varies over the images (`minigen.metrics.active_units`).
    """

    nll: float
    kl_per_dimension: np.ndarray
    active_units: int

    @property
    def kl(self) -> float:
        """KL(q(z|x) ‖ N(0, I)), the sum over the dimensions."""
        return float(self.kl_per_dimension.sum())


@no_grad()
def vae_terms(model: VAE, images: np.ndarray, draws: int = 8) -> Terms:
    """The terms of -ELBO; the noise is always the same.

    Args:
        model: a VAE.
        images: (M, C, H, W).
        draws: of z for each image, over which the first term is a mean.
    """
    model.eval()
    generator = Generator(0)
    nll, mus, logvars = 0.0, [], []
    for x in _parts(model, images):
        mu, logvar = model.encode(x)
        for _ in range(draws):
            z = reparametrize(mu, logvar, randn(*mu.shape, generator=generator, device=x.device))
            nll += model.nll(model.decode(z), x).item() * x.shape[0]
        mus.append(mu.cpu().numpy())
        logvars.append(logvar.cpu().numpy())
    means, logvars_of_all = np.concatenate(mus), np.concatenate(logvars)
    kl = np.array(metrics.kl_per_dimension(means, logvars_of_all))
    return Terms(nll / (draws * len(images)), kl, metrics.active_units(means))


def importance_bounds(model: VAE, images: np.ndarray, k: int, seed: int = 0) -> dict[str, float]:
    """What k importance samples an image say of log p(x), in nats.

    Args:
        model: a VAE.
        images: (M, C, H, W), over which the means are taken.
        k: samples for each.
        seed: the same one draws the same samples.

    Returns:
        ``elbo``; ``log_likelihood``, the bound of k samples, which for large k is close to log p(x);
        ``effective_samples``, how many equally good ones the k are worth.
    """
    totals = {"elbo": 0.0, "log_likelihood": 0.0, "effective_samples": 0.0}
    for log_w in importance_samples(model, images, k, Generator(seed)):
        n = log_w.shape[1]
        totals["elbo"] += n * metrics.elbo(log_w)
        totals["log_likelihood"] += n * metrics.iwae_bound(log_w)
        totals["effective_samples"] += float((1 / square(normalized_weights(Tensor(log_w))).sum(0)).sum())
    return {name: total / len(images) for name, total in totals.items()}


def importance_samples(model: VAE, images: np.ndarray, k: int, generator: Generator) -> Iterator[np.ndarray]:
    """`log_weights` of many images with many samples, in parts that fit in memory.

    Args:
        model, k, generator: as for `log_weights`.
        images: (M, C, H, W).

    Returns:
        parts (k, n) float64, n images each.
    """
    model.eval()
    for x in _parts(model, images):
        at_once = max(1, PIXELS_AT_ONCE // x.numel())
        counts = [min(at_once, k - done) for done in range(0, k, at_once)]
        with no_grad():
            log_w = [log_weights(model, x, count, generator).cpu().numpy() for count in counts]
        yield np.concatenate(log_w).astype(np.float64)


def _parts(model: VAE, images: np.ndarray) -> Iterator[Tensor]:
    """The images in parts of at most 100 and about `PIXELS_AT_ONCE`, on the model's device."""
    size = max(1, min(100, PIXELS_AT_ONCE // images[0].size))
    place = next(model.parameters()).device
    for start in range(0, len(images), size):
        yield Tensor(images[start : start + size], device=place)
