"""The command `minigen bench cuda`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from minigen.bench.commands import add_files, add_parts_and_rounds, told
from minigen.bench.cuda.cases import PARTS, cases_of
from minigen.bench.cuda.picture import save_picture
from minigen.bench.cuda.report import header, markdown, tables_of
from minigen.bench.cuda.rounds import COMMAND, run_cuda
from minigen.bench.records import Measurement
from minigen.bench.tables import mebibytes, milliseconds, rich_table
from minigen.errors import UserError
from minigen.files import atomic_write

WIDTH = 190  # of the widest table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minigen bench cuda`."""
    add_parts_and_rounds(parser, PARTS, "contestant")
    add_files(parser, "cuda")


def run(args: argparse.Namespace) -> int:
    """Measure, with a line for each measurement, and print the tables; without a GPU, say that nothing was measured."""
    with told(WIDTH, args.out, figures) as (console, begin, report):
        content = run_cuda(cases_of(args.only), args.rounds, args.json, begin, report)
    command = command_of(args)
    for table in tables_of(args.only, content):
        console.print(rich_table(table))
        for note in table.notes:
            console.print(note, soft_wrap=True)
    for line in header(content, command):
        console.print(line, soft_wrap=True)
    if args.out is not None:
        names = write_report(Path(args.out), args.only, content, command)
        console.print(f"Written to {args.out}: {', '.join(names)}.", soft_wrap=True)
    return 0


def write_report(folder: Path, parts: list[str], content: dict[str, Any], command: str) -> list[str]:
    """Write tables, measurements and, where the ladder was measured, a picture. Returns the names of the files.

    Raises:
        UserError: nothing was measured, and what is there was.
    """
    if not content["measurements"] and was_measured(folder / "cuda.json"):
        raise UserError(
            f"{folder} holds a report that was measured, and nothing was measured here, so it stays as it is; give "
            f"another --out."
        )
    atomic_write(folder / "cuda.md", markdown(parts, content, command).encode())
    atomic_write(folder / "cuda.json", (json.dumps(content, indent=1) + "\n").encode())
    drawn = save_picture(folder / "cuda.png", content)
    return ["cuda.md", "cuda.json", *(["cuda.png"] if drawn else [])]


def was_measured(file: Path) -> bool:
    """Whether a file may hold measurements: one that cannot be read is taken for such."""
    if not file.exists():
        return False
    try:
        return bool(json.loads(file.read_text(encoding="utf-8"))["measurements"])
    except (OSError, ValueError, KeyError, TypeError):
        return True


def command_of(args: argparse.Namespace) -> str:
    """The command line that measures the same again, into `benchmarks` unless it says where."""
    parts = "" if set(args.only) == set(PARTS) else f" --only {' '.join(args.only)}"
    return f"{COMMAND}{parts} --rounds {args.rounds} --out {args.out or 'benchmarks'}"


def figures(measurement: Measurement) -> str:
    """One measurement in words: the lowest value of each contestant, and who has none.

    >>> figures({"part": "steps", "values": {"minigen": [0.1, 0.2]}, "missing": {"PyTorch": "it is not installed"}})
    'minigen 100 ms; PyTorch not measured'
    """
    memory = measurement["part"] == "memory"
    words = [
        f"{name} {mebibytes(min(values)) + ' MiB' if memory else milliseconds(min(values)) + ' ms'}"
        for name, values in measurement["values"].items()
    ]
    missing = [f"{', '.join(measurement['missing'])} not measured"] if measurement["missing"] else []
    return "; ".join([*words, *missing])
