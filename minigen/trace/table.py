"""The table of a trace: its rows, sorted or added up, printed in a terminal or shown in a notebook."""

from __future__ import annotations

import html
import io
import math
from dataclasses import dataclass, replace
from typing import Any

from minigen.errors import unknown_name

LONGEST = 80  # rows that are printed
KEYS = ("operation", "module", "phase")
NUMBERS = ("milliseconds", "multiply_adds", "bytes", "gradient_norm", "alive", "calls", "order")


@dataclass(frozen=True)
class Row:
    """One operation of a forward pass, the gradient of one, or several added up (`calls`).

    Attributes:
        operation: its name; of a gradient, the name of the operation that it is the gradient of.
        order: 0 in a forward pass, 1 in its backward pass, 2 in the backward pass of something computed from that.
        module: the path of the module that was running, from the class of the outermost one; '' outside of modules.
        inputs, outputs: shapes; of a gradient, of what arrives and of what leaves for each input.
        multiply_adds: products that are each added to a sum, in convolutions, matrix products, linear layers, einsum.
        bytes: of the arrays that it reads and of the one that it writes, each once; 0 for a view.
        milliseconds: how long it took.
        gradient_norm: of a gradient, √Σg² of what arrives.
        alive: bytes of the results of operations that are still there after it, since the outermost trace was opened.
        parts: of a gradient, the operations that it took; its numbers contain theirs.
        calls: how many rows were added up to this one.
    """

    operation: str
    order: int = 0
    module: str = ""
    inputs: tuple[tuple[int, ...], ...] = ()
    outputs: tuple[tuple[int, ...], ...] = ()
    multiply_adds: int = 0
    bytes: int = 0
    milliseconds: float = 0.0
    gradient_norm: float | None = None
    alive: int = 0
    parts: tuple[Row, ...] = ()
    calls: int = 1

    @property
    def phase(self) -> str:
        """'forward', 'backward', or 'backward 2' and so on for derivatives of derivatives."""
        return ("forward", "backward")[self.order] if self.order < 2 else f"backward {self.order}"


class Table:
    """Rows, and their sum.

    Args:
        rows: what it shows, one line each.
        peak: the most bytes of results of operations that were there at a time.
        key: 'operation', 'module' or 'phase' where rows were added up by it.

    >>> table = Table([Row("Conv2d", multiply_adds=100), Row("Linear", multiply_adds=900)])
    >>> table.sort("multiply_adds").rows[0].operation, table.total.multiply_adds
    ('Linear', 1000)
    """

    def __init__(self, rows: list[Row], peak: int = 0, key: str | None = None) -> None:
        self.rows = rows
        self.peak = peak
        self.key = key

    @property
    def total(self) -> Row:
        """The rows added up."""
        return _sum(self.rows, Row("Total"))

    def sort(self, by: str = "milliseconds") -> Table:
        """The same rows, the largest first (by a name: in the order of the alphabet).

        Args:
            by: 'milliseconds', 'multiply_adds', 'bytes', 'gradient_norm', 'alive', 'calls', 'order', 'operation',
                'module' or 'phase'.

        Raises:
            UserError: another word.
        """
        if by in KEYS:
            rows = sorted(self.rows, key=lambda row: getattr(row, by))
        elif by in NUMBERS:
            rows = sorted(self.rows, key=lambda row: -_number(getattr(row, by)))
        else:
            raise unknown_name("column", by, [*NUMBERS, *KEYS])
        return Table(rows, self.peak, self.key)

    def group(self, by: str = "operation") -> Table:
        """One row for each operation (or module) and phase, with the sums, the slowest first.

        Args:
            by: 'operation', 'module' or 'phase'.

        Raises:
            UserError: another word.
        """
        if by not in KEYS:
            raise unknown_name("column to group by", by, KEYS)
        groups: dict[tuple[str, int], list[Row]] = {}
        for row in self.rows:
            groups.setdefault((getattr(row, by), row.order), []).append(row)
        rows = [
            _sum(several, Row(name if by == "operation" else "", order, name if by == "module" else ""))
            for (name, order), several in groups.items()
        ]
        return Table(rows, self.peak, by).sort("milliseconds")

    def unfold(self) -> Table:
        """Every gradient followed by the operations that it took, marked with a dot; their numbers are in its own.

        The sum still counts everything once.
        """
        return _Unfolded(self.rows, self.peak, self.key)

    def _lines(self) -> list[tuple[Row, int]]:
        """What is shown: rows, and how far each is indented."""
        return [(row, 0) for row in self.rows]

    def _cells(self) -> tuple[list[str], list[list[str]], list[str], list[str]]:
        """Head, body, foot and notes below."""
        lines = self._lines()
        grouped = self.key is not None
        shown = [n for n in ("operation", "module") if not grouped or n == self.key]
        if not grouped and not any(row.module for row, _ in lines):
            shown = ["operation"]
        head = [name.capitalize() for name in shown] + ["Phase"]
        head += ["Calls"] if grouped else ["In", "Out"]
        head += ["Multiply-adds", "Bytes", "ms"] + ([] if grouped else ["Gradient norm"])
        body = []
        for row, indent in lines[:LONGEST]:
            cells = [("· " * indent if name == "operation" else "") + getattr(row, name) for name in shown] + [
                row.phase
            ]
            cells += [f"{row.calls:,}"] if grouped else [_shapes(row.inputs), _shapes(row.outputs)]
            cells += [f"{row.multiply_adds:,}", _size(row.bytes), f"{row.milliseconds:.3f}"]
            body.append(cells + ([] if grouped else ["" if row.gradient_norm is None else f"{row.gradient_norm:.4g}"]))
        total = self.total
        foot = ["Total"] + [""] * len(shown) + ([f"{total.calls:,}"] if grouped else ["", ""])
        foot += [f"{total.multiply_adds:,}", _size(total.bytes), f"{total.milliseconds:.3f}"] + (
            [] if grouped else [""]
        )
        notes = []
        if len(lines) > LONGEST:
            notes.append(f"{len(lines) - LONGEST:,} more lines: .rows has them all, .group() adds them up.")
        if self.peak:
            notes.append(f"Most memory in results of operations at a time: {_size(self.peak)}.")
        return head, body, foot, notes

    def __str__(self) -> str:
        from rich.box import SIMPLE
        from rich.console import Console
        from rich.table import Table as RichTable

        head, body, foot, notes = self._cells()
        table = RichTable(box=SIMPLE, show_footer=True)
        for title, last in zip(head, foot):
            table.add_column(title, last, justify="right" if title in _RIGHT else "left", no_wrap=True)
        for cells in body:
            table.add_row(*cells)
        page = Console(file=io.StringIO(), width=1000, color_system=None, force_jupyter=False)  # nor show it twice
        page.print(table)
        lines = [line.rstrip() for line in page.file.getvalue().splitlines()]  # type: ignore[attr-defined]
        return "\n".join([line for line in lines if line] + [f"  {note}" for note in notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, body, foot, notes = self._cells()
        right = [title in _RIGHT for title in head]

        def line(tag: str, cells: list[str]) -> str:
            return (
                "<tr>"
                + "".join(
                    f'<{tag} style="text-align:{"right" if r else "left"};white-space:nowrap">{html.escape(cell)}</{tag}>'
                    for cell, r in zip(cells, right)
                )
                + "</tr>"
            )

        rows = "".join(line("td", cells) for cells in body)
        below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
        return (
            f"<div><table><thead>{line('th', head)}</thead><tbody>{rows}</tbody>"
            f"<tfoot>{line('th', foot)}</tfoot></table>{below}</div>"
        )


class _Unfolded(Table):
    def _lines(self) -> list[tuple[Row, int]]:
        lines: list[tuple[Row, int]] = []
        stack = [(row, 0) for row in reversed(self.rows)]
        while stack:
            row, indent = stack.pop()
            lines.append((row, indent))
            stack += [(part, indent + 1) for part in reversed(row.parts)]
        return lines


_RIGHT = {"Calls", "Multiply-adds", "Bytes", "ms", "Gradient norm"}


def _sum(rows: list[Row], into: Row) -> Row:
    return replace(
        into,
        multiply_adds=sum(row.multiply_adds for row in rows),
        bytes=sum(row.bytes for row in rows),
        milliseconds=math.fsum(row.milliseconds for row in rows),
        calls=sum(row.calls for row in rows),
        alive=max((row.alive for row in rows), default=0),
    )


def _number(value: Any) -> float:
    """What to sort by: nothing, and what is not a number, come last."""
    return -math.inf if value is None or math.isnan(value) else value


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " ".join(str(shape) for shape in shapes)


def _size(count: int) -> str:
    """A number of bytes in the unit that suits it."""
    if count < 1000:
        return f"{count} B"
    amount, units = count / 1000, ["kB", "MB", "GB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.1f} {units[0]}"
