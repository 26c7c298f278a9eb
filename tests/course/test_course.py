"""`minigen.course`: every exercise can be passed, and whatever an answer does, a sentence comes out."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import minigen
from minigen import course
from minigen.course.likeness import close, complaint
from minigen.course.words import is_empty, show, show_pair

TUTORIALS = Path(__file__).parents[2] / "tutorials"
EXERCISES = course.exercises()


def solutions():
    """Exercise number → the answer in tutorials/solutions."""
    found = {}
    for path in sorted((TUTORIALS / "solutions").glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"solutions_{path.stem[:2]}", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found.update(module.SOLUTIONS)
    return found


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.number)
def test_every_solution_passes_its_check(exercise):
    result = course.check(exercise.number, solutions()[exercise.number])
    assert result, result
    assert result.message


def test_solutions_are_of_exercises_that_there_are():
    assert set(solutions()) == {e.number for e in EXERCISES}


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.number)
def test_every_exercise_has_a_task_hints_and_a_place_in_its_notebook(exercise):
    assert exercise.task.endswith(".")
    assert exercise.hints
    (source,) = (TUTORIALS / "sources").glob(f"{exercise.number[:2]}-*.py")
    text = source.read_text(encoding="utf-8")
    assert f"### Exercise {exercise.number}" in text
    assert f'course.check("{exercise.number}", ' in text


@pytest.mark.parametrize("chapter", sorted({e.number[:2] for e in EXERCISES}))
def test_a_chapter_has_three_to_five_exercises_numbered_in_order(chapter):
    numbers = [e.number for e in EXERCISES if e.number.startswith(chapter)]
    assert numbers == [f"{chapter}.{i}" for i in range(1, len(numbers) + 1)]
    assert 3 <= len(numbers) <= 5


# ---- whatever the answer does -----------------------------------------------------------------------------------


def right(x):
    return 2 * x * np.cos(x**2)


def test_a_right_answer_is_true_and_says_so():
    result = course.check("01.1", right)
    assert result
    assert repr(result).startswith("01.1 passed: The chain rule by hand")


def test_a_number_may_be_written_without_its_zero():
    assert course.check("1.1", right).number == "01.1"


def test_an_unknown_number_is_answered_with_the_list(capsys):
    result = course.check("99.9", right)
    assert not result
    assert "There is no exercise '99.9'; there are 01.1, 01.2" in repr(result)
    course.hint("99.9")
    assert "there are 01.1" in capsys.readouterr().out


def test_an_empty_function_is_not_written_yet():
    def slope(x):
        """To be written."""
        ...

    result = course.check("01.1", slope)
    assert result.state == "not written yet"
    assert "slope is still empty" in result.message


def test_raising_not_implemented_is_not_written_yet_either():
    def slope(x):
        raise NotImplementedError

    assert course.check("01.1", slope).state == "not written yet"


def test_a_function_that_forgets_to_return_is_told_so():
    def slope(x):
        x = 2 * x

    assert "`return` missing" in course.check("01.1", slope).message


def test_an_error_is_told_in_a_sentence_with_the_line_of_the_students_code():
    def helper(x):
        return x @ np.ones(7)  # the line

    def slope(x):
        return helper(x)

    result = course.check("01.1", slope)
    assert "It raised ValueError" in result.message
    assert "return x @ np.ones(7)  # the line" in result.message
    assert result.tried == "slope(array([ 0.5, -1. ,  2. ]))"
    assert "Traceback" not in repr(result)


def test_recursion_without_end_and_exit_are_told_too():
    def slope(x):
        return slope(x)

    assert "calls itself too often" in course.check("01.1", slope).message

    def leaves(x):
        raise SystemExit(3)

    assert "SystemExit" in course.check("01.1", leaves).message


def test_a_wrong_number_of_arguments_is_told():
    result = course.check("01.1", lambda a, b: a)
    assert "called with 1 argument, but it takes (a, b)" in result.message


def test_a_result_in_place_of_the_function_is_told():
    assert "not what it returned" in course.check("01.1", right(np.ones(2))).message


def test_number_and_answer_the_wrong_way_round_are_told():
    result = course.check(right, "01.1")
    assert not result
    assert result.message == 'The number comes first, then the answer: check("01.1", right).'


def test_the_sentence_comes_first_and_large_arrays_are_shortened():
    result = course.check("04.3", lambda x, g, kernel, stride: np.ones((len(g), len(x), kernel, kernel)))
    assert repr(result).splitlines()[1].strip() == result.message
    assert show(np.zeros((2, 3, 3, 3))) == "array of shape (2, 3, 3, 3): 0, 0, 0, 0, ..."


def test_what_is_no_number_is_told():
    message = course.check("01.1", lambda x: "cosine").message
    assert message == "It returned a str, where an array of shape (3,) was expected."


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda e: e.number)
def test_an_answer_of_a_strange_kind_gets_a_sentence_too(exercise):
    ragged, numbers = [[1], [2, 3]], np.ones((2, 3))
    for strange in ((numbers, [1, 2]), "text", {}, np.zeros(2, complex), ragged, lambda x: x, minigen.zeros(3)):
        for answer in (lambda *args, strange=strange: strange, strange, {"A": numbers, "B": ...}):
            assert course.check(exercise.number, answer).message


def test_changing_an_argument_in_place_is_told():
    def slope(x):
        result = 2 * x * np.cos(x**2)
        x[0] = 0.0
        return result

    assert "changes its argument number 1 in place" in course.check("01.1", slope).message


def test_a_hard_coded_answer_fails_later_and_is_told_what_was_right():
    x = np.array([0.5, -1.0, 2.0])
    result = course.check("01.1", lambda _: right(x))
    assert not result
    assert "Before this it was right once" in result.message


def test_float32_is_precise_enough():
    assert course.check("01.1", lambda x: right(x).astype(np.float32))


def test_the_list_of_exercises_shows_each_on_a_line():
    lines = repr(course.exercises(1)).splitlines()
    assert len(lines) == len(course.exercises(1))
    assert lines[0].startswith("01.1 The chain rule by hand: Write slope(x)")


def test_hints_follow_each_other_and_begin_again(capsys):
    exercise = next(e for e in EXERCISES if e.number == "01.2")
    for _ in range(len(exercise.hints) + 1):
        course.hint("01.2")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[-1]
    assert len(set(lines)) == len(exercise.hints)


def test_a_result_in_a_notebook_shows_the_same_as_in_a_terminal_and_escapes_it():
    result = course.check("01.1", lambda x: x + 1)
    page = result._repr_html_()
    text = re.sub(r"<[^>]*>", "", page)
    assert result.headline in text
    assert result.message.replace("'", "&#x27;") in text
    assert "array(" in text
    risky = course.Result("01.1", "", "not yet", "a < b & c")
    assert "a &lt; b &amp; c" in risky._repr_html_()


def test_short_takes_the_brief_value_where_the_variable_is_set(monkeypatch):
    monkeypatch.delenv("MINIGEN_COURSE_SHORT", raising=False)
    assert course.short(2000, 20) == 2000
    monkeypatch.setenv("MINIGEN_COURSE_SHORT", "0")
    assert course.short(2000, 20) == 2000
    monkeypatch.setenv("MINIGEN_COURSE_SHORT", "1")
    assert course.short(2000, 20) == 20


# ---- what a wrong result looks like -----------------------------------------------------------------------------

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0]])


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        (-X, X, "wrong sign"),
        (2 * X, X, "2 times"),
        (X / 6, X, "0.1667 times"),
        (X + 0.25, X, "off by the same 0.25"),
        (X.T, X, "transposed"),
        (X[None], X, "an axis is missing, or one is too many"),
        (X.sum(), X, "was everything summed"),
        (X, X.sum(), "Its sum would be right"),
        (X, X.mean(), "Its mean would be right"),
        (np.outer(X[0], X[0]), X[0], "were broadcast"),
        (X[0][:, None] - X[1], X[0], "were broadcast"),
        ((X[0][:, None] - X[1]) ** 2, (X[0] - X[1]) ** 2, "right numbers stand on its diagonal"),
        (np.diag(X[0]), X[0], "stand on the diagonal of a matrix of zeros"),
        (np.array([[2.0, 1.0], [1.0, 3.0]]), X[1, :2], "should have (2,)."),
        (6.0, 3.0, "2 times what it should be, off by 3"),
        ((4.0, 10.0), (2.0, 5.0), "Every result is 2 times"),
        ((-2.0, -5.0), (2.0, 5.0), "All results have the wrong sign"),
        ((6.0, 15.0, X), (2.0, 5.0, X / 3), "Every result is 3 times"),
        (X[0, :2], X[0], "should have (3,)"),
        (np.where(X == 5, np.nan, X), X, "NaN"),
        (np.where(X == 5, np.inf, X), X, "an infinity at index (1, 1)"),
        (0 * X, X, "zero everywhere"),
        (np.array([1, 2]), np.array([1.5, 2.5]), "a fraction was cut off"),
        (np.where(X == 5, 6.0, X), X, "5 of 6 numbers are right. The worst is at index (1, 1): 6 instead of 5"),
        (3.5, 3.0, "off by 0.5"),
        ((2.0, 1.0), (1.0, 2.0), "in the other order"),
        ((1.0, 5.0), (1.0, 2.0), "Result 2 of 2 is wrong, the others are right. It is off by 3"),
        ((1.0,), (1.0, 2.0), "should return 2 results"),
        (X, (X, X[0]), "should return 2 results, separated by commas; it returned one array"),
        (None, X, "a NoneType"),
        ("left", "right", "not this one"),
    ],
)
def test_the_usual_mistakes_are_recognized(got, expected, words):
    assert not close(got, expected, 1e-6)
    assert words in complaint(got, expected, 1e-6)


@pytest.mark.parametrize("expected", [0.1, np.array([0.1, 0.3]), (0.1, 0.7)], ids=str)
def test_numbers_of_float32_are_recognized_where_more_digits_are_wanted(expected):
    got = np.float32(expected).tolist()
    assert not close(got, expected, 1e-9)
    assert "numbers of float32" in complaint(got, expected, 1e-9)


def test_closeness_is_relative_to_the_largest_number_and_looks_at_shapes():
    assert close(X + 1e-7, X, 1e-6)
    assert not close(1e-9 * X, 1.001e-9 * X, 1e-6)
    assert not close(X[0], X[0][:, None], 1e-6)
    assert close(minigen.tensor([1.0, 2.0]), np.array([1.0, 2.0]), 1e-6)
    assert close(np.zeros((0, 3)), np.zeros((0, 3)), 1e-6)
    assert not close(True, False, 1e-6)


def test_values_are_shown_with_as_many_digits_as_tell_them_apart():
    assert show_pair(0.123456789, 0.123456999) == ("0.12345679", "0.123457")
    assert show(np.zeros((30, 2))).endswith("shape=(30, 2))")
    assert show((1.0, [2, 3])) == "(1, [2, 3])"


def test_only_an_empty_body_is_empty():
    def kept(x):
        y = x
        print(y)

    assert is_empty(lambda: None)
    assert not is_empty(kept)
    assert not is_empty(np.sin)
