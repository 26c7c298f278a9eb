"""A mixture of Gaussians as a module, so that a checkpoint keeps it like any other model."""

from __future__ import annotations

import numpy as np

from minigen import nn
from minigen.classical import MixtureParameters
from minigen.classical.em import component_log_prob
from minigen.tensor import Tensor


class MixtureModel(nn.Module):
    """p(x) = Σₖ πₖ N(x; μₖ, Σₖ), its parameters held as buffers: EM sets them, no gradient does.

    Args:
        n_components: K.
        n_features: D.
        covariance_type: ``full``, ``tied``, ``diag`` or ``spherical``.

    Shapes:
        weights (K,), means (K, D), covariances (K, D, D), (D, D), (K, D) or (K,); float64. At first all components are
        N(0, I).

    >>> import minigen
    >>> MixtureModel(3, 2, "diag").covariances.shape
    (3, 2)
    """

    def __init__(self, n_components: int, n_features: int, covariance_type: str = "full") -> None:
        super().__init__()
        self.covariance_type = covariance_type
        eye = np.eye(n_features)
        covariances = {
            "full": np.tile(eye, (n_components, 1, 1)),
            "tied": eye,
            "diag": np.ones((n_components, n_features)),
            "spherical": np.ones(n_components),
        }[covariance_type]
        self.register_buffer("weights", Tensor(np.full(n_components, 1 / n_components)))
        self.register_buffer("means", Tensor(np.zeros((n_components, n_features))))
        self.register_buffer("covariances", Tensor(covariances))

    def mixture_parameters(self) -> MixtureParameters:
        """Where it stands."""
        arrays = (self.weights.cpu().numpy(), self.means.cpu().numpy(), self.covariances.cpu().numpy())
        return MixtureParameters(*arrays, self.covariance_type)

    def set_parameters(self, parameters: MixtureParameters) -> None:
        """Be this mixture from now on."""
        for name in ("weights", "means", "covariances"):
            getattr(self, name).data = self.weights.device.asarray(getattr(parameters, name))

    def forward(self, x: Tensor) -> Tensor:
        """ln N(xₙ; μₖ, Σₖ) of rows x (N, D): (N, K)."""
        return Tensor(component_log_prob(x.cpu().numpy(), self.mixture_parameters()), device=self.weights.device)
