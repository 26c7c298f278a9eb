"""Values, calls and errors in words short enough for a message."""

from __future__ import annotations

import dis
import os
import reprlib
import sysconfig
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from minigen.autograd.modes import OWN
from minigen.tensor import Tensor

_INSTALLED = (sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib"))
_FOREIGN = (*OWN, *_INSTALLED, "<")  # where code lies that no student wrote


def show(value: Any, digits: int = 4) -> str:
    """A value as a student would write it, shortened where it is long.

    >>> show(1 / 3), show(np.array([1.0, 0.5])), show((2, np.eye(1)))
    ('0.3333', 'array([1. , 0.5])', '(2, array([[1.]]))')
    """
    if isinstance(value, Tensor):
        return _array("tensor", value.numpy(), digits)
    if isinstance(value, np.ndarray):
        return _array("array", value, digits)
    if isinstance(value, (float, np.floating)):
        return f"{value:.{digits}g}"
    if isinstance(value, (tuple, list)) and len(value) <= 6:
        inner = ", ".join(show(x, digits) for x in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner}{',' * (len(value) == 1)})"
    if callable(value) and hasattr(value, "__name__"):
        return "f" if value.__name__ == "<lambda>" else value.__name__
    return reprlib.repr(value)


def show_pair(got: Any, expected: Any) -> tuple[str, str]:
    """Both, with as many digits as it takes to tell them apart."""
    for digits in (4, 8):
        pair = show(got, digits), show(expected, digits)
        if pair[0] != pair[1]:
            return pair
    return show(got, 15), show(expected, 15)


def right_so_far(count: int) -> str:
    """How many answers of a list are right.

    >>> right_so_far(1), right_so_far(3)
    ('1 is right so far', '3 are right so far')
    """
    return f"{count} {'is' if count == 1 else 'are'} right so far"


def describe_error(error: BaseException) -> str:
    """What the student's code raised, and at which of its own lines."""
    said = " ".join(str(error).split())[:300]
    text = f"It raised {type(error).__name__}" + (f": {said}" if said else "")
    if isinstance(error, RecursionError):
        text = "It raised RecursionError: a function calls itself too often, once for each level"
    own = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_FOREIGN)]
    if not own:
        return text + ("" if text.endswith(".") else ".")
    line = f"line {own[-1].lineno}" + (f", `{own[-1].line}`" if own[-1].line else "")
    return f"{text.rstrip('.')}. That was in your {line}."


def is_empty(function: Callable[..., Any]) -> bool:
    """Whether a function's body is nothing but `...`, `pass` or a docstring.

    >>> def stub(x):
    ...     '''To be written.'''
    >>> is_empty(stub), is_empty(lambda x: 1), is_empty(len)
    (True, False, False)
    """
    code = getattr(function, "__code__", None)
    if code is None:
        return False
    steps = [i for i in dis.get_instructions(code) if i.opname not in ("RESUME", "NOP", "COPY_FREE_VARS")]
    if [i.opname for i in steps] == ["LOAD_CONST", "RETURN_VALUE"]:
        return steps[0].argval is None
    return [i.opname for i in steps] == ["RETURN_CONST"] and steps[0].argval is None


def _array(name: str, array: np.ndarray, digits: int) -> str:
    with np.printoptions(precision=digits, threshold=24, edgeitems=2, suppress=_moderate(array), linewidth=90):
        text = np.array2string(array, separator=", ", prefix=f"{name}(")
    if text.count("\n") >= 8:
        first = ", ".join(show(float(x), digits) for x in array.ravel()[:4])
        return f"{name} of shape {array.shape}: {first}, ..."
    shape = f", shape={array.shape}" if array.size > 24 else ""
    return f"{name}({text}{shape})"


def _moderate(array: np.ndarray) -> bool:
    """Whether the numbers can be read without exponents."""
    sizes = np.abs(array[np.isfinite(array) & (array != 0)]) if array.dtype.kind == "f" else np.zeros(0)
    return not sizes.size or bool(sizes.max() < 1e5 and sizes.max() > 1e-2)
