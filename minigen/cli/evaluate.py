"""`minigen evaluate RUN`: measure a trained model on held-out data."""

from __future__ import annotations

import argparse
import json
from typing import Any

from minigen.cli.loading import load_run


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure a trained model on held-out data",
        description="Print, as JSON, what the newest checkpoint of a run is worth on data it was not trained on.",
    )
    parser.add_argument("path", metavar="RUN", help="the folder that `minigen train` wrote")
    parser.set_defaults(run=run, help_command="minigen evaluate --help")


def run(args: argparse.Namespace) -> int:
    """Print one JSON object."""
    system, checkpoint = load_run(args.path)
    about = {
        "run": args.path,
        "model": system.name,
        "data": system.config["data"],
        "epoch": checkpoint.meta["epoch"],
        "step": checkpoint.step,
    }
    print(json.dumps(about | system.evaluate(), indent=2))
    return 0
