"""How exactly the devices `cuda` and `cudasim` multiply float32: in float32, or in TF32 on tensor cores."""

from __future__ import annotations

from minigen_kernels.cuda.precision import CHOICES, choose, chosen

from minigen.errors import unknown_name


def set_float32_precision(precision: str) -> None:
    """Chooses how products of matrices and convolutions of float32 are computed on `cuda` and `cudasim` from now on.

    The choice is the whole process's, and holds for gradients of every order as well. The CPU, other dtypes and other
    operations never change. A captured step (`minigen.cuda.graph`) is captured once more for the other choice. With 'tf32',
    too, float32 is multiplied as such where tensor cores have nothing to gain (fewer than 16 output channels in a group,
    say), and on GPUs before sm_80.

    Args:
        precision: 'ieee', the default: float32 throughout. 'tf32': each factor is rounded to TF32, which has
            float32's range and 10 bits of fraction, so that it is off by up to 2^-11 of itself, one part in 2048;
            products are exact, and sums are in float32.

    Raises:
        UserError: another word.

    >>> set_float32_precision("tf32")
    >>> get_float32_precision()
    'tf32'
    >>> set_float32_precision("ieee")
    """
    if precision not in CHOICES:
        raise unknown_name("float32 precision", precision, CHOICES)
    choose(precision)


def get_float32_precision() -> str:
    """The choice of `set_float32_precision` that holds: 'ieee' or 'tf32'.

    >>> get_float32_precision()
    'ieee'
    """
    return chosen()
