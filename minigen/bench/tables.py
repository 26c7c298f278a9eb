"""Tables of measurements, for the terminal and as Markdown, and numbers as they stand in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

WORDS = ("direction", "format")  # headings of columns that hold words, besides the first


class Table(NamedTuple):
    """A table: its title, the headings of its columns, its rows, the first column being words, and lines below it."""

    title: str
    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    notes: Sequence[str] = ()


def rich_table(table: Table) -> Any:
    """For the terminal."""
    from rich import box
    from rich.table import Table as RichTable

    out = RichTable(title=table.title, box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    for i, heading in enumerate(table.headings):
        if i == 0 or heading in WORDS:
            out.add_column(heading, no_wrap=True)
        else:
            out.add_column(heading.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in table.rows:
        out.add_row(*row)
    return out


def markdown_table(table: Table) -> list[str]:
    """As lines of Markdown, the title as a heading, an empty line at the end."""
    return [
        f"## {table.title}",
        "",
        f"| {' | '.join(table.headings)} |",
        "|---" + "|---:" * (len(table.headings) - 1) + "|",
        *(f"| {' | '.join(row)} |" for row in table.rows),
        "",
        *(line for note in table.notes for line in (note, "")),
    ]


def milliseconds(seconds: float | None) -> str:
    """Seconds as milliseconds, with three digits that count.

    >>> milliseconds(0.0123456), milliseconds(None)
    ('12.3', '-')
    """
    return "-" if seconds is None else f"{1e3 * seconds:.{max(0, 2 - int(math.log10(max(1e3 * seconds, 1))))}f}"


def mebibytes(count: float | None) -> str:
    """Bytes as MiB.

    >>> mebibytes(3 << 19)
    '1.5'
    """
    return "-" if count is None else f"{count / 2**20:.1f}"


def ratio(value: float) -> str:
    """How many times, '-' for NaN.

    >>> ratio(1.256), ratio(float("nan"))
    ('1.26×', '-')
    """
    return "-" if math.isnan(value) else f"{value:.2f}×"


def reached(value: float, goal: float | None) -> str:
    """Whether a goal was reached, '-' where there is none or nothing was measured."""
    return "-" if goal is None or math.isnan(value) else "yes" if value >= goal else "no"
