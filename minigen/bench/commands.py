"""What the commands that measure beside others have in common: options, and a line for each measurement."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from minigen.bench.records import Measurement
from minigen.training.options import positive_integer


def add_parts_and_rounds(parser: argparse.ArgumentParser, parts: Sequence[str], turns_of: str) -> None:
    """What to measure, and how often.

    Args:
        parser: gets the options.
        parts: what can be measured.
        turns_of: who takes turns, in words.
    """
    parser.add_argument(
        "--only",
        nargs="+",
        choices=parts,
        default=list(parts),
        metavar="PART",
        help=f"of {', '.join(parts)} (default: all)",
    )
    parser.add_argument(
        "--rounds", type=positive_integer, default=5, metavar="N", help=f"turns of each {turns_of} (default: 5)"
    )


def add_files(parser: argparse.ArgumentParser, name: str) -> None:
    """Where measurements and the report, `name`.md and so on, are written."""
    parser.add_argument(
        "--json", metavar="FILE", help="keep the measurements here; run again, it goes on where it stopped"
    )
    parser.add_argument("--out", metavar="DIR", help=f"write the report here: {name}.md, {name}.json, {name}.png")


@contextmanager
def told(
    width: int, out: str | None, figures: Callable[[Measurement], str]
) -> Iterator[tuple[Any, Callable[[Any], None], Callable[[Any, Measurement], None]]]:
    """A console at least so wide, what to call when a case begins, and what to call with its measurement.

    Within the block a terminal shows what is being measured; a pipe has only the lines.

    Args:
        width: of the widest table: on a narrower terminal its lines run over, but nothing is cut off.
        out: the folder of the report, which is made: what cannot be is better known before the measurements.
        figures: a measurement in words.
    """
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.width = max(console.width, width)
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
    with console.status("starting") as status:

        def begin(case: Any) -> None:
            status.update(f"{case.part}: {case.name}")

        def report(case: Any, measurement: Measurement) -> None:
            console.print(f"{case.part}: {case.name}: {figures(measurement)}", soft_wrap=True)

        yield console, begin, report
