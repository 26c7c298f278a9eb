"""Spectral normalization: a weight divided by its largest singular value (Miyato et al. 2018, arXiv 1802.05957)."""

from __future__ import annotations

from typing import Any

from minigen import functional as F
from minigen.autograd.modes import no_grad
from minigen.errors import UserError
from minigen.nn.convolution import ConvTranspose2d
from minigen.nn.module import Module
from minigen.random import Generator, default_generator
from minigen.tensor import Tensor


class SpectralNorm:
    """The hook that computes W/σ(W) before every forward pass of a module.

    W is the weight as a matrix with axis `dim` for its rows. In training, each pass improves estimates of the singular
    vectors u and v of the largest singular value by power iteration,

        v ← Wᵀu/‖Wᵀu‖,   u ← Wv/‖Wv‖,   σ = uᵀWv.

    u and v count as constants in derivatives, of every order, which makes dσ/dW = uvᵀ: exact when they have converged.
    """

    def __init__(self, name: str, n_power_iterations: int, eps: float, dim: int) -> None:
        self.name, self.n_power_iterations, self.eps, self.dim = name, n_power_iterations, eps, dim

    def __call__(self, module: Module, inputs: tuple[Any, ...]) -> None:
        if module.training:
            self.iterate(module, self.n_power_iterations)
        setattr(module, self.name, self.normalized(module))

    def iterate(self, module: Module, times: int) -> None:
        """Improve u and v, in place."""
        u, v = self.vectors(module)
        with no_grad():
            matrix = self.matrix(module)
            for _ in range(times):
                v.copy_(self.unit(F.matmul(u, matrix)))
                u.copy_(self.unit(F.matmul(matrix, v)))

    def normalized(self, module: Module) -> Tensor:
        """W/σ(W), in the graph."""
        u, v = (vector.clone() for vector in self.vectors(module))  # a later pass must not change what this one saved
        sigma = F.dot(u, F.matmul(self.matrix(module), v))
        return getattr(module, f"{self.name}_orig") / sigma

    def matrix(self, module: Module) -> Tensor:
        """The weight as a matrix (rows, everything else)."""
        weight = getattr(module, f"{self.name}_orig")
        axes = [self.dim, *(axis for axis in range(weight.ndim) if axis != self.dim)]
        return F.reshape(F.permute(weight, axes), (weight.shape[self.dim], -1))

    def vectors(self, module: Module) -> tuple[Tensor, Tensor]:
        """u (rows,) and v (columns,)."""
        return getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")

    def unit(self, vector: Tensor) -> Tensor:
        """The vector divided by its length, or by eps if that is larger."""
        return vector / F.clip(F.norm(vector), min=self.eps)


def spectral_norm(
    module: Module,
    name: str = "weight",
    n_power_iterations: int = 1,
    eps: float = 1e-12,
    dim: int | None = None,
    generator: Generator | None = None,
) -> Any:
    """Make a layer 1-Lipschitz by dividing its weight by the weight's largest singular value, before every pass.

    As `torch.nn.utils.spectral_norm`: the parameter becomes `weight_orig`, beside it lie the buffers `weight_u` and
    `weight_v`, and `weight` is computed anew before each forward pass (Miyato et al. 2018, arXiv 1802.05957).

    Args:
        module: the layer, which is changed and returned.
        name: of the parameter.
        n_power_iterations: power iterations in each training pass. At the start there are 15, so that σ is nearly
            exact before training, too.
        eps: the least length that a vector is divided by.
        dim: the axis of the rows; 0, or 1 for a transposed convolution, unless given.
        generator: where the starting u and v come from; the default generator unless given.

    Raises:
        UserError: there is no such parameter, or it is normalized already.

    >>> import minigen
    >>> from minigen import nn
    >>> layer = nn.utils.spectral_norm(nn.Linear(8, 4))
    >>> list(layer.state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    weight = module._parameters.get(name)
    if f"{name}_orig" in module._parameters:
        raise UserError(f"spectral_norm: {name!r} of this {type(module).__name__} is normalized already.")
    if weight is None:
        raise UserError(f"spectral_norm: {type(module).__name__} has no parameter {name!r}.")
    if n_power_iterations < 1:
        raise UserError(f"spectral_norm: n_power_iterations={n_power_iterations} must be at least 1.")
    if dim is None:
        dim = 1 if isinstance(module, ConvTranspose2d) else 0
    hook = SpectralNorm(name, n_power_iterations, eps, dim)
    delattr(module, name)
    module.register_parameter(f"{name}_orig", weight)
    random = generator or default_generator
    for suffix, size in zip("uv", hook.matrix(module).shape):
        start = Tensor(random.normal((size,), dtype=weight.dtype), device=weight.device)
        module.register_buffer(f"{name}_{suffix}", hook.unit(start))
    hook.iterate(module, 15)
    setattr(module, name, hook.normalized(module).detach())
    module.register_forward_pre_hook(hook)
    return module
