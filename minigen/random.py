"""Random numbers come from an explicit generator: same seed, same bits, and the state can be saved.

>>> import minigen
>>> g = minigen.Generator(0)
>>> g.normal((2,)).dtype
dtype('float32')
>>> state = g.get_state()
>>> a = g.normal((3,))
>>> g.set_state(state)
>>> bool((a == g.normal((3,))).all())
True
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from minigen_kernels.draws import interval

from minigen.errors import DtypeError, UserError

MANY = 512  # numbers: with fewer, NumPy's generator is done before a kernel has begun
LARGEST = {kind: float(np.finfo(kind).max) for kind in (np.float32, np.float64)}


class Generator:
    """A stream of random numbers from counter-based generators named Philox (Salmon et al., SC 2011).

    Two generators with one seed give the same bits, on every processor and with any number of threads. NumPy's global
    state is never touched. Arrays are NumPy arrays, float32 unless `dtype` says otherwise.

    The stream itself is NumPy's Philox 4×64, one number after the other: integers, permutations, float64, and fewer than
    512 float32. A larger array of float32 takes one number from it, the key of a stream of its own (`key`), from which
    compiled loops make each element by its place, on all threads (`minigen_kernels.draws`).

    Args:
        seed: a non-negative integer.

    Raises:
        UserError: a seed, a key, a range or a state that cannot be.

    >>> import minigen
    >>> g = minigen.Generator(7)
    >>> g.integers(0, 10, (3, 2)).shape, g.uniform((2,), low=-5.0).dtype
    ((3, 2), dtype('float32'))
    """

    def __init__(self, seed: int = 0) -> None:
        self.manual_seed(seed)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream anew from `seed` (a non-negative integer)."""
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
            raise UserError(f"A seed is a non-negative integer, not {seed!r}.")
        self.seed = int(seed)
        self.numpy = np.random.Generator(np.random.Philox(np.random.SeedSequence(self.seed)))
        return self

    def spawn(self, key: int) -> Generator:
        """An independent generator, the `key`-th child of this seed (for loaders and other side streams)."""
        if not isinstance(key, (int, np.integer)) or isinstance(key, bool) or key < 0:
            raise UserError(f"spawn: a key is a non-negative integer, not {key!r}.")
        child = Generator(self.seed)
        child.numpy = np.random.Generator(np.random.Philox(np.random.SeedSequence(self.seed, spawn_key=(key,))))
        return child

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0, dtype: Any = np.float32) -> np.ndarray:
        """Uniform on [low, high), an array of the given shape."""
        shape, kind = shape_of(shape), _floating(dtype)
        if not low <= high:
            raise UserError(
                f"uniform: there is no number from low={low!r} up to high={high!r}; give the smaller one first."
            )
        if not max(-low, high, high - low) <= LARGEST[kind]:
            raise UserError(
                f"uniform: low={low!r}, high={high!r} and their difference must be numbers that {kind.__name__} can hold."
            )
        if kind is np.float32 and math.prod(shape) >= MANY:
            return _compiled().uniform(self.key(), math.prod(shape), float(low), float(high)).reshape(shape)
        u = self.numpy.random(shape, dtype=kind)
        if (low, high) == (0.0, 1.0):
            return u
        begin, width, last = interval(float(low), float(high), kind)
        return np.minimum(u * width + begin, last)

    def normal(self, shape: Sequence[int], mean: float = 0.0, std: float = 1.0, dtype: Any = np.float32) -> np.ndarray:
        """Gaussian with the given mean and standard deviation `std`, an array of the given shape."""
        shape, kind = shape_of(shape), _floating(dtype)
        if not std >= 0:
            raise UserError(f"normal: a standard deviation is at least 0, not std={std!r}.")
        if kind is np.float32 and math.prod(shape) >= MANY:
            return _compiled().normal(self.key(), math.prod(shape), float(mean), float(std)).reshape(shape)
        z = self.numpy.standard_normal(shape, dtype=kind)
        return z if (mean, std) == (0.0, 1.0) else z * float(std) + float(mean)

    def integers(self, low: int, high: int, shape: Sequence[int]) -> np.ndarray:
        """Integers on {low, …, high - 1}, int64 of the given shape."""
        if not all(isinstance(v, (int, np.integer)) for v in (low, high)) or high <= low:
            raise UserError(f"There is no integer from {low!r} up to, and not including, {high!r}.")
        return self.numpy.integers(low, high, shape_of(shape))

    def permutation(self, n: int) -> np.ndarray:
        """0, …, n − 1 in random order."""
        return self.numpy.permutation(n)

    def key(self) -> int:
        """64 random bits: the key of a stream of its own, for numbers that are computed from their place in an array.

        Dropout masks are (`minigen_kernels.philox`). However large they are, this stream moves on by one number.
        """
        return int(self.numpy.bit_generator.random_raw())

    def get_state(self) -> dict[str, Any]:
        """Everything needed to continue this stream, made of plain numbers and lists (fit for JSON)."""
        return {"seed": self.seed, "philox": _plain(self.numpy.bit_generator.state)}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue the stream where `get_state` was called."""
        try:
            seed = int(state["seed"])
            self.numpy.bit_generator.state = _unplain(state["philox"])
            self.seed = seed
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"This is not the state of a minigen.Generator ({error}).") from error

    def __repr__(self) -> str:
        return f"Generator(seed={self.seed})"


def shape_of(size: Any) -> tuple[int, ...]:
    """A shape, of integers or one integer, as a tuple of Python's integers."""
    shape: tuple[Any, ...] = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in shape):
        raise UserError(f"A shape is made of non-negative integers, not {tuple(shape)!r}.")
    return tuple(int(n) for n in shape)


def _compiled() -> Any:
    from minigen_kernels.cpu import draws  # loads Numba

    return draws


def _floating(dtype: Any) -> Any:
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise DtypeError(f"Random numbers are drawn as float32 or float64, not {kind}; convert them with .astype().")
    return kind.type


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return [int(v) for v in value]
    return int(value) if isinstance(value, np.integer) else value


def _unplain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _unplain(v) for k, v in value.items()}
    return np.array(value, dtype=np.uint64) if isinstance(value, list) else value


default_generator = Generator(0)


def pick(generator: Generator | None) -> Generator:
    """`generator`, or the default one for None."""
    if generator is None:
        return default_generator
    if not isinstance(generator, Generator):
        raise UserError(f"A generator is a minigen.Generator, such as minigen.Generator(0), not {generator!r}.")
    return generator


def manual_seed(seed: int) -> Generator:
    """Seed the generator that layers and creation functions use when none is given, and return it.

    >>> import minigen
    >>> def draw():
    ...     minigen.manual_seed(0)
    ...     return minigen.randn(3).tolist()
    >>> draw() == draw()
    True
    """
    return default_generator.manual_seed(seed)
