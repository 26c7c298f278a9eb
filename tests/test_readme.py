"""What the README shows is true."""

import re
import shlex
from pathlib import Path

import pytest

import minigen
from minigen.cli.main import main, make_parser
from minigen.training.systems import SYSTEMS

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
    block = re.findall(r"```\n(minigen .*?)```", README, re.DOTALL)[0]
    names = set(re.findall(r"^minigen (\w+)", block, re.MULTILINE))
    assert names == set(commands())
    for name in names:
        with pytest.raises(SystemExit, match=r"^0$"):
            main([name, "--help"])
    assert "usage" in capsys.readouterr().out


def commands():
    """The commands that there are."""
    (action,) = [action for action in make_parser()._actions if action.choices]
    return action.choices


def test_every_model_is_in_its_table_and_every_example_is_accepted():
    for name in SYSTEMS:
        assert f"`{name}`" in README
    examples = re.findall(r"```\n(minigen .*?)```", README, re.DOTALL)[1]
    for line in examples.splitlines():
        for command in line.split("#")[0].split("&&"):
            arguments = shlex.split(command)[1:]
            args, unknown = make_parser(arguments).parse_known_args(arguments)
            assert not unknown
            if arguments[0] == "train":
                system = SYSTEMS[args.model]
                for option in system.all_options():
                    given = getattr(args, option.name)
                    if given is not None and option.name not in ("init_from", "encoder"):
                        option.value(given)


def test_every_file_it_points_to_is_there():
    for path in re.findall(r"\]\(([\w/.-]+)\)", README):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"`((?:minigen|kernels)/[\w/]+(?:\.py|/))`", README):
        assert (ROOT / path).exists(), path
    assert minigen.__version__
