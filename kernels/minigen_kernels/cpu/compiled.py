"""The decorator of every kernel that Numba compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Numba's `njit` without the interpreter's lock, the result kept on the disk for later processes.

    Where no folder for it can be written, every process compiles anew.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # Numba found no place for its cache
            return njit(nogil=True, **options)(function)

    return decorate
