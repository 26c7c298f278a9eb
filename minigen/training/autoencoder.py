"""Training an autoencoder."""

from __future__ import annotations

import numpy as np

from minigen.autograd import no_grad
from minigen.losses import squared_error
from minigen.models import DenseAutoencoder
from minigen.optim import Optimizer
from minigen.tensor import Tensor
from minigen.training.session import Session


def train_autoencoder(model: DenseAutoencoder, optimizer: Optimizer, session: Session, held_out: np.ndarray) -> None:
    """Minimize (1/N) Σ ‖x - g(f(x))‖² over the batches.

    Args:
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


@no_grad()
def autoencoder_error(model: DenseAutoencoder, images: np.ndarray) -> float:
    """The mean over the images of ‖x - g(f(x))‖²."""
    model.eval()
    x = Tensor(images, device=next(model.parameters()).device)
    return squared_error(model(x), x).item()
