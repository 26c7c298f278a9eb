"""The entry point: finds the command, runs it, and turns every error into one sentence and an exit code.

Exit codes: 0 done, 1 a failure, 2 a mistake in what was asked for, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from minigen_kernels.environment import WrongSetting, threads_asked_for

from minigen import __version__
from minigen.errors import MinigenError, UserError, unknown_name

NOT_OPTIONS = ("run", "help_command", "model", "path", "name")  # what a parsed command has besides


class Parser(argparse.ArgumentParser):
    """argparse, with its errors in our form, and options in full."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **options})

    def error(self, message: str) -> NoReturn:
        choice = re.fullmatch(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", message)
        if choice is not None:
            argument, given, known = choice.groups()
            what = {"COMMAND": "command", "NAME": "name"}.get(argument, f"value of {argument}")
            raise unknown_name(what, given, [name.strip("'") for name in known.split(", ")])
        raise UserError(f"{message[0].upper()}{message[1:]} (see {self.prog} --help).")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - None when closed by the caller
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        check_environment()
        arguments = [a for a in arguments if a != "--debug"]
        args, unknown = make_parser(arguments).parse_known_args(arguments)
        if unknown:
            raise UserError(_unknown(unknown, args))
        if args.run is None:
            raise UserError("Name a command, such as minigen train ae (minigen --help lists them).")
        with warnings.catch_warnings(), _kernels_quiet(getattr(args, "quiet", False)):
            warnings.showwarning = _warn  # type: ignore[assignment]
            code = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _fail("Stopped by Ctrl-C.", 130, debug)
    except BrokenPipeError:  # `minigen … | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except UserError as error:
        return _fail(str(error), 2, debug)
    except MinigenError as error:
        return _fail(str(error), 1, debug)
    except MemoryError:
        return _fail("There is not enough memory; use a smaller network, a smaller batch or fewer samples.", 1, debug)
    except OSError as error:
        where = error.filename or "the output"
        return _fail(f"Could not read or write {where}: {error.strerror or error}.", 1, debug)
    except Exception as error:
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"An unexpected failure, {what} (--debug shows where).", 1, debug)


def make_parser(arguments: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of all commands, with the options of the model where the arguments train one."""
    from minigen.cli import (
        anomaly,
        augment,
        bench,
        cluster,
        demo,
        evaluate,
        gradcheck,
        info,
        reconstruct,
        restore,
        sample,
        train,
    )

    parser = Parser(
        prog="minigen",
        description="Autograd, convolution kernels and generative models from scratch.",
        epilog="--debug, anywhere, shows where an error came from.",
    )
    parser.add_argument("--version", action="version", version=f"minigen {__version__}")
    parser.set_defaults(run=None, help_command="minigen --help")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND")
    train.add_parser(subparsers, arguments)
    for command in (sample, reconstruct, restore, anomaly, augment, cluster, evaluate, bench, demo, gradcheck, info):
        command.add_parser(subparsers)
    return parser


def check_environment() -> None:
    """Refuse a wrong MINIGEN_NUM_THREADS at once, and not when the first kernel runs."""
    try:
        threads_asked_for()
    except WrongSetting as error:
        raise UserError(str(error)) from error


def _warn(message: Warning | str, *where: Any) -> None:
    print(f"minigen: {message}", file=sys.stderr)


@contextmanager
def _kernels_quiet(quiet: bool) -> Iterator[None]:
    """Where `quiet`, the kernels do not say that they are being compiled."""
    logger = logging.getLogger("minigen_kernels")
    before = logger.level
    if quiet:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _unknown(words: list[str], args: argparse.Namespace) -> str:
    """What to say of arguments that no option took."""
    from minigen.cli.train import not_on_resume

    options = [word.split("=")[0] for word in words if word.startswith("-")]
    if not options:
        return f"Nothing takes the word {words[0]} ({args.help_command} shows what there is)."
    if getattr(args, "resume", None) is not None:
        return not_on_resume(options)
    known = [f"--{name.replace('_', '-')}" for name in vars(args) if name not in NOT_OPTIONS]
    close = difflib.get_close_matches(options[0], known, n=1, cutoff=0.75)
    hint = f": did you mean {close[0]}?" if close else ""
    return f"There is no option {' '.join(options)}{hint} ({args.help_command} shows those that there are)."


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    print(f"minigen: {message}", file=sys.stderr)
    return code
