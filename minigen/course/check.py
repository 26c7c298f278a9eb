"""`check`, `hint` and `exercises`: what a student calls."""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from typing import Any

import minigen.course
from minigen.course.exercise import Exercise, entered
from minigen.course.result import Result
from minigen.course.trial import Trial, Verdict
from minigen.errors import UserError

_hints_given: dict[str, int] = {}


def check(number: str, answer: Any) -> Result:
    """Judge an answer to an exercise. Nothing is raised: whatever the answer does, the result says it in a sentence.

    Args:
        number: of the exercise, such as ``"01.1"``.
        answer: the function itself (``slope``, not ``slope(2.0)``), or what else the exercise asks for.

    Returns:
        The verdict: true when the answer is right, and shown by a notebook or a terminal when it ends a cell or a line.

    >>> import numpy as np
    >>> bool(check("01.1", lambda x: 2 * x * np.cos(x**2)))
    True
    >>> check("01.1", None)
    01.1 not yet: The chain rule by hand
      Give check the function that you wrote, by its name: check("01.1", slope); you gave None.
    """
    if callable(number):
        name = getattr(number, "__name__", "answer").replace("<lambda>", "f")
        example = answer if isinstance(answer, str) else "01.1"
        return Result(example, "", "not yet", f'The number comes first, then the answer: check("{example}", {name}).')
    try:
        exercise = find(number)
    except UserError as error:
        return Result(str(number), "", "not yet", str(error))
    try:
        remark = exercise.judge(Trial(exercise, answer))
    except Verdict as verdict:
        return verdict.result(exercise)
    except Exception as error:  # in the judge: the answer is of a kind that it did not expect
        said = " ".join(str(error).split())[:200]
        message = f"What came out is of a kind that cannot be judged: look at its type and shape. ({type(error).__name__}: {said})"
        return Result(exercise.number, exercise.title, "not yet", message)
    return Result(exercise.number, exercise.title, "passed", remark)


def hint(number: str) -> None:
    """Print the next hint for an exercise; after the last, the first again.

    >>> hint("01.1")
    01.1, hint 1 of 2: f is a sine of a square: what is the derivative of the outer function, taken at the inner one?
    """
    try:
        exercise = find(number)
    except UserError as error:
        print(error)
        return
    place = _hints_given.get(exercise.number, 0) % len(exercise.hints)
    _hints_given[exercise.number] = place + 1
    print(f"{exercise.number}, hint {place + 1} of {len(exercise.hints)}: {exercise.hints[place]}")


class Exercises(list[Exercise]):
    """A list of exercises that shows each on a line of its own."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


def exercises(chapter: int | None = None) -> Exercises:
    """All exercises in order, or those of one chapter.

    >>> exercises(1)[0].number
    '01.1'
    """
    for found in pkgutil.iter_modules(minigen.course.__path__):
        if re.fullmatch(r"chapter_\d\d", found.name):
            import_module(f"minigen.course.{found.name}")
    return Exercises(e for e in entered().values() if chapter is None or e.number.startswith(f"{chapter:02}."))


def find(number: str) -> Exercise:
    """The exercise of that number; "7.2" is "07.2".

    Raises:
        UserError: there is none; the sentence lists them.
    """
    place = re.fullmatch(r"\s*(\d{1,2})\.(\d)\s*", str(number))
    name = f"{int(place[1]):02}.{place[2]}" if place else str(number)
    if name not in entered():
        exercises()
    if name not in entered():
        raise UserError(f"There is no exercise {number!r}; there are {', '.join(entered())}.")
    return entered()[name]
