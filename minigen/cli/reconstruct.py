"""`minigen reconstruct RUN`: send images through a trained model and back."""

from __future__ import annotations

import argparse
from typing import Any

from minigen.cli.loading import load_run, read_images, run_argument

SHOWN = 40  # images in the picture
LISTED = 20  # files in the terminal


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "reconstruct",
        help="send images through a trained model and back",
        description="Reconstruct held-out images, or your own, which are brought to the model's size. The picture shows "
        "originals over reconstructions, and below each pair the squared error and the PSNR.",
    )
    run_argument(parser)
    parser.add_argument("--input", metavar="PATH", help="an image, or a folder of images (default: the held-out data)")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help=f"a .png picture of the first {SHOWN}, a .csv or .json table of all errors, or .npy for the float32 "
        "reconstructions (n, C, H, W) from 0 to 1 (default: RUN/reconstruct.png)",
    )
    parser.set_defaults(run=run, help_command="minigen reconstruct --help")


def run(args: argparse.Namespace) -> int:
    """Reconstruct, write, and say how well it went."""
    import numpy as np

    from minigen.cli.outputs import TABLES, output_path, text_table, write_array, write_table
    from minigen.tasks import reconstruct
    from minigen.viz import save_reconstructions

    kinds = {".png": "a picture", **TABLES, ".npy": "an array"}
    out = output_path(args.out, args.path, "reconstruct.png", kinds)
    system, _ = load_run(args.path)
    images, names = None, list[str]()
    if args.input is not None and system.reconstruct is not None:
        images, names = read_images(system, args.input)
    made = reconstruct(system, images)
    label = "sample" if args.input is None else "file"
    rows = [
        {label: name, "squared_error": float(error), "psnr": float(psnr)}
        for name, error, psnr in zip(names or range(len(made.errors)), made.errors, made.psnr)
    ]
    if out.suffix == ".png":
        captions = [f"{row['squared_error']:.3g}\n{row['psnr']:.1f} dB" for row in rows[:SHOWN]]
        save_reconstructions(out, made.originals[:SHOWN], made.reconstructions[:SHOWN], captions=captions)
    elif out.suffix == ".npy":
        write_array(out, made.reconstructions.astype(np.float32))
    else:
        write_table(out, rows, {"run": args.path, "model": system.name, "input": args.input})
    if names:
        print(text_table(rows[:LISTED]))
    what = "held-out images" if args.input is None else "images" if len(rows) > 1 else "image"
    print(
        f"{len(rows)} {what}: in the mean, ‖x - x̂‖² is {made.errors.mean():.4g} and the PSNR {made.psnr.mean():.2f} dB; "
        f"they are in {out}."
    )
    return 0
