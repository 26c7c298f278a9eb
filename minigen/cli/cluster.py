"""`minigen cluster RUN`: cluster the codes of a trained model, and compare with the classes."""

from __future__ import annotations

import argparse
from typing import Any

from minigen.cli.loading import load_run, run_argument
from minigen.training.options import natural_number, positive_integer, positive_number


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "cluster",
        help="cluster the codes of a trained model",
        description="Cluster the codes that a model gives to the held-out samples, and by the same method their raw "
        "pixels; where there are labels, say how well both agree with the classes. Writes a picture and the cluster of "
        "each sample.",
    )
    run_argument(parser)
    parser.add_argument(
        "--k", type=positive_integer, metavar="K", help="how many clusters (default: as many as classes)"
    )
    parser.add_argument("--method", default="kmeans", metavar="NAME", help="kmeans, gmm or dbscan (default: kmeans)")
    parser.add_argument(
        "--eps",
        type=positive_number,
        metavar="R",
        help="the radius of dbscan (default: the median distance to the nearest few)",
    )
    parser.add_argument("--train", action="store_true", help="the samples it was trained on, not the held-out ones")
    parser.add_argument("--seed", type=natural_number, default=0, metavar="N", help="of the starts (default: 0)")
    parser.add_argument(
        "--out",
        metavar="FILE",
        help="where the table goes, .csv or .json; the picture goes beside it as .png (default: RUN/clusters.csv)",
    )
    parser.set_defaults(run=run, help_command="minigen cluster --help")


def run(args: argparse.Namespace) -> int:
    """Cluster, write, and print how well it went."""
    from minigen.cli.outputs import TABLES, output_path, text_table, write_table
    from minigen.errors import UserError
    from minigen.random import Generator
    from minigen.tasks import cluster_codes, principal_plane
    from minigen.viz import save_clusters

    out = output_path(args.out, args.path, "clusters.csv", TABLES)
    if args.method == "dbscan" and args.k is not None:
        raise UserError("DBSCAN finds the number of clusters itself: give --eps, or another --method, in place of --k.")
    if args.method != "dbscan" and args.eps is not None:
        raise UserError(f"--eps is the radius of dbscan, and {args.method} has none: give --method dbscan with it.")
    system, _ = load_run(args.path)
    split = "train" if args.train else "test"
    found = cluster_codes(system, args.k, args.method, args.eps, split, Generator(args.seed))
    rows = [
        {"sample": i, "cluster": int(found.of_codes[i]), "cluster_of_raw": int(found.of_samples[i])}
        | ({} if found.labels is None else {"class": int(found.labels[i])})
        for i in range(len(found.codes))
    ]
    summary = {"run": args.path, "model": system.name, "split": split, "method": args.method}
    write_table(out, rows, summary | {"agreement": found.agreement})
    picture = out.with_suffix(".png")
    images = found.samples if system.source.kind == "image" else None
    names = system.source.class_names
    save_clusters(picture, principal_plane(found.codes), found.of_codes, found.labels, images, names)
    print(text_table(found.agreement))
    print(f"The clusters of {len(rows)} samples are in {out}, the picture in {picture}.")
    return 0
