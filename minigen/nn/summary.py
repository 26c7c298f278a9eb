"""A table of a model: for every layer its output's shape, its parameters and its multiply-adds."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from minigen.autograd.modes import no_grad
from minigen.device import cpu as CPU
from minigen.errors import UserError
from minigen.nn.convolution import Conv2d, ConvTranspose2d
from minigen.nn.linear import Linear
from minigen.nn.module import Module
from minigen.random import Generator, default_generator
from minigen.tensor import DEFAULT_DTYPE, Tensor


@dataclass(frozen=True)
class Row:
    """One call of one layer. `parameters` are the layer's own, 0 where an earlier row has counted them."""

    name: str
    kind: str
    output_shape: Any
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """What `summary` returns; printing it shows the table.

    `parameters` and `trainable` count every parameter of the model once, also those of layers that were not called.
    """

    rows: list[Row]
    parameters: int
    trainable: int
    multiply_adds: int

    def __str__(self) -> str:
        from rich.box import SIMPLE
        from rich.console import Console
        from rich.table import Table

        table = Table(box=SIMPLE, show_footer=True)
        table.add_column("Layer", "Total")
        table.add_column("Type")
        table.add_column("Output shape")
        table.add_column("Parameters", f"{self.parameters:,}", justify="right")
        table.add_column("Multiply-adds", f"{self.multiply_adds:,}", justify="right")
        for row in self.rows:
            table.add_row(row.name, row.kind, str(row.output_shape), f"{row.parameters:,}", f"{row.multiply_adds:,}")
        page = Console(file=io.StringIO(), width=200, color_system=None)
        page.print(table)
        lines = [line.rstrip() for line in page.file.getvalue().splitlines()]  # type: ignore[attr-defined]
        return "\n".join([*(line for line in lines if line), f"  Trainable parameters: {self.trainable:,}"])

    __repr__ = __str__


def summary(module: Module, inputs: Tensor | Sequence[Tensor] | Sequence[int]) -> Summary:
    """Run a model once, in `eval` and without gradients, and tell what every layer did.

    A multiply-add is one product and its addition to a sum. Counted are those of convolutions (every tap of every
    output, padding included), transposed convolutions (every tap of every input) and fully connected layers; for all
    other layers, biases and what a `forward` computes by itself, the table says 0. Listed are the layers without
    children, and those with parameters of their own. The model, its running statistics and the generators are left as
    they were.

    Args:
        module: the model.
        inputs: the shape of its input, batch included (zeros are put in); or a tensor; or several, its arguments.

    >>> import minigen
    >>> from minigen import nn
    >>> table = nn.summary(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU()), (1, 1, 8, 8))
    >>> table.parameters, table.multiply_adds, table.rows[0].output_shape
    (40, 2304, (1, 4, 8, 8))
    >>> print(table)
      Layer   Type     Output shape   Parameters   Multiply-adds
     ────────────────────────────────────────────────────────────
      0       Conv2d   (1, 4, 8, 8)           40           2,304
      1       ReLU     (1, 4, 8, 8)            0               0
     ────────────────────────────────────────────────────────────
      Total                                   40           2,304
      Trainable parameters: 40
    """
    rows: list[Row] = []
    counted: set[int] = set()

    def watch(name: str) -> Any:
        def note(layer: Module, args: tuple[Any, ...], output: Any) -> None:
            own = [p for p in layer.parameters(recurse=False) if id(p) not in counted]
            counted.update(id(p) for p in own)
            work = _multiply_adds(layer, args, output)
            rows.append(Row(name, type(layer).__name__, _shape(output), sum(p.numel() for p in own), work))

        return note

    removals = [
        layer.register_forward_hook(watch(name or "(model)"))
        for name, layer in module.named_modules()
        if not layer._modules or any(True for _ in layer.parameters(recurse=False))
    ]
    try:
        with _undisturbed(module), no_grad():
            module(*_arguments(module, inputs))
    finally:
        for remove in removals:
            remove()
    parameters = list(module.parameters())
    return Summary(
        rows,
        parameters=sum(p.numel() for p in parameters),
        trainable=sum(p.numel() for p in parameters if p.requires_grad),
        multiply_adds=sum(row.multiply_adds for row in rows),
    )


def _arguments(module: Module, inputs: Any) -> tuple[Any, ...]:
    if isinstance(inputs, Tensor):
        return (inputs,)
    given = tuple(inputs)
    if given and all(isinstance(n, int) for n in given):
        like = next(module.parameters(), None)
        if like is None:
            return (Tensor(CPU.xp.zeros(given, DEFAULT_DTYPE)),)
        return (Tensor(like.device.xp.zeros(given, like.dtype), device=like.device),)
    if given and all(isinstance(x, Tensor) for x in given):
        return given
    raise UserError(f"summary: inputs must be a shape, a Tensor or several Tensors, not {inputs!r}.")


def _multiply_adds(layer: Module, args: tuple[Any, ...], output: Any) -> int:
    if isinstance(layer, Linear):
        return output.numel() * layer.in_features
    if isinstance(layer, (Conv2d, ConvTranspose2d)):
        taps = layer.weight.numel() // layer.weight.shape[0]  # of each output, or of each input
        return (output if isinstance(layer, Conv2d) else args[0]).numel() * taps
    return 0


def _shape(output: Any) -> Any:
    """The shape of a tensor; for several, a list of theirs."""
    if isinstance(output, (tuple, list)):
        return [_shape(part) for part in output]
    return output.shape if isinstance(output, Tensor) else type(output).__name__


@contextmanager
def _undisturbed(module: Module) -> Iterator[None]:
    """`eval` within; afterwards, modes and random generators are as before."""
    modes = [(layer, layer.training) for layer in module.modules()]
    held = [value for layer in module.modules() for value in vars(layer).values() if isinstance(value, Generator)]
    states = [(generator, generator.get_state()) for generator in [default_generator, *held]]
    module.eval()
    try:
        yield
    finally:
        for layer, training in modes:
            layer.training = training
        for generator, state in states:
            generator.set_state(state)
