"""Files that a data set comes in: found in a folder, or fetched from the net once and kept."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from minigen.data.progress import track
from minigen.errors import UserError
from minigen.files import atomic_write, write_error

if TYPE_CHECKING:
    import http.client

_TIMEOUT = 15.0  # seconds without an answer, or without a further byte
_ATTEMPTS = 5  # at one file from one mirror, each going on where the one before broke off
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Remote:
    """Where the files of a data set are to be had.

    Attributes:
        name: of the data set, and of the sub-folder that its files go to
        mirrors: addresses that a file's name is appended to, tried in this order
        md5: the checksum of each file, by its name, as its makers published it; against damage, not against malice
        also_in: other sub-folders in which the files may lie already
    """

    name: str
    mirrors: tuple[str, ...]
    md5: Mapping[str, str]
    also_in: tuple[str, ...] = ()


def data_root(root: str | os.PathLike[str] | None) -> Path:
    """The folder of the data: `root`, or else what MINIGEN_DATA names, or else ~/.cache/minigen."""
    return Path(root or os.environ.get("MINIGEN_DATA") or Path.home() / ".cache" / "minigen")


def find(remote: Remote, names: tuple[str, ...], root: Path) -> Path | None:
    """The first of these names in `root`/(name of the data set), in its other sub-folders, or in `root` itself; or None."""
    folders = (root / remote.name, *(root / place for place in remote.also_in), root)
    return next((folder / name for folder in folders for name in names if (folder / name).exists()), None)


def fetch(remote: Remote, filename: str, root: Path, missing: tuple[str, ...] = ()) -> Path:
    """Download a file to `root`/(name of the data set), whole and with the right checksum, or not at all.

    Args:
        remote: where it is to be had
        filename: which of its files
        root: the folder of the data, made if it is not there
        missing: names of all files that the data set still needs, for the sentence of the error; this one unless given

    Raises:
        UserError: No mirror gave it (no network, no such file, another checksum), or it cannot be written.
    """
    import http.client
    from urllib.parse import urlsplit

    reasons = []
    for mirror in remote.mirrors:
        url = mirror + filename
        print(f"Downloading {url}", file=sys.stderr)
        try:
            content = _download(url)
        except (OSError, http.client.HTTPException) as error:
            reasons.append(f"{urlsplit(url).netloc}: {_reason(error)}")
            continue
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != remote.md5[filename]:
            reasons.append(f"{urlsplit(url).netloc}: what it gave has a wrong checksum")
            continue
        path = root / remote.name / filename
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(path, error) from error
        atomic_write(path, memoryview(content))
        return path
    raise UserError(
        f"Cannot download {filename} of {remote.name} ({'; '.join(reasons)}): "
        f"put {', '.join(missing or (filename,))} into a folder and name it with --data-root DIR (root=DIR in Python)."
    )


def _download(url: str) -> bytearray:
    """The content of a URL; where the connection breaks off, it is taken up at that byte, if the server can."""
    import http.client

    content = bytearray()
    for _ in range(_ATTEMPTS):
        before = len(content)
        try:
            if _continue(url, content):
                return content
        except (OSError, http.client.HTTPException):
            if len(content) == before:
                raise
    raise ConnectionError(f"the connection broke off {_ATTEMPTS} times")


def _continue(url: str, content: bytearray) -> bool:
    """Append to `content` what follows it; whether that is the end."""
    from http import HTTPStatus
    from urllib.request import Request, urlopen

    headers = {"User-Agent": "minigen"} | ({"Range": f"bytes={len(content)}-"} if content else {})
    with urlopen(Request(url, headers=headers), timeout=_TIMEOUT) as response:
        if content and response.status != HTTPStatus.PARTIAL_CONTENT:
            content.clear()
        announced = response.headers.get("Content-Length")
        total = None if announced is None else len(content) + int(announced)
        for chunk in track(_chunks(response), int(announced or 0), url.rsplit("/", 1)[-1], by_length=True):
            content += chunk
    return total is None or len(content) >= total


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read(_CHUNK):
        yield chunk


def _reason(error: BaseException) -> str:
    from urllib.error import HTTPError, URLError

    if isinstance(error, HTTPError):
        return f"{error.code} {error.reason}"
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
