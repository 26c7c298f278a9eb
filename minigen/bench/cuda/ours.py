"""Our side: rungs, production kernels and training steps on the GPU, ready to be called again and again."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import minigen
from minigen.bench import convolution
from minigen.bench.convolution import Kernel
from minigen.bench.cuda.cases import Task
from minigen.bench.cuda.timing import StreamEvents
from minigen.bench.records import version_of
from minigen.bench.steps.ours import Step, make_step
from minigen.device import Device
from minigen.random import Generator

FILLED = 1 << 26  # floats that hold the stream


class CupyEvents(StreamEvents):
    """CuPy's events, on its current stream."""

    def __init__(self) -> None:
        import cupy

        self.cupy, memory = cupy, cupy.empty(FILLED, "float32")
        super().__init__(lambda: memory.fill(0))

    def mark(self) -> Any:
        event = self.cupy.cuda.Event()
        event.record()
        return event

    def reached(self, event: Any) -> bool:
        return event.done

    def seconds(self, start: Any, end: Any) -> float:
        end.synchronize()
        return self.cupy.cuda.get_elapsed_time(start, end) / 1e3


def prepare(task: Task) -> Callable[[], Any]:
    """What a task asks for, on the device ``task["device"]``, 'cuda' unless given."""
    place = minigen.device(task.get("device", "cuda"))
    if "copy" in task:
        from minigen.bench.cuda.copying import copying

        return copying(task["copy"], place.xp)
    if "rung" in task:
        return rung(task["rung"], Kernel(*task["kernel"]), place)
    if "kernel" in task:
        kernel = Kernel(*task["kernel"])
        return convolution.ours(kernel, task["direction"], *arrays_of(kernel, place), place.kernels)
    step = make_step(task["model"], task["batch"], task["shape"], place)
    return step if task["mode"] == "eager" else captured(step)


def arrays_of(kernel: Kernel, place: Device) -> tuple[Any, Any, Any]:
    """x, w and y of noise, the images channels last in memory, as they lie in training."""
    noise = Generator(0)

    def images(shape: tuple[int, int, int, int]) -> Any:
        n, c, h, w = shape
        return place.asarray(noise.normal((n, h, w, c))).transpose(0, 3, 1, 2)

    return images(kernel.x_shape), place.asarray(noise.normal(kernel.w_shape)), images(kernel.y_shape)


def rung(name: str, kernel: Kernel, place: Device) -> Callable[[], None]:
    """One rung's kernel alone, its arrays in the order that it reads.

    What is called leaves the result in ``y``, an attribute of it, (N, OH, OW, O).
    """
    from minigen_kernels.cuda.ladder import RUNGS
    from minigen_kernels.cuda.ladder.shapes import channels_last, weight_matrix
    from minigen_kernels.cuda.running import run
    from minigen_kernels.geometry import check_convolution

    x, w, y = arrays_of(kernel, place)
    pad, stride = (kernel.padding,) * 4, (kernel.stride,) * 2
    geometry = check_convolution("conv2d", {"x": x, "w": w}, stride, pad, (1, 1), kernel.groups)
    code, result = RUNGS[name].kernel(geometry), channels_last(y)
    arguments = (channels_last(x), weight_matrix(w), result, *RUNGS[name].numbers(geometry))

    def call() -> None:
        run(code, arguments)

    call.y = result  # type: ignore[attr-defined]
    return call


def captured(step: Step) -> Callable[[], Any]:
    """The step as a CUDA graph, given the batch and a new z every time."""
    replay = minigen.cuda.graph(step.take, step.data[0].device)
    return lambda: replay(*step.given())


def set_precision(precision: str) -> None:
    """'ieee' or 'tf32', for what is called from now on."""
    minigen.set_float32_precision(precision)


def start_counting_memory() -> int:
    """Forget the peak so far, and give back what no array holds. Returns the bytes that are free on the card."""
    minigen.cuda.empty_cache()
    minigen.cuda.reset_peak_memory_stats()
    return free_memory()


def peak_of_arrays() -> int:
    """The most bytes that arrays held at once, those of a captured graph left out."""
    return minigen.cuda.max_memory_allocated()


def free_memory() -> int:
    """Bytes that are free on the card."""
    return minigen.device("cuda").xp.cuda.runtime.memGetInfo()[0]


def about() -> dict[str, Any]:
    """The GPU and the versions that our figures depend on."""
    import cupy
    from cupy.cuda import Device as Gpu
    from cupy.cuda import runtime

    gpu = Gpu()
    capability = gpu.compute_capability  # '90', '120'
    return {
        "gpu": runtime.getDeviceProperties(gpu.id)["name"].decode(),
        "capability": f"{capability[:-1]}.{capability[-1]}",
        "multiprocessors": gpu.attributes["MultiProcessorCount"],
        "clock": 1e3 * gpu.attributes["ClockRate"],  # CUDA counts in kHz
        "memory": gpu.mem_info[1],
        "driver": driver_version(),
        "cuda": _cuda_version(runtime.runtimeGetVersion()),
        "cupy": cupy.__version__,
        "numba-cuda": version_of("numba-cuda"),
        "minigen": minigen.__version__,
    }


def driver_version() -> str | None:
    """Of NVIDIA's driver, as nvidia-smi says; None where it is missing."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return None


def _cuda_version(number: int) -> str:
    """CUDA's own number as people write it.

    >>> _cuda_version(13020)
    '13.2'
    """
    return f"{number // 1000}.{number % 1000 // 10}"
