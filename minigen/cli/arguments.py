"""Kinds of values on the command line, each refused in words that say what it should have been."""

from __future__ import annotations

import argparse
import math


def positive_integer(text: str) -> int:
    """1, 2, 3, …"""
    return _integer(text, 1)


def natural_number(text: str) -> int:
    """0, 1, 2, …"""
    return _integer(text, 0)


def positive_number(text: str) -> float:
    """A finite number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a positive number, not {text!r}")
    return value


def non_negative_number(text: str) -> float:
    """A finite number, 0 or above."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be 0 or a positive number, not {text!r}")
    return value


def _integer(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(f"must be an integer of at least {least}, not {text!r}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
