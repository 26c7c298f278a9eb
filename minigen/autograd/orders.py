"""How many derivatives lie behind each node of a graph: what tells a gradient's computation from the function's own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from minigen.autograd.function import Function


def derivative_orders(roots: Iterable[Function]) -> dict[Function, int]:
    """The order of every node below `roots`: 0 in a forward pass, 1 for what a gradient was computed with, and so on.

    A node that a recorded backward pass made has an order more than the node whose gradient it helps to compute; every
    other node has the highest order among its inputs, so that what is computed from a gradient has the gradient's.
    """
    orders: dict[Function, int] = {}
    stack = list(roots)
    while stack:
        node = stack[-1]
        origin = _origin(node)
        behind = [n for n in (*(node.edges or ()), origin) if isinstance(n, Function)]
        waiting = [n for n in behind if n not in orders]
        if node not in orders and waiting:
            stack += waiting
            continue
        stack.pop()
        if node not in orders:
            inputs = [orders[n] for n in node.edges or () if isinstance(n, Function)]
            after = 0 if origin is None else 1 + orders.get(origin, 0)
            orders[node] = max([node.order, after, *inputs])
    return orders


def _origin(node: Function) -> Any:
    """The node or leaf whose gradient this node helps to compute, unless there is none or it is gone."""
    return None if node.origin is None else node.origin()
