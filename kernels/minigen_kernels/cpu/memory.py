"""Freed memory kept for the arrays to come.

A training step makes and drops the same arrays again and again. The C library returns large pieces to the operating
system when they are freed, and each new one is then paid for page by page: a fifth of the time of a small network.
"""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h of the GNU C library
LARGEST_KEPT = 32 * 2**20  # bytes, the most that the library takes for the second
MOST_KEPT = 2**30  # bytes left lying at the end of the heap


def keep_freed_memory() -> bool:
    """Ask the C library to keep what is freed, for the rest of this process. False where it has no such setting."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):  # another C library, such as musl
        return False
    return bool(library.mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT)) and bool(library.mallopt(M_TRIM_THRESHOLD, MOST_KEPT))
