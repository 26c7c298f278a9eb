"""What a picture of a computation graph shows: a box for each operation, parameter, input and constant, and its row.

A forward pass goes down in a column of its own. What a recorded backward pass computed stands in a second column, each
operation in the row of the one whose gradient it computes, so that gradients flow up beside the values they belong to.
Derivatives of a higher order are further columns, down and up in turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from minigen.autograd.engine import listed
from minigen.autograd.function import Function
from minigen.autograd.orders import derivative_orders
from minigen.errors import AutogradError, UserError, unknown_name
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.tensor import Tensor


@dataclass
class Box:
    """One node of the picture.

    Attributes:
        kind: 'forward', 'backward', 'second' (a derivative of a derivative), 'parameter', 'input' or 'constant'.
        lines: the text in it.
        tip: what hovering over it shows.
        column: the order of the derivative that it belongs to.
        row: counted from the top.
        inputs: the numbers of the boxes that its arrows come from.
        is_output: it was asked for.
    """

    kind: str
    lines: list[str]
    tip: str = ""
    column: int = 0
    row: int = 0
    inputs: list[int] = field(default_factory=list)
    is_output: bool = False


def boxes_of(tensors: Any, names: Any, grads: Mapping[str, Any] | None, max_nodes: int) -> list[Box]:
    """The boxes, inputs before what uses them."""
    outputs = listed("graph: what is drawn", tensors)
    if not outputs:
        raise UserError("graph: there is nothing to draw: give a tensor that was computed, or several.")
    for i, y in enumerate(outputs):
        if not y.requires_grad:
            raise UserError(
                f"graph: tensor {i} (shape {y.shape}) was not recorded: none of what it was computed from has "
                "requires_grad=True, or it was computed inside no_grad."
            )
    named = _named(names)
    given = _gradients(named, grads)
    nodes = _nodes([y.grad_fn for y in outputs if y.grad_fn is not None], max_nodes)
    orders = derivative_orders(nodes)
    titles = {y.grad_fn: name for name, y in named.items() if y.grad_fn is not None}
    leaf_names = {id(t): name for name, t in named.items()}

    boxes: list[Box] = []
    number: dict[Any, int] = {}  # by node, and by the identity of a leaf

    def leaf_box(tensor: Tensor) -> int:
        if id(tensor) not in number:
            number[id(tensor)] = len(boxes)
            name = leaf_names.get(id(tensor), "")
            boxes.append(_leaf(tensor, name, given.get(name, tensor.grad)))
        return number[id(tensor)]

    for node in nodes:
        edges = [edge for edge in node.edges or () if edge is not None]
        inputs = [number[edge] if isinstance(edge, Function) else leaf_box(edge) for edge in edges]
        inputs += [leaf_box(tensor) for tensor in _constants(node)]
        name = titles.get(node, "")
        result = named[name] if name else node.retain() if node.retain is not None else None
        gradient = given.get(name, None if result is None else result.grad)
        number[node] = len(boxes)
        boxes.append(_operation(node, name, gradient, orders[node], inputs))
    for y in outputs:
        boxes[leaf_box(y) if y.grad_fn is None else number[y.grad_fn]].is_output = True
    if named and not any((id(y) if y.grad_fn is None else y.grad_fn) in number for y in named.values()):
        raise UserError(f"graph: not one tensor of names= is part of what is drawn: {', '.join(list(named)[:5])}.")
    origins = {number[node]: number[node.origin()] for node in nodes if node.origin and node.origin() in number}
    _place(boxes, origins)
    return boxes


def _named(names: Any) -> dict[str, Tensor]:
    """The tensors that have a name, from a module, or a mapping of names to tensors and modules."""
    if names is None:
        return {}
    if isinstance(names, Module):
        return {**dict(names.named_parameters()), **dict(names.named_buffers())}
    if not isinstance(names, Mapping):
        raise UserError(f"graph: names must be a module or a dictionary, {{'w': w}}, not {type(names).__name__}.")
    found: dict[str, Tensor] = {}
    for name, value in names.items():
        if isinstance(value, Module):
            found.update({f"{name}.{path}": tensor for path, tensor in _named(value).items()})
        elif isinstance(value, Tensor):
            found[str(name)] = value
        else:
            raise UserError(f"graph: names[{name!r}] must be a tensor or a module, not {type(value).__name__}.")
    return found


def _gradients(named: dict[str, Tensor], grads: Mapping[str, Any] | None) -> dict[str, Tensor]:
    """The gradients that were given, under the names of what they are the gradients of."""
    if grads is None:
        return {}
    if not isinstance(grads, Mapping):
        raise UserError(
            f"graph: grads must be a dictionary of gradients under the names in names=, not {type(grads).__name__}."
        )
    for name, gradient in grads.items():
        if name not in named:
            raise unknown_name("tensor in grads", name, named)
        if not isinstance(gradient, Tensor) or gradient.shape != named[name].shape:
            what = gradient.shape if isinstance(gradient, Tensor) else type(gradient).__name__
            raise UserError(f"graph: grads[{name!r}] must be a tensor of shape {named[name].shape}, not {what}.")
    return dict(grads)


def _nodes(roots: list[Function], max_nodes: int) -> list[Function]:
    """The nodes below `roots`, inputs first."""
    seen = dict.fromkeys(roots)
    stack = list(seen)
    while stack:
        node = stack.pop()
        if node.edges is None:
            raise AutogradError(
                f"graph: the graph has been freed (at {node.name()}): a backward pass has used it already. Draw it before "
                "that, or pass retain_graph=True to it."
            )
        for edge in node.edges:
            if isinstance(edge, Function) and edge not in seen:
                seen[edge] = None
                stack.append(edge)
        if len(seen) > max_nodes:
            raise UserError(
                f"graph: there are more than {max_nodes} operations, too many to read: draw a part (one layer, one "
                "sample, a tensor further in), or pass a larger max_nodes."
            )
    return sorted(seen, key=lambda node: node.depth)


def _constants(node: Function) -> list[Tensor]:
    """Inputs without a gradient that the node has kept. It knows of no others."""
    saved = [value for value in node._kept if isinstance(value, Tensor)]
    return list({id(t): t for t in saved if not t.requires_grad}.values())


def _operation(node: Function, name: str, gradient: Tensor | None, order: int, inputs: list[int]) -> Box:
    kind = "forward" if node.origin is None else "backward" if order == 1 else "second"
    lines = ([name] if name else []) + [node.name().strip("_"), _shape(node.shape)] + _norm(gradient)
    tip = (type(node).__doc__ or "").strip().partition("\n")[0]
    return Box(kind, lines, tip, order, inputs=inputs)


def _leaf(tensor: Tensor, name: str, gradient: Tensor | None) -> Box:
    if isinstance(tensor, Parameter):
        kind = "parameter"
    else:
        kind = "input" if tensor.requires_grad or name else "constant"
    return Box(kind, [name or _value(tensor) or kind, _shape(tensor.shape), *_norm(gradient)])


def _value(tensor: Tensor) -> str:
    """The number that all elements of a constant are, or ''."""
    if tensor.requires_grad or not tensor.numel():
        return ""
    low, high = tensor.data.min(), tensor.data.max()
    return f"{float(low):.4g}" if low == high else ""


def _shape(shape: tuple[int, ...]) -> str:
    return str(shape) if shape else "scalar"


def _norm(gradient: Tensor | None) -> list[str]:
    if gradient is None:
        return []
    wide = gradient.data.astype("float64")
    return [f"‖grad‖ {float((wide * wide).sum()) ** 0.5:.3g}"]


def _place(boxes: list[Box], origins: dict[int, int]) -> None:
    """Columns of the leaves, and the rows of all: see the top of this file."""
    users: list[list[int]] = [[] for _ in boxes]
    for i, box in enumerate(boxes):
        for j in box.inputs:
            users[j].append(i)
    operations = [i for i, box in enumerate(boxes) if box.kind in ("forward", "backward", "second")]
    for i, box in enumerate(boxes):
        if users[i] and box.kind in ("parameter", "input", "constant"):
            box.column = min(boxes[j].column for j in users[i])
    span = _spans(boxes, operations, origins)

    bottom = {0: 0}  # by column: its lowest row (of one that goes up: where those before it end)
    for i in sorted(operations, key=lambda i: boxes[i].column):
        box, column = boxes[i], boxes[i].column
        beside = [boxes[j].row for j in boxes[i].inputs if j in span and boxes[j].column == column]
        level = [boxes[origins[i]].row] if i in origins else []
        if column == 0:
            box.row = span[i] + max(beside, default=0)
        elif column % 2:
            box.row = min([row - 1 for row in beside] + level, default=max(bottom.values()))
        else:
            box.row = max([row + 1 for row in beside] + level, default=0)
        bottom[column] = max(bottom.get(column, 0), box.row)
    for i in reversed(operations):  # what no row holds goes beside what uses it
        box = boxes[i]
        rows = [boxes[j].row - (span[j] if box.column == 0 else 1) for j in users[i] if boxes[j].column == box.column]
        if box.column % 2:
            rows = [boxes[j].row + 1 for j in users[i] if boxes[j].column == box.column]
        held = i in origins if box.column else any(j in span for j in box.inputs)
        if rows and not held:
            box.row = max(rows) if box.column % 2 else min(rows)
    for i, box in enumerate(boxes):
        rows = [boxes[j].row for j in users[i] if boxes[j].column == box.column]
        if i not in span and rows:
            box.row = max(rows) + 1 if box.column % 2 else min(rows) - 1
    top = min(box.row for box in boxes)
    for box in boxes:
        box.row -= top


def _spans(boxes: list[Box], operations: list[int], origins: dict[int, int]) -> dict[int, int]:
    """How many rows an operation needs: the longest chain of those that compute its gradient."""
    span = dict.fromkeys(operations, 1)
    chain = dict.fromkeys(operations, 1)
    for i in operations:
        if i in origins:
            own = origins[i]
            chain[i] = 1 + max((chain[j] for j in boxes[i].inputs if j in chain and origins.get(j) == own), default=0)
            span[own] = max(span[own], chain[i])
    return span
