"""Switches of the engine, one set a thread: is the graph recorded, is every value watched."""

from __future__ import annotations

import os
import threading
import traceback
import weakref
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import minigen_kernels

# The folders of minigen and its kernels: lines elsewhere are the user's.
OWN = tuple(f"{folder}{os.sep}" for folder in (Path(__file__).resolve().parents[1], *minigen_kernels.__path__))


class Capture:
    """What a step did, while it was captured as a CUDA graph, that its replays have to be seen to do as well.

    Attributes:
        leaves: the tensors that got a gradient.
        versions: the counters of the tensors that were changed in place.
        made: weak references to the tensors that the step made, by their ids.
        read: of every other tensor that an operation read, a weak reference and its array, which is kept for the replays.
    """

    def __init__(self) -> None:
        self.leaves: set[Any] = set()
        self.versions: list[list[int]] = []
        self.made: dict[int, weakref.ref[Any]] = {}
        self.read: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def note_made(self, tensor: Any) -> None:
        """A tensor was made."""
        self.made[id(tensor)] = weakref.ref(tensor)

    def note_input(self, tensor: Any) -> None:
        """An operation reads this tensor."""
        made = self.made.get(id(tensor))
        if made is None or made() is not tensor:
            self.read.setdefault(id(tensor), (weakref.ref(tensor), tensor._data))


# How many threads capture a step, changed by one thread at a time: where none does, nobody need ask whose step it is.
capturing = 0


def note_made(tensor: Any) -> None:
    """A tensor was made while some thread captures a step; where it is this one, the step has made it."""
    if thread.state.capture is not None:
        thread.state.capture.note_made(tensor)


class Switches:
    """How the switches of one thread stand."""

    def __init__(self) -> None:
        self.recording = True  # operations on tensors that require a gradient leave a node in the graph
        self.anomaly = False  # every result and every gradient is checked for NaN and infinity
        self.line = ""  # in anomaly mode, while a gradient is computed: the forward line that it belongs to
        self.origin: Any = None  # while a gradient is computed and recorded: whose it is, a node's or a leaf's
        self.watch: Any = None  # the `minigen.trace` recorder that is shown every operation, if there is one
        self.capture: Capture | None = None  # what is noted while a CUDA graph is captured
        self.steady = False  # a tensor that is given other data takes their values over into the array that it has


class _Thread(threading.local):
    """Gives every thread a state of its own. Looking up what belongs to a thread costs more than an attribute does, so
    an operation does it once.
    """

    def __init__(self) -> None:
        self.state = Switches()


thread = _Thread()


class Replaced:
    """How often a tensor or an optimizer was given other arrays than it had, or a layer another mode, training or not.

    A captured graph still computes with the old ones.
    """

    count = 0


class _Switch:
    """Sets one switch for the length of a `with` block, or of a function it decorates."""

    switch: str
    value: bool

    def __init__(self) -> None:
        self.before: list[bool] = []  # one for each `with` that it is in: it may be entered within itself

    def __enter__(self) -> None:
        self.before.append(getattr(thread.state, self.switch))
        setattr(thread.state, self.switch, self.value)

    def __exit__(self, *exc: object) -> None:
        setattr(thread.state, self.switch, self.before.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with type(self)():
                return function(*args, **kwargs)

        return inside


class no_grad(_Switch):
    """Inside, no graph is recorded and parameters may be changed in place.

    >>> import minigen
    >>> w = minigen.ones(2, requires_grad=True)
    >>> with minigen.no_grad():
    ...     y = w * 2
    >>> y.requires_grad
    False
    """

    switch, value = "recording", False


class enable_grad(_Switch):
    """Inside, the graph is recorded even within `no_grad`.

    >>> import minigen
    >>> w = minigen.ones(2, requires_grad=True)
    >>> with minigen.no_grad(), minigen.enable_grad():
    ...     y = w * 2
    >>> y.requires_grad
    True
    """

    switch, value = "recording", True


class detect_anomaly(_Switch):
    """Inside, the first operation that makes a NaN or an infinity, forwards or backwards, raises an `AnomalyError`
    that names the operation and the line of the program that called it. Slow: for finding a fault, not for training.

    >>> import minigen
    >>> x = minigen.tensor([0.0, 1.0], requires_grad=True)
    >>> try:
    ...     with minigen.detect_anomaly():
    ...         (1 / x).sum().backward()
    ... except minigen.errors.AnomalyError as error:
    ...     print(str(error).split(" ")[0])
    Div
    """

    switch, value = "anomaly", True


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread.

    >>> import minigen
    >>> with minigen.no_grad():
    ...     print(minigen.is_grad_enabled())
    False
    """
    return thread.state.recording


def calling_line() -> str:
    """The innermost line outside minigen that led here, as ``file:line: code``."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(OWN):
            return f"{frame.filename}:{frame.lineno}: {frame.line}"
    return "a line inside minigen"
