"""Whether a result is the expected one, and if not, which of the usual mistakes it looks like."""

from __future__ import annotations

from typing import Any

import numpy as np

Complaint = str


def close(got: Any, expected: Any, rtol: float) -> bool:
    """Whether both have the same form and shape, and numbers equal up to rtol times the largest expected one.

    >>> close([1.0, 2.0], np.array([1.0, 2.0 + 1e-9]), 1e-6), close(1.0, np.ones(1), 1e-6)
    (True, False)
    """
    if isinstance(expected, (tuple, list)) and not isinstance(got, np.ndarray):
        if not isinstance(got, (tuple, list)) or len(got) != len(expected):
            return False
        return all(close(g, e, rtol) for g, e in zip(got, expected))
    if isinstance(expected, (str, bool, np.bool_)) or expected is None:
        return isinstance(got, (str, bool, np.bool_)) and bool(got == expected)
    a, b = numbers(got), numbers(expected)
    if a is None or b is None or a.shape != b.shape:
        return False
    if not a.size:
        return True
    rtol = max(rtol, 1e-4) if getattr(got, "dtype", None) == np.float32 else rtol
    finite = np.abs(b[np.isfinite(b)])
    return bool(np.allclose(a, b, rtol=rtol, atol=rtol * float(finite.max(initial=0.0)), equal_nan=True))


def numbers(value: Any) -> np.ndarray | None:
    """The value as an array of float64; None for what is no number, no array, and no list of such."""
    try:
        array = np.asarray(value)
        return array.astype(np.float64) if array.dtype.kind in "fiub" else None
    except (TypeError, ValueError):
        return None


def complaint(got: Any, expected: Any, rtol: float) -> Complaint:
    """One or two sentences on how `got` differs from `expected`, and what that looks like."""
    if isinstance(expected, (tuple, list)) and (not isinstance(got, np.ndarray) or numbers(expected) is None):
        return _of_several(got, expected, rtol)
    if isinstance(expected, (str, bool, np.bool_)):
        return f"The answer is a {type(expected).__name__}, and not this one."
    a, b = numbers(got), numbers(expected)
    if b is None:
        raise TypeError(f"{expected!r} is no number.")
    if a is None:
        return f"It returned {_a(type(got).__name__)}, where {_form(b)} was expected."
    if a.shape != b.shape:
        return _of_shape(a, b, rtol)
    return _of_values(a, b, rtol, whole=np.asarray(got).dtype.kind in "iub")


def _of_several(got: Any, expected: Any, rtol: float) -> Complaint:
    n = len(expected)
    if not isinstance(got, (tuple, list)) or len(got) != n:
        what = "one array" if isinstance(got, np.ndarray) else _a(type(got).__name__)
        what = f"{len(got)} results" if isinstance(got, (tuple, list)) else what
        return f"It should return {n} results, separated by commas; it returned {what}."
    if n == 2 and close(got[::-1], expected, rtol):
        return "Both results are right, but in the other order."
    wrong = [i for i in range(n) if not close(got[i], expected[i], rtol)]
    place = f"Result {wrong[0] + 1} of {n} is wrong" + (", the others are right." if len(wrong) == 1 else ".")
    return f"{place} {complaint(got[wrong[0]], expected[wrong[0]], rtol)}"


def _of_shape(a: np.ndarray, b: np.ndarray, rtol: float) -> Complaint:
    shapes = f"It has the shape {a.shape}, and should have {b.shape}."
    if a.ndim == b.ndim and close(a.T, b, rtol):
        return f"{shapes} The numbers are right, but rows and columns are exchanged: it is transposed."
    if a.size == b.size and close(a.reshape(b.shape), b, rtol):
        return f"{shapes} The numbers are right; an axis is missing, or one is too many."
    if a.ndim == 0:
        return f"{shapes} A single number came out: was everything summed, or only the last element kept?"
    if b.ndim == 0:
        for name, reduced in (("sum", a.sum()), ("mean", a.mean())):
            if close(reduced, b, rtol):
                return f"{shapes} Its {name} would be right: {name} is missing at the end."
        return f"{shapes} One number was expected: is a sum or a mean missing?"
    if b.ndim == 1 and a.shape == (len(b), len(b)):
        return f"{shapes} A column (n, 1) and a row (n,) were broadcast against each other."
    return shapes


def _of_values(a: np.ndarray, b: np.ndarray, rtol: float, whole: bool) -> Complaint:
    if not np.isfinite(a).all() and np.isfinite(b).all():
        index = _index(int(np.flatnonzero(~np.isfinite(a))[0]), a)
        kind = "NaN (0/0, ∞ - ∞, or the root or logarithm of a negative number)" if np.isnan(a).any() else "an infinity"
        return f"It contains {kind}{index}."
    if whole and not np.array_equal(b, b.round()):
        return "It holds whole numbers: a fraction was cut off, for example by storing it in an array of integers."
    if not a.any():
        return "It is zero everywhere: is what was computed ever put into it?"
    if close(-a, b, rtol):
        return f"{'It' if b.size == 1 else 'Every number'} has the wrong sign."
    ratio = float((a * b).sum() / (b * b).sum()) if b.any() else 0.0
    if ratio and b.size > 1 and close(a / ratio, b, rtol):
        return f"Every number is {ratio:.4g} times what it should be: a factor is missing, or one is too many."
    difference = a - b
    if b.size > 1 and close(difference, np.full_like(b, difference.flat[0]), rtol) and abs(difference.flat[0]) > 0:
        return f"Every number is off by the same {difference.flat[0]:.4g}: a term is missing, or one is too many."
    worst = int(np.abs(difference).argmax())
    right = int((np.abs(difference) <= rtol * np.abs(b).max()).sum())
    if b.size == 1:
        return f"It is off by {difference.flat[0]:.3g}."
    some = f"{right} of {b.size} numbers are right. " if right else ""
    return f"{some}The worst is{_index(worst, a)}: {a.flat[worst]:.6g} instead of {b.flat[worst]:.6g}."


def _index(place: int, array: np.ndarray) -> str:
    if array.ndim == 0:
        return ""
    index = [int(i) for i in np.unravel_index(place, array.shape)]
    return f" at index {index[0] if len(index) == 1 else tuple(index)}"


def _form(array: np.ndarray) -> str:
    return "a number" if array.ndim == 0 else f"an array of shape {array.shape}"


def _a(word: str) -> str:
    return f"{'an' if word[:1] in 'aeiou' else 'a'} {word}"
