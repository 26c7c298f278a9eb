import os
import subprocess
import sys
from pathlib import Path

import numba
from minigen_kernels.cpu import compiled as module


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
    kept = tmp_path / "__pycache__"
    kept.mkdir()
    names = ("tile.run.py311.nbi", "tile.run.py311.1.nbc", "tile.cpython-311.pyc")
    (tmp_path / "tile.py").write_text("one")

    def left() -> set[str]:
        for name in names:
            (kept / name).touch()
        module.forget_stale(tmp_path, kept)
        return {path.name for path in kept.iterdir()} - {module.STAMP}

    assert left() == {names[2]}  # nobody knows what these were compiled from
    assert left() == set(names)
    (tmp_path / "tile.py").write_text("two")
    assert left() == {names[2]}
    (tmp_path / "spin.py").write_text("new")
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
