"""How a graph is captured and replayed through CuPy, shown by a stand-in for CuPy that notes what it is asked for, in order."""

import itertools
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba.cuda", reason="simulating kernels needs Numba's CUDA target: pip install numba-cuda")

from minigen_kernels.cuda import capture, running
from minigen_kernels.cuda.capture import CaptureError, Graph


class Stream:
    notes: list
    current: list
    broken = False
    handles = itertools.count(100)

    def __init__(self, non_blocking=False):
        self.ptr = next(self.handles)
        self.non_blocking = non_blocking

    def __enter__(self):
        self.current.append(self)

    def __exit__(self, *error):
        self.current.pop()

    def begin_capture(self):
        self.notes.append("begin")

    def end_capture(self):
        self.notes.append("end")
        if self.broken:
            raise RuntimeError("the capture failed")
        return SimpleNamespace(launch=lambda stream: self.notes.append(("launch", stream.ptr)))

    def synchronize(self):
        self.notes.append(("wait for stream", self.ptr))


@pytest.fixture
def gpu(monkeypatch):
    """`gpu.notes` is what CuPy was asked for, `gpu.pools` which allocators were in use."""
    notes, pools = [], []
    user = SimpleNamespace(ptr=7)
    kind = type("Stream", (Stream,), {"notes": notes, "current": [user]})

    class Array:
        def __init__(self, shape, dtype):
            self.host, self.stream = np.full(shape, -1, dtype), kind.current[-1].ptr

        def set(self, values, stream):
            self.host[...] = values
            notes.append(("copy", values.tolist(), stream.ptr))

    class Event:
        def __init__(self, disable_timing):
            self.name = sum(note[0] == "event" for note in notes)
            notes.append(("event", self.name))

        def synchronize(self):
            notes.append(("wait for event", self.name))

        def record(self, stream):
            notes.append(("record event", self.name, stream.ptr))

    class Allocator:
        def __init__(self, malloc):
            self.malloc = malloc

        def __enter__(self):
            pools.append(self.malloc)

        def __exit__(self, *error):
            pools.append(None)

    cupy, cuda, cupyx = ModuleType("cupy"), ModuleType("cupy.cuda"), ModuleType("cupyx")
    cuda.MemoryPool = lambda: SimpleNamespace(malloc=object())
    cuda.Stream, cuda.Event, cuda.using_allocator = kind, Event, Allocator
    cuda.get_current_stream = lambda: kind.current[-1]
    cuda.runtime = SimpleNamespace(getDevice=lambda: 0)
    cupy.cuda, cupy.empty = cuda, Array
    cupyx.empty_pinned = np.empty
    for module in (cupy, cuda, cupyx):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return SimpleNamespace(notes=notes, pools=pools, user=user, stream=kind)


def here(gpu):
    return running.place(SimpleNamespace())


def test_a_capture_is_done_for_the_first_time_when_it_ends_and_again_by_every_replay(gpu):
    graph = Graph()
    with graph.captured():
        array = running.fresh(np.array([1, 2]), iter([np.array([3, 4]), np.array([5, 6])]).__next__, here(gpu))
        assert gpu.notes == ["begin"]  # nothing was copied or waited for
    assert gpu.notes[1] == "end"
    assert gpu.notes[-4:] == [("wait for event", 0), ("copy", [1, 2], 7), ("record event", 0, 7), ("launch", 7)]
    graph.replay()
    assert gpu.notes[-4:] == [("wait for event", 1), ("copy", [3, 4], 7), ("record event", 1, 7), ("launch", 7)]
    graph.replay()
    assert gpu.notes[-4:] == [("wait for event", 0), ("copy", [5, 6], 7), ("record event", 0, 7), ("launch", 7)]
    assert array.host.tolist() == [5, 6]


def test_renewed_arrays_and_tables_take_no_memory_that_the_captured_work_has_given_back(gpu):
    """CuPy's pool hands out what was given back on the same stream: the work would write over what was copied before it."""
    graph = Graph()
    with graph.captured():
        inside = gpu.stream.current[-1].ptr
        streams = {
            running.fresh(np.zeros(1), lambda: np.zeros(1), here(gpu)).stream,
            running.upload(np.zeros(1), here(gpu)).stream,
        }
    assert inside not in streams
    assert 7 not in streams


def test_values_are_renewed_in_the_order_in_which_the_step_asked_for_them(gpu):
    asked = []

    def give(name):
        return lambda: asked.append(name) or np.zeros(1)

    graph = Graph()
    with graph.captured():
        for name in "abc":
            running.fresh(np.zeros(1), give(name), here(gpu))
    graph.replay()
    assert asked == ["a", "b", "c"]


def test_a_capture_has_memory_and_a_stream_of_its_own(gpu):
    graph, other = Graph(), Graph()
    before = here(gpu)
    with graph.captured():
        assert gpu.stream.current[-1].non_blocking
        inside = here(gpu)
    with other.captured():
        elsewhere = here(gpu)
    assert (
        len({before, inside, elsewhere, (*inside[:2], elsewhere[2])}) == 4
    )  # what is cached for a place is for one graph
    assert here(gpu) == before
    first, _, second, _ = gpu.pools
    assert first is not second


def test_a_table_is_copied_at_once_aside_from_the_capture_and_kept(gpu):
    graph = Graph()
    with graph.captured():
        table = running.upload(np.array([[1, 2], [3, 4]], np.int32).T, here(gpu))
    (copied,) = [note for note in gpu.notes if note[0] == "copy"]
    assert copied[1] == [[1, 3], [2, 4]]
    assert gpu.notes[gpu.notes.index(copied) + 1] == ("wait for stream", copied[2])
    assert gpu.notes.index("begin") < gpu.notes.index(copied) < gpu.notes.index("end")
    assert copied[2] == table.stream != 7
    assert table in graph._kept
    graph.replay()
    assert [note for note in gpu.notes if note[0] == "copy"] == [copied]


def test_an_array_from_before_is_kept_by_the_graph_that_reads_it(gpu):
    array, graph = object(), Graph()
    assert capture.kept(array) is array
    with graph.captured():
        assert capture.kept(array) is array
    assert graph._kept == [array]


def test_a_copy_from_or_to_the_host_is_refused_during_a_capture_alone(gpu):
    capture.refuse("to_host", "a copy to the host")
    with pytest.raises(CaptureError, match="cannot hold a copy to the host: a graph runs without"), Graph().captured():
        capture.refuse("to_host", "a copy to the host")
    capture.refuse("to_host", "a copy to the host")


def test_a_capture_that_fails_is_ended_and_the_step_s_error_is_the_one_that_is_told(gpu):
    gpu.stream.broken = True
    with pytest.raises(ZeroDivisionError), Graph().captured():
        1 / 0  # noqa: B018
    assert gpu.notes == ["begin", "end"]
    assert capture.being_captured() is None
    gpu.stream.broken = False
    with Graph().captured():
        assert capture.being_captured() is not None
