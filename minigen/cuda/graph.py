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
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from minigen.autograd import modes
from minigen.device import Device
from minigen.device import device as find_device
from minigen.errors import DeviceError, GraphError, OutOfMemoryError, UserError
from minigen.tensor import DEFAULT_DTYPE, Tensor

Names = tuple[int | str, ...]
MOST_KINDS = 8  # of arguments, each with a graph of its own


def graph(step: Callable[..., Any], device: Device | str = "cuda") -> Graph:
    """A training step that is captured as a CUDA graph, and replayed whenever it is called again.

    The first call runs `step` as it is, which builds kernels and makes an optimizer's state. The second captures it, and
    this call and all later ones run the graph: every call is one step. Arguments of another shape or dtype start over with
    a graph of their own, for the last and smaller batch, say; so do all, if a tensor got another array in the meantime
    (`parameter.data = …`, `optimizer.load_state_dict`).

    Args:
        step: any function of tensors on the device, such as forward, `zero_grad`, `backward`, and `optimizer.step` of one
            network or several. It may draw random numbers by `minigen.randn(..., device=...)` and its like, and by layers.
        device: ``cuda``, or ``cudasim`` for the simulation of one.

    Returns:
        A function with the step's arguments and results. Arrays and tensors among the arguments become tensors on the
        device, Python's floats tensors without axes (so that they may change from call to call), and everything else must
        be the same in every call of a graph. Tensors among the results are copies, without a graph of the gradient.

    Raises:
        GraphError: when the step is captured, and later called: the step does what a graph cannot hold, with the reason. It
            reads a value on the host (`.item()`, `.numpy()`, an `if` on a tensor), sends a host's array to the GPU, or adds
            to gradients from before the step.
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
        names, given = (*range(len(args)), *kwargs), (*args, *kwargs.values())
        try:
            kind = names, tuple([_kind(value) for value in given])
            if self._replaced != modes.Replaced.count:
                self._kinds.clear()
            known = kind in self._kinds
        except TypeError as error:
            raise GraphError(f"graph: {error}; give tensors, arrays, numbers or other constants.") from error
        if not known:
            if len(self._kinds) == MOST_KINDS:
                raise GraphError(
                    f"graph: arguments of {MOST_KINDS} kinds were captured, and {_described(kind)} would be one more; give "
                    f"what changes as arrays of one shape, or as floats."
                )
            result = _call(self.step, names, [self._tensor(value) for value in given])
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

    def _tensor(self, value: Any) -> Any:
        if not _is_data(value):
            return value
        return Tensor(value.detach() if isinstance(value, Tensor) else _on_host(value), device=self.device)

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
        noted = modes.state.capture = modes.Capture()
        try:
            with self._graph.captured():
                self.result = _call(step, names, [self._argument(i) for i in range(len(given))])
        except capture.CaptureError as error:
            raise GraphError(f"graph: {error.reason} The step asks for it in {_line(error)}.") from error
        except Exception as error:
            if type(error).__module__.partition(".")[0] != "cupy":
                raise
            if type(error).__name__ == "OutOfMemoryError":
                raise OutOfMemoryError(
                    f"graph: there is no memory left for the arrays of the captured step, which are the graph's own ({error}); "
                    f"take a smaller batch, or call minigen.cuda.empty_cache() before the capture, for what eager steps left."
                ) from error
            raise GraphError(f"graph: CUDA cannot capture what the step does in {_line(error)} ({error}).") from error
        finally:
            modes.state.capture = None
        self._versions = noted.versions

    def replay(self, given: tuple[Any, ...]) -> None:
        """Run the graph for these arguments."""
        self._given = given
        self._copy()
        self._graph.replay()
        for version in self._versions:
            version[0] += 1

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
    own = (modes.PACKAGE, str(Path(find_spec("minigen_kernels").origin).parent))  # type: ignore[union-attr, arg-type]
    outside = [frame for frame in frames if not frame.filename.startswith(own)]
    return f"{outside[-1].filename}:{outside[-1].lineno}: {outside[-1].line}" if outside else "a line inside minigen"


def _is_data(value: Any) -> bool:
    """Whether an argument may have other values in every call."""
    return isinstance(value, (Tensor, np.ndarray, float, np.floating))


def _on_host(value: Any) -> np.ndarray:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return value if isinstance(value, np.ndarray) else np.asarray(value, DEFAULT_DTYPE)


def _kind(value: Any) -> Any:
    """What must be the same of an argument for a graph to be used again. Raises TypeError for what cannot be compared."""
    if isinstance(value, Tensor):
        return value.shape, str(value.dtype), value.device.name
    if _is_data(value):
        host = _on_host(value)
        return host.shape, str(host.dtype), "cpu"
    hash(value)
    return type(value).__name__, value


def _described(kind: Any) -> str:
    """A kind of arguments in words."""
    parts = [f"{part[1]} {part[0]}" if len(part) == 3 else repr(part[1]) for part in kind[1]]
    return f"({', '.join(parts)})"


def _call(step: Callable[..., Any], names: Names, values: list[Any]) -> Any:
    """step(...) with the values that were given by position, under an int, and by name."""
    by_name = {name: value for name, value in zip(names, values) if isinstance(name, str)}
    return step(*values[: len(values) - len(by_name)], **by_name)


def _copied(result: Any) -> Any:
    """The result with copies of its tensors: the graph's own change with every replay."""
    if isinstance(result, Tensor):
        return Tensor._wrap(result._data.copy(), result.device)
    if isinstance(result, dict):
        return {name: _copied(value) for name, value in result.items()}
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*[_copied(value) for value in result])
    if isinstance(result, (tuple, list)):
        return type(result)([_copied(value) for value in result])
    return result
