"""Loading a run for a command that only reads it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from minigen.training.checkpoint import Checkpoint, Skipped

if TYPE_CHECKING:
    import numpy as np

    from minigen.training.systems import System


def run_argument(parser: argparse.ArgumentParser) -> None:
    """Add the run that the command reads, `args.path`."""
    parser.add_argument("path", metavar="RUN", help="the folder that `minigen train` wrote")


def load_run(path: str) -> tuple[System, Checkpoint]:
    """The trained system of a run; damaged checkpoints on the way to it are named on stderr."""
    from minigen.training.runs import load_system

    system, checkpoint = load_system(path)
    name_skipped(checkpoint.skipped)
    return system, checkpoint


def read_images(system: System, path: str) -> tuple[np.ndarray, list[str]]:
    """The images of --input in the model's size, and their names; those that cannot be used are named on stderr."""
    from minigen.tasks import read_inputs

    images, names, skipped = read_inputs(system, path)
    for sentence in skipped:
        print(f"minigen: {sentence.rstrip('.')}; it is skipped.", file=sys.stderr)
    return images, names


def name_skipped(skipped: Sequence[Skipped]) -> None:
    """Say on stderr which checkpoints were passed over, and why."""
    for name, reason in skipped:
        print(f"minigen: The checkpoint {name} {reason}; the one before it is used.", file=sys.stderr)
