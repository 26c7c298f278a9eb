"""Measurements kept in a file as they come, so that what was interrupted can go on."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from minigen.errors import UserError
from minigen.files import atomic_write

Measurement = dict[str, Any]


def version_of(package: str) -> str | None:
    """The installed version of a package, None where there is none."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def read_measurements(
    file: str | Path | None, settings: dict[str, Any], fields: set[str], command: str
) -> list[Measurement]:
    """The measurements that a file holds; none where there is none.

    Args:
        file: JSON as `write_measurements` writes it, or None.
        settings: what they must have been measured with.
        fields: what each must have.
        command: whose file it is, for the sentences.

    Raises:
        UserError: another file, or one of other settings.
    """
    if file is None or not Path(file).exists():
        return []
    try:
        content = json.loads(Path(file).read_text(encoding="utf-8"))
        found, measurements = dict(content["settings"]), list(content["measurements"])
        complete = all(fields <= measurement.keys() for measurement in measurements)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file} is not a file of `{command}`; give another name.") from error
    if not complete:
        raise UserError(f"{file} holds measurements that lack something; give another name.")
    if found != settings:
        changed = [name for name in settings if found.get(name) != settings[name]]
        raise UserError(f"{file} holds measurements with another {' and '.join(changed)}; give another name.")
    return measurements


def write_measurements(file: str | Path | None, content: dict[str, Any]) -> None:
    """Write settings and measurements as JSON, where a file is given."""
    if file is not None:
        atomic_write(file, (json.dumps(content, indent=1) + "\n").encode())
