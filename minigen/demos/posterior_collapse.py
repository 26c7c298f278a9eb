"""Posterior collapse: a VAE whose codes say nothing of their images, wholly or in part, and cures of the loss.

Writing something into a dimension of z costs KL(q(zⱼ|x) ‖ N(0, 1)), and early in training, when the decoder cannot read
it yet, it gains nothing. So q(zⱼ|x) falls back onto the prior, the decoder learns to do without, and the dimension is
lost (Bowman et al. 2016, arXiv 1511.06349).

- A mean over the pixels in place of their sum makes the KL term 64 times as heavy without a word: β is 64. All is lost.
- With the sum, two dimensions of sixteen are kept: the decoder's own σ starts at 1, far above the spread of the pixels,
  so that they have little to say at first against the KL term. What is lost then hardly comes back when σ has shrunk.
- Let the KL term in slowly (`linear_annealing`): the decoder learns to read z before z has to be cheap.
- Let each dimension have some nats for nothing (`free_bits`, Kingma et al. 2016, arXiv 1606.04934).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigen import nn
from minigen.autograd import no_grad
from minigen.data import ArrayDataset, DataLoader, load_digits
from minigen.demos.deep_classifier import seeded
from minigen.losses import free_bits, kl_per_dimension, linear_annealing, negative_elbo, reparametrize
from minigen.models import DenseVAE
from minigen.optim import Adam
from minigen.random import Generator
from minigen.tensor import Tensor
from minigen.training.vae import vae_terms

NAME = "posterior-collapse"
DESCRIPTION = "a VAE that writes nothing into its codes, and cures of its loss"

EPOCHS, BATCH, LR = 60, 64, 2e-3
LATENT_DIM = 16
PIXELS = 64
FREE = 0.5  # nats of each dimension
SHOWN = 10  # digits in a row


class Trial(NamedTuple):
    """What came of one loss, on held-out digits, in nats."""

    nll: float
    kl: np.ndarray  # (16,), of each dimension
    active: int
    originals: np.ndarray  # (10, 1, 8, 8)
    reconstructions: np.ndarray
    samples: np.ndarray
    error: float  # ‖x - x̂‖², the mean over all held-out digits

    @property
    def elbo(self) -> float:
        """The bound of log p(x), with β = 1 and no free bits, whatever was trained."""
        return -(self.nll + float(self.kl.sum()))


def train(
    weight: Callable[[int], float] = lambda step: 1.0, free: float = 0.0, per_pixel: bool = False, epochs: int = EPOCHS
) -> Trial:
    """Train a VAE of two hidden layers on digits, with Gaussian pixels whose one σ is learnt, from 1.

    Args:
        weight: of the KL term, by the number of steps done.
        free: nats of each dimension that cost nothing.
        per_pixel: the mistake: a mean over the pixels.
        epochs: how long.
    """
    with seeded(0):
        model = DenseVAE((1, 8, 8), hidden=(200, 200), latent_dim=LATENT_DIM, likelihood="gaussian")
    nn.init.zeros_(dict(model.named_parameters())["pixel_logvar"])  # log σ²
    noise, optimizer = Generator(0), Adam(model.parameters(), lr=LR)
    digits = ArrayDataset(load_digits("train")[0])
    loader = DataLoader(digits, BATCH, shuffle=True, drop_last=True, generator=Generator(0).spawn(1))
    step = 0
    for _ in range(epochs):
        for (images,) in loader:
            x = Tensor(images)
            mu, logvar = model.encode(x)
            z = reparametrize(mu, logvar, Tensor(noise.normal(mu.shape)))
            nll = model.nll(model.decode(z), x)
            if per_pixel:
                nll = nll / PIXELS
            loss = negative_elbo(nll, free_bits(kl_per_dimension(mu, logvar), free), weight(step))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
    return _measure(model)


@no_grad()
def _measure(model: DenseVAE) -> Trial:
    images, labels = load_digits("test")
    terms = vae_terms(model, images)
    drawn = model.image(model.decode(model.encode(Tensor(images))[0])).numpy().clip(0, 1)
    samples = model.image(model.decode(Tensor(Generator(1).normal((SHOWN, LATENT_DIM))))).numpy().clip(0, 1)
    chosen = [int(np.flatnonzero(labels == digit)[0]) for digit in range(SHOWN)]
    error = float(((images - drawn) ** 2).sum(axis=(1, 2, 3)).mean())
    return Trial(terms.nll, terms.kl_per_dimension, terms.active_units, images[chosen], drawn[chosen], samples, error)


def compare(epochs: int = EPOCHS) -> dict[str, Trial]:
    """Train the four, from the same weights and on the same batches: two that fail and two that are cured."""
    warmup = epochs // 2 * (len(load_digits("train")[0]) // BATCH)
    return {
        "a mean over the pixels: β is 64": train(per_pixel=True, epochs=epochs),
        "a sum over the pixels: β is 1": train(epochs=epochs),
        "the KL term let in slowly": train(lambda step: linear_annealing(step, warmup), epochs=epochs),
        f"{FREE} nats of each dimension free": train(free=FREE, epochs=epochs),
    }


def run(out: Path, quiet: bool = False, epochs: int = EPOCHS) -> Path:
    """Train the four, and draw what their codes hold.

    Args:
        out: the picture (.png)
        quiet: say nothing on the way
        epochs: of each

    Returns:
        `out`
    """
    if not quiet:
        print(f"Four VAEs of {epochs} epochs each: half a minute.", flush=True)
    save_codes(out, compare(epochs))
    return out


def save_codes(path: Path, trials: dict[str, Trial]) -> None:
    """Write the picture: of each trial the KL of its dimensions, and digits, what comes back of them, and samples."""
    from minigen.viz.figure import COLORS, new_figure, save_figure, tidy
    from minigen.viz.grid import image_grid

    figure = new_figure(4.6 * len(trials), 5.4)
    counts = [trial.active for trial in trials.values()]
    figure.suptitle(
        f"Of {LATENT_DIM} dimensions of z, {counts[0]} and {counts[1]} say something of the image where the KL term weighs "
        f"in full from the start; {counts[2]} where it is let in slowly, {counts[3]} with free bits.",
        fontsize=12,
    )
    highest = max(float(trial.kl.max()) for trial in trials.values())
    colors = (COLORS[1], COLORS[1], COLORS[0], COLORS[0])
    for column, (color, (title, trial)) in enumerate(zip(colors, trials.items())):
        bars, pictures = (figure.add_subplot(2, len(trials), column + 1 + row * len(trials)) for row in (0, 1))
        bars.bar(range(1, LATENT_DIM + 1), sorted(trial.kl, reverse=True), color=color)
        bars.set(
            xlim=(0.3, LATENT_DIM + 0.7),
            ylim=(0, 1.05 * highest),
            xlabel="dimension of z, in falling order",
            ylabel="KL, nats",
        )
        bars.set_title(
            f"{title}\nKL {trial.kl.sum():.2f} nats in {trial.active} dimensions, ELBO {trial.elbo:.2f}", fontsize=10
        )
        tidy(bars)
        rows = np.concatenate([trial.originals, trial.reconstructions, trial.samples])
        pictures.imshow(image_grid(rows, SHOWN), cmap="gray", vmin=0, vmax=255)
        pictures.set_yticks([4.5, 13.5, 22.5], ["digit", "back from z", "sample"], fontsize=8)
        pictures.set_xticks([])
        pictures.set_xlabel(f"squared error of what comes back {trial.error:.2f}", fontsize=9)
        pictures.tick_params(length=0)
        pictures.spines[:].set_visible(False)
    save_figure(path, figure)
