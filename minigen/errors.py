"""The errors minigen raises. Each carries one sentence: what was wrong, what was expected, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MinigenError(Exception):
    """The base of every error that minigen raises on purpose."""


class UserError(MinigenError):
    """A mistake in what was asked for (a name, a value, a file): the command line exits with code 2."""


class ShapeError(UserError, ValueError):
    """Shapes that do not fit the operation."""


class DtypeError(UserError, TypeError):
    """A type of number that the operation cannot take."""


class DeviceError(UserError, RuntimeError):
    """A device that is not there, or tensors on different devices."""


class OutOfMemoryError(MinigenError, MemoryError):
    """An array for which the GPU has no memory left."""


class AutogradError(MinigenError, RuntimeError):
    """A use of the computation graph that would give a wrong gradient."""


class InPlaceError(AutogradError):
    """An array was changed in place although a backward pass still needs its old values."""


class DoubleBackwardError(AutogradError):
    """An operation that can be differentiated once was asked for its second derivative."""


class GraphError(UserError, RuntimeError):
    """A step that cannot be captured as a CUDA graph, or not be replayed as it was captured."""


class AnomalyError(AutogradError):
    """The first NaN or infinity, found by `detect_anomaly`."""


class GradcheckError(MinigenError, AssertionError):
    """An analytic gradient that disagrees with finite differences."""


class CheckpointError(MinigenError):
    """A checkpoint that is missing, truncated or corrupted."""


class TrainingError(MinigenError):
    """A run that cannot go on (a loss that is not finite, a full disk)."""


def unknown_name(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not in a table, with the closest one that is, and all of them.

    Args:
        what: the table is of, such as "loss".
        name: that was asked for.
        known: those that there are.

    >>> print(unknown_name("colour", "rde", ["red", "green"]))
    Unknown colour 'rde': did you mean 'red'? There are red, green.
    """
    names = list(known)
    close = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    hint = f": did you mean {close[0]!r}?" if close else "."
    return UserError(f"Unknown {what} {name!r}{hint} There are {', '.join(names)}.")
