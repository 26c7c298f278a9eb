"""The failure museum: what goes wrong in training generative models, and what mends it, side by side in one picture.

Each exhibit is a module of this package with

    NAME            on the command line
    DESCRIPTION     one line
    run(out, quiet=False)   train both, write the picture to the file `out` (.png), and return its path

and is imported only when it is asked for. From Python:

    from pathlib import Path
    from minigen.demos import find_demo

    find_demo("mode-collapse").run(Path("collapse.png"))
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol, cast

from minigen.errors import unknown_name

NAMES = (
    "mode-collapse",
    "posterior-collapse",
    "vanishing-gradient",
    "initialization",
    "imbalance",
    "checkerboard",
)


class Demo(Protocol):
    """What every exhibit offers."""

    NAME: str
    DESCRIPTION: str

    def run(self, out: Path, quiet: bool = False) -> Path:
        """Train, draw, write the picture to the file `out`, and return its path; `quiet` keeps the progress bar away."""
        ...


def demo_names() -> list[str]:
    """The names of all demos, in the order of the course.

    >>> demo_names()[0]
    'mode-collapse'
    """
    return [name for name in NAMES if find_spec(_module(name)) is not None]


def find_demo(name: str) -> Demo:
    """The demo of that name.

    Raises:
        UserError: there is none; the sentence lists them, and the closest name.

    >>> find_demo("mode-collapse").NAME
    'mode-collapse'
    """
    names = demo_names()
    if name not in names:
        raise unknown_name("demo", name, names)
    return cast(Demo, import_module(_module(name)))


def _module(name: str) -> str:
    return f"{__name__}.{name.replace('-', '_')}"
