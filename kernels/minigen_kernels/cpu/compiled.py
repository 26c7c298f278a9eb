"""The decorator of every kernel that Numba compiles, and what is done so that no stale one is run.

Numba keeps compiled functions beside their file, or where NUMBA_CACHE_DIR says, and compiles anew when that file has
changed. But what a function calls is compiled into it, from whatever file, and so are the constants of the plain twins
one folder above. So when any file of either folder has changed, everything is forgotten.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core import event

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if config.DISABLE_JIT:  # type: ignore[attr-defined]  # which Numba sets as it reads the environment
    raise ImportError("The kernels are made of LLVM's instructions and do not run as Python: unset NUMBA_DISABLE_JIT.")

STAMP, LOCK = "minigen-sources.txt", "minigen-lock"


def forget_stale(folder: Path, kept: Path) -> None:
    """Deletes what Numba keeps in the folder `kept`, if the files of `folder` and the one above are not those of the last time."""
    digest = hashlib.sha256()
    for path in sorted([*folder.parent.glob("*.py"), *folder.glob("*.py")]):
        digest.update(path.name.encode() + path.read_bytes())
    stamp = kept / STAMP
    with contextlib.suppress(OSError), _alone(kept):  # where nothing can be written, nothing is kept
        if stamp.is_file() and stamp.read_text() == digest.hexdigest():
            return
        for path in [*kept.glob("*.nbi"), *kept.glob("*.nbc")]:
            path.unlink(missing_ok=True)
        written = kept / f"{STAMP}.{os.getpid()}"
        written.write_text(digest.hexdigest())
        written.replace(stamp)


@contextlib.contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Lets one process at a time change what is kept in a folder.

    Numba numbers the files of a function's signatures by looking which numbers are taken. Two processes that save two
    signatures at once would take the same one, and a later process would run what was compiled for other arguments.
    """
    kept.mkdir(parents=True, exist_ok=True)
    with (kept / LOCK).open("w") as file:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # there are network drives without locks
                fcntl.flock(file, fcntl.LOCK_EX)  # until the file is closed
        yield


def _saving_alone(kernel: Any) -> Any:
    """The compiled function, which now saves what it compiles while no other process does."""
    cache = kernel._cache
    save = cache.save_overload

    def save_overload(*args: Any) -> None:
        with _alone(Path(cache.cache_path)):
            save(*args)

    cache.save_overload = save_overload
    return kernel


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Numba's `njit` without the interpreter's lock, the result kept on the disk for later processes.

    Division by zero gives infinity or NaN, or 0 of whole numbers, and does not raise. No wrapper is made for callers in C.
    Where no folder can be written, every process compiles anew.
    """
    options = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, **options}

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return _saving_alone(njit(cache=True, **options)(function))
        except RuntimeError:  # Numba found no place for its cache
            return njit(**options)(function)

    return decorate


class _WithoutCollections(event.Listener):
    """Keeps Python from looking for garbage while Numba compiles.

    Numba makes hundreds of thousands of objects meanwhile, most of which stay, and each collection looks at all of them.
    The first training step of a fresh install is a tenth sooner (DCGAN 28.8 → 26.3 s, Zen 3).
    """

    def __init__(self) -> None:
        self.depth = 0  # what is compiled may need something else compiled first
        self.collected = False  # whether they were on before

    def on_start(self, event: event.Event) -> None:
        if self.depth == 0:
            self.collected = gc.isenabled()
            gc.disable()
        self.depth += 1

    def on_end(self, event: event.Event) -> None:
        self.depth -= 1
        if self.depth == 0 and self.collected:
            gc.enable()


event.register("numba:compile", _WithoutCollections())


@compiled()
def _nothing():
    """Knows where Numba keeps the functions of this folder."""


if _nothing.stats.cache_path:
    forget_stale(Path(__file__).parent, Path(_nothing.stats.cache_path))
