"""Operators and methods of Tensor: each hands over to the function of that name in `minigen.functional`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minigen.device import device as find_device
from minigen.device import means_device

if TYPE_CHECKING:  # at run time minigen.tensor puts F here, once Tensor, which the operations need, exists
    from minigen import functional as F
    from minigen.tensor import Tensor


class TensorMethods:
    """The part of Tensor that has no thought of its own."""

    __slots__ = ()

    def __add__(self, other: Any) -> Tensor:
        return F.add(self, other)

    def __radd__(self, other: Any) -> Tensor:
        return F.add(other, self)

    def __sub__(self, other: Any) -> Tensor:
        return F.sub(self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return F.sub(other, self)

    def __mul__(self, other: Any) -> Tensor:
        return F.mul(self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return F.mul(other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return F.div(self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return F.div(other, self)

    def __pow__(self, other: Any) -> Tensor:
        return F.pow(self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return F.pow(other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return F.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return F.matmul(other, self)

    def __neg__(self) -> Tensor:
        return F.neg(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Tensor:
        return F.abs(self)

    def __getitem__(self, index: Any) -> Tensor:
        return F.getitem(self, index)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else F.compare("equal", self, other)

    def __ne__(self, other: object) -> Any:
        return NotImplemented if other is None or isinstance(other, str) else F.compare("not_equal", self, other)

    def __lt__(self, other: Any) -> Tensor:
        return F.compare("less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return F.compare("less_equal", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return F.compare("greater", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return F.compare("greater_equal", self, other)

    def __and__(self, other: Any) -> Tensor:
        return F.compare("bitwise_and", self, other)

    def __or__(self, other: Any) -> Tensor:
        return F.compare("bitwise_or", self, other)

    def __xor__(self, other: Any) -> Tensor:
        return F.compare("bitwise_xor", self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Tensor:
        return F.invert(self)

    def add(self, other: Any) -> Tensor:
        return F.add(self, other)

    def sub(self, other: Any) -> Tensor:
        return F.sub(self, other)

    def mul(self, other: Any) -> Tensor:
        return F.mul(self, other)

    def div(self, other: Any) -> Tensor:
        return F.div(self, other)

    def pow(self, exponent: Any) -> Tensor:
        return F.pow(self, exponent)

    def neg(self) -> Tensor:
        return F.neg(self)

    def abs(self) -> Tensor:
        return F.abs(self)

    def sign(self) -> Tensor:
        return F.sign(self)

    def exp(self) -> Tensor:
        return F.exp(self)

    def log(self) -> Tensor:
        return F.log(self)

    def log1p(self) -> Tensor:
        return F.log1p(self)

    def expm1(self) -> Tensor:
        return F.expm1(self)

    def sqrt(self) -> Tensor:
        return F.sqrt(self)

    def rsqrt(self) -> Tensor:
        return F.rsqrt(self)

    def sin(self) -> Tensor:
        return F.sin(self)

    def cos(self) -> Tensor:
        return F.cos(self)

    def tanh(self) -> Tensor:
        return F.tanh(self)

    def sigmoid(self) -> Tensor:
        return F.sigmoid(self)

    def erf(self) -> Tensor:
        return F.erf(self)

    def square(self) -> Tensor:
        return F.square(self)

    def reciprocal(self) -> Tensor:
        return F.reciprocal(self)

    def relu(self) -> Tensor:
        return F.relu(self)

    def maximum(self, other: Any) -> Tensor:
        return F.maximum(self, other)

    def minimum(self, other: Any) -> Tensor:
        return F.minimum(self, other)

    def where(self, condition: Any, other: Any) -> Tensor:
        return F.where(condition, self, other)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return F.clip(self, min, max)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        return F.clip(self, min, max)

    def sum(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.sum(self, dim, keepdim)

    def mean(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.mean(self, dim, keepdim)

    def prod(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.prod(self, dim, keepdim)

    def amax(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.amax(self, dim, keepdim)

    def amin(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.amin(self, dim, keepdim)

    def logsumexp(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.logsumexp(self, dim, keepdim)

    def max(self, dim: Any = None, keepdim: bool = False) -> Any:
        return F.max(self, dim, keepdim)

    def min(self, dim: Any = None, keepdim: bool = False) -> Any:
        return F.min(self, dim, keepdim)

    def var(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Tensor:
        return F.var(self, dim, unbiased, keepdim, correction=correction)

    def std(self, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Tensor:
        return F.std(self, dim, unbiased, keepdim, correction=correction)

    def norm(self, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.norm(self, p, dim, keepdim)

    def cumsum(self, dim: int) -> Tensor:
        return F.cumsum(self, dim)

    def argmax(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return F.argmax(self, dim, keepdim)

    def argmin(self, dim: int | None = None, keepdim: bool = False) -> Tensor:
        return F.argmin(self, dim, keepdim)

    def any(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.any(self, dim, keepdim)

    def all(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        return F.all(self, dim, keepdim)

    def softmax(self, dim: int) -> Tensor:
        return F.softmax(self, dim)

    def log_softmax(self, dim: int) -> Tensor:
        return F.log_softmax(self, dim)

    def matmul(self, other: Any) -> Tensor:
        return F.matmul(self, other)

    def outer(self, other: Any) -> Tensor:
        return F.outer(self, other)

    def dot(self, other: Any) -> Tensor:
        return F.dot(self, other)

    def reshape(self, *sequence: Any, shape: Any = ()) -> Tensor:
        return F.reshape(self, _sequence(sequence, shape))

    def expand(self, *sequence: Any, size: Any = ()) -> Tensor:
        return F.expand(self, _sequence(sequence, size))

    def permute(self, *sequence: Any, dims: Any = ()) -> Tensor:
        return F.permute(self, _sequence(sequence, dims))

    def view(self, *sequence: Any, size: Any = ()) -> Tensor:
        return F.reshape(self, _sequence(sequence, size))

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        return F.flatten(self, start_dim, end_dim)

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        return F.transpose(self, dim0, dim1)

    def swapaxes(self, axis0: int, axis1: int) -> Tensor:
        return F.swapaxes(self, axis0, axis1)

    def squeeze(self, dim: Any = None) -> Tensor:
        return F.squeeze(self, dim)

    def unsqueeze(self, dim: int) -> Tensor:
        return F.unsqueeze(self, dim)

    def split(self, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
        return F.split(self, split_size_or_sections, dim)

    def chunk(self, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
        return F.chunk(self, chunks, dim)

    def flip(self, *sequence: Any, dims: Any = ()) -> Tensor:
        return F.flip(self, _sequence(sequence, dims))

    def index_select(self, dim: int, index: Any) -> Tensor:
        return F.index_select(self, dim, index)

    def gather(self, dim: int, index: Any) -> Tensor:
        return F.gather(self, dim, index)

    def sum_to(self, shape: Sequence[int]) -> Tensor:
        return F.sum_to(self, shape)

    def clone(self) -> Tensor:
        return F.clone(self)

    def astype(self, dtype: Any) -> Tensor:
        return F.astype(self, dtype)

    def float(self) -> Tensor:
        return F.astype(self, np.float32)

    def double(self) -> Tensor:
        return F.astype(self, np.float64)

    def to(self, *targets: Any, device: Any = None, dtype: Any = None) -> Tensor:
        """This tensor on another device (``'cpu'``, ``'cuda'``), of another dtype, or both. Differentiable."""
        out: Any = self
        for target in (*targets, *[named for named in (device, dtype) if named is not None]):
            if target is device or means_device(target):
                out = F.to_device(out, find_device(target))
            else:
                out = F.astype(out, target)
        return out

    def cpu(self) -> Tensor:
        return self.to("cpu")

    def cuda(self) -> Tensor:
        return self.to("cuda")


def _sequence(args: tuple[Any, ...], keyword: Any) -> tuple[int, ...]:
    """The integers of f(2, 3), f((2, 3)) and f(shape=(2, 3)) alike."""
    args = args or (keyword,)
    return tuple(args[0]) if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
