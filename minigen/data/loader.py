"""Batches in a seeded order, prepared ahead in one thread, and resumable at any batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator as Generating
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from minigen.cuda.pinned import pinned
from minigen.data.dataset import Dataset
from minigen.errors import UserError
from minigen.random import Generator

Batch = tuple[np.ndarray, ...]


@dataclass
class _Epoch:
    generator: dict[str, Any] | None  # its state before the order of this epoch was drawn
    delivered: int  # batches handed to the caller


class DataLoader:
    """Batches of a dataset; one `for` loop over it is one epoch (names as in `torch.utils.data.DataLoader`).

    The order of an epoch is drawn once, at its start, and in the caller's thread, so that batches and their bits do
    not depend on `prefetch`. `state_dict()` says where the loader stands: a new loader that loads it yields
    precisely the batches that were left of the epoch, and then the same epochs as if there had been no interruption.

    Args:
        dataset: `ArrayDataset`, or any object with `len()` and `dataset[indices] -> tuple of arrays`
        batch_size: samples in a batch
        shuffle: draw a new order each epoch
        drop_last: leave out the last batch when it is smaller than the others
        generator: where the order comes from; needed to shuffle, and best shared with nothing else, because loading a
            state sets it back to the start of an epoch
        prefetch: how many batches a background thread prepares ahead; 0 prepares each when it is asked for
        pin_memory: put batches into page-locked memory, from which a GPU copies while the host goes on. Where there is no
            GPU, this changes nothing.

    Yields:
        Tuples of NumPy arrays (batch, ...), fresh copies that the caller may write to; with `pin_memory` only until they
        are sent to a GPU.

    Raises:
        UserError: A batch size below 1, a negative prefetch, a dataset that gives no batch, shuffling without a generator.
            What `dataset[indices]` raises in the thread is raised by the loop.

    >>> from minigen.data import ArrayDataset
    >>> loader = DataLoader(ArrayDataset(np.arange(5)), batch_size=2, shuffle=True, generator=Generator(0))
    >>> len(loader)
    3
    >>> epoch = iter(loader)
    >>> first = next(epoch)
    >>> state = loader.state_dict()  # after one batch
    >>> rest = [batch.tolist() for (batch,) in epoch]
    >>> loader.load_state_dict(state)
    >>> [batch.tolist() for (batch,) in loader] == rest
    True
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int = 1,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: Generator | None = None,
        prefetch: int = 2,
        pin_memory: bool = False,
    ) -> None:
        if not _is_integer(batch_size) or batch_size < 1:
            raise UserError(f"batch_size must be an integer of at least 1, not {batch_size!r}.")
        if not _is_integer(prefetch) or prefetch < 0:
            raise UserError(f"prefetch must be an integer of at least 0, not {prefetch!r}.")
        if shuffle and generator is None:
            raise UserError("shuffle=True needs a generator: pass generator=minigen.Generator(seed).")
        if len(dataset) == 0:
            raise UserError("The dataset has no samples, so there is no batch to load.")
        if drop_last and len(dataset) < batch_size:
            raise UserError(
                f"A dataset of {len(dataset)} samples gives no full batch of {batch_size}: "
                "lower batch_size or set drop_last=False."
            )
        self.dataset = dataset
        self.batch_size = int(batch_size)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        self.generator = generator
        self.prefetch = int(prefetch)
        self.pin_memory = bool(pin_memory)
        self._epoch: _Epoch | None = None  # the one that was begun and not finished
        self._skip = 0  # batches that a loaded state says were delivered already

    def __len__(self) -> int:
        """The number of batches in a whole epoch."""
        n = len(self.dataset)
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        epoch = _Epoch(self._generator_state(), self._skip)
        self._epoch, self._skip = epoch, 0
        n = len(self.dataset)
        order = np.arange(n) if not self.shuffle or self.generator is None else self.generator.permutation(n)
        starts = range(epoch.delivered * self.batch_size, len(self) * self.batch_size, self.batch_size)
        indices = (order[start : start + self.batch_size] for start in starts)
        with closing(self._prepare(indices)) as batches:
            for batch in batches:
                epoch.delivered += 1  # before the yield: a state taken in the loop's body counts the batch at hand
                yield batch
        if self._epoch is epoch:
            self._epoch = None

    def _prepare(self, indices: Iterator[np.ndarray]) -> Generating[Batch, None, None]:
        if self.prefetch == 0:
            yield from map(self._fetch, indices)
            return
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="minigen-loader")
        try:
            ahead = deque(thread.submit(self._fetch, index) for index in islice(indices, self.prefetch))
            while ahead:
                batch = ahead.popleft().result()  # raises here what the thread raised
                ahead.extend(thread.submit(self._fetch, index) for index in islice(indices, 1))
                yield batch
        finally:  # at the end of the epoch, and when the caller leaves the loop early
            thread.shutdown(cancel_futures=True)

    def _fetch(self, index: np.ndarray) -> Batch:
        return tuple(pinned(part) if self.pin_memory else np.array(part) for part in self.dataset[index])

    def state_dict(self) -> dict[str, Any]:
        """Where the loader stands, in plain numbers, strings and lists (fit for JSON).

        Inside the loop it counts the batch at hand as delivered; after an epoch that ran to its end it stands at the
        start of the next. Taken on the last batch of an epoch, inside the loop, it leaves an epoch of no batches.
        """
        epoch = self._epoch or _Epoch(self._generator_state(), self._skip)
        return {"generator": epoch.generator, "delivered": epoch.delivered, **self._layout()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where `state_dict` was called; the next loop over the loader yields the batches that were left.

        Raises:
            UserError: The state is of a loader with another batch size, number of samples, shuffle or drop_last, or no state.
        """
        try:
            delivered, generator = int(state["delivered"]), state["generator"]
            theirs = {name: state[name] for name in self._layout()}
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"This is not the state of a minigen DataLoader ({error!r}).") from error
        for name, ours in self._layout().items():
            if theirs[name] != ours:
                raise UserError(
                    f"The state is of a loader with {name}={theirs[name]}, and this one has {name}={ours}: "
                    "the batches would not be the same ones."
                )
        if not 0 <= delivered <= len(self):
            raise UserError(f"The state says that {delivered} of {len(self)} batches were delivered.")
        if self.generator is not None and generator is not None:
            self.generator.set_state(generator)
        self._epoch, self._skip = None, delivered

    def _layout(self) -> dict[str, Any]:
        return {
            "samples": len(self.dataset),
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "drop_last": self.drop_last,
        }

    def _generator_state(self) -> dict[str, Any] | None:
        return None if self.generator is None else self.generator.get_state()

    def __repr__(self) -> str:
        return f"DataLoader({len(self)} batches of {self.batch_size} from {len(self.dataset)} samples)"


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
