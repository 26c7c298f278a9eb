"""minigen.cuda: what it says of a GPU and of its memory. CuPy and its pool are stand-ins here, for a card of 100 MiB."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest

import minigen as mg
from minigen.cuda import memory
from minigen.device import _with_cuda_kernels, why_unavailable
from minigen.errors import DeviceError, MinigenError, OutOfMemoryError

MIB = 1 << 20
CARD = 100 * MIB
OTHERS = 30 * MIB  # held by other programs


class StandInForCuPysOutOfMemoryError(MemoryError):
    pass


class StandInForCuPysPool:
    """Blocks of whole MiB, kept when they are given back; hooks are told of both, as CuPy tells its own."""

    def __init__(self, hooks):
        self.hooks, self.held, self.kept = hooks, {}, 0

    def malloc(self, size):
        rounded = -(-size // MIB) * MIB
        self.kept = self.kept - rounded if rounded <= self.kept else 0  # CuPy gives all back before it gives up
        if rounded > CARD - OTHERS - self.used_bytes():
            raise StandInForCuPysOutOfMemoryError
        pointer = len(self.held) + 1
        self.held[pointer] = rounded
        for hook in self.hooks:
            hook.malloc_postprocess(device_id=0, size=size, mem_size=rounded, mem_ptr=pointer, pmem_id=1)
        return pointer

    def free(self, pointer):
        size = self.held.pop(pointer)
        self.kept += size
        for hook in self.hooks:
            hook.free_postprocess(device_id=0, mem_size=size, mem_ptr=pointer, pmem_id=1)

    def used_bytes(self):
        return sum(self.held.values())

    def total_bytes(self):
        return self.used_bytes() + self.kept

    def free_all_blocks(self):
        self.kept = 0


@pytest.fixture
def card(monkeypatch):
    """A stand-in for a GPU: card.allocate(bytes) as an array does, and card.pool."""
    hooks, find = [], importlib.util.find_spec
    pool = StandInForCuPysPool(hooks)
    hook = type("MemoryHook", (), {"__enter__": lambda self: hooks.append(self)})
    found = SimpleNamespace(pool=pool, waited=0)
    runtime = SimpleNamespace(
        getDeviceCount=lambda: 2,
        getDevice=lambda: 1,
        getDeviceProperties=lambda index: {"name": f"Card {index}".encode()},
        deviceSynchronize=lambda: setattr(found, "waited", found.waited + 1),
        memGetInfo=lambda: (CARD - OTHERS - pool.total_bytes(), CARD),
    )
    cuda = SimpleNamespace(
        runtime=runtime,
        MemoryHook=hook,
        set_allocator=lambda allocate: setattr(found, "allocate", allocate),
        memory=SimpleNamespace(OutOfMemoryError=StandInForCuPysOutOfMemoryError),
    )
    cupy = SimpleNamespace(cuda=cuda, ndarray=object, get_default_memory_pool=lambda: pool, __spec__=1)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in ("cupy", "numba_cuda") or find(name))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    _with_cuda_kernels.cache_clear()
    mg.device("cuda")
    mg.cuda.reset_peak_memory_stats()
    yield found
    _with_cuda_kernels.cache_clear()


def test_memory_is_counted_as_it_is_given_and_taken_back(card):
    first = card.allocate(10 * MIB)
    second = card.allocate(20 * MIB - 5)
    card.pool.free(first)
    assert mg.cuda.memory_allocated() == 20 * MIB
    assert mg.cuda.max_memory_allocated() == 30 * MIB
    assert mg.cuda.memory_reserved() == 30 * MIB
    mg.cuda.empty_cache()
    assert mg.cuda.memory_reserved() == 20 * MIB
    mg.cuda.reset_peak_memory_stats()
    assert mg.cuda.max_memory_allocated() == 20 * MIB
    card.pool.free(second)
    assert (mg.cuda.memory_allocated(), mg.cuda.max_memory_allocated()) == (0, 20 * MIB)


def test_the_peak_is_set_right_where_another_thread_gave_memory_back(card):
    pointer = card.allocate(10 * MIB)
    card.pool.held.pop(pointer)  # which no hook of this thread is told of
    assert mg.cuda.memory_allocated() == 0
    card.allocate(15 * MIB)
    assert mg.cuda.max_memory_allocated() == 15 * MIB


def test_an_array_without_room_is_told_what_there_is_and_what_to_try(card):
    held = card.allocate(40 * MIB)
    with pytest.raises(OutOfMemoryError) as raised:
        card.allocate(31 * MIB)
    sentence = str(raised.value)
    assert sentence.startswith(
        "The GPU has no 31.0 MiB left: minigen's arrays hold 40.0 MiB, the pool keeps 0 bytes more, and of the card's "
        "100.0 MiB there are 30.0 MiB free; take a smaller batch (--batch-size) or smaller images"
    )
    assert "minigen.cuda.empty_cache()" in sentence
    assert isinstance(raised.value, MinigenError)
    assert isinstance(raised.value, MemoryError)
    assert mg.cuda.OutOfMemoryError is OutOfMemoryError
    card.pool.free(held)
    assert card.allocate(31 * MIB)


def test_the_summary_has_a_row_for_every_figure(card):
    card.allocate(10 * MIB)
    rows = [line.rsplit(maxsplit=2) for line in mg.cuda.memory_summary().splitlines()]
    assert [(number, unit) for _, number, unit in rows] == [
        (n, "MiB") for n in ("10.0", "10.0", "10.0", "60.0", "100.0")
    ]


def test_the_gpu_says_its_name_and_is_waited_for(card):
    assert mg.cuda.is_available()
    assert mg.cuda.device_count() == 2
    assert (mg.cuda.get_device_name(), mg.cuda.get_device_name(0)) == ("Card 1", "Card 0")
    mg.cuda.synchronize()
    assert card.waited == 1


@pytest.mark.skipif(why_unavailable("cuda") is None, reason="there is a GPU")
def test_without_a_gpu_there_is_none_and_every_question_about_it_says_why():
    assert not mg.cuda.is_available()
    assert mg.cuda.device_count() == 0
    names = (
        "empty_cache get_device_name max_memory_allocated memory_allocated memory_reserved memory_summary synchronize"
    )
    for name in [*names.split(), "reset_peak_memory_stats"]:
        with pytest.raises(DeviceError, match=r"Device 'cuda' needs .*use device 'cpu'"):
            getattr(mg.cuda, name)()
    assert memory.size_of(1023) == "1023 bytes"
