"""Function: one differentiable operation. Its instances are the nodes of the computation graph.

A graph is made of two things. A *leaf* is a tensor that the user made and that requires a gradient. A *node* is one
application of an operation. `node.edges[i]` says where the i-th input came from: a node, a leaf, or None when no
gradient is wanted there. Nodes never point at the tensor they produced, so there are no cycles and a graph is freed
the moment its output goes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache, wraps
from typing import Any
from weakref import ref

from minigen.autograd import modes
from minigen.device import Device
from minigen.errors import (
    AnomalyError,
    AutogradError,
    DeviceError,
    DoubleBackwardError,
    InPlaceError,
    MinigenError,
    ShapeError,
)
from minigen.tensor import DEFAULT_DTYPE, NEVER, Tensor, clock

ABSENT: Any = object()  # there is no second input
INPUTS: Any = object()  # the inputs are what is saved
new_tensor = Tensor.__new__


class _Edges:
    """`Function.edges` of a node that `run` has made: the tuple of `_edge` and `_other`, made when somebody asks for it.

    `apply` gives a node its edges, and this is not asked. ABSENT says that there is no such input; None, as an edge, that no
    gradient is wanted for the input, or that the graph has been freed.
    """

    def __get__(self, node: Function | None, cls: type) -> Sequence[Any] | None:
        if node is None or node._edge is ABSENT:
            return None
        return (node._edge,) if node._other is ABSENT else (node._edge, node._other)


class _Output:
    """Stands among the saved values for the node's own output, which it must not point at."""

    __slots__ = ("_data", "_version")

    def __init__(self, data: Any, version: list[int]) -> None:
        self._data = data
        self._version = version


class Function:
    """An operation: `forward` on arrays, and `backward` written with tensor operations.

    Because `backward` is made of operations that are themselves differentiable, every derivative of any order comes
    for free. To add an operation, write the two methods and call it with `apply`:

    >>> import minigen
    >>> class Cube(minigen.Function):
    ...     '''y = x³,  x̄ = 3x²·g.'''
    ...     def forward(self, x):
    ...         self.save_for_backward(x)
    ...         return x ** 3
    ...     def backward(self, g):
    ...         x, = self.saved_tensors
    ...         return 3 * x * x * g
    >>> x = minigen.tensor(2.0, requires_grad=True)
    >>> (dy,) = minigen.grad(Cube.apply(x), x, create_graph=True)
    >>> (ddy,) = minigen.grad(dy, x)
    >>> dy.item(), ddy.item()
    (12.0, 12.0)

    `forward(self, *arrays, **params)` gets an array for every tensor, and everything else as it was given.
    `backward(self, g)` gets the gradient of the output and returns one gradient for each positional input (None for
    those without one). `self.needs_input_grad` tells which are wanted, in both.

    An operation whose backward needs all its inputs and nothing else may say so with `keeps_inputs = True`, in place of
    `save_for_backward`: a product of four numbers is a fourteenth faster without that call.

    A backward that is made of Python's operators, of methods and attributes that arrays have too, and of other operations
    called by `compute`, may say so with `takes_arrays = True`. Where no graph of the gradient is wanted, it is then run on
    bare arrays: the same formula, without a node and a tensor for each step. The gradient of a chain of small products
    takes half of the time by it.
    """

    forward: Callable[..., Any]
    backward: Callable[..., Any]

    broadcasts = False  # inputs are broadcast against each other: the engine sums gradients back to their shapes
    is_view = False  # the output may share memory with the first input
    takes_arrays = False  # `backward` is made of operators and `compute`: it can be run on bare arrays as well
    keeps_inputs = False  # if `forward` saves nothing, all inputs are kept for `backward`
    on_arrays = False  # it is being run on them now; of a graph that is retained, on a copy of the node

    edges: Any = _Edges()  # a sequence; None once the graph has been freed
    depth: int
    recorded: int  # when, by the clock that also says when a tensor was last changed in place
    shape: tuple[int, ...]  # of the output
    dtype: Any
    device: Device
    hooks: dict[int, Callable[[Tensor], Tensor | None]] | None = None
    retain: Any = None  # weak reference to the output, when its gradient is to be kept
    line = ""  # where it was called, recorded in anomaly mode
    origin: Any = None  # weak reference to the node or leaf whose gradient it helps to compute; None in a forward pass
    order = 0  # one more than its origin's; what is computed from a gradient gets its own in `orders`
    _saved: Any = ()  # what is kept for `backward`; or INPUTS, and then that is `_x` and `_y`
    _x: Any  # of a node that `run` has made: its first and second input,
    _y: Any
    _edge: Any = ABSENT  # and the node or leaf that each came from
    _other: Any = ABSENT

    def __init_subclass__(cls) -> None:
        if "backward" in vars(cls) and "takes_arrays" not in vars(cls):
            cls.takes_arrays = False  # what is said of the backward above is not said of this one

    @classmethod
    def apply(cls, *inputs: Any, **params: Any) -> Tensor:
        """Run the operation on `inputs`, recording it for the backward pass where one of them needs a gradient.

        Args:
            inputs: tensors, which `forward` gets as arrays, and anything else, which it gets as it is.
            params: keyword arguments of `forward`.

        Raises:
            DeviceError: tensors on different devices.
            ShapeError: shapes that an operation with `broadcasts` cannot broadcast.
        """
        state = modes.thread.state
        if state.watch is not None:
            return state.watch.operation(cls, inputs, params)
        node = cls()
        recording, capture = state.recording, state.capture
        device: Device | None = None
        arrays = []
        edges: list[Any] = []
        depth = 0
        for x in inputs:
            edge: Any = None
            if isinstance(x, Tensor):
                if device is not x.device:
                    if device is not None:
                        raise DeviceError(
                            f"{cls.name()}: the tensors are on different devices, {device} and {x.device}; "
                            f"bring them together with .to('{device}')."
                        )
                    device = x.device
                arrays.append(x._data)
                if recording and x.requires_grad:
                    edge = x.grad_fn
                    if edge is None:
                        edge = x
                        depth = depth or 1
                    elif edge.depth >= depth:
                        depth = edge.depth + 1
                if capture is not None:
                    capture.note_input(x)
            else:
                arrays.append(x)
            edges.append(edge)
        if capture is not None:
            for value in params.values():  # a mask
                if isinstance(value, Tensor):
                    capture.note_input(value)
        if device is None:
            raise TypeError(f"{cls.name()}.apply needs at least one Tensor.")
        node.device = device
        node.edges = edges
        try:
            raw = node.forward(*arrays, **params) if params else node.forward(*arrays)
        except ValueError as error:
            if isinstance(error, MinigenError):
                raise
            raise ShapeError(_explain(cls, [*arrays, *params.values()], error)) from error

        device = node.device  # a move to another one has changed it
        data = raw if isinstance(raw, device.ndarray) else device.xp.asarray(raw)
        for array in arrays:
            if data is array:  # every tensor has an array object of its own
                data = data.view()
        out = Tensor._wrap(data, device)
        if cls.is_view and _looks_into(data, arrays[0], device):
            out._version = inputs[0]._counter()
        if state.anomaly:
            node.line = state.line or modes.calling_line()
            if not state.line:  # what a backward computes on its way is judged by the gradient it returns
                node._check_finite(data, "result")
        dtype = data.dtype
        if depth and dtype.kind == "f":  # comparisons and roundings to integers end the graph
            node.depth, node.recorded = depth, clock.now
            node.shape, node.dtype = data.shape, dtype
            if state.origin is not None:
                node._helps(state.origin)
            saved = node._saved
            if not saved and cls.keeps_inputs:
                node._saved = inputs
            elif saved:
                if saved[0] is arrays[0] and saved[-1] is arrays[-1] and len(saved) == len(arrays) <= 2:
                    node._saved = inputs  # both of two or the only one, as it is very often
                else:
                    node._saved = node._in_graph(saved, inputs, arrays, raw, out)
            out.requires_grad, out.grad_fn = True, node
        return out

    @staticmethod
    def prepared(*inputs: Any) -> tuple[Any, ...]:
        """Inputs as the operation takes them, where `run` is given something else than tensors of floating-point numbers."""
        return inputs

    def _helps(self, origin: Any) -> None:
        """This node helps to compute the gradient of `origin`, a node or a leaf."""
        self.origin = ref(origin)
        self.order = 1 + (origin.order if isinstance(origin, Function) else 0)

    @cached_property
    def needs_input_grad(self) -> tuple[bool, ...]:
        """Which inputs want a gradient; during a backward pass, those that it leads to."""
        return tuple([edge is not None for edge in self.edges or ()])

    @property
    def _kept(self) -> tuple[Any, ...]:
        """What is kept for `backward`: tensors for inputs, an `_Output` for the output, the rest as it is."""
        if self._saved is not INPUTS:
            return self._saved
        return (self._x,) if self._y is ABSENT else (self._x, self._y)

    def _free(self) -> None:
        """Forget the graph that leads here, and what is kept of it."""
        self._saved = ()
        if self._edge is ABSENT:
            self.edges = None
        else:
            self._edge = self._other = ABSENT
            self._x = self._y = None

    def compute(self, operation: type[Function], *inputs: Any, **params: Any) -> Any:
        """What `operation.apply(*inputs, **params)` returns; an array, while this node's gradient is computed on arrays.

        Arrays among the inputs, masks say, are constants of the graph.
        """
        if not self.on_arrays:
            inputs = tuple([Tensor(x, device=self.device) if _is_array(x) else x for x in inputs])
            return operation.apply(*inputs, **params)
        node = operation()
        node.device, node.edges = self.device, (None,) * len(inputs)
        return node.forward(*inputs, **params)

    def save_for_backward(self, *values: Any) -> None:
        """Keep inputs, the output, masks or indices for `backward`.

        Inputs and the output come back from `saved_tensors` as tensors of the graph, so that the gradient can itself
        be differentiated. Any other array of floating-point numbers is refused: it might depend on an input, and
        second derivatives would silently miss that.
        """
        self._saved = values

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given.

        Raises:
            InPlaceError: one of them has been changed in place since.
        """
        on_arrays = self.on_arrays
        if on_arrays and self._saved is INPUTS:
            x, y, recorded = self._x, self._y, self.recorded
            if x._version[0] > recorded:
                raise self._changed(x._data.shape)
            if y is ABSENT:
                return (x._data,)
            if isinstance(y, Tensor):
                if y._version[0] > recorded:
                    raise self._changed(y._data.shape)
                y = y._data
            return x._data, y
        out = []
        for value in self._kept:
            if isinstance(value, Tensor) or type(value) is _Output:
                if value._version[0] > self.recorded:
                    raise self._changed(value._data.shape)
                if on_arrays:
                    value = value._data
                elif type(value) is _Output:
                    value = self._output(value)
            out.append(value)
        return tuple(out)

    @classmethod
    def name(cls) -> str:
        """What errors and pictures call the operation."""
        return cls.__name__

    def __repr__(self) -> str:
        return f"<{self.name()}>"

    def _in_graph(
        self, saved: tuple[Any, ...], inputs: tuple[Any, ...], arrays: list[Any], raw: Any, out: Tensor
    ) -> tuple[Any, ...]:
        """What is kept of saved values: the tensor of an input, an `_Output` of the output, anything else as it is."""
        keep = []
        for value in saved:
            if value.__class__ is Tensor and value._data.dtype.kind != "f":  # a mask
                keep.append(value)
                continue
            for x, array in zip(inputs, arrays):
                if value is array:
                    keep.append(x)
                    break
            else:
                if value is raw:
                    value = _Output(out._data, out._counter())
                elif hasattr(value, "dtype") and value.dtype.kind == "f":
                    raise AutogradError(
                        f"{self.name()}: save_for_backward got an array of {value.dtype} that is neither an input nor the "
                        "output. If it depends on an input, second derivatives would silently miss it: recompute it in "
                        "backward from saved inputs."
                    )
                keep.append(value)
        return tuple(keep)

    def _output(self, kept: _Output) -> Tensor:
        """The output as a tensor of the graph."""
        tensor = Tensor._wrap(kept._data, self.device)
        tensor._version = kept._version
        tensor.requires_grad = True
        tensor.grad_fn = self
        return tensor

    def _changed(self, shape: tuple[int, ...]) -> InPlaceError:
        return InPlaceError(
            f"{self.name()}: a tensor of shape {shape} that its gradient needs has been changed in place since. Change a "
            "copy (x = x.clone()), or write the change out of place (x = x + y)."
        )

    def _check_finite(self, data: Any, what: str) -> None:
        if data.dtype.kind == "f" and not bool(self.device.xp.isfinite(data).all()):
            kind = "NaN" if bool(self.device.xp.isnan(data).any()) else "infinity"
            raise AnomalyError(f"{self.name()} made the first {kind}, in its {what}, called at {self.line}")


def run(operation: type[Function], x: Any, y: Any = ABSENT, **params: Any) -> Tensor:
    """What `operation.apply` returns, of one or two inputs that are first `prepared`.

    For a floating-point tensor alone, with another of its type or with a Python number, which is what most
    operations are given, all is done here in one straight run; for anything else `apply` does it. What that needs
    for any number of inputs costs more than a small operation itself: lists, loops, and two tuples a node that
    Python's garbage collector goes through. Without them a product of four numbers takes 2.4 µs instead of 3.6.

    An operation whose result may be on another device is for `apply` alone.

    Args:
        x, y: tensors, or what `prepared` makes tensors of; a second only for an operation that has two inputs.
        params: keyword arguments of `forward`.

    Raises:
        ShapeError, DeviceError: as `apply`.
    """
    state = modes.thread.state
    if state.watch is not None or state.capture is not None or state.anomaly or not isinstance(x, Tensor):
        return _run_others(operation, x, y, params)
    a, device, recording = x._data, x.device, state.recording
    dtype = a.dtype
    if dtype is not DEFAULT_DTYPE and dtype.kind != "f":
        return _run_others(operation, x, y, params)
    edge: Any = None
    depth = 0
    if recording and x.requires_grad:
        edge = x.grad_fn
        if edge is None:
            edge = x
            depth = 1
        else:
            depth = edge.depth + 1
    node = operation()
    node.device = device
    other: Any = None
    if y is ABSENT:
        b, other = a, ABSENT
    elif isinstance(y, Tensor):
        b = y._data
        if b.dtype is not dtype or y.device is not device:
            return _run_others(operation, x, y, params)
        if recording and y.requires_grad:
            other = y.grad_fn
            if other is None:
                other = y
                depth = depth or 1
            elif other.depth >= depth:
                depth = other.depth + 1
    elif y.__class__ is float or y.__class__ is int:
        b = y
    else:
        return _run_others(operation, x, y, params)
    node._edge = edge
    node._other = other
    try:
        if not params:
            raw = node.forward(a) if y is ABSENT else node.forward(a, b)
        else:
            raw = node.forward(a, **params) if y is ABSENT else node.forward(a, b, **params)
    except ValueError as error:
        if isinstance(error, MinigenError):
            raise
        given = [a] if y is ABSENT else [a, b]
        raise ShapeError(_explain(operation, [*given, *params.values()], error)) from error

    data = raw if raw.__class__ is device.ndarray else device.xp.asarray(raw)
    if data is a or data is b:
        data = data.view()
    out = new_tensor(Tensor)
    out._data = data
    out._version = NEVER
    if operation.is_view and (
        (base := data.base) is a or (base is not None and base is a.base) or _looks_into(data, a, device)
    ):
        version = x._version
        out._version = x._counter() if version is NEVER else version
    out.device = device
    out.grad = None
    out.hooks = None
    dtype = data.dtype
    if not depth or (dtype is not DEFAULT_DTYPE and dtype.kind != "f"):
        out.requires_grad = False
        out.grad_fn = None
        return out
    node.depth = depth
    node.recorded = clock.now
    node.shape = data.shape
    node.dtype = dtype
    if state.origin is not None:
        node._helps(state.origin)
    saved = node._saved
    if saved:
        if saved[0] is data and len(saved) == 1 and out._version is NEVER:  # nobody else has seen it, and could count
            out._version = [0]
            node._saved = (_Output(data, out._version),)
        else:
            node._saved = node._in_graph(saved, (x, y), [a, b], raw, out)
    elif operation.keeps_inputs:
        node._saved = INPUTS
        node._x = x
        node._y = y
    out.requires_grad = True
    out.grad_fn = node
    return out


def _run_others(operation: type[Function], x: Any, y: Any, params: dict[str, Any]) -> Tensor:
    """What `run` returns of inputs that are not for the straight run."""
    return operation.apply(*(operation.prepared(x) if y is ABSENT else operation.prepared(x, y)), **params)


def _looks_into(data: Any, array: Any, device: Device) -> bool:
    """Whether what an operation made of an array is a view of it."""
    base = data.base
    return base is not None and (base is array or base is array.base or device.xp.may_share_memory(data, array))


def summed_to(array: Any, shape: tuple[int, ...], device: Device) -> Any:
    """An array summed over the axes along which `shape` would be repeated to become its own; ShapeError if it could not."""
    if not shape:
        return device.sum(array, tuple(range(array.ndim)))
    return device.sum(array, _repeated(tuple(shape), array.shape), keepdims=True).reshape(shape)


@lru_cache
def _repeated(shape: tuple[int, ...], full: tuple[int, ...]) -> tuple[int, ...]:
    """The axes along which an array of a shape is repeated, to be one of the full shape."""
    lead = len(full) - len(shape)
    if lead < 0 or any(m not in (1, n) for m, n in zip(shape, full[lead:])):
        raise ShapeError(f"sum_to: {shape} does not broadcast to {full}.")
    return tuple([i for i, n in enumerate(full) if i < lead or (shape[i - lead] == 1 and n != 1)])


def _is_array(x: Any) -> bool:
    """Whether `x` is an array, or what is left of one without axes."""
    return hasattr(x, "dtype") and not isinstance(x, Tensor)


def _explain(function: type[Function], given: list[Any], error: ValueError) -> str:
    """One sentence for an array error: the operation, the shapes, the axis that does not fit, what to try."""
    shapes = [value.shape for value in given if hasattr(value, "dtype") and isinstance(value.shape, tuple)]
    if not function.broadcasts:
        if all(str(shape) in str(error) for shape in shapes):
            return str(error)  # the kernels name operation and shapes themselves
        return f"{function.name()} got shapes {', '.join(map(str, shapes))}: {error}"
    axes = max(map(len, shapes))
    for axis in range(-1, -axes - 1, -1):
        sizes = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(sizes) > 1:
            return (
                f"{function.name()}: the shapes {' and '.join(map(str, shapes))} cannot be broadcast: at axis {axis} "
                f"the sizes are {' and '.join(map(str, sorted(sizes)))}, and must be equal or 1; reshape or unsqueeze one."
            )
    return f"{function.name()} got shapes {', '.join(map(str, shapes))}: {error}"


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """For a `backward` that works on bare arrays, and so cannot be differentiated itself: doing so then raises.

    Raises:
        DoubleBackwardError: when the gradient it computed is differentiated.

    >>> import minigen
    >>> class Twice(minigen.Function):
    ...     '''y = 2x,  x̄ = 2g.'''
    ...     def forward(self, x):
    ...         return 2 * x
    ...     @minigen.once_differentiable
    ...     def backward(self, g):
    ...         return 2 * g
    >>> x = minigen.tensor(3.0, requires_grad=True)
    >>> minigen.grad(Twice.apply(x), x)[0].item()
    2.0
    """

    @wraps(backward)
    def guarded(self: Function, g: Tensor) -> Any:
        if self.on_arrays:
            return backward(self, g)
        with modes.no_grad():
            grads = backward(self, g.detach())
        if not modes.thread.state.recording:
            return grads
        reasons = (g, *[x for x in self.saved_tensors if isinstance(x, Tensor)])
        listed = grads if isinstance(grads, tuple) else (grads,)
        return tuple([x if x is None else _Once.apply(x, *reasons, name=self.name()) for x in listed])

    return guarded


class _Once(Function):
    """y = x, tied to everything that x was computed from, and differentiable by none of it."""

    def forward(self, x: Any, *reasons: Any, name: str) -> Any:
        self.operation = name
        return x

    def backward(self, g: Tensor) -> Any:
        raise DoubleBackwardError(
            f"{self.operation} can be differentiated only once: its backward is not made of differentiable operations."
        )
