"""What is said and begun when a process has to compile kernels: without a word, a first training step seems to hang.

The word is a warning of the logger "minigen_kernels", which Python shows on stderr unless a program says otherwise
(`logging.getLogger("minigen_kernels").setLevel("ERROR")`). If a convolutional layer has been made, a second process begins
to compile too (`ahead`), and does so with whatever kernel is compiled first: a DCGAN comes to its first convolution five
seconds later.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from numba.core import event

from . import tile, updates
from .ahead import compile_ahead

WORD = "Compiling kernels for this processor, %s, so the first step of a network may take half a minute."
KEPT = "this once"
KEPT_ELSEWHERE = "this once (kept in %s, since the folder that NUMBA_CACHE_DIR names cannot be written)"
NOT_KEPT = "and again in every process (no folder can be written to keep them in; NUMBA_CACHE_DIR names one)"


def compiled_before(convolutions: bool = True) -> bool:
    """Whether an earlier process left its compiled kernels on the disk, so that few or none need be compiled now.

    Judged by one that every convolution uses or, without convolutions, by one that most training uses.
    """
    kernel = tile.run_tiles if convolutions else updates.adam
    folder = kernel.stats.cache_path  # None where no folder can be written
    name = f"{kernel.py_func.__module__.rpartition('.')[2]}.{kernel.py_func.__name__}"
    return folder is not None and any(Path(folder).glob(f"{name}*.nbi"))


def _how_long(folder: str | None) -> str:
    """For how many processes what is compiled now is kept in this folder, None where it is kept in none."""
    if folder is None:
        return NOT_KEPT
    wanted = os.environ.get("NUMBA_CACHE_DIR")
    if wanted and Path(wanted).resolve() not in Path(folder).resolve().parents:
        return KEPT_ELSEWHERE % folder
    return KEPT


class _FirstCompile(event.Listener):
    """Hears of every function that Numba compiles, ours and others, before it does; not of what it finds on the disk."""

    def __init__(self) -> None:
        self.heard = False  # of one of ours
        self.convolutions = False  # will be needed
        self.begun = False

    def on_start(self, event: event.Event) -> None:
        kernel = event.data["dispatcher"]
        if not self.heard and str(kernel.py_func.__module__).startswith(f"{__package__}."):
            self.heard = True
            logging.getLogger(__name__).warning(WORD, _how_long(kernel.stats.cache_path))
            self.begin()

    def on_end(self, event: event.Event) -> None:
        """Nothing is said when it is done: the step goes on."""

    def begin(self) -> None:
        """The second process, as soon as something is compiled here and convolutions will be needed."""
        if self.heard and self.convolutions and not self.begun:
            self.begun = True
            if not compiled_before():
                compile_ahead()


_listener = _FirstCompile()
event.register("numba:compile", _listener)


def expect_convolutions() -> None:
    """There will be convolutions: with what is compiled first, or now, a second process begins to compile their gradients'."""
    _listener.convolutions = True
    _listener.begin()
