"""What a process says and begins when it has to compile kernels."""

import os
import subprocess
import sys

import pytest
from minigen_kernels.cpu import first_compile, tile
from numba.core.event import Event, EventStatus

MEANWHILE = """
from minigen_kernels.cpu import first_compile
begun = []
first_compile.compile_ahead = lambda: begun.append(1)
import minigen
{program}
print(len(begun))
"""
CONVOLVES = "[minigen.nn.Conv2d(3, 4, 3)(minigen.ones(2, 3, side, side)) for side in (8, 9)]"
ADDS = "minigen.ones(3) + minigen.ones(3)"
OTHERS = "import numba; numba.njit(lambda x: x + 1)(2); minigen.nn.Conv2d(3, 4, 3)"
FROM_NOWHERE = (
    "import minigen_kernels.cpu, numba; made = {}; exec('def f(x): return x', made); numba.njit(made['f'])(2)"
)
QUIETLY = f"import logging; logging.getLogger('minigen_kernels').setLevel('ERROR'); {CONVOLVES}"


def run(program, kept):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(kept)}
    code = MEANWHILE.format(program=program)
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)


def test_the_first_process_says_so_once_and_begins_a_second_and_a_later_one_does_neither(tmp_path):
    first, second = (run(CONVOLVES, tmp_path) for _ in range(2))
    assert first.stdout == "1\n"
    assert first.stderr.count("\n") == 1
    assert "Compiling kernels for this processor, this once, so the first step" in first.stderr
    assert (second.stdout, second.stderr) == ("0\n", "")


@pytest.mark.parametrize("program", [ADDS, OTHERS, FROM_NOWHERE, QUIETLY])
def test_nothing_is_said_where_nothing_of_ours_is_compiled_or_nobody_wants_to_hear_it(program, tmp_path):
    assert run(program, tmp_path).stderr == ""


def test_a_layer_that_comes_after_something_was_compiled_begins_the_second_process_at_once(tmp_path):
    large = "minigen.nn.Linear(3000, 4000)(minigen.ones(2000, 3000)).sum()"
    assert run(f"{large}; minigen.nn.Conv2d(3, 4, 3)", tmp_path).stdout == "1\n"


def test_layers_without_convolutions_begin_no_second_process(tmp_path):
    done = run("minigen.nn.Linear(3000, 4000)(minigen.ones(2000, 3000)).sum()", tmp_path)
    assert done.stdout == "0\n"
    assert "Compiling kernels" in done.stderr


def test_where_nothing_can_be_kept_it_says_how_it_could_be(monkeypatch, caplog):
    monkeypatch.setattr(first_compile.tile.run_tiles._cache, "_cache_path", None)
    first_compile._FirstCompile().on_start(Event("numba:compile", EventStatus.START, {"dispatcher": tile.run_tiles}))
    assert "NUMBA_CACHE_DIR" in caplog.text


def test_where_the_folder_of_the_environment_cannot_be_written_it_says_where_they_are_kept(
    monkeypatch, caplog, tmp_path
):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    monkeypatch.setattr(first_compile.tile.run_tiles._cache, "_cache_path", str(tmp_path / "__pycache__"))
    first_compile._FirstCompile().on_start(Event("numba:compile", EventStatus.START, {"dispatcher": tile.run_tiles}))
    assert (
        f"kept in {tmp_path}/__pycache__, since the folder that NUMBA_CACHE_DIR names cannot be written" in caplog.text
    )
