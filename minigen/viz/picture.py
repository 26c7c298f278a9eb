"""A finished picture: a notebook shows it, and `save` writes it to a file."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from io import BytesIO
from typing import Concatenate, ParamSpec

import numpy as np

from minigen.errors import UserError
from minigen.files import atomic_write

P = ParamSpec("P")


class Picture:
    """What every `draw_…` function returns: the last expression of a notebook's cell shows it.

    Args:
        pixels: (H, W) or (H, W, 3) uint8

    >>> Picture(np.zeros((4, 6), np.uint8))
    <Picture 6×4>
    """

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels = pixels

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it in the format that the file's name ends in.

        Raises:
            UserError: A path that cannot be written, or whose ending is no picture format.
            TrainingError: The disk failed or is full.
        """
        from PIL import Image

        kind = Image.registered_extensions().get(os.path.splitext(path)[1].lower())
        if kind not in Image.SAVE:
            raise UserError(f"Cannot tell a picture format from the name {os.fspath(path)}: let it end in .png.")
        atomic_write(path, self._encoded(kind))

    def _encoded(self, kind: str) -> bytes:
        from PIL import Image

        buffer = BytesIO()
        Image.fromarray(self.pixels).save(buffer, format=kind)
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        """What IPython and Jupyter ask for to show it."""
        return self._encoded("PNG")

    def __repr__(self) -> str:
        height, width = self.pixels.shape[:2]
        return f"<Picture {width}×{height}>"


def saver(draw: Callable[P, Picture]) -> Callable[Concatenate[str | os.PathLike[str], P], None]:
    """The function `save_…(path, …)` of a `draw_…(…)`: it writes the picture into a file, such as `samples.png`."""

    def save(path: str | os.PathLike[str], /, *args: P.args, **kwargs: P.kwargs) -> None:
        draw(*args, **kwargs).save(path)

    name = draw.__name__
    save.__name__ = save.__qualname__ = name.replace("draw", "save", 1)
    save.__module__ = draw.__module__
    save.__doc__ = (
        f"Write the picture of `{name}(…)` into the file `path`, in the format that its name ends in.\n\n"
        f"Raises:\n    As `{name}`, and as `Picture.save` where the file cannot be written."
    )
    first = inspect.Parameter("path", inspect.Parameter.POSITIONAL_ONLY, annotation="str | os.PathLike[str]")
    drawn = inspect.signature(draw)
    save.__signature__ = drawn.replace(  # type: ignore[attr-defined]
        parameters=[first, *drawn.parameters.values()], return_annotation="None"
    )
    return save
