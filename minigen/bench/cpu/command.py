"""The command `minigen bench cpu`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minigen.bench.commands import add_files, add_parts_and_rounds, told
from minigen.bench.cpu.cases import KERNELS, PARTS, STEPS, Case, cases_of
from minigen.bench.cpu.given import KERNEL, STEP, kernel_given, refuse_twins, step_given, text_of
from minigen.bench.cpu.report import compare, header, markdown, save_picture, tables_of
from minigen.bench.cpu.rounds import run_cpu
from minigen.bench.records import Measurement
from minigen.bench.steps import MODELS
from minigen.bench.tables import rich_table
from minigen.errors import UserError
from minigen.files import atomic_write
from minigen.training.options import positive_integer

WIDTH = 150  # of the widest table, that of convolutions of many groups, channels and pixels
GIVEN = {"kernels": ("kernels",), "steps": ("steps", "memory")}  # by option: the parts that measure what it names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `minigen bench cpu`."""
    add_parts_and_rounds(parser, PARTS, "side")
    parser.set_defaults(only=None)  # to tell whether it was given
    parser.add_argument(
        "--kernels",
        nargs="+",
        action="extend",
        type=kernel_given,
        metavar=KERNEL,
        help="convolutions in place of the listed ones, of N images of SIZE×SIZE from C channels to O, padded so that a stride "
        "of 1 keeps the size; ,STRIDE and ,GROUPS may follow; without --only, nothing else is measured but the products of "
        "up to 4096×4096 that tell the machine's peak",
    )
    parser.add_argument(
        "--steps",
        nargs="+",
        action="extend",
        type=step_given,
        metavar=STEP,
        help=f"training steps in place of the listed ones, and their memory: MODEL is one of {', '.join(MODELS)}; SHAPE is "
        "that of one sample, C,H,W, and for gan2d one number; without --only, nothing else is measured",
    )
    parser.add_argument(
        "--threads", type=positive_integer, metavar="N", help="of each side (default: MINIGEN_NUM_THREADS, or all)"
    )
    add_files(parser, "cpu")


def run(args: argparse.Namespace) -> int:
    """Measure, with a line for each measurement, and print the tables."""
    cases = asked_for(args)
    with told(WIDTH, args.out, figures) as (console, begin, report):
        content = run_cpu(cases, args.rounds, args.threads, args.json, begin, report)
    for line in header(content):
        console.print(line, soft_wrap=True)
    for table in tables_of(cases, content["measurements"]):
        console.print(rich_table(table))
    if args.out is not None:
        names = write_report(Path(args.out), cases, content, command_of(args, content["settings"]))
        console.print(f"Written to {args.out}: {', '.join(names)}.", soft_wrap=True)
    return 0


def asked_for(args: argparse.Namespace) -> list[Case]:
    """What to measure.

    Raises:
        UserError: something is named twice, or for a part that is not to be measured.
    """
    kernels, steps = args.kernels or KERNELS, args.steps or STEPS
    refuse_twins("--kernels", kernels)
    refuse_twins("--steps", steps)
    return cases_of(parts_of(args), kernels, steps)


def parts_of(args: argparse.Namespace) -> Sequence[str]:
    """The parts of --only; without it those that measure what is named, and all where nothing is.

    Raises:
        UserError: something is named for a part that --only leaves out.
    """
    named = {option: parts for option, parts in GIVEN.items() if getattr(args, option) is not None}
    if args.only is None:
        return [part for parts in named.values() for part in parts] or PARTS
    for option, parts in named.items():
        if not set(parts) & set(args.only):
            raise UserError(
                f"--{option} changes nothing with --only {' '.join(args.only)}: name {' or '.join(parts)} there too, or "
                f"leave --{option} out."
            )
    return args.only


def write_report(folder: Path, cases: Sequence[Case], content: dict[str, Any], command: str) -> list[str]:
    """Write tables, measurements and, of steps and kernels that PyTorch was measured with, a picture.

    All of an earlier report there is replaced: its picture goes even if this one has none.

    Args:
        folder: where to.
        cases: those measured.
        content: what `run_cpu` returned for them.
        command: the command line that measures the same again.

    Returns:
        The names of the files.
    """
    atomic_write(folder / "cpu.md", markdown(cases, content, command).encode())
    atomic_write(folder / "cpu.json", (json.dumps(content, indent=1) + "\n").encode())
    drawn = save_picture(folder / "cpu.png", cases, content["measurements"])
    if not drawn:
        (folder / "cpu.png").unlink(missing_ok=True)
    return ["cpu.md", "cpu.json", *(["cpu.png"] if drawn else [])]


def command_of(args: argparse.Namespace, settings: dict[str, Any]) -> str:
    """The command line that measures the same again."""
    words = ["minigen bench cpu"]
    if args.only is not None:
        words += ["--only", *args.only]
    for option in GIVEN:
        if getattr(args, option) is not None:
            words += [f"--{option}", *map(text_of, getattr(args, option))]
    words += ["--rounds", str(settings["rounds"]), "--threads", str(settings["threads"]), "--out", str(args.out)]
    return " ".join(words)


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
