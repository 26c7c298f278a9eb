"""The memory of the GPU: how much minigen's arrays have, how much is kept for them, and what to do when there is none left.

CuPy keeps memory that arrays have given back in a pool, and gives it to the next ones, because asking the driver stops the
GPU. So there are two figures: what arrays hold now (*allocated*), and with it what the pool keeps (*reserved*). A graph
(`minigen.cuda.graph`) has a pool of its own, which is in neither; only the peak sees what is asked for while it is captured.
CuPy's allocator is replaced by one that says more when memory runs out.
"""

from __future__ import annotations

from typing import Any

from minigen.device import device
from minigen.errors import OutOfMemoryError


class _Peak:
    """The most bytes that arrays held at once, followed by a hook that CuPy calls when it gives memory and takes it back.

    The hook is of one thread, the one that trains; so `now` is set right whenever somebody asks.
    """

    now = 0
    most = 0

    def change(self, by: int) -> None:
        self.now += by
        self.most = max(self.most, self.now)

    def set_right(self, now: int) -> None:
        self.now = now
        self.most = max(self.most, now)


_peak = _Peak()


def watch(cupy: Any) -> None:
    """Follow the peak, and say more than CuPy when memory runs out: called once, when the device is first used."""

    class Hook(cupy.cuda.MemoryHook):
        name = "minigen"

        def malloc_postprocess(self, **block: Any) -> None:
            if block["mem_ptr"]:
                _peak.change(block["mem_size"])

        def free_postprocess(self, **block: Any) -> None:
            _peak.change(-block["mem_size"])

    def allocate(size: int) -> Any:
        try:
            return pool.malloc(size)
        except cupy.cuda.memory.OutOfMemoryError as error:
            raise OutOfMemoryError(_no_memory_left(cupy, size)) from error

    pool = cupy.get_default_memory_pool()
    Hook().__enter__()  # without an end: as long as the thread
    cupy.cuda.set_allocator(allocate)


def memory_allocated() -> int:
    """Bytes that arrays hold now."""
    used = _cupy().get_default_memory_pool().used_bytes()
    _peak.set_right(used)
    return used


def max_memory_allocated() -> int:
    """The most bytes that arrays held at once, since the start or the last `reset_peak_memory_stats`."""
    memory_allocated()
    return _peak.most


def reset_peak_memory_stats() -> None:
    """Begin to look for the peak anew, from what arrays hold now."""
    _peak.most = 0
    memory_allocated()


def memory_reserved() -> int:
    """Bytes that arrays hold now, and those that the pool keeps for the next ones."""
    return _cupy().get_default_memory_pool().total_bytes()


def empty_cache() -> None:
    """Give back to the driver what the pool keeps and no array holds, for other programs on the same card."""
    _cupy().get_default_memory_pool().free_all_blocks()


def memory_summary() -> str:
    """A table of what the memory of the GPU is used for."""
    cupy = _cupy()
    free, total = cupy.cuda.runtime.memGetInfo()
    rows = {
        "held by arrays": memory_allocated(),
        "the most at once": max_memory_allocated(),
        "reserved, with the pool's": memory_reserved(),
        "free on the card": free,
        "of the card": total,
    }
    return "\n".join(f"{name:<26}{size_of(count):>12}" for name, count in rows.items())


def size_of(count: int) -> str:
    """Bytes in a unit that fits.

    >>> [size_of(count) for count in (500, 3 * 2**20, 80 * 2**30)]
    ['500 bytes', '3.0 MiB', '80.0 GiB']
    """
    for unit in ("GiB", "MiB", "KiB"):
        size = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10}[unit]
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _no_memory_left(cupy: Any, asked: int) -> str:
    pool = cupy.get_default_memory_pool()
    free, total = cupy.cuda.runtime.memGetInfo()
    used = pool.used_bytes()
    return (
        f"The GPU has no {size_of(asked)} left: minigen's arrays hold {size_of(used)}, the pool keeps "
        f"{size_of(pool.total_bytes() - used)} more, and of the card's {size_of(total)} there are {size_of(free)} free; take "
        f"a smaller batch (--batch-size) or smaller images, forget tensors that are no longer needed, or free memory in other "
        f"programs on this card (there, minigen.cuda.empty_cache())."
    )


def _cupy() -> Any:
    """CuPy, where there is a GPU.

    Raises:
        DeviceError: there is none, or something is not installed; with the reason.
    """
    return device("cuda").xp
