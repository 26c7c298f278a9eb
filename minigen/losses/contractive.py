"""The contractive penalty: a code that moves little when the image does (Rifai et al. 2011, ICML).

(1/N) Σₙ ‖∂f(xₙ)/∂x‖²_F, the Jacobian of the code by the pixels. It is itself made of first derivatives, so learning
by it takes second ones: the gradient inside is recorded (``create_graph=True``). The encoder must not mix samples,
as batch norm does.
"""

from __future__ import annotations

from collections.abc import Callable

from minigen.autograd import enable_grad, grad
from minigen.creation import randint
from minigen.errors import ShapeError, UserError
from minigen.functional import square
from minigen.random import Generator
from minigen.tensor import Tensor


def contractive_penalty(encoder: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """(1/N) Σₙ Σⱼ ‖∂hⱼ(xₙ)/∂x‖², exactly: one backward pass for each unit of the code.

    For one layer h = σ(Wx + b) it is (1/N) Σₙ Σⱼ (hₙⱼ(1 - hₙⱼ))² Σᵢ Wⱼᵢ²; here the encoder may be any network.

    Args:
        encoder: images (N, *) to codes (N, J).
        x: the images.

    >>> import minigen
    >>> contractive_penalty(lambda x: 3 * x, minigen.zeros(5, 2)).item()
    18.0
    """
    with enable_grad():
        leaf, code = _encoded(encoder, x)
        total = Tensor(0.0, dtype=code.dtype, device=code.device)
        for j in range(code.shape[1]):
            (row,) = grad(code[:, j].sum(), leaf, create_graph=True)  # ∂hⱼ/∂x of every image, (N, *)
            total = total + square(row).sum()
    return total / x.shape[0]


def contractive_penalty_estimate(
    encoder: Callable[[Tensor], Tensor], x: Tensor, generator: Generator, draws: int = 1
) -> Tensor:
    """An unbiased estimate of `contractive_penalty` for any width of the code: one backward pass a draw.

    E‖Jᵀv‖² = E vᵀJJᵀv = tr JJᵀ = ‖J‖²_F for v of independent signs ±1 (Hutchinson 1990), drawn anew for each image.

    Args:
        encoder, x: as for `contractive_penalty`.
        generator: where the signs come from.
        draws: the mean is over so many v.

    Raises:
        UserError: draws below 1.

    >>> import minigen
    >>> contractive_penalty_estimate(lambda x: 3 * x, minigen.zeros(5, 2), minigen.Generator(0)).item()
    18.0
    """
    if draws < 1:
        raise UserError(f"contractive_penalty_estimate: draws must be at least 1, not {draws}.")
    with enable_grad():
        leaf, code = _encoded(encoder, x)
        total = Tensor(0.0, dtype=code.dtype, device=code.device)
        for _ in range(draws):
            v = 2 * randint(0, 2, code.shape, generator, code.device).astype(code.dtype) - 1
            (product,) = grad(code, leaf, v, create_graph=True)  # Jᵀv of every image, (N, *)
            total = total + square(product).sum()
    return total / (draws * x.shape[0])


def _encoded(encoder: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """The images as a leaf to differentiate by, and their codes."""
    leaf = x.detach().requires_grad_()
    code = encoder(leaf)
    if code.ndim != 2 or code.shape[0] != x.shape[0] or code.shape[0] == 0:
        raise ShapeError(
            f"The contractive penalty takes an encoder from images (N, *) to codes (N, J), N of at least 1, and this one "
            f"makes {code.shape} of {x.shape}."
        )
    return leaf, code
