"""The settings that the kernels take from the environment."""

from __future__ import annotations

import os

MOST_THREADS = 1024  # more than processors have; they take two seconds to begin, some tens of thousands minutes


class WrongSetting(RuntimeError):
    """A setting of the environment that cannot be. No ValueError, by which kernels refuse their arguments."""


def threads_asked_for() -> int | None:
    """MINIGEN_NUM_THREADS, or None where it is not set or empty.

    Raises WrongSetting if it is not a whole number from 1 to MOST_THREADS.
    """
    text = os.environ.get("MINIGEN_NUM_THREADS")
    if not text:
        return None
    if not text.strip().isdecimal() or not 1 <= int(text) <= MOST_THREADS:
        raise WrongSetting(
            f"MINIGEN_NUM_THREADS={text!r}: it must be a whole number of threads from 1 to {MOST_THREADS}, such as 2."
        )
    return int(text)
