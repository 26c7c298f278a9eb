"""What is installed is whole, and importing it is quick and light."""

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

ROOT = Path(__file__).parents[1]


def python(code):
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_a_wheel_holds_both_packages_with_every_module_and_the_type_marker(tmp_path):
    source = tmp_path / "source"  # a copy, so that nothing is left in the tree, and nothing found there gets in
    for name in ("minigen", "kernels"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(source)]
    result = subprocess.run(build, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for package, folder in (("minigen", ROOT / "minigen"), ("minigen_kernels", ROOT / "kernels/minigen_kernels")):
        files = {f"{package}/{path.relative_to(folder)}" for path in folder.rglob("*.py")} | {f"{package}/py.typed"}
        assert files <= names, files - names
    assert not [name for name in names if name.startswith(("tests", "kernels/"))]


def test_importing_minigen_loads_nothing_heavy():
    heavy = ("matplotlib", "sklearn", "cupy", "numba", "numba.cuda", "scipy", "PIL", "rich", "safetensors", "torch")
    loaded = python("import sys, minigen; print(*sys.modules)")
    assert not [name for name in heavy if name in loaded]


def test_every_import_of_the_packages_is_declared():
    declared = {line.split(">")[0].split("=")[0].split("[")[0].strip().lower() for line in requires("minigen") or []}
    assert {
        "numpy",
        "numba",
        "scipy",
        "scikit-learn",
        "threadpoolctl",
        "safetensors",
        "matplotlib",
        "pillow",
        "rich",
    } <= declared


def test_the_command_and_the_module_are_one():
    result = subprocess.run([sys.executable, "-m", "minigen", "--version"], capture_output=True, text=True)
    assert result.stdout.startswith("minigen ")
