"""`minigen anomaly RUN`: score how unlike its training data samples are."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from minigen.cli.loading import load_run, read_images, run_argument

if TYPE_CHECKING:
    from pathlib import Path

    from minigen.training.systems import System

SUFFIX = {"reconstruction": "", "latent": "-latent"}  # of the files, by the score


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "anomaly",
        help="score how unlike its training data samples are",
        description="Score the held-out samples, or your own images, by how unlike the training data they are. Where a "
        "class was left out of training (`minigen train MODEL --imbalance C:0`), measure how well the scores find it: "
        "AUROC and average precision.",
    )
    run_argument(parser)
    parser.add_argument("--input", metavar="PATH", help="an image, or a folder of images (default: the held-out data)")
    parser.add_argument(
        "--score",
        choices=("reconstruction", "latent"),
        default="reconstruction",
        help="by how badly the model draws a sample again, or by how unlikely its code is, where it offers both "
        "(default: reconstruction)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where the scores go, .csv or .json; the picture goes beside them as .png (default: RUN/anomaly.csv, "
        "or RUN/anomaly-latent.csv)",
    )
    parser.set_defaults(run=run, help_command="minigen anomaly --help")


def run(args: argparse.Namespace) -> int:
    """Score, write, and say what was found."""
    from minigen.cli.outputs import TABLES, output_path

    out = output_path(args.out, args.path, f"anomaly{SUFFIX[args.score]}.csv", TABLES)
    system, _ = load_run(args.path)
    if args.input is None:
        _score_held_out(system, args, out)
    else:
        _score_files(system, args, out)
    return 0


def _score_held_out(system: System, args: argparse.Namespace, out: Path) -> None:
    from minigen.cli.outputs import write_table
    from minigen.tasks import held_out_anomalies, left_out_classes
    from minigen.tasks.abilities import class_name
    from minigen.viz import save_anomalies

    found = held_out_anomalies(system, args.score)
    rows = []
    for i, score in enumerate(found.scores):
        row: dict[str, Any] = {"sample": i, "score": float(score)}
        if found.labels is not None:
            row["class"] = int(found.labels[i])
        if found.anomalous is not None:
            row["left_out"] = bool(found.anomalous[i])
        rows.append(row)
    left_out = [class_name(system, label) for label in left_out_classes(system)]
    measured = {"auroc": found.auroc, "average_precision": found.average_precision}
    about = {"run": args.path, "model": system.name, "score": args.score, "left_out": left_out}
    if found.auroc is None:
        summary = "AUROC needs a class that was left out of training: train with --imbalance C:0 for a class C."
        title = f"{system.name}: held-out data, by {args.score}"
    else:
        classes = f"class{'es' if len(left_out) > 1 else ''} {', '.join(left_out)}"
        summary = (
            f"AUROC {found.auroc:.4f}, average precision {found.average_precision:.4f} for {classes}, left out of "
            f"training ({int(found.anomalous.sum())} of {len(rows)} held-out samples)."  # type: ignore[union-attr]
        )
        title = f"{system.name}, trained without {classes}: AUROC {found.auroc:.3f} by {args.score}"
    write_table(out, rows, about | measured)
    images = system.held_out() if system.source.kind == "image" else None
    save_anomalies(out.with_suffix(".png"), found.scores, images, found.anomalous, title=title)
    print(summary)
    print(f"The scores of {len(rows)} held-out samples are in {out}, the picture in {out.with_suffix('.png')}.")


def _score_files(system: System, args: argparse.Namespace, out: Path) -> None:
    import numpy as np

    from minigen.cli.outputs import text_table, write_table
    from minigen.tasks import anomaly_scores, share_below
    from minigen.viz import save_anomalies

    images, names = read_images(system, args.input)
    scores = anomaly_scores(system, images, args.score)
    reference = anomaly_scores(system, system.held_out(), args.score)
    shares = share_below(scores, reference)
    rows = [
        {"file": names[i], "score": float(scores[i]), "held_out_below": float(shares[i])}
        for i in np.argsort(-scores, kind="stable")
    ]
    write_table(out, rows, {"run": args.path, "model": system.name, "score": args.score, "input": args.input})
    title = f"{system.name}: {len(images)} of your images among {len(reference)} held-out ones, by {args.score}"
    save_anomalies(out.with_suffix(".png"), scores, images, reference=reference, title=title)
    print(text_table(rows[:20]))
    more = f" ({len(rows) - 20} more below)" if len(rows) > 20 else ""
    print(f"The scores{more} are in {out}, the picture in {out.with_suffix('.png')}.")
