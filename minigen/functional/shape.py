"""Operations that move elements without changing them. The derivative of each moves them back; on bare arrays without
`compute`, whose node for a move takes longer than the move.

In the docstrings y is the result, g the gradient that arrives for y, and x̄ the gradient that leaves for x.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from minigen.autograd.function import Function, run, summed_to
from minigen.device import Device
from minigen.errors import ShapeError, UserError
from minigen.functional._operands import axes, axis, kept, tensor, together
from minigen.tensor import Tensor, real_dtype


class Reshape(Function):
    """y = x in another shape, elements in row-major order;  x̄ = g in the shape of x."""

    is_view = True
    takes_arrays = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        self.x_shape = x.shape
        return _reshaped(x, shape, self.device)

    def backward(self, g: Tensor) -> Tensor:
        return _reshaped(g, self.x_shape, self.device) if self.on_arrays else run(Reshape, g, shape=self.x_shape)


class Permute(Function):
    """Axis i of y is axis dims[i] of x;  x̄ = g with the inverse permutation."""

    is_view = True
    takes_arrays = True

    def forward(self, x: Any, dims: tuple[int, ...]) -> Any:
        self.dims = dims
        return x.transpose(dims)

    def backward(self, g: Any) -> Tensor:
        inverse = _inverse(tuple(self.dims))
        return g.transpose(inverse) if self.on_arrays else run(Permute, g, dims=inverse)


class Expand(Function):
    """y = x repeated along axes of size 1 and new axes in front, without a copy;  x̄ = g summed over them."""

    is_view = True
    takes_arrays = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        self.x_shape = x.shape
        return self.device.repeated(x, shape)

    def backward(self, g: Tensor) -> Tensor:
        return summed_to(g, self.x_shape, self.device) if self.on_arrays else run(SumTo, g, shape=self.x_shape)


class SumTo(Function):
    """y = x summed over the axes that broadcasting `shape` would repeat;  x̄ = g, repeated along them."""

    takes_arrays = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        self.x_shape = x.shape
        return summed_to(x, shape, self.device)

    def backward(self, g: Tensor) -> Tensor:
        return self.device.repeated(g, self.x_shape) if self.on_arrays else run(Expand, g, shape=self.x_shape)


class Flip(Function):
    """y = x with the order along the axes reversed;  x̄ = g, reversed likewise."""

    is_view = True

    def forward(self, x: Any, dims: tuple[int, ...]) -> Any:
        self.dims = dims
        return self.device.xp.flip(x, dims)

    def backward(self, g: Tensor) -> Tensor:
        return flip(g, self.dims)


class Concatenate(Function):
    """y = the tensors one after another along an axis;  each x̄ is its stretch of g."""

    takes_arrays = True

    def forward(self, *xs: Any, dim: int) -> Any:
        self.dim, self.sizes = dim, [x.shape[dim] for x in xs]
        return self.device.concatenate(xs, dim)

    def backward(self, g: Tensor) -> tuple[Tensor, ...]:
        return _stretches(g, self.sizes, self.dim)


class Stack(Function):
    """y = the tensors side by side along a new axis;  each x̄ is its place of g."""

    takes_arrays = True

    def forward(self, *xs: Any, dim: int) -> Any:
        self.before = (slice(None),) * dim
        return self.device.concatenate([x[(*self.before, None)] for x in xs], dim)

    def backward(self, g: Tensor) -> tuple[Tensor, ...]:
        return tuple([g[(*self.before, i)] for i in range(len(self.needs_input_grad))])


class Pad(Function):
    """y = x with `before[i]` and `after[i]` constant elements around axis i;  x̄ = the inside of g."""

    def forward(self, x: Any, widths: tuple[tuple[int, int], ...], value: float) -> Any:
        self.inside = tuple([slice(before, before + n) for (before, _), n in zip(widths, x.shape)])
        shape = [before + n + after for (before, after), n in zip(widths, x.shape)]
        y = self.device.xp.full_like(x, value, shape=shape)
        y[self.inside] = x
        return y

    def backward(self, g: Tensor) -> Tensor:
        return g[self.inside]


class Astype(Function):
    """y = x in another type of number;  x̄ = g in the type of x."""

    def forward(self, x: Any, dtype: Any) -> Any:
        self.x_dtype = x.dtype
        return x.astype(dtype)

    def backward(self, g: Tensor) -> Tensor:
        return astype(g, self.x_dtype)


class Clone(Function):
    """y = a copy of x;  x̄ = g."""

    takes_arrays = True

    def forward(self, x: Any) -> Any:
        return x.copy()

    def backward(self, g: Tensor) -> Tensor:
        return g


class ToDevice(Function):
    """y = x on another device;  x̄ = g on the device of x."""

    def forward(self, x: Any, target: Device) -> Any:
        self.source, self.device = self.device, target
        y = target.asarray(self.source.to_host(x))
        return x.copy(order="K") if y is x else y

    def backward(self, g: Tensor) -> Tensor:
        return to_device(g, self.source)


def reshape(input: Any, shape: Sequence[int]) -> Tensor:
    """The elements of `input`, in row-major order, in `shape`; one size may be -1, and is worked out.

    Raises:
        ShapeError: a shape with another number of elements, or with more than one -1.

    >>> import minigen
    >>> minigen.reshape(minigen.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    shape = _sizes(shape)
    if not isinstance(input, Tensor):
        input = tensor(input)
    if shape == input._data.shape:
        return input
    if shape and min(shape) < -1:  # NumPy would work out any size below 0
        _check_free(shape, input)
    try:
        return run(Reshape, input, shape=shape)
    except ShapeError:
        if -1 in shape or math.prod(shape) != input.numel():
            _check_free(shape, input)
        raise


def _check_free(shape: tuple[int, ...], input: Tensor) -> None:
    """A shape with one -1, for which there is a number that makes it as large as the tensor."""
    size, known = input.numel(), math.prod(n for n in shape if n != -1)
    if shape.count(-1) != 1 or min(shape) < -1 or known == 0 or size % known:
        raise ShapeError(
            f"reshape: {size} elements of shape {input.shape} do not fill the shape {shape}; the product of the sizes "
            "must be equal (one of them may be -1)."
        )


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The axes of `input` from `start_dim` to `end_dim`, both included, made into one.

    Raises:
        ShapeError: start_dim comes after end_dim.

    >>> import minigen
    >>> minigen.flatten(minigen.zeros(8, 3, 4, 4), 1).shape
    (8, 48)
    """
    input = tensor(input)
    start, end = axis(start_dim, input.ndim, "flatten"), axis(end_dim, input.ndim, "flatten")
    if start > end:
        raise ShapeError(f"flatten: start_dim={start_dim} comes after end_dim={end_dim} in shape {input.shape}.")
    shape = input.shape
    return reshape(input, shape[:start] + (math.prod(shape[start : end + 1]),) + shape[end + 1 :])


def permute(input: Any, dims: Sequence[int]) -> Tensor:
    """Axis i of the result is axis `dims[i]` of the input.

    Raises:
        ShapeError: dims that do not name each axis once.

    >>> import minigen
    >>> minigen.permute(minigen.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    input = tensor(input)
    order = axes(dims, input.ndim, "permute")
    if dims is None or len(order) != input.ndim:
        raise ShapeError(f"permute: dims={dims} must name each of the {input.ndim} axes of {input.shape} once.")
    return run(Permute, input, dims=order)


def transpose(input: Any, dim0: int, dim1: int) -> Tensor:
    """The axes `dim0` and `dim1` of `input` exchanged.

    >>> import minigen
    >>> minigen.transpose(minigen.tensor([[1, 2], [3, 4]]), 0, 1)
    tensor([[1, 3],
            [2, 4]])
    """
    input = tensor(input)
    ndim = input._data.ndim
    if dim0.__class__ is not int or dim1.__class__ is not int:  # hardly ever
        dim0, dim1 = axis(dim0, ndim, "transpose"), axis(dim1, ndim, "transpose")
    return run(Permute, input, dims=_exchanged(ndim, dim0, dim1))


def swapaxes(input: Any, axis0: int, axis1: int) -> Tensor:
    """The axes `axis0` and `axis1` of `input` exchanged (another name of `transpose`).

    >>> import minigen
    >>> minigen.swapaxes(minigen.zeros(2, 3, 4), 0, -1).shape
    (4, 3, 2)
    """
    return transpose(input, axis0, axis1)


def squeeze(input: Any, dim: Any = None) -> Tensor:
    """`input` without its axes of size 1: all of them, or those among `dim`.

    >>> import minigen
    >>> x = minigen.zeros(1, 3, 1)
    >>> minigen.squeeze(x).shape, minigen.squeeze(x, 0).shape
    ((3,), (3, 1))
    """
    input = tensor(input)
    shape = input._data.shape
    dims = axes(dim, len(shape), "squeeze")
    left = tuple([n for i, n in enumerate(shape) if not (n == 1 and i in dims)])
    return input if left == shape else run(Reshape, input, shape=left)


def unsqueeze(input: Any, dim: int) -> Tensor:
    """`input` with a new axis of size 1 at `dim`.

    >>> import minigen
    >>> minigen.unsqueeze(minigen.zeros(3), 0).shape, minigen.unsqueeze(minigen.zeros(3), -1).shape
    ((1, 3), (3, 1))
    """
    input = tensor(input)
    shape = input._data.shape
    at = axis(dim, len(shape) + 1, "unsqueeze")
    return run(Reshape, input, shape=(*shape[:at], 1, *shape[at:]))


def expand(input: Any, shape: Sequence[int]) -> Tensor:
    """Axes of size 1 of `input` repeated to `shape` without a copy; -1 keeps a size, new axes come in front.

    Raises:
        ShapeError: an axis that is not 1 would have to grow.

    >>> import minigen
    >>> minigen.expand(minigen.tensor([[1], [2]]), (-1, 3))
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    input = tensor(input)
    full = _expanded(input._data.shape, _sizes(shape))
    return input if full == input._data.shape else run(Expand, input, shape=full)


def sum_to(input: Any, shape: Sequence[int]) -> Tensor:
    """The adjoint of `expand`: `input` summed over the axes along which `shape` would be repeated.

    Raises:
        ShapeError: a shape that does not broadcast to the input's.

    >>> import minigen
    >>> minigen.functional.sum_to(minigen.tensor([[1.0, 2.0], [3.0, 4.0]]), (2, 1))
    tensor([[3.],
            [7.]])
    """
    input, shape = tensor(input), _sizes(shape)
    lead = input.ndim - len(shape)
    if lead < 0 or any(m not in (1, n) for m, n in zip(shape, input.shape[lead:])):
        raise ShapeError(f"sum_to: {shape} does not broadcast to {input.shape}.")
    return input if shape == input.shape else run(SumTo, input, shape=shape)


def flip(input: Any, dims: Sequence[int]) -> Tensor:
    """The order along the axes `dims` of `input` reversed.

    >>> import minigen
    >>> minigen.flip(minigen.tensor([[1, 2], [3, 4]]), (1,))
    tensor([[2, 1],
            [4, 3]])
    """
    input = tensor(input)
    return run(Flip, input, dims=axes(dims, input.ndim, "flip"))


def concatenate(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """`tensors` one after another along the axis `dim`; all other sizes are equal.

    Raises:
        ShapeError: no tensors, tensors without axes, or other sizes that differ.

    >>> import minigen
    >>> minigen.cat([minigen.tensor([1, 2]), minigen.tensor([3])])
    tensor([1, 2, 3])
    """
    xs = _tensors("concatenate", tensors)
    if not xs:
        raise ShapeError("concatenate: there are no tensors to join; give at least one.")
    dim = axis(dim, xs[0].ndim, "concatenate")
    if xs[0].ndim == 0:
        raise ShapeError("concatenate: tensors without axes cannot be joined; use stack.")
    one = xs[0].shape
    for x in xs[1:]:
        if x.shape != one and (x.ndim != len(one) or kept(x.shape, (dim,)) != kept(one, (dim,))):
            shapes = ", ".join(str(x.shape) for x in xs)
            raise ShapeError(f"concatenate: the shapes {shapes} must be equal in every axis but {dim}.")
    return Concatenate.apply(*xs, dim=dim)


cat = concatenate


def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """`tensors` of one shape side by side along a new axis `dim`.

    Raises:
        ShapeError: no tensors, or shapes that differ.

    >>> import minigen
    >>> minigen.stack([minigen.tensor([1, 2]), minigen.tensor([3, 4])], dim=1)
    tensor([[1, 3],
            [2, 4]])
    """
    xs = _tensors("stack", tensors)
    if len({x.shape for x in xs}) != 1:
        shapes = ", ".join(str(x.shape) for x in xs)
        raise ShapeError(f"stack: needs one or more tensors of one shape, not {shapes or 'none'}.")
    return Stack.apply(*xs, dim=axis(dim, xs[0].ndim + 1, "stack"))


def split(input: Any, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of `input` along `dim`.

    Args:
        input: any shape with an axis.
        split_size_or_sections: one size for every piece (the last may be smaller), or a list with the size of each.
        dim: the axis that is cut.

    Raises:
        ShapeError: no axis to cut, a size that is not positive, or sizes that do not add up to the axis.

    >>> import minigen
    >>> [piece.tolist() for piece in minigen.split(minigen.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    >>> [piece.tolist() for piece in minigen.split(minigen.arange(5), [1, 4])]
    [[0], [1, 2, 3, 4]]
    """
    input = tensor(input)
    dim = axis(dim, input.ndim, "split")
    if input.ndim == 0:
        raise ShapeError("split: a tensor without axes cannot be split.")
    n = input.shape[dim]
    if not isinstance(split_size_or_sections, (tuple, list)):
        (size,) = _sizes(split_size_or_sections)
        if size <= 0:
            raise ShapeError(f"split: the size of a piece must be positive, not {size}.")
        sizes = [min(size, n - start) for start in range(0, n, size)] or [0]
    else:
        sizes = list(_sizes(split_size_or_sections))
        if sum(sizes) != n or min(sizes, default=0) < 0:
            raise ShapeError(f"split: the sizes {sizes} must add up to {n}, the size of axis {dim} of {input.shape}.")
    return _stretches(input, sizes, dim)


def _stretches(x: Any, sizes: Sequence[int], dim: int) -> tuple[Any, ...]:
    """A tensor or array cut into pieces of these sizes along the axis `dim`."""
    before, start, pieces = (slice(None),) * dim, 0, []
    for size in sizes:
        pieces.append(x[(*before, slice(start, start + size))])
        start += size
    return tuple(pieces)


def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`input` in at most `chunks` pieces of one size along `dim` (the last may be smaller).

    Raises:
        ShapeError: a number of chunks that is not a positive integer.

    >>> import minigen
    >>> [piece.tolist() for piece in minigen.chunk(minigen.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    input = tensor(input)
    if not isinstance(chunks, (int, np.integer)) or chunks <= 0:
        raise ShapeError(f"chunk: the number of chunks must be a positive integer, not {chunks!r}.")
    dim = axis(dim, input.ndim, "chunk")
    return split(input, max(1, -(-input.shape[dim] // chunks)) if input.ndim else 1, dim)


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> Tensor:
    """`input` with elements around it.

    Args:
        input: any shape.
        pad: (before, after) for the last axis, then the one before it, as in PyTorch. Negative widths cut off.
        mode: ``constant``, ``reflect`` (without repeating the edge), ``replicate`` or ``circular``.
        value: of the elements in the mode ``constant``.

    Raises:
        ShapeError: widths that do not come in pairs or are more pairs than axes, or that cut off more than there is.

    >>> import minigen
    >>> x = minigen.tensor([1, 2, 3])
    >>> minigen.functional.pad(x, (2, 1)).tolist(), minigen.functional.pad(x, (2, 1), mode="reflect").tolist()
    ([0, 0, 1, 2, 3, 0], [3, 2, 1, 2, 3, 2])
    """
    input, amounts = tensor(input), _sizes(pad)
    if len(amounts) % 2 or len(amounts) > 2 * input.ndim:
        raise ShapeError(
            f"pad: {amounts} must be (before, after) pairs, last axis first, for at most the {input.ndim} axes of {input.shape}."
        )
    widths = [(0, 0)] * input.ndim
    for i in range(len(amounts) // 2):
        widths[input.ndim - 1 - i] = (amounts[2 * i], amounts[2 * i + 1])
    for i, ((before, after), n) in enumerate(zip(widths, input.shape)):
        if n + before + after < 0 or n + min(before, 0) + min(after, 0) < 0:
            raise ShapeError(f"pad: {(before, after)} cuts more than the {n} elements of axis {i} of {input.shape}.")
    if mode == "constant":
        if any(min(width) < 0 for width in widths):
            cut = tuple([slice(max(-b, 0), n - max(-a, 0)) for (b, a), n in zip(widths, input.shape)])
            input, widths = input[cut], [(max(b, 0), max(a, 0)) for b, a in widths]
        return run(Pad, input, widths=tuple(widths), value=value)
    for i, ((before, after), n) in enumerate(zip(widths, input.shape)):
        if (before, after) != (0, 0):
            index = _source_index(np.arange(-before, n + after), n, mode, (before, after))
            input = input[(slice(None),) * i + (input.device.constant(index),)]
    return input


def _source_index(where: np.ndarray, n: int, mode: str, width: tuple[int, int]) -> np.ndarray:
    """For each position of a padded axis, the position in the original axis of size n that it repeats."""
    limit = {"reflect": n - 1, "replicate": np.inf if n else 0, "circular": n}
    if mode not in limit:
        raise UserError(f"pad: there is no mode {mode!r}; the modes are constant, {', '.join(limit)}.")
    if max(width) > limit[mode]:
        raise ShapeError(f"pad: mode {mode!r} can add at most {limit[mode]} to an axis of size {n}, not {max(width)}.")
    if mode == "reflect":
        return n - 1 - np.abs(n - 1 - np.abs(where))
    return where.clip(0, n - 1) if mode == "replicate" else where % n


def astype(input: Any, dtype: Any) -> Tensor:
    """The numbers of `input` in another type, `dtype`. The gradient comes back in the type of the input.

    >>> import minigen
    >>> minigen.functional.astype(minigen.tensor([1.7, -1.7]), "int64")
    tensor([ 1, -1])
    """
    input, target = tensor(input), real_dtype(dtype)
    return input if input.dtype == target else run(Astype, input, dtype=target)


def clone(input: Any) -> Tensor:
    """A copy with memory of its own; the gradient passes through.

    >>> import minigen
    >>> x = minigen.tensor([1.0, 2.0])
    >>> y = minigen.clone(x)
    >>> y[0] = 5.0
    >>> x.tolist(), y.tolist()
    ([1.0, 2.0], [5.0, 2.0])
    """
    return run(Clone, tensor(input))


def to_device(input: Any, device: Device) -> Tensor:
    """`input` on `device`; the gradient comes back to where the input is.

    >>> import minigen
    >>> minigen.functional.to_device(minigen.ones(2), minigen.device("cudasim")).device
    device('cudasim')
    """
    input = tensor(input)
    return input if input.device is device else ToDevice.apply(input, target=device)


def _tensors(name: str, tensors: Any) -> list[Tensor]:
    if not hasattr(tensors, "__iter__"):
        raise UserError(f"{name}: takes a list of tensors, not {tensors!r}.")
    return together(list(tensors))


def _reshaped(x: Any, shape: tuple[int, ...], device: Device) -> Any:
    """An array in another shape: a view of it, where its order in memory allows it."""
    if x.ndim == 4 and len(shape) == 2 and not x.flags.c_contiguous and x.transpose(0, 2, 3, 1).flags.c_contiguous:
        x = getattr(device.kernels, "contiguous", lambda array: array)(x)  # images, channels last, made rows: a copy
    return x.reshape(shape)


@lru_cache
def _exchanged(ndim: int, dim0: int, dim1: int) -> tuple[int, ...]:
    """The axes in order, but for two that are exchanged."""
    order = list(range(ndim))
    a, b = axis(dim0, ndim, "transpose"), axis(dim1, ndim, "transpose")
    if ndim:
        order[a], order[b] = order[b], order[a]
    return tuple(order)


@lru_cache
def _expanded(old: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """What `expand` makes of a shape."""
    lead = len(shape) - len(old)
    full = tuple([old[i - lead] if n == -1 and i >= lead else n for i, n in enumerate(shape)])
    if lead < 0 or min(full, default=0) < 0 or any(m not in (1, n) for m, n in zip(old, full[lead:])):
        raise ShapeError(f"expand: shape {old} cannot be expanded to {shape}; only axes of size 1 can grow.")
    return full


@lru_cache
def _inverse(dims: tuple[int, ...]) -> tuple[int, ...]:
    """The permutation that puts the axes back where `dims` took them from."""
    inverse = [0] * len(dims)
    for i, dim in enumerate(dims):
        inverse[dim] = i
    return tuple(inverse)


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    for n in sizes:
        if n.__class__ is not int:
            break
    else:  # as nearly always
        return sizes
    if not all(isinstance(n, (int, np.integer)) for n in sizes):
        raise ShapeError(f"Shapes, sizes and widths are integers, not {sizes!r}.")
    return tuple([int(n) for n in sizes])
