"""The command `minigen bench cpu`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from minigen.bench.commands import add_files, add_parts_and_rounds, told
from minigen.bench.cpu.cases import PARTS, cases_of
from minigen.bench.cpu.report import compare, header, markdown, save_picture, tables_of
from minigen.bench.cpu.rounds import run_cpu
from minigen.bench.records import Measurement
from minigen.bench.tables import rich_table
from minigen.files import atomic_write
from minigen.training.options import positive_integer

WIDTH = 120  # of the widest table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minigen bench cpu`."""
    add_parts_and_rounds(parser, PARTS, "side")
    parser.add_argument(
        "--threads", type=positive_integer, metavar="N", help="of each side (default: MINIGEN_NUM_THREADS, or all)"
    )
    add_files(parser, "cpu")


def run(args: argparse.Namespace) -> int:
    """Measure, with a line for each measurement, and print the tables."""
    with told(WIDTH, args.out, figures) as (console, begin, report):
        content = run_cpu(cases_of(args.only), args.rounds, args.threads, args.json, begin, report)
    for line in header(content):
        console.print(line, soft_wrap=True)
    for table in tables_of(content["measurements"]):
        console.print(rich_table(table))
    if args.out is not None:
        names = write_report(Path(args.out), content, command_of(args, content["settings"]))
        console.print(f"Written to {args.out}: {', '.join(names)}.", soft_wrap=True)
    return 0


def write_report(folder: Path, content: dict[str, Any], command: str) -> list[str]:
    """Write tables, measurements and, where PyTorch was measured, a picture. Returns the names of the files."""
    atomic_write(folder / "cpu.md", markdown(content, command).encode())
    atomic_write(folder / "cpu.json", (json.dumps(content, indent=1) + "\n").encode())
    drawn = save_picture(folder / "cpu.png", content["measurements"])
    return ["cpu.md", "cpu.json", *(["cpu.png"] if drawn else [])]


def command_of(args: argparse.Namespace, settings: dict[str, Any]) -> str:
    """The command line that measures the same again."""
    parts = "" if set(args.only) == set(PARTS) else f"--only {' '.join(args.only)} "
    return f"minigen bench cpu {parts}--rounds {settings['rounds']} --threads {settings['threads']} --out {args.out}"


def figures(measurement: Measurement) -> str:
    """One measurement in words: the medians of both sides, and their ratio.

    >>> figures({"part": "steps", "name": "x", "values": {"minigen": [0.1], "PyTorch": [0.15]}})
    'minigen 100.00 ms, PyTorch 150.00 ms, 1.50×'
    """
    c = compare(measurement["values"])
    scale, unit = (2**-20, "MiB") if measurement["part"] == "memory" else (1e3, "ms")
    ours = f"minigen {c.ours * scale:.2f} {unit}"
    if c.theirs is None:
        return ours
    theirs = " ".join(["PyTorch", f"{c.theirs * scale:.2f} {unit}", *([f"({c.order})"] if c.order else [])])
    return f"{ours}, {theirs}, {c.ratio:.2f}×"
