"""`minigen gradcheck`: every operation against finite differences, first and second order, in a table."""

from __future__ import annotations

import argparse
import difflib
import time
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from minigen.errors import UserError
from minigen.training.options import natural_number, positive_integer


class Row(NamedTuple):
    """What was found for one operation: the worst relative errors, and a sentence if it failed."""

    name: str
    first: float | None
    second: float | None
    failure: str | None


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "gradcheck",
        help="check the gradient of every operation",
        description="Check the gradients of operations against finite differences, first and second order, on examples "
        "drawn at random. The error shown is relative to the size of the gradient; 1e-7 is allowed.",
    )
    parser.add_argument("operations", nargs="*", metavar="OP", help="operations to check, such as conv2d; all if none")
    parser.add_argument("--seed", type=natural_number, default=0, help="what the examples come from (default 0)")
    parser.add_argument("--samples", type=positive_integer, default=3, help="examples of each operation (default 3)")
    parser.set_defaults(run=run, help_command="minigen gradcheck --help")


def run(args: argparse.Namespace) -> int:
    """Check, print the table, and return 1 if something failed."""
    from rich.console import Console
    from rich.progress import track

    names = choose(args.operations)
    start = time.perf_counter()
    errors = Console(stderr=True)
    checked = track(
        check(names, args.seed, args.samples),
        "Checking",
        total=len(names),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    rows = list(checked)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 100  # a pipe has no width of its own
    console.print(_table(rows, args.samples))
    failures = [row for row in rows if row.failure]
    for row in failures:
        console.print(row.failure, style="red", markup=False, soft_wrap=True)
    summary = f"{len(rows) - len(failures)} of {len(rows)} operations pass"
    console.print(f"{summary} ({args.samples} examples each, seed {args.seed}, {time.perf_counter() - start:.0f} s).")
    return 1 if failures else 0


def choose(asked: list[str]) -> list[str]:
    """The entries of the registry that were asked for: ``pad`` is all of its kinds, ``pad/reflect`` one; none is all.

    Raises:
        UserError: a name that is not there, with those that are like it.
    """
    from minigen import functional
    from minigen.functional.registry import OPERATIONS

    chosen: list[str] = []
    for wanted in asked or list(OPERATIONS):
        called = getattr(getattr(functional, wanted, None), "__name__", wanted)  # cat is another name of concatenate
        found = [name for name, operation in OPERATIONS.items() if wanted == name or called == operation.public]
        if not found:
            public = {operation.public for operation in OPERATIONS.values()}
            close = difflib.get_close_matches(wanted, [*OPERATIONS, *sorted(public - set(OPERATIONS))], cutoff=0.6)
            hint = f"did you mean {' or '.join(close)}?" if close else "without a name, all are checked."
            if wanted in functional.__all__:
                raise UserError(f"gradcheck: {wanted} has no gradient to check; {hint}")
            raise UserError(f"gradcheck: there is no operation {wanted!r}; {hint}")
        chosen += [name for name in found if name not in chosen]
    return chosen


def check(names: list[str], seed: int, samples: int) -> Iterator[Row]:
    """A row for each operation. Its examples depend on the seed and its name, not on what else is checked."""
    from minigen.functional.registry import OPERATIONS, from_generator
    from minigen.random import Generator

    for name in names:
        draw = from_generator(Generator(seed).spawn(zlib.crc32(name.encode())))
        errors: dict[int, float] = {}
        failure = None
        for _ in range(samples):
            try:
                report = OPERATIONS[name].check(draw)
            except Exception as error:  # one broken operation must not hide the others
                failure = failure or f"{name}: {type(error).__name__}: {error}"
                continue
            failure = failure or report.failure
            for order in report.errors:
                errors[order] = max(errors.get(order, 0.0), report.worst(order) or 0.0)
        yield Row(name, errors.get(1), errors.get(2), failure)


def _table(rows: list[Row], samples: int) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("operation", no_wrap=True)
    for heading in ("examples", "first order", "second order"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        result = "[red]FAIL[/red]" if row.failure else "[green]pass[/green]"
        table.add_row(row.name, str(samples), _number(row.first), _number(row.second), result)
    return table


def _number(error: float | None) -> str:
    return "-" if error is None else f"{error:.1e}"
