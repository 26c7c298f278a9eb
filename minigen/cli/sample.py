"""`minigen sample RUN`: draw images from a trained model."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

from minigen.cli.loading import load_run
from minigen.errors import UserError
from minigen.training.options import natural_number, positive_integer


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "sample",
        help="draw images from a trained model",
        description="Draw images from the newest checkpoint of a run, as a picture (.png) or as an array (.npy).",
    )
    parser.add_argument("path", metavar="RUN", help="the folder that `minigen train` wrote")
    parser.add_argument("--n", type=positive_integer, default=64, metavar="N", help="how many (default: 64)")
    parser.add_argument(
        "--seed", type=natural_number, default=0, metavar="N", help="the same seed, the same images (default: 0)"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="a .png grid, or .npy for float32 (n, C, H, W) from 0 to 1 (default: RUN/sample-SEED.png)",
    )
    parser.set_defaults(run=run, help_command="minigen sample --help")


def run(args: argparse.Namespace) -> int:
    """Draw, write, and say where."""
    import numpy as np

    from minigen.files import atomic_write
    from minigen.random import Generator
    from minigen.viz import save_image_grid

    out = Path(args.path) / f"sample-{args.seed}.png" if args.out is None else Path(args.out)
    if out.suffix not in (".png", ".npy"):
        raise UserError(f"--out must end in .png (a picture) or .npy (an array), not {out.name!r}.")
    system, _ = load_run(args.path)
    images = system.sample(args.n, Generator(args.seed))
    if out.suffix == ".png":
        save_image_grid(out, images)
    else:
        buffer = io.BytesIO()
        np.save(buffer, images)
        atomic_write(out, buffer.getvalue())
    print(f"{args.n} images are in {out}.")
    return 0
