"""Checkpoints: everything a run needs to go on, in one file that is whole or not there.

A checkpoint is one safetensors file: the arrays by flat names (`model.0.weight`, `optimizer.d.0.exp_avg`), and in its
header, under `__metadata__`, the key `minigen` with a JSON object

    {"sha256": "…", "step": 12, "meta": {…}}

`sha256` is the SHA-256 of the whole file with these 64 digits set to zeros: no byte of the file can change unseen. The
file is written beside, synced and renamed, and the last few are kept, so that a process killed at any moment leaves a
checkpoint to go on from, and a damaged one costs no more than the steps since the one before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigen.errors import CheckpointError, DtypeError, UserError
from minigen.files import atomic_write, remove_leftovers, write_error

_NAME = re.compile(r"step-(\d+)\.safetensors")
_ZEROS = b"0" * 64
_DIGEST = rb"\"sha256\": \""  # as it stands in the header: JSON within a JSON string


class NoCheckpointError(CheckpointError, UserError):
    """There is no checkpoint at all, as when a run was stopped before its first: it can begin from the start."""


class Skipped(NamedTuple):
    """A checkpoint that could not be used: the name of its file, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Checkpoint:
    """What `load_latest` found: the arrays and `meta` that `save_checkpoint` was given, and where from.

    `skipped` names the newer checkpoints that were damaged, newest first, for the caller to tell of.
    """

    step: int
    arrays: dict[str, np.ndarray] = field(repr=False)
    meta: dict[str, Any] = field(repr=False)
    path: Path
    skipped: list[Skipped] = field(default_factory=list)


def save_checkpoint(
    folder: str | os.PathLike[str],
    step: int,
    arrays: Mapping[str, np.ndarray],
    meta: Mapping[str, Any] | None = None,
    keep: int = 3,
) -> Path:
    """Write `folder/step-<step>.safetensors` in one atomic step, and then delete all but the last `keep`.

    Args:
        folder: where the run's checkpoints are; made if it is missing, and written to by one process at a time
        step: how far the run is (batches or epochs), 0 or more; the newest checkpoint is the one with the highest
        arrays: NumPy arrays by name; booleans, integers, floats and complex64 of any shape and memory layout
        meta: what else is needed to go on (epoch, generator and loader states), fit for JSON
        keep: how many checkpoints to keep, this one included; those of higher steps are neither counted nor deleted

    Returns:
        The path of the new file

    Raises:
        TrainingError: The disk is full or failed. The checkpoints before are untouched and no temporary file is left.
        UserError: The folder cannot be written, a step or `keep` out of range, `meta` that does not fit JSON.
        DtypeError: An array of another kind (objects, strings).

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> path = save_checkpoint(folder, 12, {"model.0.bias": np.ones(3, np.float32)}, {"epoch": 1})
    >>> path.name
    'step-00000012.safetensors'
    >>> checkpoint = load_latest(folder)
    >>> checkpoint.step, checkpoint.arrays["model.0.bias"], checkpoint.meta, checkpoint.skipped
    (12, array([1., 1., 1.], dtype=float32), {'epoch': 1}, [])
    """
    if step < 0 or keep < 1:
        raise UserError(f"A checkpoint needs a step of at least 0 and keep of at least 1, not {step} and {keep}.")
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise write_error(folder, error) from error
    remove_leftovers(folder)
    path = folder / f"step-{step:08d}.safetensors"
    data = memoryview(_serialize(step, arrays, meta or {}))
    digest, start = _digest(data)
    atomic_write(path, data[:start], digest.encode(), data[start + 64 :])
    for old in [other for other in _checkpoints(folder) if _step(other) <= step][keep:]:
        with contextlib.suppress(OSError):
            old.unlink()
    return path


def load_latest(folder: str | os.PathLike[str]) -> Checkpoint:
    """The newest checkpoint in `folder` that is whole; damaged ones on the way to it are listed in `skipped`.

    Raises:
        NoCheckpointError: There is no checkpoint.
        CheckpointError: There are some, and none is whole.
    """
    skipped: list[Skipped] = []
    for path in _checkpoints(Path(folder)):
        try:
            step, arrays, meta = _read(path)
        except CheckpointError as error:
            skipped.append(Skipped(path.name, str(error)))
        else:
            return Checkpoint(step, arrays, meta, path, skipped)
    if not skipped:
        raise NoCheckpointError(f"There is no checkpoint in {os.fspath(folder)}: the run was stopped before its first.")
    reasons = ", ".join(f"{name} {reason}" for name, reason in skipped)
    raise CheckpointError(f"No checkpoint in {os.fspath(folder)} can be used ({reasons}): train again from the start.")


def _checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files in `folder`, newest first."""
    try:
        found: Iterable[Path] = list(folder.iterdir()) if folder.is_dir() else ()
    except OSError as error:
        raise UserError(f"Cannot read {folder} ({error.strerror}): make it readable and try again.") from error
    return sorted((path for path in found if _NAME.fullmatch(path.name)), key=_step, reverse=True)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-").removesuffix(".safetensors"))


def _serialize(step: int, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> bytes:
    from safetensors import SafetensorError
    from safetensors.numpy import save

    try:
        header = json.dumps({"sha256": _ZEROS.decode(), "step": int(step), "meta": meta})
    except (TypeError, ValueError) as error:
        raise UserError(f"The meta of a checkpoint must fit JSON (numbers, strings, lists, dicts): {error}.") from error
    try:
        # safetensors writes the memory of an array as it lies: anything but C order would come back scrambled.
        plain = {name: np.asarray(a, dtype=a.dtype.newbyteorder("="), order="C") for name, a in arrays.items()}
        return save(plain, {"minigen": header})
    except SafetensorError as error:
        raise DtypeError(f"A checkpoint cannot hold one of its arrays: {error}.") from error


def _read(path: Path) -> tuple[int, dict[str, np.ndarray], dict[str, Any]]:
    """Step, arrays and meta of one file; the message of a CheckpointError completes '<name> …'."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        data = path.read_bytes()
    except OSError as error:  # nothing is known to be damaged: an older one is not used instead
        raise UserError(f"Cannot read {path} ({error.strerror}): make it readable and try again.") from error
    if not data:
        raise CheckpointError("is empty")
    header = _header(data)
    digest, start = _digest(memoryview(data))
    if data[start : start + 64] != digest.encode():
        raise CheckpointError("is corrupted (its SHA-256 does not match)")
    try:
        content = json.loads(header["__metadata__"]["minigen"])
        return int(content["step"]), load(data), dict(content["meta"])
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"is not a checkpoint of minigen ({error})") from error


def _header(data: bytes) -> dict[str, Any]:
    """The header of a safetensors file: 8 bytes of length, JSON, and then exactly the arrays' bytes."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 + length:
        raise CheckpointError(f"is truncated ({len(data)} bytes) or its first bytes are corrupted")
    try:
        header = json.loads(data[8 : 8 + length])
        end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        missing = 8 + length + end - len(data)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError("is corrupted (its header cannot be read)") from error
    if missing > 0:
        raise CheckpointError(f"is truncated ({missing} bytes are missing)")
    return header


def _digest(data: memoryview) -> tuple[str, int]:
    """The SHA-256 of a checkpoint's bytes with its own digest set to zeros, and where that digest stands."""
    length = int.from_bytes(data[:8], "little")
    position = bytes(data[8 : 8 + length]).find(_DIGEST)
    if position < 0:
        raise CheckpointError("is not a checkpoint of minigen (it carries no SHA-256)")
    start = 8 + position + len(_DIGEST)
    digest = hashlib.sha256(data[:start])
    digest.update(_ZEROS)
    digest.update(data[start + 64 :])
    return digest.hexdigest(), start
