"""The recorder: what the engine calls, while a trace is open in a thread, for every operation and every gradient."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from minigen.autograd import engine, modes
from minigen.autograd.function import Function
from minigen.autograd.orders import derivative_orders
from minigen.tensor import Tensor
from minigen.trace.counting import moved_bytes, multiply_adds, saved_arrays, stored_bytes
from minigen.trace.table import Row

if TYPE_CHECKING:
    from minigen.nn.module import Module
    from minigen.trace import trace


class Memory:
    """The bytes of those arrays that operations have made and that are still there."""

    def __init__(self) -> None:
        self.alive = 0
        self._arrays: dict[int, Any] = {}

    def __contains__(self, array: Any) -> bool:
        return id(owner(array)) in self._arrays

    def add(self, array: Any, *sources: Any) -> None:
        """Count an array until it goes, unless it lies in the memory of a source."""
        own = owner(array)
        key = id(own)
        if key in self._arrays or any(own is owner(source) for source in sources):
            return
        size = own.nbytes

        def forget(_: Any) -> None:
            del self._arrays[key]
            self.alive -= size

        self._arrays[key] = ref(own, forget)
        self.alive += size


class Recorder:
    """Makes a `Row` of every operation, and one of every gradient with what was computed for it as its parts."""

    def __init__(self) -> None:
        self.traces: list[trace] = []  # those that are open
        self.memory = Memory()
        self._parts: list[Row] | None = None  # while a node's gradient is computed: the operations that it took
        self._tracing = 0.0  # seconds spent in here rather than in operations
        self._passes = [0]  # the order of the derivative being computed, and of those around it
        self._paths: list[str] = [""]  # of the modules being run
        self._roots: list[Module] = []
        self._names: dict[int, str] = {}  # of the modules below the outermost one being run
        self._path_of: WeakKeyDictionary[Function, str] = WeakKeyDictionary()

    # ---- called by the engine ---------------------------------------------------------------------------------

    def operation(self, cls: type[Function], inputs: tuple[Any, ...], params: dict[str, Any]) -> Tensor:
        """`cls.apply(*inputs, **params)`, with a row."""
        entered = perf_counter()
        device = next((x.device for x in inputs if isinstance(x, Tensor)), None)
        modes.thread.state.watch = None
        try:
            start = _now(device)
            out = cls.apply(*inputs, **params)
            seconds = _now(device) - start
        finally:
            modes.thread.state.watch = self
        if out.grad_fn is not None:
            self._path_of[out.grad_fn] = self._paths[-1]
        masks = [x for x in params.values() if isinstance(x, Tensor)]
        params = {name: value for name, value in params.items() if not isinstance(value, Tensor)}
        arrays = [x._data if isinstance(x, Tensor) else x for x in (*inputs, *masks)]
        self.memory.add(out._data, *[a for a in arrays if hasattr(a, "strides")])
        row = Row(
            operation=cls.name(),
            order=self._passes[-1],
            module=self._paths[-1],
            inputs=tuple([a.shape for a in arrays if hasattr(a, "shape")]),
            outputs=(out.shape,),
            multiply_adds=multiply_adds(cls, arrays, params, out._data),
            bytes=moved_bytes(cls, arrays, params, out._data, out.device.xp),
            milliseconds=1e3 * seconds,
            alive=self.memory.alive,
        )
        self._finish(row)
        self._tracing += perf_counter() - entered - seconds
        return out

    def gradient(self, node: Function, g: Tensor, useful: set[Any] | None) -> list[tuple[Any, Tensor]]:
        """The engine's step through one node, with a row."""
        entered, tracing, outer = perf_counter(), self._tracing, self._parts
        self._parts = []
        self._paths.append(self._path_of.get(node, ""))
        saved = saved_arrays(node)
        try:
            start = _now(node.device)
            pairs = engine._node_backward(node, g, useful)
            seconds = _now(node.device) - start - (self._tracing - tracing)
        finally:
            parts, self._parts = self._parts, outer
            path = self._paths.pop()
        known = [owner(a) for a in (g._data, *saved)]
        results = [gx._data for _, gx in pairs]
        direct = [a for a in results if a not in self.memory and not any(owner(a) is k for k in known)]
        for array in direct:
            self.memory.add(array)
        if pairs:
            row = Row(
                operation=node.name(),
                order=self._passes[-1],
                module=path,
                inputs=(g.shape,),
                outputs=tuple([a.shape for a in results]),
                multiply_adds=sum(p.multiply_adds for p in parts),
                bytes=sum(p.bytes for p in parts) + (stored_bytes([g._data, *saved, *direct]) if direct else 0),
                milliseconds=1e3 * seconds,
                gradient_norm=_norm(g),
                alive=self.memory.alive,
                parts=tuple(parts),
            )
            self._finish(row)
        self._tracing = tracing + perf_counter() - entered - seconds
        return pairs

    @contextmanager
    def backward_pass(self, outputs: list[Tensor]) -> Iterator[None]:
        """Within, what is computed belongs to a derivative of `outputs`, an order above theirs."""
        orders = derivative_orders([y.grad_fn for y in outputs if y.grad_fn is not None])
        self._passes.append(1 + max(orders.values(), default=0))
        try:
            yield
        finally:
            self._passes.pop()

    # ---- called by modules ------------------------------------------------------------------------------------

    def enter(self, first: Module, last: Module | None = None) -> None:
        """Operations from here belong to this module (to a row of them, where `last` is given)."""
        if len(self._paths) == 1 or not self._names:
            name = self._root_name(first)
            self._names = {id(m): f"{name}.{path}" if path else name for path, m in first.named_modules()}
        path = self._names.get(id(first), type(first).__name__)
        if last is not None and last is not first:
            path += "–" + self._names.get(id(last), type(last).__name__).rpartition(".")[2]
        self._paths.append(path)

    def leave(self) -> None:
        """The module that was entered last has returned."""
        self._paths.pop()

    def _root_name(self, module: Module) -> str:
        kind = type(module).__name__
        alike = [m for m in self._roots if type(m) is type(module)]
        if not any(m is module for m in alike):
            self._roots.append(module)
            alike.append(module)
        number = 1 + next(i for i, m in enumerate(alike) if m is module)
        return kind if number == 1 else f"{kind}({number})"

    def _finish(self, row: Row) -> None:
        for table in self.traces:
            table.peak = max(table.peak, self.memory.alive - table.before)
            if self._parts is None:
                table.rows.append(row)
        if self._parts is not None:
            self._parts.append(row)


def owner(array: Any) -> Any:
    """The array whose memory this one is a view of."""
    while type(array.base) is type(array):
        array = array.base
    return array


def _now(device: Any) -> float:
    """The time in seconds, once the device has done what it was given."""
    if device is not None and device.name == "cuda":
        device.xp.cuda.get_current_stream().synchronize()
    return perf_counter()


def _norm(g: Tensor) -> float:
    """√Σg², in float64."""
    wide = g._data.astype("float64")
    return math.sqrt(float((wide * wide).sum()))
