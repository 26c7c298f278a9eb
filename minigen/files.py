"""Files that are either the old version or the new one, never half of each.

A reader, or a process killed at any moment, finds the old content or the new: the bytes go to a temporary file in
the same folder, are forced to the disk (fsync), and one rename puts them in place.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from minigen.errors import MinigenError, TrainingError, UserError

_TEMPORARY = ".tmp"  # a temporary file is called .NAME.PID.tmp

# What the person who chose the path can mend; anything else (a full disk, a failing one) is no mistake of theirs.
_MISTAKES = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.EEXIST,
}


def atomic_write(path: str | os.PathLike[str], *parts: bytes | memoryview) -> None:
    """Write `parts`, one after another, as the whole content of the file `path`, or leave the file as it was.

    Raises:
        UserError: The path cannot be written (its folder is missing, it is a folder, no permission).
        TrainingError: The disk failed or is full. The old content is untouched and the temporary file is gone.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
    >>> atomic_write(path, b"first"); atomic_write(path, b"sec", b"ond")
    >>> path.read_text()
    'second'
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_TEMPORARY}")
    try:
        try:
            with open(temporary, "wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:  # Ctrl-C too
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise write_error(path, error) from error
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk, so that a rename outlives a power cut, where the system allows it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Delete the temporary files that killed processes left in `folder`. Only for a folder nobody else writes to."""
    for temporary in Path(folder).glob(f".*{_TEMPORARY}"):
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_error(path: str | os.PathLike[str], error: OSError) -> MinigenError:
    """What to say of an `error` for which `path` could not be written: a UserError where the path is at fault, else a
    TrainingError.
    """
    reason = error.strerror or str(error)
    if error.errno in _MISTAKES:
        return UserError(
            f"Cannot write {os.fspath(path)} ({reason}): give a file in a folder that exists and is yours."
        )
    return TrainingError(
        f"Could not write {os.fspath(path)} ({reason}): what was there before is untouched; "
        "make room on the disk and try again."
    )
