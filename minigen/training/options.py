"""The options of models: a key of a run's config.json, an argument of `minigen train MODEL`, and its line of help.

Each kind of value is a function from text to the value, which refuses in words that say what it should have been.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from minigen.errors import UserError, unknown_name


@dataclass(frozen=True)
class Option:
    """One setting of a model.

    Args:
        name: the key in config.json; on the command line, --name with dashes.
        default: its value where none is given; None where the setting is then not used.
        help: what it is, in a few words.
        kind: from the text of the command line to the value; `bool` for a switch (--name, --no-name).
        choices: the names it may have, when it is one of several.
        metavar: how the value is called in the help.
        unused_with: the name of another option, and its values with which this one changes nothing.

    >>> Option("beta", 1.0, "weight of the KL term", non_negative_number).value("0.5")
    0.5
    >>> Option("beta", 1.0, "weight of the KL term", non_negative_number).value(-1)
    Traceback (most recent call last):
    minigen.errors.UserError: --beta must be 0 or a positive number, not '-1'.
    """

    name: str
    default: Any
    help: str
    kind: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    metavar: str = "N"
    unused_with: tuple[str, tuple[Any, ...]] | None = None

    @property
    def flag(self) -> str:
        """``--batch-size`` for ``batch_size``."""
        return "--" + self.name.replace("_", "-")

    def value(self, given: Any) -> Any:
        """What was given, on the command line, in Python or in config.json, as a value of this kind.

        Raises:
            UserError: it is none.
        """
        if given is None and self.default is None:
            return None
        if self.kind is bool:
            if not isinstance(given, bool):
                raise UserError(f"{self.flag} must be true or false, not {given!r}.")
            return given
        if isinstance(given, dict):
            text = json.dumps(given)
        else:
            text = ",".join(map(str, given)) if isinstance(given, (list, tuple)) else str(given)
        if self.choices and text not in self.choices:
            raise unknown_name(f"value of {self.flag}", text, self.choices)
        try:
            return self.kind(text)
        except argparse.ArgumentTypeError as error:
            raise UserError(f"{self.flag} {error}.") from None

    def check_used(self, values: Mapping[str, Any], default: Any) -> None:
        """Refuse a value that changes nothing, being there for a setting that is not chosen.

        Raises:
            UserError: with what it would be of use for.
        """
        if self.unused_with is None or values[self.name] == default:
            return
        other, idle = self.unused_with
        if values[other] in idle:
            raise UserError(
                f"{self.flag} changes nothing with --{other.replace('_', '-')} {values[other]}: give that another value, "
                f"or leave {self.flag} out."
            )

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Add it to a parser; the value is None where it is not given."""
        shown = ",".join(map(str, self.default)) if isinstance(self.default, list) else self.default
        text = self.help.replace("%", "%%") + ("" if self.default is None else f" (default: {shown})")
        if self.kind is bool:
            parser.add_argument(self.flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            parser.add_argument(self.flag, metavar="NAME" if self.choices else self.metavar, help=text)


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


def share(text: str) -> float:
    """A number from 0 to 1, 1 not included."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to below 1, not {text!r}")
    return value


def widths(text: str) -> list[int]:
    """Widths of layers, '256,128'."""
    try:
        return [positive_integer(part) for part in text.split(",")]
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"must be widths of at least 1 with commas between, such as 256,128, not {text!r}"
        ) from None


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
