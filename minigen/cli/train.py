"""`minigen train MODEL`: train a model, or go on with a run."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from minigen.cli.loading import name_skipped
from minigen.errors import UserError
from minigen.training.options import Option, positive_integer
from minigen.training.systems import SYSTEMS, System, find_system


def add_parser(subparsers: Any, arguments: Sequence[str]) -> None:
    """Add this command to the parser, with the options of the model that the arguments name."""
    model = named_model(arguments)
    system = None if model is None else find_system(model)
    if system is None:
        description = "Train a model and write a run folder: weights, records, pictures."
        epilog = "minigen train --list shows the models, minigen train MODEL --help the options of one."
        options: tuple[Option, ...] = ()
    else:
        description = f"Train the model {system.name!r}: {system.description}."
        epilog = f"Trained on {system.defaults()['data']} unless told otherwise."
        for data, changed in system.defaults_of_data.items():
            given = " ".join(
                f"{option.flag} {changed[option.name]}" for option in system.options if option.name in changed
            )
            epilog += f" With --data {data} the defaults are {given}."
        options = system.all_options()
    parser = subparsers.add_parser(
        "train",
        help="train a model on real data",
        usage="minigen train MODEL [options]" if system is None else f"minigen train {model} [options]",
        description=description,
        epilog=epilog,
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="its name")
    own = parser.add_argument_group(f"options of {model}") if system else parser
    for option in options:
        option.add_to(own)
    if not any(option.name == "epochs" for option in options):
        parser.add_argument("--epochs", metavar="N", help="with --resume: how long to train in all")
    parser.add_argument("--list", action="store_true", help="show the models, and what each is trained on")
    parser.add_argument("--out", metavar="DIR", help="the run folder, new or empty (default: runs/MODEL-1, -2, …)")
    parser.add_argument("--resume", metavar="DIR", help="go on with the run in DIR; only --epochs may be changed")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    parser.set_defaults(run=run, help_command=f"minigen train {model or 'MODEL'} --help")


def named_model(arguments: Sequence[str]) -> str | None:
    """The model in the arguments of `minigen train`: the first that is no option and no option's value."""
    if not arguments or arguments[0] != "train":
        return None
    switches = {"--quiet", "--list"}
    for option in (option for system in SYSTEMS.values() for option in system.all_options() if option.kind is bool):
        switches |= {option.flag, option.flag.replace("--", "--no-", 1)}
    before = ""
    for word in arguments[1:]:
        is_value = before.startswith("--") and "=" not in before and before not in switches
        if not word.startswith("-") and not is_value:
            return word
        before = word
    return None


def run(args: argparse.Namespace) -> int:
    """Train, write the pictures, and say where they are."""
    from minigen.training.runs import finish_run, resume_run, start_run, train_run

    if args.list:
        print(model_table())
        return 0
    if args.resume is not None:
        training = resume_run(args.resume, _resumed_options(args), quiet=args.quiet)
        name_skipped(training.skipped)
    else:
        training = start_run(_config(args), args.out, quiet=args.quiet)
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


def model_table() -> str:
    """The models with a line each: the name, what it is, and what it is trained on by default."""
    rows = [("model", "trained on", "what it is")]
    rows += [(name, str(system.defaults()["data"]), system.description) for name, system in SYSTEMS.items()]
    name, data = (max(len(row[i]) for row in rows) for i in (0, 1))
    return "\n".join(f"{row[0]:{name}}  {row[1]:{data}}  {row[2]}" for row in rows)


def _config(args: argparse.Namespace) -> dict[str, Any]:
    if args.model is None:
        raise UserError("Say which model to train: minigen train MODEL (minigen train --list shows them).")
    system = find_system(args.model)
    return {"model": system.name, **_given(args, system)}


def not_on_resume(options: Sequence[str]) -> str:
    """What to say of options beside --resume."""
    return f"--resume goes on with the run as it was begun, so {', '.join(options)} cannot be given; only --epochs can."


def _resumed_options(args: argparse.Namespace) -> dict[str, Any]:
    given = {} if args.model is None else _given(args, find_system(args.model))
    changed = [f"--{name.replace('_', '-')}" for name in given if name != "epochs"]
    if args.out is not None:
        changed.append("--out")
    if changed:
        raise UserError(not_on_resume(changed))
    if args.epochs is not None:
        given["epochs"] = Option("epochs", 1, "", positive_integer).value(args.epochs)
    return given if args.model is None else {"model": args.model, **given}


def _given(args: argparse.Namespace, system: type[System]) -> dict[str, Any]:
    given = [(option, getattr(args, option.name)) for option in system.all_options()]
    return {option.name: option.value(value) for option, value in given if value is not None}
