"""A bar on stderr while files are read or fetched; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


def track(items: Iterable[Item], total: int, description: str, unit: int = 1) -> Iterator[Item]:
    """Yield `items`, and show how many of `total` have been; the bar goes when they end, or when the loop is left.

    Args:
        items: what to yield
        total: their number, or their bytes
        description: in front of the bar
        unit: 1 counts items, 0 counts the length of each (bytes)
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
            progress.advance(task, unit or len(item))  # type: ignore[arg-type]
