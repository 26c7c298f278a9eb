"""The variational autoencoders: dense and convolutional networks for q(z|x) and p(x|z)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minigen import nn
from minigen.errors import UserError, unknown_name
from minigen.functional import sigmoid
from minigen.losses.reconstruction import bernoulli_nll, gaussian_nll
from minigen.losses.variational import reparametrize
from minigen.models.stacks import dense_stack, halving_stacks
from minigen.tensor import Tensor

LIKELIHOODS = ("bernoulli", "gaussian")


class VAE(nn.Module):
    """What the networks share: q(z|x) = N(μ(x), σ²(x)), and one number a pixel from the decoder, which fixes p(x|z).

    Args:
        encoder: images (N, C, H, W) to features (N, features).
        decoder: z (N, latent_dim) to (N, C, H, W).
        features: what μ and log σ² are linear in.
        latent_dim: size of z.
        likelihood: ``'bernoulli'``, where the decoder gives logits, or ``'gaussian'``, where it gives means.
        sigma: of the Gaussian likelihood, the same for all pixels; learnt, starting from e⁻¹, unless given. (From 1,
            far above the spread of pixels from 0 to 1, the KL term weighs so much at first that dimensions collapse.)

    Raises:
        UserError: a likelihood that there is not, or a sigma that is not positive or belongs to no Gaussian.

    >>> import minigen
    >>> model = DenseVAE((1, 8, 8), latent_dim=2)
    >>> mu, logvar = model.encode(minigen.zeros(3, 1, 8, 8))
    >>> mu.shape, logvar.shape, model.decode(mu).shape
    ((3, 2), (3, 2), (3, 1, 8, 8))
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        features: int,
        latent_dim: int,
        likelihood: str = "bernoulli",
        sigma: float | None = None,
    ) -> None:
        super().__init__()
        if likelihood not in LIKELIHOODS:
            raise unknown_name("likelihood", likelihood, LIKELIHOODS)
        if sigma is not None and (likelihood != "gaussian" or not 0 < sigma < math.inf):
            raise UserError(
                f"sigma is the positive standard deviation of the 'gaussian' likelihood; {sigma!r} with {likelihood!r} "
                "is none."
            )
        self.latent_dim, self.likelihood = latent_dim, likelihood
        self.encoder, self.decoder = encoder, decoder
        self.mu = nn.Linear(features, latent_dim)
        self.logvar = nn.Linear(features, latent_dim)
        if likelihood == "gaussian":
            self.pixel_logvar: Tensor | float = (
                nn.Parameter(np.full((), -2, np.float32)) if sigma is None else 2 * math.log(sigma)
            )

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) to μ and log σ², both (N, latent_dim)."""
        features = self.encoder(x)
        return self.mu(features), self.logvar(features)

    def decode(self, z: Tensor) -> Tensor:
        """z (N, latent_dim) to the logits or means of the pixels (N, C, H, W)."""
        return self.decoder(z)

    def forward(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits or means at z = μ + σ·noise, with μ and log σ². The noise is (N, latent_dim)."""
        mu, logvar = self.encode(x)
        return self.decode(reparametrize(mu, logvar, noise)), mu, logvar

    def nll(self, decoded: Tensor, x: Tensor, reduction: str = "mean") -> Tensor:
        """-log p(x|z) in nats: one number, or (N,).

        Args:
            decoded: what `decode` gave, (N, C, H, W).
            x: the images, of that shape.
            reduction: ``'mean'`` over the batch, or ``'none'``.
        """
        if self.likelihood == "bernoulli":
            return bernoulli_nll(decoded, x, reduction)
        return gaussian_nll(decoded, x, self.pixel_logvar, reduction)

    def image(self, decoded: Tensor) -> Tensor:
        """E[x|z], the image to show, from what `decode` gave."""
        return sigmoid(decoded) if self.likelihood == "bernoulli" else decoded


class DenseVAE(VAE):
    """Dense layers, ReLU between: 784–200–200–50 and back, say, as Burda et al. 2016 have it (with tanh) for 28×28.

    Without hidden layers and with the Gaussian likelihood it is probabilistic principal component analysis (Tipping &
    Bishop 1999), whose likelihood is known.

    Args:
        image_shape: (C, H, W), values from 0 to 1.
        hidden: widths of the hidden layers of the encoder; the decoder has them backwards.
        latent_dim, likelihood, sigma: as for `VAE`.

    >>> import minigen
    >>> DenseVAE((1, 28, 28), hidden=(200, 200), latent_dim=50).decode(minigen.zeros(2, 50)).shape
    (2, 1, 28, 28)
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 8, 8),
        hidden: Sequence[int] = (200, 200),
        latent_dim: int = 8,
        likelihood: str = "bernoulli",
        sigma: float | None = None,
    ) -> None:
        widths = [math.prod(image_shape), *hidden]
        encoder = nn.Sequential(nn.Flatten(), *dense_stack(widths))
        if hidden:
            encoder.append(nn.ReLU())  # what μ and log σ² are read from; without hidden layers, the pixels themselves
        back = [latent_dim, *reversed(hidden)]
        decoder = nn.Sequential(*dense_stack([*back, widths[0]]), nn.Unflatten(1, image_shape))
        super().__init__(encoder, decoder, widths[-1], latent_dim, likelihood, sigma)


class ConvVAE(VAE):
    """Convolutions that halve the image, and transposed ones that double it again, with a dense layer between.

    Twice, or more often until no side is above 8: 8×8 to 2×2, 28×28 to 7×7, 64×64 to 8×8. Channels double each time.

    Args:
        image_shape: (C, H, W), of any size; values from 0 to 1.
        width: channels of the first convolution.
        latent_dim, likelihood, sigma: as for `VAE`.

    >>> import minigen
    >>> model = ConvVAE((3, 17, 30), width=4, likelihood="gaussian")
    >>> decoded = model.decode(model.encode(minigen.zeros(2, 3, 17, 30))[0])
    >>> decoded.shape, model.nll(decoded, minigen.zeros(2, 3, 17, 30), reduction="none").shape
    ((2, 3, 17, 30), (2,))
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] = (1, 8, 8),
        width: int = 32,
        latent_dim: int = 8,
        likelihood: str = "bernoulli",
        sigma: float | None = None,
    ) -> None:
        down, up, corner = halving_stacks(image_shape, width)
        features, dense = math.prod(corner), 4 * width
        encoder = nn.Sequential(*down, nn.Flatten(), nn.Linear(features, dense), nn.ReLU())
        decoder = nn.Sequential(
            nn.Linear(latent_dim, dense), nn.ReLU(), nn.Linear(dense, features), nn.Unflatten(1, corner), *up
        )
        super().__init__(encoder, decoder, dense, latent_dim, likelihood, sigma)
