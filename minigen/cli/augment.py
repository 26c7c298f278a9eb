"""`minigen augment RUN`: make new labelled samples with a trained model, and measure what they are worth."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

from minigen.cli.loading import load_run, run_argument
from minigen.training.options import natural_number, positive_integer

if TYPE_CHECKING:
    from minigen.training.systems import System

SHOWN = 12  # new images of each class in the picture


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "augment",
        help="make new labelled samples with a trained model",
        description="Make new images of each class of the training data: by a change of code and its effect on a real "
        "image where the model encodes and decodes, otherwise by sampling and labelling what a classifier recognizes. "
        "Then train classifiers without and with them, and say what they are worth on held-out data.",
    )
    run_argument(parser)
    parser.add_argument(
        "--n", type=positive_integer, default=100, metavar="N", help="new images of each class (default: 100)"
    )
    parser.add_argument(
        "--seed", type=natural_number, default=0, metavar="N", help="the same seed, the same images (default: 0)"
    )
    parser.add_argument(
        "--measure",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="train classifiers without and with the new images (the default; takes the longer part of the time)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="an .npz of images, float32 (n, C, H, W) from 0 to 1, and labels, int64; the picture goes beside it as .png "
        "(default: RUN/augmentation.npz)",
    )
    parser.set_defaults(run=run, help_command="minigen augment --help")


def run(args: argparse.Namespace) -> int:
    """Make them, write them, and say what they are worth."""
    import io

    import numpy as np

    from minigen.cli.outputs import output_path, text_table
    from minigen.files import atomic_write
    from minigen.random import Generator
    from minigen.tasks import augment, measure_augmentation
    from minigen.tasks.abilities import class_name
    from minigen.viz import save_rows

    out = output_path(args.out, args.path, "augmentation.npz", {".npz": "arrays of images and labels"})
    system, _ = load_run(args.path)
    made = augment(system, args.n, Generator(args.seed))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=made.images, labels=made.labels)
    atomic_write(out, buffer.getbuffer())
    picture = out.with_suffix(".png")
    classes = range(system.source.classes)
    save_rows(picture, [(class_name(system, c), made.images[made.labels == c][:SHOWN]) for c in classes])
    for c in classes:
        count = int((made.labels == c).sum())
        if count < args.n:
            print(f"minigen: Of class {class_name(system, c)} there are {count} new images.", file=sys.stderr)
    print(f"{len(made.images)} new images are in {out}, some of them in {picture}: {made.method}.")
    if args.measure:
        rows = measure_augmentation(system, made)
        print("\nAccuracy on held-out images of classifiers trained on")
        names = [f"class {class_name(system, c)}" for c in classes]
        print(text_table([_shown(row, names) for row in rows]))
        print(_verdict(rows) + _rarest(system, rows))
    return 0


def _shown(row: dict[str, Any], names: list[str]) -> dict[str, Any]:
    plain = {key: value for key, value in row.items() if key != "class_accuracy"}
    return plain | {name: round(value, 3) for name, value in zip(names, row["class_accuracy"])}


def _rarest(system: System, rows: list[dict[str, Any]]) -> str:
    """What becomes of the rarest class, where one is less than half as large as the largest."""
    import numpy as np

    from minigen.tasks.abilities import class_name, samples_and_labels

    _, labels = samples_and_labels(system, "train")
    if labels is None:
        return ""
    classes, counts = np.unique(labels, return_counts=True)  # one left out altogether is none that can be mended
    rarest, count = int(classes[counts.argmin()]), int(counts.min())
    if 2 * count >= counts.max():
        return ""
    alone, repeats, new = (row["class_accuracy"][rarest] for row in rows)
    return (
        f"\nOf class {class_name(system, rarest)}, the rarest in training ({count} images), {alone:.1%} are "
        f"recognized without them, {repeats:.1%} with repeats and {new:.1%} with the new images."
    )


def _verdict(rows: list[dict[str, Any]]) -> str:
    """Whether the new images help beyond repeats of the old ones, as far as the classifiers' spread lets it be said."""
    from scipy.stats import t

    from minigen.tasks.augmentation import SEEDS

    _, repeats, new = rows
    gain = new["accuracy"] - repeats["accuracy"]
    quantile = float(t.ppf(0.975, 2 * (SEEDS - 1)))  # Student's, for the difference of two means of few
    spread = quantile * (new["error"] ** 2 + repeats["error"] ** 2) ** 0.5
    if gain > spread:
        return f"The new images help: {gain:+.2%} over repeats of the training images."
    if gain < -spread:
        return f"The new images do harm: {gain:+.2%} against repeats of the training images."
    return f"The new images make no difference that can be told from chance: {gain:+.2%} against repeats."
