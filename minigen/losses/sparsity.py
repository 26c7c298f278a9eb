"""Sparsity: few units of a code active at a time, so that a code wider than the image still has to choose.

Both are a sum over the units of the code, and a mean over the batch.
"""

from __future__ import annotations

import math

from minigen.errors import ShapeError, UserError
from minigen.functional import abs, logsumexp, norm, softplus
from minigen.tensor import Tensor


def kl_sparsity(logits: Tensor, rho: float) -> Tensor:
    """Σⱼ KL(ρ ‖ ρ̂ⱼ) = Σⱼ ρ log ρ/ρ̂ⱼ + (1 - ρ) log (1 - ρ)/(1 - ρ̂ⱼ), ρ̂ⱼ = (1/N) Σₙ σ(aₙⱼ) (Ng 2011, CS294A notes).

    The code is h = σ(a). Each unit is to be on for a share ρ of the images: the mean is over the batch, so that a unit
    may be wholly on for the few it stands for. It needs a batch: with one image it is that image's code that is
    drawn to ρ. From logits: log ρ̂ⱼ = log Σₙ e^(log σ(aₙⱼ)) - log N has a gradient even where σ has none left.

    Args:
        logits: a, the code before its sigmoid, (N, J).
        rho: the share that each unit is to be on, above 0 and below 1.

    Raises:
        ShapeError: not (N, J) with N of at least 1.
        UserError: a rho that is no share.

    >>> import minigen
    >>> kl_sparsity(minigen.zeros(4, 3), rho=0.5).item()  # every unit is on half the time
    0.0
    """
    _check_code("kl_sparsity", logits)
    if not 0 < rho < 1:
        raise UserError(
            f"kl_sparsity: rho is the share of the images a unit is on for, above 0 and below 1, not {rho}."
        )
    n, units = logits.shape
    log_on = logsumexp(-softplus(-logits), 0) - math.log(n)  # log ρ̂ⱼ, (J,)
    log_off = logsumexp(-softplus(logits), 0) - math.log(n)  # log(1 - ρ̂ⱼ)
    entropy = rho * math.log(rho) + (1 - rho) * math.log(1 - rho)
    return entropy * units - (rho * log_on + (1 - rho) * log_off).sum()


def l1_sparsity(code: Tensor, columns: Tensor | None = None) -> Tensor:
    """(1/N) Σₙ Σⱼ |hₙⱼ|·‖wⱼ‖, the convex stand-in for the number of active units.

    |h| alone can be made as small as one likes by a decoder whose weights grow by as much. Times the length of the
    column wⱼ that the decoder gives the unit, only a real loss of activity counts.

    Args:
        code: h, (N, J).
        columns: the weight of the decoder's first layer, (features, J); all wⱼ have length 1 unless given.

    Raises:
        ShapeError: a code that is not (N, J) with N of at least 1, or columns that are not J.

    >>> import minigen
    >>> code = minigen.tensor([[1.0, -2.0], [0.0, 1.0]])
    >>> l1_sparsity(code).item(), l1_sparsity(code / 2, minigen.tensor([[2.0, 0.0], [0.0, 2.0]])).item()
    (2.0, 2.0)
    """
    _check_code("l1_sparsity", code)
    if columns is None:
        return abs(code).sum() / code.shape[0]
    if columns.ndim != 2 or columns.shape[1] != code.shape[1]:
        raise ShapeError(f"l1_sparsity: {code.shape[1]} units need as many columns, not a weight of {columns.shape}.")
    return (abs(code) * norm(columns, dim=0)).sum() / code.shape[0]


def _check_code(name: str, code: Tensor) -> None:
    if code.ndim != 2 or code.shape[0] == 0:
        raise ShapeError(f"{name}: a code has the shape (N, units) with N of at least 1, not {code.shape}.")
