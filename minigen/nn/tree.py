"""The tree of a module and those below it, walked parents first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from minigen.nn.module import Module

T = TypeVar("T")


def walk(module: Module, prefix: str = "") -> Iterator[tuple[str, Module]]:
    """All modules with dotted names; one that is shared comes once for every name."""
    yield prefix, module
    for name, child in module._modules.items():
        yield from walk(child, f"{prefix}.{name}" if prefix else name)


def members(module: Module, kind: str, prefix: str, recurse: bool) -> Iterator[tuple[str, Any]]:
    """The tensors in `kind` (``'_parameters'`` or ``'_buffers'``) of every module, with dotted names."""
    for path, part in once(walk(module, prefix)) if recurse else [(prefix, module)]:
        for name, tensor in getattr(part, kind).items():
            if tensor is not None:
                yield f"{path}.{name}" if path else name, tensor


def once(pairs: Iterable[tuple[str, T]]) -> Iterator[tuple[str, T]]:
    """The pairs, without those whose object came before."""
    seen: set[int] = set()
    for name, value in pairs:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value
