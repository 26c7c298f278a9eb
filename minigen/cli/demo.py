"""`minigen demo NAME`: a failure of training and its cure, side by side in one picture."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    parser = subparsers.add_parser(
        "demo",
        help="show a failure of training and its cure",
        description="Train a model that fails and one that does not, and draw both side by side in one picture. "
        "--list shows the demos.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="which one")
    parser.add_argument("--list", action="store_true", help="show the demos")
    parser.add_argument("--out", metavar="FILE", help="the picture, .png (default: NAME.png in this folder)")
    parser.add_argument("--quiet", action="store_true", help="say nothing on the way")
    parser.set_defaults(run=run, help_command="minigen demo --help")


def run(args: argparse.Namespace) -> int:
    """Train both, and say where the picture is."""
    from minigen.cli.outputs import output_path
    from minigen.demos import demo_names, find_demo
    from minigen.errors import UserError

    if args.list:
        demos = [find_demo(name) for name in demo_names()]
        width = max(len(demo.NAME) for demo in demos)
        print("\n".join(f"{demo.NAME:{width}}  {demo.DESCRIPTION}" for demo in demos))
        return 0
    if args.name is None:
        raise UserError("Say which demo: minigen demo NAME (minigen demo --list shows them).")
    demo = find_demo(args.name)
    out = output_path(args.out, ".", f"{demo.NAME}.png", {".png": "a picture"})
    picture = demo.run(out, quiet=args.quiet)
    print(f"The picture is in {picture}.")
    return 0
