"""What the commands write beside pictures: tables, to the terminal and to files; and where."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minigen.errors import UserError
from minigen.files import atomic_write

TABLES = {".csv": "a table", ".json": "the table and a summary"}
Rows = Sequence[Mapping[str, Any]]


def output_path(given: str | None, run: str, name: str, kinds: Mapping[str, str], option: str = "--out") -> Path:
    """The file to write, checked before the work begins.

    Args:
        given: what the option says, if anything
        run: the run's folder
        name: of the file in it, where nothing is given
        kinds: the endings it may have, and what each is
        option: how it is called

    Raises:
        UserError: another ending, or a folder that is not there.
    """
    path = Path(run) / name if given is None else Path(given)
    if path.suffix not in kinds:
        known = " or ".join(f"{ending} ({what})" for ending, what in kinds.items())
        raise UserError(f"{option} must end in {known}, not {path.name!r}.")
    if given is not None and not path.parent.is_dir():
        raise UserError(f"There is no folder {path.parent} to write {path.name} into: make it first.")
    return path


def write_table(path: Path, rows: Rows, summary: Mapping[str, Any] | None = None) -> None:
    """Write rows as .csv, or with the summary as .json: {**summary, "rows": […]}.

    Numbers are written in full; what is not finite is null in JSON, which has no word for it.
    """
    if path.suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        atomic_write(path, text.getvalue().encode())
    else:
        atomic_write(path, as_json({**(summary or {}), "rows": list(rows)}).encode())


def write_array(path: Path, array: np.ndarray) -> None:
    """Write one array as .npy."""
    buffer = io.BytesIO()
    np.save(buffer, array)
    atomic_write(path, buffer.getvalue())


def as_json(value: Any) -> str:
    """JSON with an indent and a last line end; NumPy's numbers are numbers, and what is not finite is null."""
    return json.dumps(_plain(value), indent=2, allow_nan=False) + "\n"


def text_table(rows: Rows) -> str:
    """Rows in columns, words to the left and numbers to the right, under the names of the columns.

    >>> print(text_table([{"of": "codes", "purity": 0.5}, {"of": "pixels", "purity": 0.75}]))
    of      purity
    codes      0.5
    pixels    0.75
    """
    names = list(rows[0]) if rows else []
    cells = [names, *([_text(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    left = [all(isinstance(row[name], str) for row in rows) for name in names]
    lines = [
        "  ".join(cell.ljust(w) if to_left else cell.rjust(w) for cell, w, to_left in zip(line, widths, left))
        for line in cells
    ]
    return "\n".join(line.rstrip() for line in lines)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
