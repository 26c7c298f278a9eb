"""What is drawn under titles: a dictionary, or pairs, whichever is at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minigen.errors import UserError

Titled = Mapping[str, Any] | Iterable[tuple[str, Any]]


def titled(what: str, given: Titled) -> list[tuple[str, Any]]:
    """(title, what stands under it) in order.

    Raises:
        UserError: Neither a dictionary nor pairs of a title and something.

    >>> titled("rows", {"real": 1, "fake": 2}) == titled("rows", [("real", 1), ("fake", 2)])
    True
    """
    pairs = given.items() if isinstance(given, Mapping) else given
    found = list(pairs) if isinstance(pairs, Iterable) and not hasattr(pairs, "shape") else None
    if found is None or not all(
        isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str) for pair in found
    ):
        raise UserError(
            f"The {what} to draw are given as a dictionary from titles, {{'real': images}}, or as pairs, "
            f"[('real', images)], not as {type(given).__name__}."
        )
    return [(title, something) for title, something in found]
