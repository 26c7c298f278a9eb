"""What an operation may be given: tensors, Python numbers, arrays, lists. Python numbers never promote a dtype."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigen.autograd import modes
from minigen.device import Device
from minigen.device import cpu as CPU
from minigen.errors import DeviceError, ShapeError, UserError
from minigen.tensor import DEFAULT_DTYPE, Tensor

ALL_AXES = tuple([tuple(range(ndim)) for ndim in range(65)])  # by the number of axes, of which NumPy allows 64


def tensor(x: Any, device: Device | None = None) -> Tensor:
    """`x` as a tensor; numbers and arrays are put on the device, if one is given, where a tensor must be already."""
    if not isinstance(x, Tensor):
        return Tensor(x, device=device)
    if device is not None and x.device is not device:
        raise DeviceError(
            f"A tensor is on device {x.device}, and what it is used with on {device}; bring them together with "
            f".to('{device}')."
        )
    return x


def may_look(device: Device) -> bool:
    """Whether values on a device may be looked at, to refuse wrong ones: a GPU would be waited for, so in anomaly mode only."""
    return device is CPU or modes.thread.state.anomaly


def floating(x: Any) -> Tensor:
    """`x` as a tensor of floating-point numbers; integers become float32."""
    x = tensor(x)
    dtype = x._data.dtype
    return x if dtype is DEFAULT_DTYPE or dtype.kind == "f" else x.astype(DEFAULT_DTYPE)


def pair(x: Any, y: Any) -> tuple[Any, Any]:
    """Two operands of one operation, at least one a tensor, in types that NumPy combines as PyTorch would.

    A Python (or NumPy) number stays a number and takes the other's type; an integer tensor takes a floating one's.
    """
    if isinstance(x, Tensor) and isinstance(y, Tensor) and x._data.dtype is y._data.dtype:
        return x, y  # nearly always, so nothing else is asked first
    place = x.device if isinstance(x, Tensor) else y.device if isinstance(y, Tensor) else None
    x, y = operand(x, place), operand(y, place)
    if isinstance(x, Tensor):
        if isinstance(y, Tensor):
            if x.dtype == y.dtype:
                return x, y
            if x.dtype.kind == "f" and y.dtype.kind != "f":
                return x, y.astype(x.dtype)
            if y.dtype.kind == "f" and x.dtype.kind != "f":
                return x.astype(y.dtype), y
            return x, y
        return (x.astype(DEFAULT_DTYPE), y) if isinstance(y, float) and x.dtype.kind != "f" else (x, y)
    if isinstance(y, Tensor):
        return (x, y.astype(DEFAULT_DTYPE)) if isinstance(x, float) and y.dtype.kind != "f" else (x, y)
    return Tensor(x), y


def together(xs: Sequence[Any]) -> list[Tensor]:
    """Several operands as tensors, where integer tensors take the type of the floating ones, if there are any."""
    out = [x if isinstance(x, Tensor) else tensor(x) for x in xs]
    for x in out:
        if x._data.dtype is not DEFAULT_DTYPE:
            break
    else:  # as nearly always
        return out
    kinds = {x.dtype for x in out if x.dtype.kind == "f"}
    return [x if x.dtype.kind == "f" else x.astype(np.result_type(*kinds)) for x in out] if kinds else out


def operand(x: Any, device: Device | None = None) -> Any:
    """`x` as a Python number or a tensor, which arrays become on the device."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, np.generic):  # np.float64 is a float too, so this comes first
        return x.item()
    return x if isinstance(x, (int, float)) else Tensor(x, device=device)


def axes(dim: Any, ndim: int, name: str) -> tuple[int, ...]:
    """`dim` (None for all, an integer, or several) as distinct non-negative axes.

    Raises:
        ShapeError: an axis that is not there, or one named twice.
    """
    if dim is None:
        return ALL_AXES[ndim]
    if dim.__class__ is int and ndim:  # nearly always
        return (axis(dim, ndim, name),)
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    out = tuple([axis(d, ndim, name) for d in dims])
    if len(set(out)) != len(out):
        raise ShapeError(f"{name}: dim={dim} names an axis twice.")
    return out if ndim else ()  # a tensor without axes may be reduced over its axis 0, which is not there


def axis(dim: int, ndim: int, name: str) -> int:
    """`dim` as a non-negative axis; 0 and -1 are taken for a tensor without axes too, as in PyTorch."""
    if dim.__class__ is int and -ndim <= dim < ndim:  # nearly always
        return dim % ndim
    if not isinstance(dim, (int, np.integer)) or isinstance(dim, bool):
        raise UserError(f"{name}: an axis is named by an integer, not dim={dim!r}.")
    span = max(ndim, 1)
    if not -span <= dim < span:
        raise ShapeError(
            f"{name}: dim={dim} is not an axis of a tensor with {ndim} axes; give one from {-span} to {span - 1}."
        )
    return int(dim) % span


def kept(shape: Sequence[int], dims: Sequence[int]) -> tuple[int, ...]:
    """`shape` with size 1 at the axes `dims`: the shape of a reduction with keepdim=True."""
    return tuple([1 if i in dims else n for i, n in enumerate(shape)])
