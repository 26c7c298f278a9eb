"""Steps of many tensors gathered, and then done together by a compiled loop, in one pass over their memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minigen.autograd import modes
from minigen.errors import GraphError
from minigen.tensor import Tensor

Arrays = tuple[Any, ...]  # of the tensor's shape; None where the loop is to do without one
Numbers = tuple[float, ...]
GiveNumbers = Callable[[], Numbers]


class OnePass:
    """What one step has to do by a compiled loop.

    Args:
        loop: the function of `minigen_kernels.cpu.updates`.
    """

    def __init__(self, loop: str) -> None:
        self.loop = loop
        self.kernels: Any = None
        self.tensors: list[Tensor] = []
        self.updates: list[tuple[Arrays, GiveNumbers]] = []

    def takes(self, tensor: Tensor, arrays: Arrays, numbers: GiveNumbers) -> bool:
        """Put loop(tensor, *arrays, *numbers()) on the list. False, and nothing done, where the loop is not for them.

        The device has no such loops, or the memory is not laid out alike, or is neither float32 nor float64.
        """
        kernels = getattr(tensor.device.kernels, "updates", None)
        vectors = None if kernels is None else kernels.vectors(tensor._data, *arrays)
        if vectors is None:
            if modes.thread.state.capture is not None:
                raise GraphError(
                    f"A step in a graph needs parameters, gradients and state that are C-contiguous and of one type, float32 "
                    f"or float64; those of a tensor of shape {tensor.shape} and {tensor.dtype} are not."
                )
            return False
        self.kernels = kernels
        self.tensors.append(tensor)
        self.updates.append((vectors, numbers))
        return True

    def run(self) -> None:
        """Do what is on the list. It counts as a change in place of every tensor."""
        if self.updates:
            self.kernels.in_one_pass(getattr(self.kernels, self.loop), self.updates)
        for tensor in self.tensors:
            tensor._count_change()
