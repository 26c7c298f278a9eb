"""The settings that the kernels take from the environment."""

from __future__ import annotations

import os


class WrongSetting(RuntimeError):
    """A setting of the environment that cannot be. No ValueError, by which kernels refuse their arguments."""


def threads_asked_for() -> int | None:
    """MINIGEN_NUM_THREADS, or None where it is not set or empty.

    Raises WrongSetting if it is not a whole number of at least 1.
    """
    text = os.environ.get("MINIGEN_NUM_THREADS")
    if not text:
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise WrongSetting(
            f"MINIGEN_NUM_THREADS={text!r}: it must be a whole number of threads of at least 1, such as 2."
        )
    return int(text)
