"""Every notebook comes from its source, runs (shortened), and shows what is stored in it, in kind."""

import ast
import base64
import importlib.util
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from minigen import course

jupytext = pytest.importorskip("jupytext", reason="notebooks are read with jupytext: pip install '.[tutorials]'")
nbformat = pytest.importorskip("nbformat", reason="notebooks are read with nbformat: pip install '.[tutorials]'")
pytest.importorskip("nbclient", reason="notebooks are run with nbclient: pip install '.[tutorials]'")
pytest.importorskip("ipykernel", reason="notebooks are run with ipykernel: pip install '.[tutorials]'")

TUTORIALS = Path(__file__).parents[2] / "tutorials"
LARGEST = 700 * 1024  # bytes of a notebook
spec = importlib.util.spec_from_file_location("tutorials_build", TUTORIALS / "build.py")
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)

SOURCES = build.sources()
each_source = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def stored(source):
    return nbformat.read(build.notebook_of(source), as_version=4)


def pattern(text):
    """The lines of a text without their numbers, each once: fewer steps print fewer lines of the same pattern."""
    number = r"[-+]?\b(?:\d[\d.,]*(?:e[-+]?\d+)?|nan|inf)\b\.?"
    lines = [re.sub(r"\s+", " ", re.sub(number, "#", line)).replace("[ ", "[").strip() for line in text.splitlines()]
    return list(dict.fromkeys(re.sub(r"[-+]?#(?:[ ,]+[-+]?#)*", "#", line) for line in lines if line))


def kind(output):
    """What must stay when a notebook runs again; numbers may change."""
    if output.output_type == "stream":
        return output.name, pattern(output.text)
    if output.output_type == "error":
        return "error", output.ename
    text = output.data.get("text/plain", "")
    state = re.match(r"\d\d\.\d (passed|not written yet|not yet):", text)
    said = state[0] if state else pattern(text) if set(output.data) == {"text/plain"} else ""
    return output.output_type, sorted(output.data), said


def pictures(notebook):
    """Every stored picture, as pixels."""
    from PIL import Image

    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            for mime in ("image/png", "image/jpeg"):
                if mime in output.get("data", {}):
                    image = Image.open(BytesIO(base64.b64decode(output.data[mime])))
                    yield np.asarray(image.convert("RGB"))


@each_source
def test_the_notebook_has_the_cells_of_its_source(source):
    expected, found = build.read_source(source), stored(source)
    assert [(c.cell_type, c.source) for c in found.cells] == [(c.cell_type, c.source) for c in expected.cells], (
        f"build it again: python tutorials/build.py {source.stem[:2]}"
    )
    assert found.metadata == expected.metadata


@each_source
def test_every_cell_has_run_in_order_and_none_has_failed(source):
    cells = [c for c in stored(source).cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    assert not [o for c in cells for o in c.outputs if o.output_type == "error"]
    assert not build.warnings_in(stored(source))


@each_source
def test_stored_pictures_show_something_and_the_file_is_small(source):
    shown = list(pictures(stored(source)))
    assert shown
    assert all(picture.std() > 1 for picture in shown)
    assert build.notebook_of(source).stat().st_size < LARGEST


@each_source
def test_it_tells_what_can_be_learnt_has_exercises_and_says_what_to_read_next(source):
    text = "\n".join(cell.source for cell in build.read_source(source).cells if cell.cell_type == "markdown")
    assert re.search(rf"^# {int(source.stem[:2])}\. ", text, re.MULTILINE)
    assert "After this notebook you can" in text
    assert "## What to read next" in text
    assert 3 <= len(re.findall(rf"^### Exercise {source.stem[:2]}\.\d$", text, re.MULTILINE)) <= 5


@each_source
def test_exercises_are_left_to_the_reader(source):
    cells = [c for c in stored(source).cells if c.cell_type == "code"]
    texts = [o.data["text/plain"] for c in cells for o in c.outputs if "text/plain" in o.get("data", {})]
    states = re.findall(r"^(\d\d\.\d) (.*?):", "\n".join(texts), re.MULTILINE)
    assert states == [(e.number, "not written yet") for e in course.exercises(int(source.stem[:2]))]


@each_source
def test_it_runs_and_shows_what_is_stored_in_kind(source, monkeypatch):
    monkeypatch.setenv("MINIGEN_COURSE_SHORT", "1")
    fresh = build.execute(build.read_source(source))
    before, after = ([c for c in notebook.cells if c.cell_type == "code"] for notebook in (stored(source), fresh))
    for old, new in zip(before, after, strict=True):
        assert [kind(o) for o in new.outputs] == [kind(o) for o in old.outputs], old.source
    assert all(picture.std() > 1 for picture in pictures(fresh))


def test_texts_are_alike_whose_numbers_differ():
    assert pattern("step 1: loss 0.5\nstep 2: loss 1e-07\n[ 1.  -2.5]") == ["step #: loss #", "[#]"]
    assert pattern("step 10: loss nan\n[3, 4, 5]") != pattern("step 10: D(x) nan\n[3, 4, 5]")


@each_source
def test_its_solutions_stand_apart_and_name_their_exercises(source):
    tree = ast.parse((TUTORIALS / "solutions" / source.name).read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    names = [
        t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
    ]
    assert "SOLUTIONS" in names


def test_the_list_of_notebooks_is_complete():
    text = (TUTORIALS / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"\]\((\d\d-[\w-]+)\.ipynb\)", text) == [source.stem for source in SOURCES]
    assert [path.stem for path in sorted(TUTORIALS.glob("*.ipynb"))] == [source.stem for source in SOURCES]


def test_the_address_of_the_repository_stands_in_one_place():
    for source in SOURCES:
        assert "github.com" not in source.read_text(encoding="utf-8"), source
        link, install = stored(source).cells[:2]
        place = build.REPOSITORY.removeprefix("https://github.com/")
        assert f"colab.research.google.com/github/{place}/blob/" in link.source
        assert f"git+{build.REPOSITORY}" in install.source


def test_the_link_and_the_installing_cell_are_never_doubled(tmp_path):
    whole = build.read_source(SOURCES[0])
    copy = tmp_path / SOURCES[0].name  # as jupytext writes it when a reader saves the notebook from a browser
    copy.write_text(jupytext.writes(whole, fmt="py:percent"))
    assert [c.source for c in build.read_source(copy).cells] == [c.source for c in whole.cells]
