"""Trial: an answer under trial. It is called with care, and what comes out is compared so that mistakes get a name."""

from __future__ import annotations

import copy
import inspect
import warnings
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from minigen.course.exercise import Exercise
from minigen.course.likeness import Complaint, close, complaint
from minigen.course.result import Result, State
from minigen.course.words import describe_error, is_empty, show, show_pair
from minigen.random import Generator


class Verdict(Exception):
    """Ends a trial: the answer is not right, and this is why."""

    def __init__(self, message: str, tried: str = "", got: str = "", expected: str = "", state: State = "not yet"):
        super().__init__(message)
        self.message, self.tried, self.got, self.expected, self.state = message, tried, got, expected, state

    def result(self, exercise: Exercise) -> Result:
        facts = (self.message, self.tried, self.got, self.expected)
        return Result(exercise.number, exercise.title, self.state, *facts)


class Trial:
    """One answer to one exercise.

    Attributes:
        answer: what the student gave.
        generator: where random inputs come from; the same in every trial of the exercise.
    """

    def __init__(self, exercise: Exercise, answer: Any) -> None:
        self.exercise = exercise
        self.answer = answer
        self.generator = Generator(zlib.crc32(exercise.number.encode()))
        self.right = 0  # comparisons passed so far

    def fail(self, message: str, tried: str = "", got: str = "", expected: str = "") -> NoReturn:
        """End the trial: the answer is wrong for this reason."""
        raise Verdict(message, tried, got, expected)

    def require(self, condition: Any, message: str, tried: str = "", got: str = "", expected: str = "") -> None:
        """End the trial unless the condition holds."""
        if not condition:
            self.fail(message, tried, got, expected)

    def not_written(self, name: str = "") -> NoReturn:
        """End the trial: there is nothing to judge yet."""
        what = f"The body of {name} is still empty." if name else "It is still empty."
        more = f'course.hint("{self.exercise.number}") gives a hint.'
        raise Verdict(f"{what} {self.exercise.task} {more}", state="not written yet")

    def function(self, name: str, kind: str = "function") -> Callable[..., Any]:
        """The answer, which must be a function, or something else that can be called.

        Args:
            name: what the notebook calls it, for the sentence where it is something else.
            kind: what the notebook asks for, "function" or "class".
        """
        if not callable(self.answer):
            made = "what it returned: check has to call it" if kind == "function" else "an object of it"
            given = "; you gave None." if self.answer is None else f", and not {made}. You gave {show(self.answer)}."
            self.fail(
                f'Give check the {kind} that you wrote, by its name: check("{self.exercise.number}", {name}){given}'
            )
        if is_empty(self.answer):
            self.not_written(name)
        return self.answer

    def call(self, function: Callable[..., Any], *args: Any, tried: str = "") -> Any:
        """function(*args), on copies of the arguments. Errors, None and changed arguments end the trial.

        Args:
            tried: how the call is written down; with its arguments unless given.
        """
        tried = tried or f"{getattr(function, '__name__', 'f').replace('<lambda>', 'f')}({', '.join(map(show, args))})"
        try:
            inspect.signature(function).bind(*args)
        except TypeError:
            signature = inspect.signature(function)
            given = "1 argument" if len(args) == 1 else f"{len(args)} arguments"
            self.fail(f"It is called with {given}, but it takes {signature}.", tried)
        except ValueError:
            pass  # a built-in function, which does not tell what it takes
        copies = _copies(args)
        got = self.run(lambda: function(*copies), tried)
        if got is None:
            self.fail("It returned None: is the line with `return` missing?", tried, "None")
        for number, (before, after) in enumerate(zip(args, copies), 1):
            if isinstance(before, np.ndarray) and not np.array_equal(before, after, equal_nan=before.dtype.kind == "f"):
                self.fail(
                    f"It changes its argument number {number} in place, which the caller does not expect: work on a copy "
                    "(x = x.copy()), or put the old value back.",
                    tried,
                )
        return got

    def run(self, action: Callable[[], Any], tried: str) -> Any:
        """action(), where errors in the student's code end the trial with a sentence about the line."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return action()
        except Verdict:
            raise
        except NotImplementedError:
            self.not_written()
        except (Exception, SystemExit) as error:
            self.fail(describe_error(error), tried)

    def compare(
        self,
        function: Callable[..., Any],
        right: Callable[..., Any],
        *args: Any,
        mistakes: Mapping[str, Callable[..., Any]] | None = None,
        rtol: float = 1e-6,
        tried: str = "",
    ) -> Any:
        """Call the student's function and ours; end the trial unless both give the same.

        Args:
            function: the student's.
            right: ours, with the same arguments.
            args: for both.
            mistakes: what to say about a mistake → a function that makes it. Where its result is what came out, it is
                said. Mistakes that any exercise may contain (a sign, a factor, a transposed matrix, a missing sum)
                are recognized without.
            rtol: relative to the largest number expected.
            tried: how the call is written down; with its arguments unless given.

        Returns:
            What the student's function returned.
        """
        got = self.call(function, *args, tried=tried)
        tried = tried or f"{getattr(function, '__name__', 'f').replace('<lambda>', 'f')}({', '.join(map(show, args))})"
        wrong = {sentence: mistake(*_copies(args)) for sentence, mistake in (mistakes or {}).items()}
        self.equal(got, right(*_copies(args)), tried, wrong, rtol)
        return got

    def equal(
        self, got: Any, expected: Any, tried: str, mistakes: Mapping[str, Any] | None = None, rtol: float = 1e-6
    ) -> None:
        """End the trial unless `got` is `expected`.

        Args:
            got: what the student's code gave: a number, an array, a tensor, or a tuple of them.
            expected: what it should be, of the same form.
            tried: how it was got, as the student would write it.
            mistakes: what to say about a mistake → what it gives.
            rtol: relative to the largest number expected.
        """
        if close(got, expected, rtol):
            self.right += 1
            return
        for sentence, wrong in (mistakes or {}).items():
            if close(got, wrong, rtol) and not close(wrong, expected, rtol):
                self.fail(sentence + self._so_far(), tried, *show_pair(got, expected))
        found: Complaint = complaint(got, expected, rtol)
        self.fail(found + self._so_far(), tried, *show_pair(got, expected))

    def _so_far(self) -> str:
        if not self.right:
            return ""
        times = "once" if self.right == 1 else f"{self.right} times"
        return f" (Before this it was right {times}.)"


def _copies(args: tuple[Any, ...]) -> list[Any]:
    return [copy.copy(x) if isinstance(x, (np.ndarray, list, dict, set)) else x for x in args]
