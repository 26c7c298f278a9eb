"""Which layers of a row are run together: batch norm, ReLU or leaky ReLU, dropout, in this order; or linear and ReLU.

Neighbours of these kinds are one pass over memory (`minigen.functional.fused`) instead of one for each layer. The
results are the same to rounding, the dropout masks the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from minigen.autograd import modes
from minigen.functional.activation import linear_then_activate
from minigen.functional.fused import ENOUGH
from minigen.functional.noise import activate_and_drop
from minigen.nn.activation import LeakyReLU, ReLU
from minigen.nn.batchnorm import BatchNorm1d, BatchNorm2d
from minigen.nn.dropout import Dropout
from minigen.nn.linear import Linear
from minigen.nn.module import Module
from minigen.tensor import Tensor

LINEAR, NORM, ACTIVATION, DROPOUT, OTHER = range(5)
KINDS: dict[type[Module], int] = {
    Linear: LINEAR,
    BatchNorm1d: NORM,
    BatchNorm2d: NORM,
    ReLU: ACTIVATION,
    LeakyReLU: ACTIVATION,
    Dropout: DROPOUT,
}


def chains(modules: Iterable[Module]) -> Iterator[list[Module]]:
    """The modules in their order, those side by side that can be run together."""
    chain: list[Module] = []
    kinds: list[int] = []
    for module in modules:
        kind = _kind(module)
        if chain and not _joins(kind, kinds):
            yield chain
            chain, kinds = [], []
        chain.append(module)
        kinds.append(kind)
    if chain:
        yield chain


def _joins(kind: int, kinds: list[int]) -> bool:
    """Whether a layer of that kind can be run together with those before it."""
    if kinds[0] == LINEAR:
        return kinds == [LINEAR] and kind == ACTIVATION
    return kinds[-1] < kind < OTHER


def run(chain: list[Module], input: Any) -> Any:
    """The output of one of `chains`."""
    if len(chain) == 1:
        return chain[0](input)
    watch = modes.thread.state.watch
    if watch is None:
        return _in_one_pass(chain, input)
    watch.enter(chain[0], chain[-1])
    try:
        return _in_one_pass(chain, input)
    finally:
        watch.leave()


def _in_one_pass(chain: list[Module], input: Any) -> Any:
    slope, p, generator = 1.0, 0.0, None
    for layer in chain:
        if isinstance(layer, (ReLU, LeakyReLU)):
            slope = layer.negative_slope if isinstance(layer, LeakyReLU) else 0.0
        elif isinstance(layer, Dropout):
            p, generator = layer.p, layer.generator
    first = chain[0]
    if isinstance(first, Linear):
        if isinstance(input, Tensor) and input.data.size // max(1, first.in_features) * first.out_features >= ENOUGH:
            return linear_then_activate(input, first.weight, first.bias, slope)
        return chain[1](first(input))
    if isinstance(first, (BatchNorm1d, BatchNorm2d)):
        return first.forward_then(input, slope, p, generator)
    return activate_and_drop(input, slope, p, generator)


def _kind(module: Module) -> int:
    """The kind of a layer; OTHER for one whose call means more than its kind, or that does nothing in evaluation."""
    kind = KINDS.get(type(module), OTHER)
    if kind == OTHER or not module.training or module._pre_hooks or module._hooks or "forward" in module.__dict__:
        return OTHER
    return OTHER if isinstance(module, LeakyReLU) and module.negative_slope < 0 else kind
