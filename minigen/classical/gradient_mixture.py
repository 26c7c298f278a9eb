"""The same mixture of Gaussians, fitted by gradient ascent with minigen's own engine, to be compared with EM.

EM's step is a gradient step too, times a matrix that it gets for nothing (Xu & Jordan 1996); here there is none, so a
rate has to be chosen, and more steps are needed. In return any part of the data will do for a step, and the mixture can
stand inside a larger model.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import nn
from minigen.classical._samples import count, samples
from minigen.classical.covariance import LOG_2PI
from minigen.classical.em import MixtureParameters
from minigen.errors import ShapeError, TrainingError
from minigen.functional import exp, log_softmax, logsumexp, matmul, square, unsqueeze
from minigen.optim import Optimizer
from minigen.random import Generator, pick
from minigen.tensor import Tensor


class GradientMixture(nn.Module):
    """ln p(x) = ln Σₖ πₖ N(x; μₖ, Σₖ) as a module, whose parameters are free of constraints:

    - π = softmax(logits);
    - Σₖ⁻¹ = AₖAₖᵀ, Aₖ lower triangular with positive diagonal: `factors` holds Aₖ, with the logarithms of its diagonal
      on the diagonal; or, for ``diag`` and ``spherical``, only these logarithms, which are -ln σ.

    So ln N(x; μ, Σ) = -½(D ln 2π + ‖Aᵀ(x - μ)‖²) + ln det A, without an inverse or a determinant to differentiate. The
    covariances are not kept from below: on singular data the likelihood rises as long as there are steps.

    Args:
        start: the parameters to begin with, such as ``maximization(x, kmeans_responsibilities(x, K, generator))``.

    Shapes:
        logits (K,), means (K, D); factors (K, D, D) full, (1, D, D) tied, (K, D) diag, (K, 1) spherical. All float64.

    >>> import minigen
    >>> from minigen.classical import kmeans_responsibilities, maximization
    >>> x = Generator(0).normal((50, 2))
    >>> start = maximization(x, kmeans_responsibilities(x, 2, Generator(1)))
    >>> model = GradientMixture(start)
    >>> bool(np.allclose(model.mixture_parameters().means, start.means)), model(minigen.tensor(x, "float64")).shape
    (True, (50,))
    """

    def __init__(self, start: MixtureParameters) -> None:
        super().__init__()
        self.covariance_type = start.covariance_type
        self.logits = nn.Parameter(np.log(np.maximum(start.weights, 1e-12)))
        self.means = nn.Parameter(start.means.copy())
        self.factors = nn.Parameter(_factors(start))
        if self._triangular:
            d = start.n_features
            self.register_buffer("below", Tensor(np.tri(d, k=-1)), persistent=False)
            self.register_buffer("diagonal", Tensor(np.eye(d)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """ln p(x) of each row of `x`, (N, D) float64: (N,)."""
        d = self.means.shape[1]
        centred = unsqueeze(x, 0) - unsqueeze(self.means, 1)  # (K, N, D)
        if self._triangular:
            z = matmul(centred, self._lower())  # row n of it is (Aᵀ(xₙ - μₖ))ᵀ
            log_det = (self.factors * self.diagonal).sum((1, 2))  # (K,) or (1,)
        else:
            z = centred * exp(unsqueeze(self.factors, 1))
            log_det = self.factors.sum(1) * (d / self.factors.shape[1])
        log_component = unsqueeze(log_det, 1) - 0.5 * (d * LOG_2PI + square(z).sum(2))  # (K, N)
        return logsumexp(unsqueeze(log_softmax(self.logits, 0), 1) + log_component, 0)

    def mixture_parameters(self) -> MixtureParameters:
        """Where it stands, for `GaussianMixture.from_parameters`."""
        logits = self.logits.numpy()
        weights = np.exp(logits - logits.max())
        if self._triangular:
            inverse = np.linalg.inv(self._lower().detach().numpy())  # Σ = A⁻ᵀA⁻¹
            covariances = np.swapaxes(inverse, 1, 2) @ inverse
            covariances = covariances[0] if self.covariance_type == "tied" else covariances
        else:
            covariances = np.exp(-2 * self.factors.numpy())
            covariances = covariances[:, 0] if self.covariance_type == "spherical" else covariances
        return MixtureParameters(weights / weights.sum(), self.means.numpy().copy(), covariances, self.covariance_type)

    @property
    def _triangular(self) -> bool:
        return self.covariance_type in ("full", "tied")

    def _lower(self) -> Tensor:
        """A, from its entries below the diagonal and the logarithms of those on it."""
        return self.factors * self.below + exp(self.factors * self.diagonal) * self.diagonal


def fit_by_gradient(
    model: GradientMixture,
    x: Any,
    optimizer: Optimizer,
    steps: int,
    batch_size: int | None = None,
    generator: Generator | None = None,
) -> list[float]:
    """Raise the mean log-likelihood of `x` by gradient steps.

    Args:
        model: changed in place.
        x: (n, D).
        optimizer: of the model's parameters: `SGD` for gradient ascent as it is in books, or `Adam`.
        steps: how many.
        batch_size: samples for a step, drawn anew each time without repetition: stochastic gradient; all of them unless
            given.
        generator: where the batches come from (the default one unless given).

    Returns:
        The mean log-likelihood of the samples of each step, before it.

    Raises:
        UserError: NaN or a wrong shape.
        TrainingError: the likelihood is not finite any more, because the learning rate is too high.

    >>> import minigen
    >>> from minigen.classical import kmeans_responsibilities, maximization
    >>> x = Generator(0).normal((100, 2))
    >>> model = GradientMixture(maximization(x, kmeans_responsibilities(x, 2, Generator(1))))
    >>> climb = fit_by_gradient(model, x, minigen.optim.Adam(model.parameters(), lr=0.01), steps=20)
    >>> climb[-1] > climb[0]
    True
    """
    data, random = samples(x, "fit_by_gradient"), pick(generator)
    if data.shape[1] != model.means.shape[1]:
        raise ShapeError(f"fit_by_gradient: the mixture has {model.means.shape[1]} features, and x {data.shape[1]}.")
    if batch_size is not None and count(batch_size, "batch_size", "fit_by_gradient") > len(data):
        raise ShapeError(f"fit_by_gradient: {len(data)} samples give no batch of {batch_size}.")
    climb = []
    for step in range(count(steps, "steps", "fit_by_gradient", least=0)):
        batch = data if batch_size is None else data[random.permutation(len(data))[:batch_size]]
        with np.errstate(over="ignore", invalid="ignore"):  # answered in a sentence instead
            loss = -model(Tensor(batch, device=model.means.device)).mean()
            climb.append(-loss.item())
            if not np.isfinite(climb[-1]):
                raise TrainingError(f"The likelihood is {climb[-1]} at step {step}: lower the learning rate.")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return climb


def _factors(start: MixtureParameters) -> np.ndarray:
    """`GradientMixture.factors` for these parameters."""
    if start.covariance_type == "diag":
        return -0.5 * np.log(start.covariances)
    if start.covariance_type == "spherical":
        return -0.5 * np.log(start.covariances)[:, None]
    roots = start.roots()[:1] if start.covariance_type == "tied" else start.roots()
    # Σ⁻¹ = AAᵀ with A lower triangular: Σ⁻¹ = L⁻ᵀL⁻¹ has L⁻ᵀ upper, so factor the inverse itself.
    inverse = np.linalg.inv(np.stack(roots))
    a = np.linalg.cholesky(np.swapaxes(inverse, 1, 2) @ inverse)
    at = np.arange(start.n_features)
    a[:, at, at] = np.log(a[:, at, at])
    return a
