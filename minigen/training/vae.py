"""Training a variational autoencoder."""

from __future__ import annotations

import numpy as np

from minigen.autograd import no_grad
from minigen.creation import randn
from minigen.losses import bernoulli_nll, kl_to_standard_normal, negative_elbo
from minigen.models import ConvVAE
from minigen.optim import Optimizer
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.session import Session


def train_vae(
    model: ConvVAE,
    optimizer: Optimizer,
    session: Session,
    noise: Generator,
    held_out: np.ndarray,
    beta: float = 1.0,
) -> None:
    """Minimize E[-log p(x|z)] + β·KL(q(z|x) ‖ N(0, I)) over the batches, z drawn once for each image.

    Args:
        noise: where ε of z = μ + σ·ε comes from.
        held_out: images (M, C, H, W) on which the bound is also measured, after every epoch.
    """
    for _ in session.epochs():
        for x in session.batches():
            epsilon = randn(x.shape[0], model.latent_dim, generator=noise, device=x.device)
            logits, mu, logvar = model(x, epsilon)
            nll, kl = bernoulli_nll(logits, x), kl_to_standard_normal(mu, logvar)
            loss = negative_elbo(nll, kl, beta)
            session.log(loss=loss, nll=nll, kl=kl)

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        test = vae_bound(model, held_out)
        session.end_epoch(test_loss=test["nll"] + beta * test["kl"], test_nll=test["nll"], test_kl=test["kl"])


@no_grad()
def vae_bound(model: ConvVAE, images: np.ndarray, draws: int = 8) -> dict[str, float]:
    """The two terms of -ELBO on held-out images, E[-log p(x|z)] a mean over `draws` of z; the noise is always the same.

    Returns:
        ``{"nll": …, "kl": …}``, in nats an image.
    """
    model.eval()
    generator = Generator(0)
    x = Tensor(images, device=next(model.parameters()).device)
    mu, logvar = model.encode(x)
    nll = 0.0
    for _ in range(draws):
        logits, _, _ = model(x, randn(x.shape[0], model.latent_dim, generator=generator, device=x.device))
        nll += bernoulli_nll(logits, x).item() / draws
    return {"nll": nll, "kl": kl_to_standard_normal(mu, logvar).item()}
