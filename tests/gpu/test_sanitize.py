"""The sanitizer's script: what it says where something is missing, and that its program launches every kernel."""

import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

from minigen.device import why_unavailable

HERE = Path(__file__).parent
TOOLS = ["memcheck", "racecheck", "synccheck", "initcheck"]


@pytest.fixture
def every_kernel():
    if why_unavailable("cudasim"):
        pytest.skip(why_unavailable("cudasim"))
    spec = importlib.util.spec_from_file_location("every_kernel", HERE / "every_kernel.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_program_launches_every_kernel_of_the_catalogue(every_kernel, capsys):
    assert every_kernel.main("cudasim") == 0, capsys.readouterr().out


def test_a_kernel_that_is_not_launched_is_named(every_kernel, monkeypatch, capsys):
    for name in ("climb", "convolve", "pass_over_memory"):
        monkeypatch.setattr(every_kernel, name, lambda *arguments: None)
    assert every_kernel.main("cudasim") == 1
    out = capsys.readouterr().out
    assert "missing: ladder/naive, ladder/coalesced" in out
    assert "adam" not in out


@pytest.fixture
def stand_ins(tmp_path):
    """A folder for the PATH with stand-ins of programs, which write their arguments to a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bash", "dirname", "cat"):
        (folder / name).symlink_to(f"/usr/bin/{name}" if Path(f"/usr/bin/{name}").exists() else f"/bin/{name}")

    def make(name, script):
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "{name} $*" >> {tmp_path}/log\n{script}\n')
        path.chmod(0o755)

    make.log = tmp_path / "log"
    make.run = lambda: subprocess.run(
        ["bash", str(HERE / "sanitize.sh")],
        capture_output=True,
        text=True,
        env={"PATH": str(folder), "PYTHON": "python3", "HOME": os.environ.get("HOME", "/")},
    )
    return make


def test_without_the_tool_it_says_so_in_one_sentence(stand_ins):
    done = stand_ins.run()
    assert done.returncode == 2
    assert "compute-sanitizer is missing; it comes with NVIDIA's CUDA toolkit" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_gpu_it_says_why_in_one_sentence(stand_ins):
    stand_ins("compute-sanitizer", "exit 0")
    stand_ins("python3", "echo \"Device 'cuda' needs an NVIDIA GPU\"")
    done = stand_ins.run()
    assert (done.returncode, done.stderr) == (2, "sanitize.sh: Device 'cuda' needs an NVIDIA GPU\n")


def test_with_a_python_that_has_no_minigen_it_says_how_to_get_it(stand_ins):
    stand_ins("compute-sanitizer", "exit 0")
    stand_ins("python3", "echo Traceback >&2; exit 1")
    done = stand_ins.run()
    assert done.returncode == 2
    assert done.stderr.startswith("sanitize.sh: python3 has no minigen: pip install")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("fails", "code"), [("nothing", 0), ("racecheck", 1)])
def test_every_tool_watches_the_program_and_what_one_finds_is_the_exit_code(stand_ins, fails, code):
    stand_ins("compute-sanitizer", f"[[ $2 != {fails} ]]")
    stand_ins("python3", "")
    done = stand_ins.run()
    assert done.returncode == code, done.stderr
    lines = stand_ins.log.read_text().splitlines()
    program = HERE / "every_kernel.py"
    assert f"python3 {program} cuda" in lines
    watched = [line for line in lines if line.startswith("compute-sanitizer")]
    assert watched == [f"compute-sanitizer --tool {tool} --error-exitcode 1 python3 {program} cuda" for tool in TOOLS]
    assert ("not clean under racecheck" in done.stderr) == (code == 1)
