"""The exercises of the course in `tutorials/`: `check` judges an answer at once and says what can be learnt from it.

    from minigen import course

    course.check("01.1", slope)  # a Result: shown by a notebook or a terminal, true when the answer is right
    course.hint("01.1")          # one hint more
    course.exercises()           # all there are

A chapter is a module, `chapter_01.py` and so on, imported when one of its exercises is asked for.
"""

from minigen.course.check import check, exercises, hint
from minigen.course.exercise import Exercise, exercise
from minigen.course.mode import short, use_style
from minigen.course.result import Result
from minigen.course.trial import Trial

__all__ = ["Exercise", "Result", "Trial", "check", "exercise", "exercises", "hint", "short", "use_style"]
