"""Copies to the GPU from page-locked memory, which nobody may have again before they are done; and the order of axes.

CuPy is a stand-in here: its copies are done when its stream gets to them, and its page-locked memory is overwritten as
soon as nothing holds it, as the next batch would.
"""

import sys
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

import minigen as mg
from minigen.cuda import pinned
from minigen.data import ArrayDataset, DataLoader
from minigen.device import cpu, why_unavailable

simulated = pytest.mark.skipif(why_unavailable("cudasim") is not None, reason=str(why_unavailable("cudasim")))


class PinnedMemoryPointer(bytearray):
    pass


class StandInForCuPysStream:
    """What was asked for, and not done yet."""

    def __init__(self):
        self.waiting = []

    def run(self, count=None):
        """Do the first of the things that were asked for, or all."""
        done = self.waiting[:count]
        del self.waiting[:count]
        for thing in done:
            thing()


class StandInForCuPysEvent:
    def __init__(self, disable_timing=False):
        self.done = False

    def record(self, stream):
        stream.waiting.append(lambda: setattr(self, "done", True))


class StandInForCuPysArray:
    def __init__(self, shape, dtype):
        self.values = np.zeros(shape, dtype)

    def set(self, array, stream):
        memory = weakref.ref(array)
        stream.waiting.append(lambda: np.copyto(self.values, np.nan if memory() is None else memory()))


@pytest.fixture
def stream(monkeypatch):
    """A stand-in for CuPy with one stream, which does nothing before `stream.run()`."""
    found = StandInForCuPysStream()
    cuda = SimpleNamespace(get_current_stream=lambda: found, Event=StandInForCuPysEvent)
    found.cupy = SimpleNamespace(cuda=cuda, empty=StandInForCuPysArray)
    memory = lambda shape, dtype: np.ndarray(shape, dtype, PinnedMemoryPointer(4 * int(np.prod(shape)) or 1))  # noqa: E731
    monkeypatch.setitem(sys.modules, "cupyx", SimpleNamespace(empty_pinned=memory))
    monkeypatch.setattr(pinned, "why_unavailable", lambda name: None)
    monkeypatch.setattr(pinned, "_in_flight", type(pinned._in_flight)())
    return found


def test_page_locked_memory_is_held_until_the_gpu_has_copied_it(stream):
    loader = DataLoader(ArrayDataset(np.arange(8, dtype=np.float32)), batch_size=2, pin_memory=True)
    copies = []
    for (batch,) in loader:
        assert pinned.is_pinned(batch)
        assert pinned.is_pinned(batch[1:])
        copies.append(pinned.send(stream.cupy, batch))
        stream.run(len(copies) % 2)  # the GPU falls behind
        del batch
    assert not copies[-1].values.any()
    stream.run()
    assert [copy.values.tolist() for copy in copies] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    last = pinned.send(stream.cupy, pinned.pinned(np.ones(1, np.float32)))
    assert len(pinned._in_flight) == 1
    stream.run()
    assert last.values.tolist() == [1]


def test_other_memory_is_not_taken_for_page_locked():
    for array in (np.ones(2), np.frombuffer(b"12345678"), np.ones((2, 2)).T, np.ones(())):
        assert not pinned.is_pinned(array)


@pytest.mark.skipif(why_unavailable("cuda") is None, reason="there is a GPU")
def test_where_there_is_no_gpu_a_loader_with_page_locked_memory_gives_the_same_batches():
    images = mg.Generator(0).normal((5, 2))
    plain, locked = (DataLoader(ArrayDataset(images), 2, pin_memory=given) for given in (False, True))
    for (expected,), (batch,) in zip(plain, locked, strict=True):
        np.testing.assert_array_equal(batch, expected)
        batch += 1  # a copy that the caller may write to
    assert not pinned.is_pinned(batch)


@simulated
def test_axes_lie_in_memory_in_the_same_order_on_both_sides_of_a_copy_and_in_its_gradient():
    images = mg.Generator(0).normal((2, 4, 5, 3)).transpose(0, 3, 1, 2)  # channels last
    x = mg.Tensor(images, requires_grad=True)
    there = x.to("cudasim")
    assert there.data.strides == images.strides
    back = there.to("cpu")
    assert back.data.strides == images.strides
    assert not np.may_share_memory(back.numpy(), images)
    np.testing.assert_array_equal(back.numpy(), images)
    weight = mg.Tensor(images, device="cudasim")
    (there * weight).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), images)
    assert cpu.asarray(there.data).strides == images.strides
    for odd in (
        images[:, ::2, ::-1],
        images[0, 0, 0],
        np.float32(3),
        images[:0],
        np.broadcast_to(images[0], images.shape),
    ):
        np.testing.assert_array_equal(mg.Tensor(odd, device="cudasim").numpy(), odd)
