"""A whole training step as one launch: captured once as a CUDA graph, and replayed from then on.

A step of a small network is hundreds of launches, and the host needs longer to ask for them than the GPU to run them. A
graph holds them all: forward, backward, optimizers. Python is not asked again what to do, and that is what to bear in mind:

- What the GPU computes, it computes again, from and into the same memory.
- What the host draws for the step, random numbers and dropout's masks, it draws again before every replay, from the same
  generators in the same order, and it counts the optimizers' steps. So losses are those of steps that were not captured.
- Everything else that Python decided stays as it was: an `if`, a loop's length, a number computed from a Python variable.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from minigen.autograd import modes
from minigen.device import Device
from minigen.device import device as find_device
from minigen.errors import DeviceError, GraphError, OutOfMemoryError, UserError
from minigen.precision import get_float32_precision
from minigen.tensor import DEFAULT_DTYPE, Tensor, clock

Names = tuple[int | str, ...]
MOST_KINDS = 8  # of arguments, each with a graph of its own


def graph(step: Callable[..., Any], device: Device | str = "cuda") -> Graph:
    """A training step that is captured as a CUDA graph, and replayed whenever it is called again.

    The first call runs `step` as it is, which builds kernels and makes an optimizer's state. The second captures it, and
    this call and all later ones run the graph: every call is one step. Arguments of another shape or dtype start over with
    a graph of their own, for the last and smaller batch, say; so do all, if any tensor got another array in the meantime
    (`parameter.data = …`, `optimizer.load_state_dict`), any layer another mode (`model.eval()`), or float32 another precision
    (`minigen.set_float32_precision`). What `step` does in Python alone, it does when it is captured and not again: counting,
    `minigen.manual_seed`, numbers of NumPy's, another rate in `param_groups`. Do that between the calls; a rate that changed
    there holds from then on.

    Args:
        step: any function of tensors on the device, such as forward, `zero_grad`, `backward`, and `optimizer.step` of one
            network or several. It may draw random numbers by `minigen.randn(..., device=...)` and its like, and by layers.
        device: ``cuda``, or ``cudasim`` for the simulation of one.

    Returns:
        A function with the step's arguments and results. Arrays and tensors among the arguments become tensors on the
        device, Python's floats tensors without axes (so that they may change from call to call), and everything else must
        be the same in every call of a graph. Tensors among the results are copies, without a graph of the gradient.

    A step that is refused while it is captured stops where it is: what it has changed on the host by then stays changed,
    such as an optimizer's count of steps, and in the simulation its weights too.

    Raises:
        GraphError: when the step is captured, and later called: the step does what a graph cannot hold, with the reason. It
            reads a value on the host (`.item()`, `.numpy()`, an `if` on a tensor), sends a host's array to the GPU, adds to
            gradients from before the step, changes an argument, begins an optimizer's state, steps a schedule of rates, or
            puts a tensor in the place of one that it has read. Or it calls another captured step.
        UserError: `step` is no function.
        DeviceError: the device cannot be used here.

    Source: "CUDA Graphs", CUDA C++ Programming Guide.

    >>> import minigen
    >>> w = minigen.ones(3, device="cudasim", requires_grad=True)
    >>> optimizer = minigen.optim.Adam([w], lr=0.1)
    >>> def step(x):
    ...     optimizer.zero_grad()
    ...     loss = ((w * x).sum() - 1) ** 2
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> fast = minigen.cuda.graph(step, device="cudasim")
    >>> [round(fast(minigen.full((3,), k)).item(), 3) for k in (1.0, 1.0, 2.0, 1.0)]
    [4.0, 2.89, 14.474, 1.313]
    """
    if not callable(step):
        raise UserError(f"graph: needs the function of a step, not a {type(step).__name__}.")
    place = find_device(device)
    if place.name == "cpu":
        raise DeviceError("graph: device 'cpu' has no CUDA graphs; call the step itself, or take device 'cuda'.")
    return Graph(step, place)


class Graph:
    """What `graph` returns: call it as the step. `kinds` says what has been captured."""

    def __init__(self, step: Callable[..., Any], device: Device) -> None:
        self.step, self.device = step, device
        self._kinds: dict[Any, _Captured | None] = {}
        self._replaced = modes.Replaced.count

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if modes.thread.state.capture is not None:
            raise GraphError(
                f"graph: a step that is being captured calls another captured step, in {modes.calling_line()}; let it call the "
                f"function that this one was made of."
            )
        names, given = (*range(len(args)), *kwargs), (*args, *kwargs.values())
        kind = get_float32_precision(), names, tuple([_kind(name, value) for name, value in zip(names, given)])
        if self._replaced != modes.Replaced.count:
            self._kinds.clear()
        if kind not in self._kinds:
            if len(self._kinds) == MOST_KINDS:
                raise GraphError(
                    f"graph: arguments of {MOST_KINDS} kinds were captured, and {_described(kind)} would be one more; give "
                    f"what changes as arrays of one shape, or as floats."
                )
            result = self._first(names, given)
            self._kinds[kind] = None
        else:
            captured = self._kinds[kind]
            if captured is None:
                captured = self._kinds[kind] = _Captured(self.step, self.device, names, given)
            else:
                captured.replay(given)
            result = captured.result
        self._replaced = modes.Replaced.count
        return _copied(result)

    def _first(self, names: Names, given: tuple[Any, ...]) -> Any:
        """Run the step as it is, with copies of the arguments, as the graph will have them."""
        values = [Tensor(_data(v), device=self.device).clone() if _is_data(v) else v for v in given]
        before = modes.Replaced.count
        modes.thread.state.steady = True
        try:
            result = _call(self.step, names, values)
        finally:
            modes.thread.state.steady = False
        _check_unchanged(names, values)
        if modes.Replaced.count != before:
            self._kinds.clear()
        return result

    @property
    def kinds(self) -> list[str]:
        """The kinds of arguments that have been captured, in words."""
        return [_described(kind) for kind, captured in self._kinds.items() if captured is not None]

    def __repr__(self) -> str:
        name = getattr(self.step, "__name__", type(self.step).__name__)
        return f"Graph({name} on {self.device}; captured for {' and '.join(self.kinds) or 'nothing yet'})"


class _Captured:
    """A step captured for arguments of one kind."""

    def __init__(self, step: Callable[..., Any], device: Device, names: Names, given: tuple[Any, ...]) -> None:
        from minigen_kernels.cuda import capture

        self._device = device
        self._given = given
        self._arrays: dict[int, Any] = {}  # for arguments that are on the device: copies, which the graph reads
        self._copy()
        self._graph = capture.Graph() if device.name == "cuda" else capture.SimulatedGraph()
        noted = modes.thread.state.capture = modes.Capture()
        modes.thread.state.steady = True
        modes.capturing += 1
        try:
            with self._graph.captured():
                arguments = [self._argument(i) for i in range(len(given))]
                self.result = _call(step, names, arguments)
        except capture.CaptureError as error:
            raise GraphError(f"graph: {error.reason} The step asks for it in {_line(error)}.") from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] not in ("cupy", "cupy_backends", "cuda"):
                raise
            if type(error).__name__ == "OutOfMemoryError":
                raise OutOfMemoryError(
                    f"graph: there is no memory left for the arrays of the captured step, which are the graph's own ({error}); "
                    f"take a smaller batch, or call minigen.cuda.empty_cache() before the capture, for what eager steps left."
                ) from error
            raise GraphError(f"graph: CUDA cannot capture what the step does in {_line(error)} ({error}).") from error
        finally:
            modes.thread.state.capture, modes.thread.state.steady = None, False
            modes.capturing -= 1
        _check_unchanged(names, arguments)
        self._versions = noted.versions
        self._gradients = [(leaf, leaf.grad) for leaf in noted.leaves]
        self._read = []
        for tensor, array in noted.read.values():
            if tensor() is None:
                raise GraphError(
                    f"graph: the step reads a tensor of shape {array.shape} from before it, and puts another in its place, "
                    f"which no replay would read; change it in place: tensor.copy_(values)."
                )
            self._read.append(array)  # not to be freed before the graph

    def replay(self, given: tuple[Any, ...]) -> None:
        """Run the graph for these arguments."""
        self._given = given
        self._copy()
        self._graph.replay()
        for version in self._versions:
            version[0] = clock.tick()
        for leaf, gradient in self._gradients:
            leaf.grad = gradient

    def _copy(self) -> None:
        for i, value in enumerate(self._given):
            if isinstance(value, Tensor) and value.device is self._device:
                if i not in self._arrays:
                    self._arrays[i] = self._device.xp.empty_like(value._data)
                self._arrays[i][...] = value._data

    def _argument(self, i: int) -> Any:
        """The step's argument: a tensor on memory that every replay fills from what it is given."""
        value = self._given[i]
        if not _is_data(value):
            return value
        array = self._arrays[i] if i in self._arrays else self._device.fresh(lambda: _on_host(self._given[i]))
        return Tensor._wrap(array, self._device)


def _line(error: BaseException) -> str:
    """The innermost line outside minigen and its kernels that led to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if not frame.filename.startswith(modes.OWN)]
    return f"{outside[-1].filename}:{outside[-1].lineno}: {outside[-1].line}" if outside else "a line inside minigen"


def _is_data(value: Any) -> bool:
    """Whether an argument may have other values in every call."""
    return isinstance(value, (Tensor, np.ndarray, float, np.floating))


def _data(value: Any) -> Any:
    """An argument's values: a tensor, out of any graph of gradients, or an array of the host's."""
    if isinstance(value, Tensor):
        return value.detach()
    return value if isinstance(value, np.ndarray) else np.asarray(value, DEFAULT_DTYPE)


def _on_host(value: Any) -> np.ndarray:
    data = _data(value)
    return data.cpu().numpy() if isinstance(data, Tensor) else data


def _kind(name: int | str, value: Any) -> Any:
    """What must be the same of an argument for a graph to be used again.

    Raises:
        GraphError: it cannot be an argument of a graph.
    """
    which = _named(name)
    if _is_data(value):
        if isinstance(value, Tensor) and value.requires_grad:
            raise GraphError(
                f"graph: {which} requires a gradient, and what is given to a graph are values alone; let the step use that "
                f"tensor from outside, or give it .detach()."
            )
        data = _data(value)
        return tuple(data.shape), str(data.dtype), data.device.name if isinstance(data, Tensor) else "cpu"
    if isinstance(value, (tuple, list, dict, set)) and any(
        map(_is_data, value.values() if isinstance(value, dict) else value)
    ):
        raise GraphError(
            f"graph: {which} is a {type(value).__name__} of tensors or numbers; give each as an argument of its own."
        )
    try:
        hash(value)
    except TypeError as error:
        raise GraphError(
            f"graph: {which} is a {type(value).__name__}, which may change without a graph's knowing; give tensors, arrays, "
            f"numbers or constants."
        ) from error
    return type(value).__name__, value


def _described(kind: Any) -> str:
    """A kind of arguments in words."""
    parts = [f"{part[1]} {part[0]}" if len(part) == 3 else repr(part[1]) for part in kind[2]]
    return f"({', '.join(parts)})" + (f" in {kind[0]}" if kind[0] != "ieee" else "")


def _named(name: int | str) -> str:
    return f"argument {name + 1 if isinstance(name, int) else repr(name)}"


def _check_unchanged(names: Names, arguments: list[Any]) -> None:
    for name, value in zip(names, arguments):
        if isinstance(value, Tensor) and value._version[0]:
            raise GraphError(
                f"graph: the step changes {_named(name)} in place, and would change a copy; let the step use that tensor from outside."
            )


def _call(step: Callable[..., Any], names: Names, values: list[Any]) -> Any:
    """step(...) with the values that were given by position, under an int, and by name."""
    by_name = {name: value for name, value in zip(names, values) if isinstance(name, str)}
    return step(*values[: len(values) - len(by_name)], **by_name)


def _copied(result: Any) -> Any:
    """The result with copies of its tensors: the graph's own change with every replay.

    Raises:
        GraphError: it is of a kind in which tensors cannot be found.
    """
    if isinstance(result, Tensor):
        return Tensor._wrap(result._data.copy(), result.device)
    if isinstance(result, dict):
        return {name: _copied(value) for name, value in result.items()}
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*[_copied(value) for value in result])
    if isinstance(result, (tuple, list)):
        return type(result)([_copied(value) for value in result])
    if is_dataclass(result) and not isinstance(result, type):
        return replace(result, **{field.name: _copied(getattr(result, field.name)) for field in fields(result)})
    if result is None or isinstance(result, (bool, int, float, str, np.generic)):
        return result
    raise GraphError(
        f"graph: the step returns something of type {type(result).__name__}; return tensors, or tuples, lists, "
        f"dictionaries or dataclasses of them."
    )
