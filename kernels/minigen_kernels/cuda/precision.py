"""How exactly float32 products and convolutions are computed on CUDA: the choice, and whether an array's device can have it.

    ieee    in float32 throughout, the default
    tf32    factors rounded to TF32, 10 bits of fraction instead of 23, and multiplied by tensor cores; sums in float32

Where tensor cores have nothing to gain, the kernels of `ieee` run in either case (see `tensor_cores.fits`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

CHOICES = ("ieee", "tf32")
OLDEST = (8, 0)  # the oldest architecture that has TF32 and copies that go on by themselves
_chosen = "ieee"


def choose(name: str) -> None:
    """Computes in one of `CHOICES` from now on. The choice is the whole process's."""
    global _chosen
    _chosen = name


def chosen() -> str:
    """The choice that holds."""
    return _chosen


def in_tf32(array: Any) -> bool:
    """Whether products of this array are to be computed in TF32: it is chosen, and its dtype and its device have it.

    The simulator has it, and no GPU older than sm_80.
    """
    if _chosen == "ieee" or array.dtype != np.float32:
        return False
    from .running import SIMULATED, place  # it needs Numba, which naming the choice does not

    where = place(array)
    return where is None or where == SIMULATED or _capability(where[0]) >= OLDEST


@lru_cache
def _capability(number: int) -> tuple[int, int]:
    """The architecture of a GPU, such as (9, 0)."""
    from cuda.core import Device

    found = Device(number).compute_capability
    return found.major, found.minor
