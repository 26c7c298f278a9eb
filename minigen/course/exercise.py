"""Exercise: one question of the course, and the decorator that enters it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minigen.course.trial import Trial

    Judge = Callable[[Trial], str]

_entered: dict[str, Exercise] = {}


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        number: the chapter in two digits, a point, and its place in it: ``"07.2"``.
        title: a few words.
        task: what to write, in one sentence: the docstring of the function that judges.
        hints: each says more than the one before; the last does not give the answer away.
        judge: tries the answer through a `Trial`, and returns what is good to know once it is right.
    """

    number: str
    title: str
    task: str
    hints: tuple[str, ...]
    judge: Judge

    def __repr__(self) -> str:
        return f"{self.number} {self.title}: {self.task}"


def exercise(number: str, title: str, hints: Sequence[str]) -> Callable[[Judge], Judge]:
    """Enter the decorated function as the judge of an exercise. Its docstring is the task.

    Args:
        number: such as ``"07.2"``; the module must be ``chapter_07``.
        title: a few words.
        hints: in the order in which `hint` gives them.
    """

    def enter(judge: Judge) -> Judge:
        task = " ".join((judge.__doc__ or "").split())
        _entered[number] = Exercise(number, title, task, tuple(hints), judge)
        return judge

    return enter


def entered() -> dict[str, Exercise]:
    """What the chapters imported so far have entered, by number and in its order."""
    return dict(sorted(_entered.items()))
