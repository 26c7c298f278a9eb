"""The backward pass: gradients flow from the outputs to the leaves, deepest node first.

A heap ordered by depth hands out a node only when everything that used its output is done, so each node is visited
once however often its output was used (a diamond costs linear time), and nothing recurses (graphs of 100,000 nodes
work).
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from copy import copy
from typing import Any

from minigen.autograd import modes
from minigen.autograd.function import ABSENT, Function, summed_to
from minigen.device import Device
from minigen.errors import AutogradError, DtypeError, GraphError, ShapeError, UserError
from minigen.tensor import Tensor

ONLY = (True,)  # which inputs want a gradient, where there is one


def backward(output: Tensor, gradient: Tensor | None, retain_graph: bool | None, create_graph: bool) -> None:
    """`Tensor.backward`: add d(output)/d(leaf)·gradient to the `.grad` of every leaf."""
    if not output.requires_grad:
        raise AutogradError("backward: this tensor does not require a gradient; no input of it has requires_grad=True.")
    seed = _seed(output, gradient, "backward")
    keep = create_graph if retain_graph is None else retain_graph
    with _one_pass(create_graph, [output]):
        found = _run([(output, seed)], None, keep, create_graph)
        del seed
        for leaf in list(found):
            if leaf.grad is None:
                leaf.grad = _take(found, leaf)
                if modes.thread.state.capture is not None:
                    modes.thread.state.capture.leaves.add(leaf)
            else:
                if modes.thread.state.capture is not None and leaf not in modes.thread.state.capture.leaves:
                    raise GraphError(
                        f"backward: a leaf of shape {leaf.shape} had a gradient before the step began, and a captured step "
                        f"would add to that same one in every replay; call zero_grad() in the step, before backward(), and "
                        f"with set_to_none=True, as it is by default."
                    )
                leaf.grad = leaf.grad + found[leaf]


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    create_graph: bool = False,
    retain_graph: bool | None = None,
    allow_unused: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of `outputs` with respect to `inputs`, returned; no `.grad` is touched.

    Computes Σₖ (∂outputsₖ/∂input)ᵀ · grad_outputsₖ for every input, and only what that needs.

    Args:
        outputs: one tensor or several.
        inputs: one tensor or several, leaves or not.
        grad_outputs: what each output's gradient starts from, of its shape; may be None for scalars (it is 1).
        create_graph: record the computation of the gradients, so that they can be differentiated again.
        retain_graph: keep the graph for another backward pass; as `create_graph` unless given.
        allow_unused: give None for an input that the outputs do not depend on, where otherwise that is an error.

    Returns:
        One gradient for each input, with its shape and dtype.

    >>> import minigen
    >>> x = minigen.tensor([1.0, 2.0], requires_grad=True)
    >>> (g,) = minigen.grad((x**3).sum(), x, create_graph=True)
    >>> g.tolist(), minigen.grad(g.sum(), x)[0].tolist()
    ([3.0, 12.0], [6.0, 12.0])
    """
    outs, ins = listed("grad: outputs", outputs), listed("grad: inputs", inputs)
    seeds: list[Any]
    if grad_outputs is None:
        seeds = [None] * len(outs)
    else:
        seeds = list(grad_outputs) if isinstance(grad_outputs, (tuple, list)) else [grad_outputs]
    if len(seeds) != len(outs):
        raise AutogradError(f"grad: {len(outs)} outputs need as many grad_outputs, not {len(seeds)}.")
    for i, x in enumerate(ins):
        if not x.requires_grad:
            raise AutogradError(f"grad: input {i} (shape {x.shape}) has requires_grad=False, so nothing was recorded.")
    for i, y in enumerate(outs):
        if not y.requires_grad:
            raise AutogradError(f"grad: output {i} (shape {y.shape}) depends on nothing that requires a gradient.")
    roots = [(y, _seed(y, seed, "grad")) for y, seed in zip(outs, seeds)]
    keep = create_graph if retain_graph is None else retain_graph
    result: list[Tensor | None] = []
    with _one_pass(create_graph, outs):
        found = _run(roots, {_source(x) for x in ins}, keep, create_graph)
        del roots, seeds
        for i, x in enumerate(ins):
            if _source(x) in found:
                last = all(_source(later) is not _source(x) for later in ins[i + 1 :])
                result.append(_take(found, _source(x)) if last else found[_source(x)].clone())
            elif allow_unused:
                result.append(None)
            else:
                raise AutogradError(
                    f"grad: the outputs do not depend on input {i} (shape {x.shape}); pass allow_unused=True to get None "
                    "for it."
                )
    return tuple(result)


def listed(what: str, tensors: Any) -> list[Tensor]:
    """One tensor, or several, as a list."""
    out: list[Any]
    out = [tensors] if isinstance(tensors, Tensor) else list(tensors) if hasattr(tensors, "__iter__") else [None]
    if not all(isinstance(t, Tensor) for t in out):
        raise UserError(f"{what} must be a tensor or several tensors, not {type(tensors).__name__}.")
    return out


@contextmanager
def _one_pass(create_graph: bool, outputs: list[Tensor]) -> Iterator[None]:
    """What is computed within is part of a backward pass from `outputs`, recorded or not."""
    state = modes.thread.state
    before = state.recording, state.origin
    watching = nullcontext() if state.watch is None else state.watch.backward_pass(outputs)
    state.recording = create_graph
    try:
        with watching:
            yield
    finally:
        state.recording, state.origin = before


def _run(
    roots: Iterable[tuple[Tensor, Tensor]], targets: set[Any] | None, retain_graph: bool, create_graph: bool
) -> dict[Any, Tensor]:
    """Walk the graph from `roots`, in `_one_pass`. Returns the gradient of every target (every leaf, where that is None)."""
    useful = None if targets is None else _leading_to(targets, [_source(y) for y, _ in roots])
    gradients: dict[Any, Any] = {}  # by node or leaf: the sum of what has arrived so far
    result: dict[Any, Tensor] = {}
    heap: list[tuple[int, int, Function]] = []
    alone: Function | None = None  # the node that waits, where no other does
    order = 0  # breaks ties, so that the order of additions is always the same

    state = modes.thread.state
    watch = state.watch
    bare = not create_graph and watch is None and state.capture is None and not state.anomaly
    pending = [(_source(y), seed._data if bare else seed) for y, seed in roots]
    while True:
        for source, g in pending:
            if useful is not None and source not in useful:
                continue
            if create_graph:
                state.origin = source
            before = gradients.get(source)
            if before is not None:
                total = before + g
                gradients[source] = total if total.shape or not bare else source.device.xp.asarray(total)
                continue
            gradients[source] = g
            if not isinstance(source, Function):
                continue
            if alone is None and not heap:
                alone = source  # and of a chain the heap never hears
                continue
            if alone is not None:
                order += 1
                heapq.heappush(heap, (-alone.depth, order, alone))
                alone = None
            order += 1
            heapq.heappush(heap, (-source.depth, order, source))
        if alone is not None:
            node, alone = alone, None
        elif heap:
            node = heapq.heappop(heap)[2]
        else:
            break
        g = gradients.pop(node)
        if create_graph:
            state.origin = node
        if node.hooks or node.retain is not None or (targets is not None and node in targets):
            g = _apply_hooks(node, _tensor(g, node.device))
            if node.retain is not None and node.retain() is not None:
                node.retain().grad = g.clone()
            if targets is not None and node in targets:
                result[node] = g
            if bare:
                g = g._data
        # Another thread may go through a graph that is kept, and must not find its nodes on arrays.
        mine = copy(node) if bare and retain_graph else node
        if watch is not None:
            pending = watch.gradient(node, g, useful)
        elif bare and node._edge is not ABSENT and node.takes_arrays:
            pending = _straight(mine, g, useful)
        else:
            pending = _node_backward(mine, g, useful, bare)
        if not retain_graph:
            node._free()  # a pass has used it

    for leaf, g in gradients.items():  # only leaves are left
        if targets is None or leaf in targets:
            result[leaf] = _apply_hooks(leaf, _tensor(g, leaf.device))
    return result


def _node_backward(node: Function, g: Any, useful: set[Any] | None, bare: bool = False) -> list[tuple[Any, Any]]:
    """Call one operation's `backward`; pair every wanted input's source with its gradient, checked.

    In a `bare` pass gradients are arrays, not tensors: nobody will ask how they were computed (see `Function`).
    """
    edges = node.edges
    if edges is None:
        raise _freed(node)
    if useful is not None:
        edges = [edge if edge in useful else None for edge in edges]  # None is not useful
    if len(edges) == 2:  # as most nodes have here: written out, this takes half of the time of the general line
        wanted: tuple[bool, ...] = (edges[0] is not None, edges[1] is not None)
    else:
        wanted = tuple([edge is not None for edge in edges])
    if True not in wanted:
        return []
    node.needs_input_grad = wanted
    watched, on_arrays = not bare and modes.thread.state.anomaly, bare and node.takes_arrays
    if on_arrays:
        node.on_arrays = True
        try:
            grads = node.backward(g)
        finally:
            node.on_arrays = False
    elif watched:
        grads = _traced_backward(node, g)
    else:
        grads = node.backward(_tensor(g, node.device))
    return _checked(node, grads, edges, bare, watched)


def _checked(node: Function, grads: Any, edges: Sequence[Any], bare: bool, watched: bool) -> list[tuple[Any, Any]]:
    """What an operation's `backward` returned, by the sources of the inputs that want it, in their shapes and types."""
    on_arrays = bare and node.takes_arrays
    if not isinstance(grads, tuple):
        grads = (grads,)
    if len(grads) != len(edges):
        raise AutogradError(
            f"{node.name()}.backward returned {len(grads)} gradients for {len(edges)} inputs; return None for an "
            "input that has none."
        )
    pairs = []
    for edge, gx in zip(edges, grads):
        if edge is None or gx is None:
            continue
        data = gx._data if isinstance(gx, Tensor) else gx if on_arrays else None
        shape = getattr(data, "shape", None)
        if data is None or shape is None:
            raise AutogradError(f"{node.name()}.backward returned {type(gx).__name__}, not a Tensor.")
        if on_arrays and not shape:
            data = gx = edge.device.xp.asarray(data)  # arithmetic on arrays without axes gives bare numbers
        source = edge._data if isinstance(edge, Tensor) else edge
        if shape != source.shape or (data.dtype is not source.dtype and data.dtype != source.dtype):
            data = gx = _fitted(node, data if bare else gx, source)
            if not bare:
                data = gx._data
        if watched:
            node._check_finite(data, "gradient")
        pairs.append((edge, data if bare else gx))
    return pairs


def _straight(node: Function, g: Any, useful: set[Any] | None) -> list[tuple[Any, Any]]:
    """`_node_backward` of a node that `run` has made, on arrays. No loop over its one or two inputs: so a product of four
    numbers takes 1.6 µs less, a fifth of all its time, forwards and back.
    """
    edge, other = node._edge, node._other
    one = other is ABSENT
    if one:
        other = None
    if useful is not None:
        edge, other = edge if edge in useful else None, other if other in useful else None
        if edge is None and other is None:
            return []
    node.needs_input_grad = ONLY if one else (edge is not None, other is not None)
    node.on_arrays = True
    try:
        grads = node.backward(g)
    finally:
        node.on_arrays = False
    if one:
        gx = grads
    elif grads.__class__ is tuple and len(grads) == 2:
        gx, gy = grads
    else:
        return _checked(node, grads, (edge, other), True, False)

    pairs, array = [], node.device.ndarray
    if edge is not None:
        source = edge._data if isinstance(edge, Tensor) else edge
        if gx.__class__ is not array or gx.shape != source.shape or gx.dtype is not source.dtype:
            return _checked(node, grads, (edge,) if one else (edge, other), True, False)
        pairs.append((edge, gx))
    if other is not None:
        source = other._data if isinstance(other, Tensor) else other
        if gy.__class__ is not array or gy.shape != source.shape or gy.dtype is not source.dtype:
            return _checked(node, grads, (edge, other), True, False)
        pairs.append((other, gy))
    return pairs


def _fitted(node: Function, gx: Any, source: Any) -> Any:
    """A gradient, an array or a tensor, in the shape and the type of the input that it is for."""
    if gx.shape != source.shape:
        if not node.broadcasts:
            raise ShapeError(f"{node.name()}.backward returned shape {gx.shape} for an input of shape {source.shape}.")
        gx = gx.sum_to(source.shape) if isinstance(gx, Tensor) else summed_to(gx, source.shape, node.device)
    return gx if gx.dtype == source.dtype else gx.astype(source.dtype)


def _tensor(g: Any, device: Device) -> Tensor:
    """A gradient as a tensor, which it may be already."""
    return g if isinstance(g, Tensor) else Tensor._wrap(g, device)


def _traced_backward(node: Function, g: Tensor) -> Any:
    """`node.backward`; a node that it leaves in the graph is laid to the line of the program that made this one."""
    modes.thread.state.line = node.line
    try:
        return node.backward(g)
    finally:
        modes.thread.state.line = ""


def _leading_to(targets: set[Any], roots: list[Any]) -> set[Any]:
    """The nodes and leaves below `roots` from which a target can be reached."""
    seen = set(roots)
    stack = [root for root in roots if isinstance(root, Function)]
    nodes = []
    while stack:
        node = stack.pop()
        nodes.append(node)
        if node.edges is None:
            raise _freed(node)
        for edge in node.edges:
            if edge is not None and edge not in seen:
                seen.add(edge)
                if isinstance(edge, Function):
                    stack.append(edge)
    useful = targets & seen
    for node in sorted(nodes, key=lambda n: n.depth):
        if any(edge in useful for edge in node.edges or () if edge is not None):
            useful.add(node)
    return useful


def _source(tensor: Tensor) -> Any:
    """What stands for a tensor in the graph: its node, or itself when it is a leaf."""
    return tensor if tensor.grad_fn is None else tensor.grad_fn


def _seed(output: Tensor, gradient: Tensor | None, name: str) -> Tensor:
    if gradient is None:
        if output.data.size != 1:
            raise AutogradError(
                f"{name}: an output of shape {output.shape} is not a scalar; reduce it (for example .sum()) or give the "
                "gradient it starts from."
            )
        one = output.device.xp.empty(output.shape, output.dtype)
        one.fill(1)
        return Tensor._wrap(one, output.device)
    if not isinstance(gradient, Tensor):
        gradient = Tensor(gradient, dtype=output.dtype, device=output.device)
    if gradient.shape != output.shape:
        raise ShapeError(
            f"{name}: the gradient has shape {gradient.shape}, the output {output.shape}; they must be equal."
        )
    if gradient.dtype.kind != "f":
        raise DtypeError(f"{name}: a gradient is of floating-point numbers, not {gradient.dtype}.")
    return gradient if gradient.dtype == output.dtype else gradient.astype(output.dtype)


def _apply_hooks(source: Any, g: Tensor) -> Tensor:
    for hook in list((source.hooks or {}).values()):
        replaced = hook(g)
        if replaced is not None:
            if not isinstance(replaced, Tensor):
                raise AutogradError(f"A hook returned {type(replaced).__name__}, not a Tensor or None.")
            if replaced.shape != g.shape:
                raise ShapeError(f"A hook returned shape {replaced.shape} for a gradient of shape {g.shape}.")
            g = replaced
    return g


def _take(found: dict[Any, Tensor], source: Any) -> Tensor:
    """Take a gradient out of `found`; a copy, unless nobody else can see its array: no two tensors share a buffer."""
    g = found.pop(source)
    alone = g._data.base is None and sys.getrefcount(g) <= 2 and sys.getrefcount(g._data) <= 2
    return g if alone else g.clone()


def _freed(node: Function) -> AutogradError:
    return AutogradError(
        f"backward: the graph has been freed (at {node.name()}): a backward pass has used it already. Pass "
        "retain_graph=True to the first pass to go through it twice."
    )
