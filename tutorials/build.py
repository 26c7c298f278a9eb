"""Make the notebooks from their sources: run every cell, and store what it shows.

    python tutorials/build.py 01 02      chapters 1 and 2
    python tutorials/build.py --all

The source `sources/NN-name.py` (jupytext's percent format) is what is edited. `NN-name.ipynb` is made from it, and is
overwritten. Needs `pip install ".[tutorials]"`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

from minigen.files import atomic_write

HERE = Path(__file__).parent
REPOSITORY = "https://github.com/minigen/minigen"  # a course that keeps a copy of its own says so here, and only here
BRANCH = "main"
HEAD = "colab"  # the tag of the two cells that are put in front of every notebook
FORMATS = "ipynb,sources//py:percent"
TIMEOUT = 600  # seconds for one cell

INSTALL = """\
# In Colab this installs minigen; where it is installed already it does nothing.
try:
    import minigen
except ImportError:
    %pip install -q git+{repository}"""


def source_of(chapter: str) -> Path:
    """The source of a chapter, given as ``"07"`` or by the notebook's whole name."""
    found = sorted((HERE / "sources").glob(f"{Path(chapter).stem.zfill(2)}*.py"))
    if len(found) != 1:
        raise SystemExit(f"There is no chapter {chapter!r}: {', '.join(p.stem for p in sources())}.")
    return found[0]


def sources() -> list[Path]:
    """The sources of all chapters, in order."""
    return sorted((HERE / "sources").glob("[0-9][0-9]-*.py"))


def notebook_of(source: Path) -> Path:
    """Where the notebook made from a source lies."""
    return HERE / f"{source.stem}.ipynb"


def read_source(source: Path) -> Any:
    """The source as a notebook without outputs, with the link to Colab and the cell that installs in front."""
    notebook = jupytext.read(source, fmt="py:percent")
    cells = [cell for cell in notebook.cells if HEAD not in cell.metadata.get("tags", [])]
    notebook.cells = head(source) + cells
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03}"
        cell.metadata.pop("lines_to_next_cell", None)  # of blank lines in the source
    notebook.metadata = nbformat.from_dict(
        {
            "jupytext": {"formats": FORMATS},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def head(source: Path) -> list[Any]:
    """The link that opens the notebook in Colab, and the cell that installs minigen there."""
    place = f"{REPOSITORY.removeprefix('https://github.com/')}/blob/{BRANCH}/tutorials/{notebook_of(source).name}"
    link = f"[Open in Colab](https://colab.research.google.com/github/{place})"
    cells = [nbformat.v4.new_markdown_cell(link), nbformat.v4.new_code_cell(INSTALL.format(repository=REPOSITORY))]
    for cell in cells:
        cell.metadata["tags"] = [HEAD]
    return cells


def execute(notebook: Any) -> Any:
    """Run every cell in a fresh kernel, and keep of the outputs what the next run would give again."""
    client = NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(HERE)}},
    )
    client.execute()
    notebook.metadata["language_info"] = {"name": "python"}  # without the version of this Python
    return notebook


def warnings_in(notebook: Any) -> list[str]:
    """What cells wrote to stderr: a reader should see no warnings."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"]


def build(source: Path) -> None:
    """Run one chapter and write its notebook."""
    start = time.perf_counter()
    notebook = execute(read_source(source))
    if found := warnings_in(notebook):
        raise SystemExit(f"{source.name}: a cell wrote to stderr, which nobody should have to read:\n{''.join(found)}")
    nbformat.validate(notebook)
    text = nbformat.writes(notebook) + "\n"
    atomic_write(notebook_of(source), text.encode())
    print(f"{notebook_of(source).name}: {time.perf_counter() - start:.0f} seconds, {len(text) // 1024} kB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the sources of notebooks and store what they show.")
    parser.add_argument("chapters", nargs="*", metavar="NN", help="which, for example 01 07")
    parser.add_argument("--all", action="store_true", help="all of them")
    args = parser.parse_args()
    if bool(args.chapters) == args.all:
        parser.error("give the numbers of chapters, or --all")
    for source in sources() if args.all else [source_of(chapter) for chapter in args.chapters]:
        build(source)


if __name__ == "__main__":
    main()
