"""The recipes of the README and the rules of CONTRIBUTING.md speak of what is there."""

import re
from pathlib import Path

import pytest

import minigen as mg
from minigen.functional import activation

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPES = README[README.index("## How to add to it") : README.index("## What it is worth")]
RULES = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [RECIPES, RULES], ids=["recipes", "rules"])
def test_every_file_and_folder_they_name_is_there(text):
    paths = re.findall(r"`((?:minigen|kernels|tests)/[\w/]+(?:\.py|/)|[\w]+\.md)`", text)
    assert len(paths) > 8
    for path in paths:
        assert (ROOT / path).exists(), path


def test_every_folder_that_the_recipes_run_the_tests_of_is_there():
    commands = re.findall(r"`pytest ([^`]+)`", RECIPES.replace("\n   ", " "))
    assert len(commands) == 4
    for path in " ".join(commands).split():
        assert (ROOT / path).exists(), path


def test_the_operation_of_the_recipe_has_the_derivatives_that_it_says():
    (code,) = re.findall(r"```py\n(.*?)```", RECIPES, re.DOTALL)
    names = {**vars(activation), "__name__": "recipe"}
    exec(compile(code, "README.md", "exec"), names)
    softsign = names["softsign"]
    assert softsign(mg.tensor([-3.0, 0.0, 1.0])).tolist() == [-0.75, 0.0, 0.5]
    assert mg.gradcheck(softsign, [mg.tensor([-3.0, -0.4, 0.7, 2.0], dtype=mg.float64, requires_grad=True)])


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("minigen/functional/registry/activation.py", ["def _away_from_0", "OPERATIONS = ["]),
        ("minigen/functional/activation.py", ["def gelu", "return x * (erf(x * math.sqrt(0.5)) + 1) * 0.5"]),
        ("tests/nn/test_layers_against_pytorch.py", ["ROWS", "CASES = ["]),
        ("kernels/minigen_kernels/reference.py", ["__all__"]),
        ("kernels/minigen_kernels/cpu/__init__.py", ["__all__"]),
        ("kernels/minigen_kernels/cpu/loss.py", ["@compiled", "in_pieces"]),
        ("minigen/nn/__init__.py", ["__all__"]),
        ("minigen/training/systems/autoencoders.py", ["class AutoencoderSystem", "def make_model"]),
        ("minigen/training/systems/__init__.py", ["SYSTEMS"]),
        ("minigen/training/systems/system.py", ["class System"]),
    ],
)
def test_what_the_recipes_speak_of_stands_in_those_files(path, words):
    text = (ROOT / path).read_text(encoding="utf-8")
    assert f"`{path}`" in RECIPES or path.startswith("minigen/training/systems/auto")
    for word in words:
        assert word in text, word
