"""A table of learned vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigen import functional as F
from minigen.autograd.modes import no_grad
from minigen.errors import UserError
from minigen.nn import init
from minigen.nn.module import Module
from minigen.nn.parameter import Parameter
from minigen.tensor import DEFAULT_DTYPE, Tensor


class Embedding(Module):
    """Row i of a table for every integer i of the input.

    Args:
        num_embeddings: rows of the table.
        embedding_dim: features of each.
        padding_idx: a row that starts at 0 and receives no gradient; counted from the end if negative.

    Shapes: input (*) of integers, output (*, embedding_dim), weight (num_embeddings, embedding_dim), which starts
    Gaussian with variance 1.

    Raises:
        UserError: a padding_idx that is no row.

    >>> import minigen
    >>> minigen.nn.Embedding(10, 4, padding_idx=0)(minigen.tensor([[0, 1], [2, 0]])).shape
    (2, 2, 4)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None) -> None:
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise UserError(f"Embedding: padding_idx={padding_idx} is not one of the {num_embeddings} rows.")
            padding_idx %= num_embeddings
        self.num_embeddings, self.embedding_dim, self.padding_idx = num_embeddings, embedding_dim, padding_idx
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), DEFAULT_DTYPE))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the starting values anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0.0

    def forward(self, input: Any) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        words = f"{self.num_embeddings}, {self.embedding_dim}"
        return words if self.padding_idx is None else f"{words}, padding_idx={self.padding_idx}"
