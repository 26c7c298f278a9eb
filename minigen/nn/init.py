"""Starting values for parameters. Each function fills a tensor in place and returns it.

Random ones draw from `generator`, or from the default generator (`minigen.manual_seed`) when none is given.

The *fan* of a weight is how many numbers one output sums over (fan_in), or how many outputs one input reaches
(fan_out). A weight (out, in, *kernel) has fan_in = in·|kernel| and fan_out = out·|kernel|.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigen.autograd.modes import no_grad
from minigen.errors import ShapeError, UserError
from minigen.random import Generator, default_generator
from minigen.tensor import Tensor


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform on [a, b)."""
    return _fill(tensor, (generator or default_generator).uniform(tensor.shape, a, b, tensor.dtype))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Gaussian with the given mean and standard deviation."""
    return _fill(tensor, (generator or default_generator).normal(tensor.shape, mean, std, tensor.dtype))


def constant_(tensor: Tensor, val: float) -> Tensor:
    """The same value everywhere."""
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros."""
    return _fill(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    """Ones."""
    return _fill(tensor, 1)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform on [-a, a), a = gain·√(6/(fan_in + fan_out)): equal variance forwards and backwards (Glorot & Bengio 2010)."""
    bound = gain * math.sqrt(6 / _nonzero(sum(_calculate_fan_in_and_fan_out(tensor))))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Gaussian with standard deviation gain·√(2/(fan_in + fan_out)) (Glorot & Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / _nonzero(sum(_calculate_fan_in_and_fan_out(tensor)))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform on [-b, b), b = gain·√(3/fan): the variance survives the nonlinearity (He et al. 2015, arXiv 1502.01852).

    Args:
        tensor: a weight of at least two axes.
        a: the negative slope, for ``'leaky_relu'``.
        mode: ``'fan_in'`` keeps the variance of what goes forwards, ``'fan_out'`` of the gradient.
        nonlinearity: what follows the layer, as for `calculate_gain`.
        generator: where the numbers come from.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Gaussian with standard deviation gain/√fan; arguments as for `kaiming_uniform_`.

    He et al. 2015, arXiv 1502.01852.
    """
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """gain·Q, with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014).

    Q is the first factor of the QR decomposition of a Gaussian matrix, with the signs of R's diagonal, so that it is
    uniform among such matrices (Mezzadri 2007). Axes after the first are taken as columns.
    """
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_: needs a tensor of at least two axes, not shape {tensor.shape}.")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    gaussian = (generator or default_generator).normal((max(rows, columns), min(rows, columns)), dtype=np.float64)
    q, r = np.linalg.qr(gaussian)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return _fill(tensor, (gain * (q if rows >= columns else q.T)).reshape(tensor.shape))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights must be larger for the variance to survive a nonlinearity.

    1 for linear, convolutions and sigmoid; 5/3 for tanh; √2 for relu; √(2/(1 + slope²)) for leaky_relu, with `param`
    as its slope (0.01 unless given); 3/4 for selu.
    """
    gains = {"sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
    slope = 0.01 if param is None else param
    gains["leaky_relu"] = math.sqrt(2 / (1 + slope**2))
    gains |= dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d"), 1.0)
    gains |= dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0)
    if nonlinearity not in gains:
        raise UserError(f"calculate_gain: {nonlinearity!r} is not known; choose from {', '.join(gains)}.")
    return gains[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ShapeError(f"The fans of a tensor need at least two axes (out, in, ...), not shape {tensor.shape}.")
    kernel = math.prod(tensor.shape[2:])
    return tensor.shape[1] * kernel, tensor.shape[0] * kernel


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = dict(zip(("fan_in", "fan_out"), _calculate_fan_in_and_fan_out(tensor)))
    if mode not in fans:
        raise UserError(f"kaiming initialization: mode must be 'fan_in' or 'fan_out', not {mode!r}.")
    return calculate_gain(nonlinearity, a) / math.sqrt(_nonzero(fans[mode]))


def _nonzero(fan: int) -> int:
    """A fan to divide by; that of a weight without elements, for which nothing will be drawn, is 0."""
    return max(fan, 1)


def _fill(tensor: Tensor, values: Any) -> Tensor:
    with no_grad():
        return tensor.copy_(values)
