"""Whether a result is the expected one, and if not, which of the usual mistakes it looks like."""

from __future__ import annotations

from typing import Any

import numpy as np

Complaint = str
_FACTORS = (
    2,
    3,
    4,
    8,
    10,
    100,
    2 * np.pi,
    1 / 2,
    1 / 3,
    1 / 4,
    1 / 8,
    1 / 10,
    1 / 100,
    1 / (2 * np.pi),
)  # such as get lost


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
    parts = [(numbers(g), numbers(e)) for g, e in zip(got, expected)]
    if all(a is not None and b is not None and a.shape == b.shape for a, b in parts):
        a, b = (np.concatenate([np.ravel(part[i]) for part in parts]) for i in (0, 1))  # type: ignore[arg-type]
        ratio = _ratio(a, b)
        if (
            a.size > 1
            and np.isfinite(ratio)
            and abs(ratio - 1) > 1e-3
            and ratio
            and close([x / ratio for x in a], list(b), rtol)
        ):
            return (
                "All results have the wrong sign."
                if np.isclose(ratio, -1)
                else f"Every result is {ratio:.4g} times what it should be: a factor is missing, or one is too many."
            )
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
        return f"{shapes} {_of_every_pair(a, b, rtol)}".rstrip()
    return shapes


def _of_every_pair(a: np.ndarray, b: np.ndarray, rtol: float) -> Complaint:
    """What (n, n) numbers are, where n were expected."""
    if close(np.diagonal(a), b, rtol):
        if not (a - np.diag(np.diagonal(a))).any():
            return "The numbers are right, but stand on the diagonal of a matrix of zeros."
        return (
            "The right numbers stand on its diagonal: everything was combined with everything, by a column (n, 1) against a "
            "row (n,), or by a matrix product, where each was to be combined with its own."
        )
    if _is_broadcast(a):
        return "A column (n, 1) and a row (n,) were broadcast against each other."
    return ""


def _is_broadcast(a: np.ndarray) -> bool:
    """Whether a[i, j] = p[i] + q[j], or p[i]·q[j]."""
    if not np.isfinite(a).all():
        return False
    i, j = np.unravel_index(np.abs(a).argmax(), a.shape)
    return close(a[:, j, None] + a[i] - a[i, j], a, 1e-6) or close(a[:, j, None] * a[i], a * a[i, j], 1e-6)


def _of_values(a: np.ndarray, b: np.ndarray, rtol: float, whole: bool) -> Complaint:
    if not np.isfinite(a).all() and np.isfinite(b).all():
        index = _index(int(np.flatnonzero(~np.isfinite(a))[0]), a)
        kind = "NaN (0/0, ∞ - ∞, or the root or logarithm of a negative number)" if np.isnan(a).any() else "an infinity"
        return f"It contains {kind}{index}."
    if whole and not np.array_equal(b, b.round()):
        return "It holds whole numbers: a fraction was cut off, for example by storing it in an array of integers."
    if not a.any():
        return "It is zero everywhere: is what was computed ever put into it?"
    difference = a - b
    if np.abs(difference).max() <= 1e-5 * np.abs(b).max() and np.array_equal(a, a.astype(np.float32)):
        return (
            "These are numbers of float32, which have seven digits: compute in float64 (dtype=np.float64 for arrays, "
            "dtype=minigen.float64 for tensors)."
        )
    if close(-a, b, rtol):
        return f"{'It' if b.size == 1 else 'Every number'} has the wrong sign."
    ratio = _ratio(a, b)
    if ratio and abs(ratio - 1) > 1e-3 and b.size > 1 and close(a / ratio, b, rtol):
        return f"Every number is {ratio:.4g} times what it should be: a factor is missing, or one is too many."
    if b.size > 1 and close(difference, np.full_like(b, difference.flat[0]), rtol) and abs(difference.flat[0]) > 0:
        return f"Every number is off by the same {difference.flat[0]:.4g}: a term is missing, or one is too many."
    worst = int(np.abs(difference).argmax())
    right = int((np.abs(difference) <= rtol * np.abs(b).max()).sum())
    if b.size == 1:
        off = f"off by {difference.flat[0]:.3g}"
        plain = any(np.isclose(abs(ratio), factor, rtol=rtol) for factor in _FACTORS)
        return f"It is {ratio:.4g} times what it should be, {off}." if plain else f"It is {off}."
    some = f"{right} of {b.size} numbers are right. " if right else ""
    return f"{some}The worst is{_index(worst, a)}: {a.flat[worst]:.6g} instead of {b.flat[worst]:.6g}."


def _ratio(a: np.ndarray, b: np.ndarray) -> float:
    """The factor between both in the sense of least squares, 0 where b is."""
    return float((a * b).sum() / (b * b).sum()) if b.any() else 0.0


def _index(place: int, array: np.ndarray) -> str:
    if array.ndim == 0:
        return ""
    index = [int(i) for i in np.unravel_index(place, array.shape)]
    return f" at index {index[0] if len(index) == 1 else tuple(index)}"


def _form(array: np.ndarray) -> str:
    return "a number" if array.ndim == 0 else f"an array of shape {array.shape}"


def _a(word: str) -> str:
    return f"{'an' if word[:1] in 'aeiou' else 'a'} {word}"
