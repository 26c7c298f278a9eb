"""A step's work on the GPU, captured once and then done again with a single launch: CUDA's graphs, by way of CuPy.

While work is captured, the GPU does nothing: what it is asked to do is put down, with all addresses and numbers. A replay
does that again, from and into the same memory. So this memory is the graph's own, and what the host gives anew in every
step (random numbers, an optimizer's rates: `running.fresh`) is not among the numbers put down. It lies in arrays of the
graph, into which a replay copies it before it starts the graph. The host does not wait for these copies: it writes into
page-locked memory, of which there are two sets, taken in turn.

`simulator.tape` stands for all this on the simulated GPU.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from .simulator import tape
from .simulator.tape import CaptureError, refusal

__all__ = ["CaptureError", "Graph", "SimulatedGraph", "being_captured", "kept", "refuse"]

numbers = itertools.count(1)
SETS = 2  # of page-locked memory: one is filled while the GPU may still read the other


class Renewed(NamedTuple):
    """An array of a graph, whose values the host gives for every replay."""

    array: Any
    values: np.ndarray  # of the first replay
    again: Callable[[], np.ndarray]


class Graph:
    """What was done in `with graph.captured():`, to be done again by `replay`."""

    def __init__(self) -> None:
        import cupy

        self._pool = cupy.cuda.MemoryPool()
        self._aside = cupy.cuda.Stream(non_blocking=True)
        self._renewed: list[Renewed] = []
        self._kept: list[Any] = []
        self._replays = 0
        self.number = next(numbers)

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Puts down the GPU's work in the block, and then has it done for the first time."""
        import cupy

        stream = cupy.cuda.Stream(non_blocking=True)
        with cupy.cuda.using_allocator(self._pool.malloc), stream:
            stream.begin_capture()
            _now.graph = self
            try:
                yield
            except BaseException:
                _give_up(stream)
                raise
            finally:
                _now.graph = None
            self._graph = stream.end_capture()
        self._prepare()
        self._launch([renewed.values for renewed in self._renewed])

    def replay(self) -> None:
        """Does the work again, on CuPy's current stream, and does not wait for it."""
        self._launch([renewed.again() for renewed in self._renewed])

    def renewed(self, values: np.ndarray, again: Callable[[], np.ndarray]) -> Any:
        """An array with these values when the graph runs first, and before every replay those that `again` gives."""
        array = self._apart(values)
        self._renewed.append(Renewed(array, values, again))
        return array

    def constant(self, values: np.ndarray) -> Any:
        """An array with these values, which no replay changes. It is copied at once, aside from what is captured."""
        array = self._apart(values)
        array.set(np.ascontiguousarray(values), stream=self._aside)
        self._aside.synchronize()
        self.keep(array)
        return array

    def _apart(self, like: np.ndarray) -> Any:
        """An array on memory that nothing else in the graph ever has: it is filled before the graph runs.

        CuPy's pool keeps what is given back apart for every stream, so on this one there is none of the capture's.
        """
        import cupy

        with self._aside:
            return cupy.empty(like.shape, like.dtype)

    def keep(self, array: Any) -> None:
        """Hold an array that was not made during the capture, as long as there is the graph."""
        self._kept.append(array)

    def _prepare(self) -> None:
        import cupy
        import cupyx

        self._staging = [
            [cupyx.empty_pinned(renewed.values.shape, renewed.values.dtype) for renewed in self._renewed]
            for _ in range(SETS)
        ]
        self._copied = [cupy.cuda.Event(disable_timing=True) for _ in range(SETS)]

    def _launch(self, values: list[np.ndarray]) -> None:
        import cupy

        stream = cupy.cuda.get_current_stream()
        turn = self._replays % SETS
        self._replays += 1
        self._copied[turn].synchronize()
        for renewed, staged, new in zip(self._renewed, self._staging[turn], values):
            staged[...] = new
            renewed.array.set(staged, stream=stream)
        self._copied[turn].record(stream)
        self._graph.launch(stream)


class SimulatedGraph:
    """A `Graph` of the simulated GPU, which computes while it is recorded."""

    @contextmanager
    def captured(self) -> Iterator[None]:
        """Records what is computed in the block."""
        with tape.recording() as self._tape:
            yield

    def replay(self) -> None:
        """Computes it again."""
        self._tape.replay()


class _Now:
    """The graph that is being captured, if there is one."""

    graph: Graph | None = None


_now = _Now()


def being_captured() -> Graph | None:
    """The graph of a GPU that is being captured at the moment."""
    return _now.graph


def refuse(kind: str, what: str) -> None:
    """Raise a CaptureError if a graph of a GPU is being captured: it cannot hold this (see `tape.RULES`)."""
    if _now.graph is not None:
        raise CaptureError(refusal(kind, what))


def kept(array: Any) -> Any:
    """The array, which a graph that is being captured reads in every replay, and so keeps."""
    if _now.graph is not None:
        _now.graph.keep(array)
    return array


def _give_up(stream: Any) -> None:
    """End a capture that failed, so that the GPU can be used again."""
    try:
        stream.end_capture()
    except Exception:  # CuPy says again that it failed; the first error tells why
        return
