import contextlib
import gc
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest
from minigen_kernels.cpu import compiled as module
from numba.extending import intrinsic


def test_a_kernel_is_compiled_without_a_cache_where_none_can_be_written(monkeypatch):
    asked = []

    def njit(cache=False, **options):
        asked.append(cache)

        def decorate(function):
            if cache:
                raise RuntimeError("cannot cache function 'double': no locator available for file 'double.py'")
            return numba.njit(**options)(function)

        return decorate

    monkeypatch.setattr(module, "njit", njit)
    double = module.compiled()(lambda x: 2 / x)
    assert double(4) == 0.5
    assert double(0) == float("inf")
    assert asked == [True, False]


def test_what_was_compiled_is_forgotten_when_any_file_has_changed(tmp_path):
    folder = tmp_path / "cpu"
    kept = folder / "__pycache__"
    kept.mkdir(parents=True)
    names = ("tile.run.py311.nbi", "tile.run.py311.1.nbc", "tile.cpython-311.pyc")
    (folder / "tile.py").write_text("one")

    def left() -> set[str]:
        for name in names:
            (kept / name).touch()
        module.forget_stale(folder, kept)
        return {path.name for path in kept.iterdir()} - {module.STAMP, module.LOCK}

    assert left() == {names[2]}  # nobody knows what these were compiled from
    assert left() == set(names)
    (folder / "tile.py").write_text("two")
    assert left() == {names[2]}
    (folder / "spin.py").write_text("new")
    assert left() == {names[2]}
    (tmp_path / "philox.py").write_text("constants")
    assert left() == {names[2]}
    assert left() == set(names)


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path):
    (tmp_path / "__pycache__").write_text("a file, where a folder should be")
    module.forget_stale(tmp_path, tmp_path / "__pycache__")


def test_where_another_folder_is_kept_it_is_forgotten_too(tmp_path):
    program = "from minigen_kernels.cpu import compiled; print(compiled._nothing.stats.cache_path)"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip())
    assert folder.is_relative_to(tmp_path)
    assert (folder / module.STAMP).is_file()


SAVING = """
import sys, time
from pathlib import Path
import numba.core.caching as caching
folder, name = Path(sys.argv[1]), sys.argv[2]
sys.path.insert(0, str(folder))
from twice import twice

save_index = caching.IndexDataCacheFile._save_index

def slowly(self, overloads):  # the other process has time to look which numbers are taken
    time.sleep(1)
    save_index(self, overloads)

caching.IndexDataCacheFile._save_index = slowly
(folder / name).touch()
while not ((folder / "int").exists() and (folder / "float").exists()):
    time.sleep(0.001)
twice({"int": 3, "float": 0.25}[name])
"""


def test_two_processes_that_compile_for_other_arguments_at_once_both_keep_what_they_made(tmp_path):
    (tmp_path / "twice.py").write_text(
        "from minigen_kernels.cpu.compiled import compiled\n\n\n@compiled()\ndef twice(x):\n    return x + x\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kept")}

    def start(program, *args):
        command = [sys.executable, "-c", program, str(tmp_path), *args]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    assert [process.wait() for process in [start(SAVING, "int"), start(SAVING, "float")]] == [0, 0]
    asking = (
        "import sys; sys.path.insert(0, sys.argv[1]); from twice import twice; print(twice(3), twice(.25), twice.stats)"
    )
    answer = start(asking).communicate()[0]
    assert answer.startswith("6 0.5 ")
    assert "cache_misses=Counter()" in answer


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("before", [True, False])
def test_no_garbage_is_collected_while_numba_compiles_and_it_is_as_before_afterwards(before, fails):
    seen = []

    @intrinsic
    def look(context):
        seen.append(gc.isenabled())
        if fails:
            raise numba.TypingError("no")
        return numba.types.int64(), lambda context, builder, signature, arguments: context.get_constant(numba.int64, 7)

    @numba.njit
    def inner():
        return look()

    @numba.njit
    def outer():
        return inner() + look()  # the inner one is compiled within

    was = gc.isenabled()
    (gc.enable if before else gc.disable)()
    try:
        with contextlib.suppress(numba.TypingError):
            assert outer() == 14
        assert gc.isenabled() == before
    finally:
        (gc.enable if was else gc.disable)()
    assert seen
    assert not any(seen)


def test_without_a_compiler_the_kernels_say_what_they_are_made_of():
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    program = "import minigen_kernels.cpu"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].endswith("do not run as Python: unset NUMBA_DISABLE_JIT.")
