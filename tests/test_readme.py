"""What the README shows is true."""

import re
from pathlib import Path

import pytest

import minigen
from minigen.cli.main import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_its_python_runs_from_top_to_bottom():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 2
    names: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["curve"].shape == (3,)
    assert names["loss"].item() < 6  # it was about 15 before training


def test_ci_runs_its_test_command_to_the_letter():
    commands = re.findall(r"```bash\n(.*?)\n```", README)
    assert len(commands) == 2
    assert commands[1] in (ROOT / ".ci" / "run").read_text()


def test_every_command_it_names_is_one(capsys):
    (block,) = re.findall(r"```\n(minigen .*?)```", README, re.DOTALL)
    names = set(re.findall(r"^minigen (\w+)", block, re.MULTILINE))
    assert len(names) == 5
    for name in names:
        with pytest.raises(SystemExit, match=r"^0$"):
            main([name, "--help"])
    assert "usage" in capsys.readouterr().out


def test_every_file_it_points_to_is_there():
    for path in re.findall(r"\]\(([\w/.-]+)\)", README):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`((?:minigen|kernels)/[\w/]+(?:\.py|/))`", README):
        assert (ROOT / path).exists(), path
    assert minigen.__version__
