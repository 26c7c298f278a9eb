"""Training autoencoders: plain, sparse, contractive, and on damaged images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from minigen.autograd import no_grad
from minigen.data.corruptions import Corruption
from minigen.device import cpu as CPU
from minigen.losses.contractive import contractive_penalty, contractive_penalty_estimate
from minigen.losses.reconstruction import squared_error
from minigen.losses.sparsity import kl_sparsity, l1_sparsity
from minigen.models.autoencoder import Autoencoder, DenseAutoencoder, TiedAutoencoder
from minigen.optim import Optimizer
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.session import Session

PIXELS_AT_ONCE = 2**21  # what is measured goes through the networks in parts of about this many pixels
AnyAutoencoder = Autoencoder | TiedAutoencoder


def train_autoencoder(model: AnyAutoencoder, optimizer: Optimizer, session: Session, held_out: np.ndarray) -> None:
    """Minimize (1/N) Σ ‖x - g(f(x))‖² over the batches.

    Args:
        model: changed in place.
        optimizer: of its weights.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        held_out: images (M, C, H, W) that the error is also measured on, after every epoch.
    """
    for _ in session.epochs():
        for x in session.batches():
            loss = squared_error(model(x), x)
            session.log(loss=loss)

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        session.end_epoch(test_loss=autoencoder_error(model, held_out))


def train_sparse_autoencoder(
    model: DenseAutoencoder,
    optimizer: Optimizer,
    session: Session,
    held_out: np.ndarray,
    penalty: str,
    weight: float,
    rho: float,
) -> None:
    """Minimize (1/N) Σ ‖x - g(f(x))‖² + λ·sparsity of the code.

    Args:
        model: changed in place.
        optimizer: of its weights.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        held_out: images that the error and the mean activity are measured on, after every epoch.
        penalty: ``'kl'``, with a sigmoid code, or ``'l1'``.
        weight: λ.
        rho: for ``'kl'``, the share of the images that a unit is to be on for.
    """
    for _ in session.epochs():
        for x in session.batches():
            logits = model.encoder(x)
            code = model.code(logits)
            error = squared_error(model.decode(code), x)
            sparsity = kl_sparsity(logits, rho) if penalty == "kl" else l1_sparsity(code, model.columns)
            loss = error + weight * sparsity
            session.log(loss=loss, error=error, sparsity=sparsity)

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        session.end_epoch(
            test_error=autoencoder_error(model, held_out), mean_activity=float(codes_of(model, held_out).mean())
        )


def train_contractive_autoencoder(
    model: AnyAutoencoder,
    optimizer: Optimizer,
    session: Session,
    held_out: np.ndarray,
    weight: float,
    noise: Generator,
    draws: int | None = None,
) -> None:
    """Minimize (1/N) Σ ‖x - g(f(x))‖² + λ‖∂f(x)/∂x‖²_F.

    Args:
        model: changed in place.
        optimizer: of its weights.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        held_out: images that the error and the norm of the Jacobian are measured on, after every epoch.
        weight: λ.
        noise: where the random directions of an estimate come from.
        draws: how many there are of them; the penalty is exact unless given.
    """
    for _ in session.epochs():
        for x in session.batches():
            error = squared_error(model(x), x)
            if draws is None:
                penalty = contractive_penalty(model.encode, x)
            else:
                penalty = contractive_penalty_estimate(model.encode, x, noise, draws)
            loss = error + weight * penalty
            session.log(loss=loss, error=error, jacobian=penalty)

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        session.end_epoch(test_error=autoencoder_error(model, held_out), test_jacobian=jacobian_norm(model, held_out))


def train_denoising_autoencoder(
    model: AnyAutoencoder,
    optimizer: Optimizer,
    session: Session,
    held_out: np.ndarray,
    corruption: Corruption,
    noise: Generator,
) -> None:
    """Minimize (1/N) Σ ‖x - g(f(x̃))‖², x̃ a damaged x, damaged anew each time (Vincent et al. 2008).

    Args:
        model: changed in place.
        optimizer: of its weights.
        session: gives the batches, epoch by epoch, and keeps records and checkpoints.
        held_out: clean images; the error on them is measured from damaged ones, the same after every epoch.
        corruption: what does the damage.
        noise: where its random numbers come from.
    """
    held_out_damaged, _ = corruption(held_out, Generator(0))
    for _ in session.epochs():
        for batch in session.batches(CPU):
            damaged, _ = corruption(batch.numpy(), noise)
            x, damaged_x = (Tensor(images, device=session.device) for images in (batch, damaged))
            loss = squared_error(model(damaged_x), x)
            session.log(loss=loss)

            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        session.end_epoch(test_loss=autoencoder_error(model, held_out, held_out_damaged))


def autoencoder_error(model: AnyAutoencoder, images: np.ndarray, inputs: np.ndarray | None = None) -> float:
    """The mean over the images of ‖x - x̂‖².

    Args:
        model: an autoencoder.
        images: x, (n, C, H, W).
        inputs: what x̂ is made from, of the same shape; the images themselves unless given.
    """
    made = in_parts(model, images if inputs is None else inputs)
    return float(((images - made) ** 2).sum(dtype=np.float64)) / len(images)


def codes_of(model: AnyAutoencoder, images: np.ndarray) -> np.ndarray:
    """The codes f(x) of images (n, C, H, W) by `model`: (n, latent_dim)."""
    return in_parts(model, images, model.encode)


def jacobian_norm(model: AnyAutoencoder, images: np.ndarray, draws: int = 16) -> float:
    """√ of the mean over the images of ‖∂f(x)/∂x‖²_F, estimated from the same random directions each time.

    Args:
        model: an autoencoder, whose encoder is f.
        images: (n, C, H, W).
        draws: directions for each image.
    """
    model.eval()
    device = next(model.parameters()).device
    generator, total = Generator(0), 0.0
    for part in _parts(images):
        x = Tensor(part, device=device)
        total += len(part) * contractive_penalty_estimate(model.encode, x, generator, draws).item()
    return (total / len(images)) ** 0.5


@no_grad()
def in_parts(
    model: AnyAutoencoder, arrays: np.ndarray, function: Callable[[Tensor], Tensor] | None = None
) -> np.ndarray:
    """A function of the model, itself unless given, of arrays (n, *), without the memory that all at once would take."""
    model.eval()
    device = next(model.parameters()).device
    parts = [(function or model)(Tensor(part, device=device)).cpu().numpy() for part in _parts(arrays)]
    return np.concatenate(parts)


def _parts(arrays: np.ndarray) -> list[np.ndarray]:
    size = max(1, PIXELS_AT_ONCE // max(1, arrays[:1].size))
    return [arrays[i : i + size] for i in range(0, max(len(arrays), 1), size)]
