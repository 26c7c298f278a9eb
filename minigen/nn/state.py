"""The values of a module as a whole: collected by name, loaded by name, moved and converted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minigen.autograd.modes import no_grad
from minigen.device import means_device
from minigen.errors import DtypeError, UserError
from minigen.nn.tree import walk
from minigen.tensor import Tensor, real_dtype

if TYPE_CHECKING:
    from minigen.nn.module import Module


class IncompatibleKeys(NamedTuple):
    """The names that a state dict lacked, and those in it that the module does not have."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def collect_state(module: Module, prefix: str) -> dict[str, Tensor]:
    """`Module.state_dict`: what is shared stands under each of its names."""
    state: dict[str, Tensor] = {}
    for path, part in walk(module, prefix.removesuffix(".")):
        saved = {name: buffer for name, buffer in part._buffers.items() if name not in part._not_saved}
        for name, tensor in [*part._parameters.items(), *saved.items()]:
            if tensor is not None:
                state[f"{path}.{name}" if path else name] = tensor.detach()
    return state


def convert(module: Module, targets: Iterable[Any]) -> None:
    """`Module.to`: the tensors stay the same objects, gradients go with them."""
    for target in targets:
        is_device = means_device(target)
        if not is_device and (dtype := real_dtype(target)).kind != "f":
            raise DtypeError(f"A module is converted to a floating-point type, not to {dtype}.")
        for tensor in [*module.parameters(), *module.buffers()]:
            if is_device or tensor.dtype.kind == "f":
                moved = tensor.detach().to(target)
                tensor.device = moved.device  # before the data, which is put there
                tensor.data = moved.data
                tensor.grad = None if tensor.grad is None else tensor.grad.detach().to(target)


def load_state(module: Module, state_dict: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """`Module.load_state_dict`: everything is checked before anything is changed."""
    own = module.state_dict()
    missing = [name for name in own if name not in state_dict]
    unexpected = [name for name in state_dict if name not in own]
    arrays = {name: _array(name, state_dict[name]) for name in own if name in state_dict}
    wrong = [
        f"{name!r} is {own[name].shape} here and {array.shape} in the state dict"
        for name, array in arrays.items()
        if array.shape != own[name].shape
    ]
    faults = []
    if strict and missing:
        faults.append(f"missing {_quoted(missing)}")
    if strict and unexpected:
        faults.append(f"unexpected {_quoted(unexpected)}")
    if wrong:
        faults.append(f"shapes that differ: {', '.join(wrong)}")
    if faults:
        advice = "build the module with the arguments it was saved with"
        if not wrong:
            advice += ", or pass strict=False to load only the names in common"
        raise UserError(
            f"load_state_dict: the state does not fit {type(module).__name__}: {'; '.join(faults)}; {advice}."
        )
    with no_grad():
        for name, array in arrays.items():
            own[name].copy_(array)  # shares memory and version counter with the module's tensor
    return IncompatibleKeys(missing, unexpected)


def _array(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"load_state_dict: the value of {name!r} does not turn into a NumPy array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise UserError(f"load_state_dict: the value of {name!r} is of type {array.dtype}, not of real numbers.")
    return array


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
