"""Modules made of a row of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from minigen.errors import UserError
from minigen.nn.fusion import chains, run
from minigen.nn.module import Module

Row = TypeVar("Row", bound="_Row")


class _Row(Module):
    """What Sequential and ModuleList share: children in order, reached by position."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self._part(list(self._modules)[index])
        return self._modules[self._name(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(self._name(index), module)

    def append(self: Row, module: Module) -> Row:
        """Add a module at the end."""
        number = len(self)
        while str(number) in self._modules:  # a slice keeps its names, which need not begin at 0
            number += 1
        self.add_module(str(number), module)
        return self

    def extend(self: Row, modules: Iterable[Module]) -> Row:
        """Add several modules at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def _part(self, names: list[str]) -> Module:
        raise NotImplementedError

    def _name(self, index: int) -> str:
        if not -len(self) <= index < len(self):
            raise IndexError(f"{type(self).__name__} has {len(self)} modules; there is no number {index}.")
        return list(self._modules)[index]


class Sequential(_Row):
    """One module after another, each given the output of the one before.

    Args:
        args: modules, which get the names '0', '1', …; or one dictionary of modules by name.

    Where batch norm, a (leaky) ReLU and dropout follow each other in training, they are computed in one pass
    (`minigen.nn.fusion`), unless a hook is registered on one of them.

    Indexing with a slice gives a Sequential of the same modules under their names.

    Raises:
        UserError: modules beside a dictionary.

    >>> from minigen import nn
    >>> nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    Sequential(
      (0): Linear(in_features=4, out_features=2, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *args: Module | Mapping[str, Module]) -> None:
        super().__init__()
        for number, arg in enumerate(args):
            if isinstance(arg, Mapping):
                if len(args) > 1:
                    raise UserError("Sequential takes modules, or one dictionary of modules by name, not both.")
                for name, module in arg.items():
                    self.add_module(name, module)
            else:
                self.add_module(str(number), arg)

    def forward(self, input: Any) -> Any:
        for chain in chains(self):
            input = run(chain, input)
        return input

    def _part(self, names: list[str]) -> Module:
        return Sequential({name: self._modules[name] for name in names})


class ModuleList(_Row):
    """A list of modules whose parameters are found, for a `forward` that calls them as it likes.

    >>> from minigen import nn
    >>> layers = nn.ModuleList(nn.Linear(2, 2, bias=False) for _ in range(3))
    >>> [name for name, _ in layers.named_parameters()]
    ['0.weight', '1.weight', '2.weight']
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def _part(self, names: list[str]) -> Module:
        return ModuleList(self._modules[name] for name in names)
