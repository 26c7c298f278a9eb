"""`minigen gradcheck`: its table, its exit code, and what it says of names that are not there."""

import argparse

import numpy as np
import pytest

import minigen as mg
from minigen.cli import gradcheck
from minigen.errors import UserError
from minigen.functional.registry import OPERATIONS
from minigen.functional.registry.operation import Operation


def run(*argv):
    parser = argparse.ArgumentParser()
    gradcheck.add_parser(parser.add_subparsers())
    args = parser.parse_args(["gradcheck", *argv])
    return args.run(args)


class WrongExp(mg.Function):
    """exp with twice its gradient."""

    def forward(self, x):
        y = np.exp(x)
        self.save_for_backward(y)
        return y

    def backward(self, g):
        (y,) = self.saved_tensors
        return g * y * 2


def test_the_table_has_a_row_for_each_operation_with_both_errors(capsys):
    assert run("exp", "matmul/vector", "--samples", "2", "--seed", "5") == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines() if line.split()[-1:] == ["pass"]]
    assert [row[0] for row in rows] == ["exp", "matmul/vector"]
    assert all(row[1] == "2" and float(row[2]) < 1e-8 and float(row[3]) < 1e-8 for row in rows)
    assert "2 of 2 operations pass (2 examples each, seed 5" in out


def test_piped_output_is_plain_and_narrow(capsys):
    run("neg", "binary_cross_entropy_with_logits", "--samples", "1")
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "binary_cross_entropy_with_logits" in out
    assert max(map(len, out.splitlines())) <= 100


def test_a_failing_operation_gives_exit_code_1_and_its_worst_entry(capsys, monkeypatch):
    monkeypatch.setitem(OPERATIONS, "exp", Operation("exp", WrongExp.apply, OPERATIONS["exp"].recipe))
    assert run("exp", "neg") == 1
    out = capsys.readouterr().out
    assert "FAIL" in out
    assert "exp: gradcheck, order 1: the gradient with respect to input 0 is wrong at index" in out
    assert "Its inputs have shapes" in out
    assert "1 of 2 operations pass" in out


def test_an_operation_that_crashes_fails_and_the_others_are_still_checked(capsys, monkeypatch):
    def crash(x):
        raise RuntimeError("no such luck")

    monkeypatch.setitem(OPERATIONS, "exp", Operation("exp", crash, OPERATIONS["exp"].recipe))
    assert run("exp", "neg") == 1
    out = capsys.readouterr().out
    assert "exp: RuntimeError: no such luck" in out
    assert "1 of 2 operations pass" in out


def test_one_seed_gives_one_result_whatever_else_is_checked():
    (alone,) = gradcheck.check(["tanh"], seed=3, samples=2)
    *_, after = gradcheck.check(["exp", "tanh"], seed=3, samples=2)
    (other,) = gradcheck.check(["tanh"], seed=4, samples=2)
    assert alone == after
    assert alone != other


def test_a_family_is_chosen_by_its_function_an_entry_by_its_whole_name_and_another_name_works():
    assert gradcheck.choose(["pad"]) == ["pad/constant", "pad/reflect", "pad/replicate", "pad/circular"]
    assert gradcheck.choose(["pad/reflect", "pad/reflect"]) == ["pad/reflect"]
    assert gradcheck.choose(["cat"]) == ["concatenate"]
    assert gradcheck.choose([]) == list(OPERATIONS)


def test_an_unknown_operation_is_refused_with_those_like_it():
    with pytest.raises(UserError, match=r"there is no operation 'conv2'; did you mean .*conv2d"):
        run("conv2")
    with pytest.raises(UserError, match="there is no operation 'zzzzzz'; without a name, all are checked"):
        run("zzzzzz")


def test_an_operation_without_gradient_is_refused_as_such():
    with pytest.raises(UserError, match="argmax has no gradient to check"):
        run("argmax")
