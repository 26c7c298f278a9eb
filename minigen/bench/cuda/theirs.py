"""PyTorch's side: convolutions by cuDNN, and training steps eager, captured as a CUDA graph, and compiled.

cuDNN may try its algorithms and keep the fastest (`benchmark = True`). Captured is what PyTorch's documentation shows for
a whole network: a few steps on a side stream, then the step under `torch.cuda.graph`, with optimizers made `capturable`
and a batch that is copied into place before each replay. Compiled are the networks; backward passes follow from that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigen.bench import convolution
from minigen.bench.convolution import Kernel
from minigen.bench.cuda.cases import Task
from minigen.bench.cuda.timing import WARM_UPS, StreamEvents
from minigen.bench.steps.theirs import Step, make_step

FILLED = 1 << 26  # floats that hold the stream


class TorchEvents(StreamEvents):
    """PyTorch's events, on its current stream."""

    def __init__(self) -> None:
        import torch

        self.torch, memory = torch, torch.empty(FILLED, device="cuda")
        super().__init__(memory.zero_)

    def mark(self) -> Any:
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def reached(self, event: Any) -> bool:
        return event.query()

    def seconds(self, start: Any, end: Any) -> float:
        end.synchronize()
        return start.elapsed_time(end) / 1e3


def prepare(task: Task) -> Callable[[], Any]:
    """What a task asks for, on the device ``task["device"]``, 'cuda' unless given."""
    import torch

    torch.backends.cudnn.benchmark = True
    place, order = task.get("device", "cuda"), task["memory_format"]
    if "kernel" in task:
        kernel = Kernel(*task["kernel"])
        return convolution.theirs(kernel, task["direction"], *convolution.their_arrays(kernel, order, place))
    mode = task["mode"]
    step = make_step(
        task["model"], task["batch"], task["shape"], order, place, mode == "compiled", capturable=mode == "captured"
    )
    return captured(step) if mode == "captured" else step


def captured(step: Step) -> Callable[[], Any]:
    """The step as a CUDA graph, which draws its noise itself."""
    import torch

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UPS):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph, batch = torch.cuda.CUDAGraph(), [images.clone() for images in step.data]
    with torch.cuda.graph(graph):
        losses = step()

    def replay() -> dict[str, Any]:
        for place, images in zip(step.data, batch):
            place.copy_(images)
        graph.replay()
        return losses

    return replay


def set_precision(precision: str) -> None:
    """'ieee' or 'tf32', for products and convolutions from now on."""
    import torch

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def start_counting_memory() -> int:
    """Forget the peak so far, and give back what no tensor holds. Returns the bytes that are free on the card."""
    import torch

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    return free_memory()


def peak_of_arrays() -> int:
    """The most bytes that tensors held at once."""
    import torch

    return torch.cuda.max_memory_allocated()


def free_memory() -> int:
    """Bytes that are free on the card."""
    import torch

    return torch.cuda.mem_get_info()[0]


def about() -> dict[str, Any]:
    """PyTorch's versions; ``without`` says why it cannot be measured, None where it can."""
    import torch

    without = None
    if not torch.cuda.is_available():
        without = f"PyTorch {torch.__version__} finds no GPU; install a build of it for CUDA"
    return {
        "torch": torch.__version__,
        "torch cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "without": without,
    }
