"""The command `minigen bench cpu`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from minigen.bench.cpu.cases import PARTS, Case, cases_of
from minigen.bench.cpu.report import compare, header, markdown, save_picture, tables_of
from minigen.bench.cpu.rounds import run_cpu
from minigen.bench.records import Measurement
from minigen.bench.tables import rich_table
from minigen.files import atomic_write
from minigen.training.options import positive_integer

WIDTH = 120  # of the widest table: on a narrower terminal its lines run over, but nothing is cut off


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minigen bench cpu`."""
    parser.add_argument(
        "--only",
        nargs="+",
        choices=PARTS,
        default=list(PARTS),
        metavar="PART",
        help=f"of {', '.join(PARTS)} (default: all)",
    )
    parser.add_argument(
        "--rounds", type=positive_integer, default=5, metavar="N", help="turns of each side (default: 5)"
    )
    parser.add_argument(
        "--threads", type=positive_integer, metavar="N", help="of each side (default: MINIGEN_NUM_THREADS, or all)"
    )
    parser.add_argument(
        "--json", metavar="FILE", help="keep the measurements here; run again, it goes on where it stopped"
    )
    parser.add_argument("--out", metavar="DIR", help="write the report here: cpu.md, cpu.json, cpu.png")


def run(args: argparse.Namespace) -> int:
    """Measure, with a line for each measurement, and print the tables."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    console.width = max(console.width, WIDTH)
    if args.out is not None:
        Path(args.out).mkdir(parents=True, exist_ok=True)  # what cannot be is better known before the measurements
    with console.status("starting") as status:  # on a terminal; a pipe has only the lines

        def begin(case: Case) -> None:
            status.update(f"{case.part}: {case.name}")

        def report(case: Case, measurement: Measurement) -> None:
            console.print(f"{case.part}: {case.name}: {figures(measurement)}", soft_wrap=True)

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
