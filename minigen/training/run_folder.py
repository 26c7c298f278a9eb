"""The folder of one training run: what was asked for, what came of it, and what is needed to go on.

    config.json     the settings of the run; a folder with this file is a run
    metrics.jsonl   one JSON object an epoch, with the key "epoch" (1 for the first)
    checkpoints/    see `minigen.training.checkpoint`
  data.json       of images from a folder, their shape and classes
    *.png           pictures

One process writes to a run at a time. It holds a lock that the operating system drops when the process ends, however
it ends; any number may read.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np

from minigen.errors import CheckpointError, UserError
from minigen.files import atomic_write, remove_leftovers, write_error


def new_run_path(model: str, root: str | os.PathLike[str] = "runs") -> Path:
    """Make and return the first free folder of `root/<model>-1`, `root/<model>-2`, …

    The folder is made here, empty, so that two processes never choose the same.

    Raises:
        UserError, TrainingError: The folder cannot be made.

    >>> import tempfile
    >>> root = tempfile.mkdtemp()
    >>> new_run_path("vae", root).name, new_run_path("vae", root).name, new_run_path("gan", root).name
    ('vae-1', 'vae-2', 'gan-1')
    """
    number = 1
    while True:
        path = Path(root) / f"{model}-{number}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
            return path
        except FileExistsError:
            if not path.parent.is_dir():
                raise UserError(f"{path.parent} is a file, not a folder for runs: name another with --out.") from None
            number += 1
        except OSError as error:
            raise write_error(path, error) from error


class RunFolder:
    """A run on the disk. `create` begins one, `resume` goes on with one, `open` reads one.

    Attributes:
        path, checkpoints: where the run and its checkpoints are
        config: the settings it was created with

    Args:
        lock: the open file that keeps others out; None where the run is only read.

    >>> import tempfile
    >>> with RunFolder.create(new_run_path("vae", tempfile.mkdtemp()), {"model": "vae", "seed": 0}) as run:
    ...     run.append({"epoch": 1, "loss": 0.7})
    >>> RunFolder.open(run.path).config
    {'model': 'vae', 'seed': 0}
    >>> with RunFolder.resume(run.path) as run:
    ...     run.rewind(0)  # the epoch of the checkpoint it goes on from
    >>> run.records()
    []
    """

    def __init__(self, path: Path, config: dict[str, Any], lock: IO[bytes] | None = None) -> None:
        self.path = path
        self.config = config
        self.checkpoints = path / "checkpoints"
        self.metrics = path / "metrics.jsonl"
        self._lock = lock

    @classmethod
    def create(cls, path: str | os.PathLike[str], config: Mapping[str, Any]) -> RunFolder:
        """Begin a run in `path`, a folder that is new or empty, and hold its lock until `close`.

        Raises:
            UserError: `path` is a run already, holds other files, is a file, or cannot be written.
            TrainingError: The disk failed or is full.
        """
        path = Path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise UserError(f"{path} is a file: give --out a new folder.") from None
        except OSError as error:
            raise write_error(path, error) from error
        lock = _lock(path)
        try:
            names = [entry.name for entry in path.iterdir() if not entry.name.startswith(".")]
            if "config.json" in names:
                raise UserError(f"{path} holds a run already: go on with it by --resume {path}, or give another --out.")
            if names:
                raise UserError(f"{path} is not empty (it holds {min(names)}): give --out a new or an empty folder.")
            config = dict(config)
            atomic_write(path / "config.json", _json(config, indent=2) + b"\n")
            return cls(path, json.loads(_json(config)), lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open a run to go on with it, and hold its lock until `close`; a half-written last record is dropped.

        Follow it with `rewind(epoch)` once it is known which checkpoint the run goes on from.

        Raises:
            UserError: `path` is not a run, or another process is writing to it.
        """
        run = cls.open(path)
        run._lock = _lock(run.path)
        try:
            remove_leftovers(run.path)
            if run.metrics.exists() and not (data := run.metrics.read_bytes()).endswith(b"\n"):
                os.truncate(run.metrics, data.rfind(b"\n") + 1)
        except OSError as error:
            run.close()
            raise write_error(run.metrics, error) from error
        return run

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """Open a run to read from it; it may be in training.

        Raises:
            UserError: `path` is not a run.
        """
        path = Path(path)
        if not path.exists():
            raise UserError(f"There is no run at {path}: give the folder that `minigen train` wrote.")
        try:
            config = json.loads((path / "config.json").read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{path} is not a run (no config.json): give the folder that `minigen train` wrote."
            ) from None
        except OSError as error:
            raise UserError(f"Cannot read {path / 'config.json'} ({error.strerror}).") from error
        except ValueError as error:
            raise UserError(f"{path / 'config.json'} is not JSON ({error}): it was changed or damaged.") from error
        if not isinstance(config, dict):
            raise UserError(f"{path / 'config.json'} holds no JSON object: it was changed or damaged.")
        return cls(path, config)

    def change_config(self, **changes: Any) -> None:
        """Change settings of the run, in `config` and in config.json.

        Raises:
            UserError: The run is open for reading only.
        """
        self._writes()
        config = self.config | changes
        atomic_write(self.path / "config.json", _json(config, indent=2) + b"\n")
        self.config = config

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one epoch's record to metrics.jsonl and force it to the disk.

        NumPy scalars become numbers; NaN and infinity, which JSON lacks, become null. Append before the checkpoint
        that ends the epoch is saved: killed in between, the run repeats the epoch, and `rewind` removes the record.

        Raises:
            UserError: The run is open for reading only, or the record has no integer "epoch".
            TrainingError: The disk failed or is full; the file is as it was.
        """
        self._writes()
        if not isinstance(record.get("epoch"), (int, np.integer)):
            raise UserError(f'A record needs an integer "epoch", but has {sorted(record)}.')
        line = _json(record) + b"\n"
        size = self.metrics.stat().st_size if self.metrics.exists() else 0
        try:
            with open(self.metrics, "ab", buffering=0) as file:
                if file.write(line) != len(line):  # the disk filled up within the line
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):
                os.truncate(self.metrics, size)
            raise write_error(self.metrics, error) from error

    def records(self) -> list[dict[str, Any]]:
        """The records of metrics.jsonl in order, without a last one that is only half written.

        Raises:
            CheckpointError: A line that is not a JSON object.
        """
        if not self.metrics.exists():
            return []
        *lines, _ = self.metrics.read_bytes().split(b"\n")  # what follows the last newline is half a line, or nothing
        records = []
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                record["epoch"] = int(record["epoch"])
            except (KeyError, TypeError, ValueError) as error:
                raise CheckpointError(f"Line {number} of {self.metrics} is damaged: delete that line.") from error
            records.append(record)
        return records

    def rewind(self, epoch: int) -> None:
        """Remove the records of epochs after `epoch`: the run goes on from a checkpoint that knows nothing of them.

        Raises:
            UserError: The run is open for reading only.
        """
        self._writes()
        records = self.records()
        kept = [record for record in records if record["epoch"] <= epoch]
        if len(kept) < len(records):
            atomic_write(self.metrics, b"".join(_json(record) + b"\n" for record in kept))

    def close(self) -> None:
        """Let go of the lock. The end of a `with` block does it, and so does the end of the process."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _writes(self) -> None:
        if self._lock is None:
            raise UserError(f"The run {self.path} is open for reading only: use RunFolder.resume.")

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"


def _lock(path: Path) -> IO[bytes]:
    """Lock the run for this process: an open file; closing it, or dying, unlocks."""
    try:
        file = open(path / ".lock", "a+b", buffering=0)  # noqa: SIM115 - it stays open as long as the run is written to
    except OSError as error:
        raise write_error(path / ".lock", error) from error
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read(32).decode(errors="replace")
        file.close()
        raise UserError(
            f"The run {path} is being written by another process ({owner}): wait for it to end, or stop it."
        ) from None
    except (ImportError, OSError):
        return file  # Windows, or a file system without locks: nothing more can be done
    file.truncate(0)
    file.write(f"process {os.getpid()}".encode())
    return file


def _json(value: Any, indent: int | None = None) -> bytes:
    return json.dumps(_plain(value), indent=indent, ensure_ascii=False, allow_nan=False).encode()


def _plain(value: Any) -> Any:
    """`value` with NumPy scalars and paths turned into what JSON has, and numbers that are not finite into null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
