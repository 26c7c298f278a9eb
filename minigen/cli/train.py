"""`minigen train MODEL`: train a model, or go on with a run."""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import Any

from minigen.cli.arguments import natural_number, non_negative_number, positive_integer, positive_number
from minigen.cli.loading import name_skipped
from minigen.errors import UserError
from minigen.training.systems import SYSTEMS, find_system


def add_parser(subparsers: Any) -> None:
    """Add this command to the parser."""
    models = "\n".join(f"  {name:5} {system.description}" for name, system in SYSTEMS.items())
    parser = subparsers.add_parser(
        "train",
        help="train a model on real data",
        description="Train a model and write a run folder: weights, records, pictures.",
        epilog=f"models:\n{models}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help=f"one of {', '.join(SYSTEMS)}")
    parser.add_argument("--data", metavar="NAME", help="the data set (default: digits)")
    parser.add_argument("--epochs", type=positive_integer, metavar="N", help=_default("epochs"))
    parser.add_argument("--batch-size", type=positive_integer, metavar="N", help=_default("batch_size"))
    parser.add_argument("--lr", type=positive_number, metavar="RATE", help=_default("lr", "learning rate"))
    parser.add_argument(
        "--latent-dim", type=positive_integer, metavar="N", help=_default("latent_dim", "size of the code")
    )
    parser.add_argument("--beta", type=non_negative_number, metavar="B", help=_default("beta", "weight of the KL term"))
    parser.add_argument("--seed", type=natural_number, metavar="N", help="of weights, order and noise (default: 0)")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda or cudasim (default: cpu)")
    parser.add_argument("--out", metavar="DIR", help="the run folder, new or empty (default: runs/MODEL-1, -2, …)")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in DIR; only --epochs may be changed")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, write the pictures, and say where they are."""
    from minigen.training.runs import finish_run, resume_run, start_run, train_run, will_compile

    if args.resume is not None:
        training = resume_run(args.resume, _resumed_options(args), quiet=args.quiet)
        name_skipped(training.skipped)
    else:
        training = start_run(_config(args), args.out, quiet=args.quiet)
    if not args.quiet and will_compile(training.system):
        print("Compiling the convolutions for this machine: some seconds, this once.", file=sys.stderr)
    with training.run as folder:
        try:
            complete = train_run(training)
            pictures = finish_run(training)
        except KeyboardInterrupt:  # a second Ctrl-C, or one outside the loop
            complete = False
        if not complete:
            print(
                f"Stopped by Ctrl-C; everything up to step {training.session.saved_step} is saved. Go on with:\n"
                f"  minigen train --resume {shlex.quote(str(folder.path))}",
                file=sys.stderr,
            )
            return 130
    print(f"The run is in {folder.path}: {', '.join(path.name for path in pictures)}.")
    return 0


def _config(args: argparse.Namespace) -> dict[str, Any]:
    if args.model is None:
        raise UserError(f"Say which model to train: minigen train MODEL, one of {', '.join(SYSTEMS)}.")
    system = find_system(args.model)
    given = _given(args)
    for name in given:
        if name not in system.defaults and name not in ("seed", "device"):
            raise UserError(
                f"The model {system.name!r} has no option {_flag(name)}; it has {', '.join(map(_flag, system.defaults))}."
            )
    return {"model": system.name, **system.defaults, "seed": 0, "device": "cpu", **given}


def _resumed_options(args: argparse.Namespace) -> dict[str, Any]:
    given = _given(args)
    changed = [_flag(name) for name in given if name != "epochs"]
    if args.out is not None:
        changed.append("--out")
    if changed:
        raise UserError(
            f"--resume goes on with the run as it was begun, so {', '.join(changed)} cannot be given; only --epochs can."
        )
    return given if args.model is None else {"model": args.model, **given}


def _given(args: argparse.Namespace) -> dict[str, Any]:
    names = ("data", "epochs", "batch_size", "lr", "latent_dim", "beta", "seed", "device")
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _default(name: str, what: str = "") -> str:
    values = ", ".join(
        f"{system.name} {system.defaults[name]}" for system in SYSTEMS.values() if name in system.defaults
    )
    return f"{what} (default: {values})".strip()
