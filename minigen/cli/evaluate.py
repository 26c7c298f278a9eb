"""`minigen evaluate RUN`: every metric that applies to a trained model, on held-out data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minigen.cli.loading import load_run, run_argument

if TYPE_CHECKING:
    from minigen.training.systems import System

NEIGHBOURS_SHOWN = 12


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a trained model on held-out data",
        description="Measure the newest checkpoint of a run by every metric that applies, on data it was not trained "
        "on. JSON goes to standard output and to a file, a table to standard error; a picture shows samples beside the "
        "training images that are nearest to them.",
    )
    run_argument(parser)
    parser.add_argument("--json", metavar="FILE", help="where the JSON goes (default: RUN/evaluation.json)")
    parser.add_argument(
        "--inception",
        metavar="FILE",
        help="weights of the Inception network (.safetensors), for the FID and the KID of the samples",
    )
    parser.set_defaults(run=run, help_command="minigen evaluate --help")


def run(args: argparse.Namespace) -> int:
    """Measure, write, and print one JSON object."""
    from minigen.cli.outputs import as_json, output_path
    from minigen.errors import UserError
    from minigen.files import atomic_write

    out = output_path(args.json, args.path, "evaluation.json", {".json": "the numbers"}, "--json")
    system, checkpoint = load_run(args.path)
    if args.inception is not None and (system.source.kind != "image" or not system.can_sample):
        raise system.cannot("be given an FID: that is of models that draw images")
    if args.inception is not None and not Path(args.inception).is_file():
        raise UserError(f"There is no file {args.inception} with the weights of Inception.")
    about = {
        "run": args.path,
        "model": system.name,
        "data": system.config["data"],
        "epoch": checkpoint.meta["epoch"],
        "step": checkpoint.step,
    }
    measured = about | system.evaluate(args.inception)
    text = as_json(measured)
    atomic_write(out, text.encode())
    where = f"The numbers are in {out}"
    if system.can_sample and system.source.kind == "image":
        picture = out.with_name("neighbours.png")
        save_neighbours(system, picture)
        where += f", samples beside their nearest training images in {picture}"
    print(text, end="")
    print(table(measured), file=sys.stderr)
    print(f"{where}.", file=sys.stderr)
    return 0


def table(measured: dict[str, Any]) -> str:
    """The numbers in lines, and where there is one beside each what training samples would score."""
    from minigen.cli.outputs import text_table

    reference = measured.get("reference", {})
    rows = []
    for name, value in measured.items():
        if name == "reference":
            continue
        row = {"measured": name, "value": _short(value)}
        if reference:
            row["real"] = _short(reference[name]) if name in reference else ""
        rows.append(row)
    return text_table(rows)


def save_neighbours(system: System, path: Path) -> None:
    """A picture of a few samples, and below each the training image that is nearest to it in pixels."""
    import numpy as np

    from minigen.random import Generator
    from minigen.tasks.abilities import samples_and_labels
    from minigen.training.systems.evaluation import TRAINING, nearest_training
    from minigen.viz import save_rows

    samples = np.clip(system.sample(NEIGHBOURS_SHOWN, Generator(0)), 0, 1)
    training, _ = samples_and_labels(system, "train", TRAINING)
    nearest, _ = nearest_training(samples, training)
    save_rows(path, [("sample", samples), ("nearest in training", training[nearest])])


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, (list, tuple)):
        return " ".join(_short(item) for item in value) if len(value) <= 25 else f"{len(value)} values"
    return str(value)
