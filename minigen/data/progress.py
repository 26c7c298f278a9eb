"""A bar on stderr while files are read or fetched; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any


def track(items: Iterable[Any], total: int, description: str, by_length: bool = False) -> Iterator[Any]:
    """Yield `items`, and show how many of `total` have been; the bar goes when they end, or when the loop is left.

    Args:
        items: what to yield
        total: how many they are
        description: in front of the bar
        by_length: count the length of each item (bytes), and not the items
    """
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(file=sys.stderr), transient=True) as progress:
        task = progress.add_task(description, total=total)
        for item in items:
            yield item
            progress.advance(task, len(item) if by_length else 1)
