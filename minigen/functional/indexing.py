"""Picking elements by position, and adding them back: each picks with an index, and its adjoint adds at that index.

In the docstrings y is the result, g the gradient that arrives for y, and x̄ the gradient that leaves for x.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen.autograd.function import Function, run
from minigen.device import Device, device_of
from minigen.errors import DtypeError, ShapeError
from minigen.functional._operands import axis as _axis
from minigen.functional._operands import kept, may_look, tensor
from minigen.functional.arithmetic import where
from minigen.functional.shape import expand
from minigen.tensor import Tensor


class GetItem(Function):
    """y = x[index];  x̄ = zeros with g added at the index (once for every time an element was picked)."""

    is_view = True
    takes_arrays = True

    def forward(self, x: Any, index: Any) -> Any:
        self.index, self.x_shape = index, x.shape
        return x[index]

    def backward(self, g: Tensor) -> Tensor:
        return self.compute(AddAt, g, index=self.index, shape=self.x_shape)


class AddAt(Function):
    """y = zeros of a shape, and y[index] += x;  x̄ = g[index]. The adjoint of `GetItem`."""

    takes_arrays = True

    def forward(self, x: Any, index: Any, shape: tuple[int, ...]) -> Any:
        self.index = index
        y = self.device.xp.zeros(shape, x.dtype)
        if _picks_once(index):
            y[index] = x
        else:
            self.device.add_at(y, index, x)
        return y

    def backward(self, g: Tensor) -> Tensor:
        return self.compute(GetItem, g, index=self.index)


class TakeAlong(Function):
    """y[…i…] = x[…index[…i…]…] along one axis;  x̄ = zeros with g added there."""

    takes_arrays = True

    def forward(self, x: Any, index: Any, dim: int) -> Any:
        self.save_for_backward(index)
        self.dim, self.x_shape = dim, x.shape
        return x[_grid(self.device.xp, index, dim)]

    def backward(self, g: Tensor) -> Tensor:
        (index,) = self.saved_tensors
        return self.compute(AddAlong, g, index=index, dim=self.dim, shape=self.x_shape)


class AddAlong(Function):
    """y = zeros, and y[…index[…i…]…] += x[…i…] along one axis;  x̄ = g picked there. The adjoint of `TakeAlong`."""

    takes_arrays = True

    def forward(self, x: Any, index: Any, dim: int, shape: tuple[int, ...]) -> Any:
        self.save_for_backward(index)
        self.dim = dim
        y = self.device.xp.zeros(shape, x.dtype)
        self.device.add_at(y, _grid(self.device.xp, index, dim), x)
        return y

    def backward(self, g: Tensor) -> Tensor:
        (index,) = self.saved_tensors
        return self.compute(TakeAlong, g, index=index, dim=self.dim)


def getitem(input: Any, index: Any) -> Tensor:
    """input[index] with NumPy's meaning: slices, integers, boolean and integer arrays or tensors, ellipsis, None.

    >>> import minigen
    >>> x = minigen.arange(6).reshape(2, 3)
    >>> x[:, 1].tolist(), x[..., None].shape, x[x > 3].tolist()
    ([1, 4], (2, 3, 1), [4, 5])
    """
    input = tensor(input)
    return run(GetItem, input, index=plain_index(index, input.device))


def gather(input: Any, dim: int, index: Any) -> Tensor:
    """out[i][j][k] = input[index[i][j][k]][j][k] for dim 0, and likewise for the others.

    `index` has as many axes as `input`, and is no larger in the axes other than `dim`.

    Raises:
        ShapeError: an index of another number of axes, or larger than the input.

    >>> import minigen
    >>> minigen.gather(minigen.tensor([[1, 2], [3, 4]]), 1, minigen.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """
    input = tensor(input)
    dim = _axis_to_pick_along(dim, input, "gather")
    index = _positions(input, index, input.shape[dim], "gather")
    if index.ndim != input.ndim or any(n > m for i, (n, m) in enumerate(zip(index.shape, input.shape)) if i != dim):
        raise ShapeError(
            f"gather: index of shape {index.shape} does not fit input of shape {input.shape}: it needs {input.ndim} axes, "
            f"none but axis {dim} larger than the input's."
        )
    return run(TakeAlong, input, index=index, dim=dim)


def take_along_axis(input: Any, indices: Any, axis: int) -> Tensor:
    """NumPy's name of `gather`: `input` at `indices` along `axis`; sizes of 1 in the other axes are broadcast.

    Raises:
        ShapeError: another number of axes, or sizes that do not broadcast.

    >>> import minigen
    >>> x = minigen.tensor([[3, 1], [2, 4]])
    >>> minigen.take_along_axis(x, minigen.tensor([[1, 0]]), 0)
    tensor([[2, 1]])
    """
    input = tensor(input)
    dim = _axis_to_pick_along(axis, input, "take_along_axis")
    index = _positions(input, indices, input.shape[dim], "take_along_axis")
    try:
        shape = list(np.broadcast_shapes(kept(input.shape, (dim,)), kept(index.shape, (dim,))))
    except ValueError:
        shape = []
    if len(shape) != input.ndim or index.ndim != input.ndim:
        raise ShapeError(
            f"take_along_axis: indices of shape {index.shape} and input of shape {input.shape} must have the same number "
            f"of axes and be equal or 1 in all but axis {dim}."
        )
    index = input.device.xp.broadcast_to(index, [*shape[:dim], index.shape[dim], *shape[dim + 1 :]])
    return run(TakeAlong, expand(input, [*shape[:dim], input.shape[dim], *shape[dim + 1 :]]), index=index, dim=dim)


def index_select(input: Any, dim: int, index: Any) -> Tensor:
    """The slices of `input` along `dim` at the positions of `index` (one axis, or one number).

    Raises:
        ShapeError: an index with more axes.

    >>> import minigen
    >>> minigen.index_select(minigen.tensor([[1, 2, 3], [4, 5, 6]]), 1, minigen.tensor([2, 0]))
    tensor([[3, 1],
            [6, 4]])
    """
    input = tensor(input)
    dim = _axis_to_pick_along(dim, input, "index_select")
    index = _positions(input, index, input.shape[dim], "index_select")
    if index.ndim > 1:
        raise ShapeError(f"index_select: index must have one axis, not shape {index.shape}.")
    return getitem(input, (slice(None),) * dim + (index.reshape(-1),))


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Tensor:
    """Rows of `weight` (number, features) at the integers `input` (any shape): shape (*input, features).

    The row `padding_idx` receives no gradient.

    Raises:
        ShapeError: a weight without two axes, or a padding_idx that is none of its rows.

    >>> import minigen
    >>> weight = minigen.tensor([[0.0, 0.0], [1.0, 10.0], [2.0, 20.0]])
    >>> minigen.functional.embedding(minigen.tensor([2, 1]), weight)
    tensor([[ 2., 20.],
            [ 1., 10.]])
    """
    weight = tensor(weight)
    if weight.ndim != 2:
        raise ShapeError(f"embedding: weight must be (number of embeddings, features), not {weight.shape}.")
    index = _positions(weight, input, weight.shape[0], "embedding", least=0)
    if padding_idx is not None:
        if not -weight.shape[0] <= padding_idx < weight.shape[0]:
            raise ShapeError(f"embedding: padding_idx={padding_idx} is not a row of the weight {weight.shape}.")
        row = weight.device.xp.arange(weight.shape[0]) == padding_idx % weight.shape[0]
        weight = where(row[:, None], weight.detach(), weight)
    return getitem(weight, index)


def one_hot(input: Any, num_classes: int) -> Tensor:
    """float32 rows that are 1 at the class `input` (integers of any shape) and 0 elsewhere: shape (*input, num_classes).

    >>> import minigen
    >>> minigen.functional.one_hot(minigen.tensor([2, 0]), 3)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    input = tensor(input)
    index = _positions(input, input, num_classes, "one_hot", least=0)
    return Tensor._wrap(input.device.xp.eye(num_classes, dtype="float32")[index], input.device)


def plain_index(index: Any, device: Device) -> Any:
    """`index` with arrays of the device in place of tensors, arrays and lists, which a later change of those cannot reach.

    Args:
        index: what stands between the brackets.
        device: where the indexed array lies.

    Raises:
        DtypeError: positions that are neither integers nor booleans.
    """
    if isinstance(index, tuple):
        return tuple([plain_index(i, device) for i in index])
    if isinstance(index, Tensor):
        index = index.data
    elif isinstance(index, list):
        index = np.array(index) if index else np.zeros(0, np.int64)
    if not hasattr(index, "dtype") or isinstance(index, np.generic):
        return index
    if index.dtype.kind == "f":
        raise DtypeError(f"Positions are integers or booleans, not {index.dtype}.")
    there = device.asarray(index)
    return there.copy() if there is index else there


def _axis_to_pick_along(dim: int, input: Tensor, name: str) -> int:
    """`dim` as a non-negative axis of a tensor that has axes."""
    if input.ndim == 0:
        raise ShapeError(f"{name}: a tensor without axes has no elements to pick by position.")
    return _axis(dim, input.ndim, name)


def _positions(input: Tensor, index: Any, size: int, name: str, least: int | None = None) -> Any:
    """`index` as an array of non-negative positions below `size`; negative ones count from the end unless `least` is 0.

    Positions that are on a GPU already are not looked at (see `may_look`): CuPy takes them modulo `size`.
    """
    array = index.data if isinstance(index, Tensor) else index if hasattr(index, "dtype") else np.asarray(index)
    if array.dtype.kind not in "iu":
        if array.size:
            raise DtypeError(f"{name}: the index must be integers, not {array.dtype}.")
        array = array.astype("int64")
    least = -size if least is None else least
    if array.size and may_look(device_of(array)) and (int(array.min()) < least or int(array.max()) >= size):
        raise ShapeError(
            f"{name}: the index runs from {array.min()} to {array.max()}, but must lie from {least} to {size - 1}."
        )
    array = input.device.asarray(array)
    return input.device.xp.where(array < 0, array + size, array)


def _picks_once(index: Any) -> bool:
    """Whether no element can be picked twice: nothing but slices, single integers and masks."""
    parts = index if isinstance(index, tuple) else (index,)
    return not any(getattr(part, "ndim", 0) and part.dtype.kind != "b" for part in parts)


def _grid(xp: Any, index: Any, dim: int) -> tuple[Any, ...]:
    """The open grid that indexes every axis by position, and the axis `dim` by `index`."""
    grid = [xp.arange(n).reshape([-1 if j == i else 1 for j in range(index.ndim)]) for i, n in enumerate(index.shape)]
    grid[dim] = index
    return tuple(grid)
